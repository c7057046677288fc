/* hex.c: see hex.h. */
#include "hex.h"

#include <stdint.h>

char *hex_format(const void *bytes, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *b = bytes;

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[b[i] >> 4];
		out[2 * i + 1] = digits[b[i] & 15];
	}
	out[2 * n] = '\0';
	return out;
}

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool hex_parse(const char *text, void *bytes, size_t n)
{
	uint8_t *b = bytes;
	int high, low;

	for (size_t i = 0; i < n; i++) {
		high = digit(text[2 * i]);
		low = high < 0 ? -1 : digit(text[2 * i + 1]);
		if (low < 0)
			return false;
		b[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}
