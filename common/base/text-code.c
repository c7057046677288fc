/* text-code.c: see text-code.h. */
#include "text-code.h"
#include "util.h"

size_t text_utf8_take(const char *s, uint32_t *out)
{
	const unsigned char *u = (const unsigned char *)s;
	uint32_t code;
	size_t n, i;

	*out = u[0];
	if (u[0] < 0x80)
		return 1;
	n = u[0] < 0xc2 ? 0 : u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : u[0] < 0xf5 ? 4 : 0;
	if (!n)
		return 0;
	code = u[0] & (0x7fu >> n);
	for (i = 1; i < n; i++) {
		if ((u[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (u[i] & 0x3f);
	}
	*out = code;
	/* too long a form, half of a surrogate pair, beyond the last */
	return (n == 3 && code < 0x800) || (code >= 0xd800 && code < 0xe000) || (n == 4 && (code < 0x10000 || code > 0x10ffff)) ? 0 : n;
}

bool text_code_is_hidden(uint32_t code)
{
	static const struct {
		uint32_t first, last;
	} hidden[] = {
		{0, 0x1f},	  {0x7f, 0x9f},	      {0xad, 0xad},	  {0x34f, 0x34f},     {0x61c, 0x61c},
		{0x115f, 0x1160}, {0x17b4, 0x17b5},   {0x180b, 0x180f},	  {0x200b, 0x200f},   {0x2028, 0x202e},
		{0x2060, 0x206f}, {0x3164, 0x3164},   {0xfe00, 0xfe0f},	  {0xfeff, 0xfeff},   {0xffa0, 0xffa0},
		{0xfff0, 0xfffb}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
	};

	for (size_t i = 0; i < ARRAY_LEN(hidden); i++)
		if (code >= hidden[i].first && code <= hidden[i].last)
			return true;
	return false;
}

/* The bytes of the character that s begins with, and its columns. */
static size_t take_columns(const char *s, size_t *columns)
{
	uint32_t code;
	size_t n = text_utf8_take(s, &code);

	*columns = n && ((code >= 0x1100 && code <= 0x115f) || code >= 0x2300) ? 2 : 1;
	return n ? n : 1;
}

size_t text_fitting(const char *s, size_t columns)
{
	size_t i = 0, n, width;

	for (; s[i]; i += n) {
		n = take_columns(s + i, &width);
		if (width > columns)
			break;
		columns -= width;
	}
	return i;
}

size_t text_columns(const char *s)
{
	size_t sum = 0, width;

	for (; *s; sum += width)
		s += take_columns(s, &width);
	return sum;
}
