/* json-text.c: see json-text.h. */
#include "json-text.h"
#include "util.h"

#include <stdio.h>
#include <string.h>

char *json_text_dump(const json_t *v, size_t flags)
{
	AUTO_FREE char *raw = json_dumps(v, flags);
	const unsigned char *u = (const unsigned char *)raw;
	char *out, *p;

	if (!raw)
		return NULL;
	out = p = xmalloc(6 * strlen(raw) + 1);
	for (; *u; u++) { /* outside of strings there is only ASCII */
		if (*u == 0x7f)
			p += sprintf(p, "\\u007f");
		else if (u[0] == 0xc2 && u[1] < 0xa0)
			p += sprintf(p, "\\u%04x", *++u);
		else
			*p++ = (char)*u;
	}
	*p = '\0';
	return out;
}

void json_text_print(const json_t *v)
{
	AUTO_FREE char *text = json_text_dump(v, JSON_COMPACT | JSON_REAL_PRECISION(9));

	puts(text ? text : "null");
}
