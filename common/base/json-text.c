/* json-text.c: see json-text.h. */
#include "json-text.h"
#include "text-code.h"
#include "util.h"

#include <stdint.h>
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

#define DECIMALS 1000
#define DIGITS	 15

static void round_reals(json_t *v)
{
	double scaled = json_is_real(v) ? json_real_value(v) * DECIMALS : 0;
	json_t *member;
	const char *key;
	size_t i;

	if (scaled && scaled > -1e15 && scaled < 1e15)
		json_real_set(v, (double)(int64_t)(scaled + (scaled < 0 ? -0.5 : 0.5)) / DECIMALS);
	json_array_foreach(v, i, member)
		round_reals(member);
	json_object_foreach(v, key, member)
		round_reals(member);
}

char *json_text_line(const json_t *v)
{
	json_auto_t *rounded = json_deep_copy(v);

	round_reals(rounded);
	return json_text_dump(rounded, JSON_COMPACT | JSON_REAL_PRECISION(DIGITS));
}

void json_text_print(const json_t *v)
{
	AUTO_FREE char *text = json_text_line(v);

	puts(text ? text : "null");
}

json_t *json_find(const json_t *list, const char *key, const char *text)
{
	for (size_t i = 0; text && i < json_array_size(list); i++) {
		json_t *one = json_array_get(list, i);
		const char *is = key ? json_text(one, key) : json_string_value(one);

		if (is && !strcmp(is, text))
			return one;
	}
	return NULL;
}

bool json_has(const json_t *list, const json_t *one)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (json_equal(json_array_get(list, i), one))
			return true;
	return false;
}
