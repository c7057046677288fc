/* shell-quote.c: see shell-quote.h. */
#include "shell-quote.h"
#include "util.h"

#include <stdio.h>
#include <string.h>

/* Characters that no shell expands, anywhere in a command but in its first word (where = would assign). */
static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+=:,./@%";

char *shell_quote(const char *s)
{
	char *out, *p;

	if (*s && strspn(s, plain) == strlen(s))
		return xstrdup(s);
	out = p = xmalloc(4 * strlen(s) + 3);
	*p++ = '\'';
	for (; *s; s++) {
		if (*s == '\'') {
			memcpy(p, "'\\''", 4);
			p += 4;
		} else {
			*p++ = *s;
		}
	}
	*p++ = '\'';
	*p = '\0';
	return out;
}

char *shell_quote_shown(const char *s)
{
	AUTO_FREE char *shown = text_shown(s);
	size_t n = strlen(s), i;
	char *out, *p;

	if (!strcmp(shown, s))
		return shell_quote(s);
	while (n && s[n - 1] == '\n')
		n--;
	out = p = xmalloc(4 * strlen(s) + 32);
	p = stpcpy(p, "\"$(printf -- '");
	for (i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c < ' ' || c >= 0x7f || c == '\'' || c == '\\')
			p += sprintf(p, "\\%03o", c);
		else if (c == '%')
			p = stpcpy(p, "%%");
		else
			*p++ = (char)c;
	}
	p = stpcpy(p, "')\"");
	if (s[n])
		sprintf(p, "'%s'", s + n);
	return out;
}

char *shell_comment(const char *s)
{
	return text_shown(s);
}
