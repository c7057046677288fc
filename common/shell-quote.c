/* shell-quote.c: see shell-quote.h. */
#include "shell-quote.h"
#include "util.h"

#include <string.h>

/* Nothing that any shell expands, in any place of a command but the first (= would assign there). */
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

char *shell_comment(const char *s)
{
	char *out = xstrdup(s), *p;

	for (p = out; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	return out;
}
