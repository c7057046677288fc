/* json-text.c: see json-text.h. */
#include "json-text.h"
#include "text-code.h"
#include "util.h"

#include <stdio.h>
#include <string.h>

char *json_text_dump(const json_t *v, size_t flags)
{
	AUTO_FREE char *raw = json_dumps(v, flags);
	const char *u = raw;
	char *out, *p;
	uint32_t code;
	size_t n;

	if (!raw)
		return NULL;
	out = p = xmalloc(6 * strlen(raw) + 1);
	for (; *u; u += n) { /* outside of strings there is only ASCII, and that newlines may lay out */
		n = MAX(text_utf8_take(u, &code), 1U);
		if (code < ' ' || !text_code_is_hidden(code))
			p = mempcpy(p, u, n);
		else if (code < 0x10000)
			p += sprintf(p, "\\u%04x", code);
		else
			p += sprintf(p, "\\u%04x\\u%04x", 0xd7c0 + (code >> 10), 0xdc00 + (code & 0x3ff));
	}
	*p = '\0';
	return out;
}

void json_text_print(const json_t *v)
{
	AUTO_FREE char *text = json_text_dump(v, JSON_COMPACT | JSON_REAL_PRECISION(9));

	puts(text ? text : "null");
}
