/* Text, and what the compiler expects of a C library. */
#include "tiny.h"

/* The areas overlap only where a pattern is to repeat itself (tag.c), so this copies by words, from the first one on. */
void *memcpy(void *to, const void *from, size_t bytes)
{
	void *at = to;
	size_t words = bytes / 4;

	__asm__ volatile("rep movsl" : "+D"(at), "+S"(from), "+c"(words) : : "memory");
	bytes %= 4;
	__asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(bytes) : : "memory");
	return to;
}

void *memset(void *to, int byte, size_t bytes)
{
	void *at = to;
	size_t words = bytes / 4;

	__asm__ volatile("rep stosl" : "+D"(at), "+c"(words) : "a"((uint32_t)(byte & 0xff) * 0x01010101) : "memory");
	bytes %= 4;
	__asm__ volatile("rep stosb" : "+D"(at), "+c"(bytes) : "a"(byte) : "memory");
	return to;
}

/* Says only whether they are equal (0). */
int memcmp(const void *one, const void *other, size_t bytes)
{
	size_t words = bytes / 4;
	bool same;

	bytes %= 4;
	__asm__ volatile("cmp %%eax, %%eax; repe cmpsl; jne 1f; mov %4, %3; cmp %%eax, %%eax; repe cmpsb; 1:"
			 : "=@ccz"(same), "+S"(one), "+D"(other), "+c"(words)
			 : "r"(bytes)
			 : "memory");
	return !same;
}

size_t strlen(const char *text)
{
	size_t length = 0;

	while (text[length])
		length++;
	return length;
}

int strncmp(const char *one, const char *other, size_t bytes)
{
	for (; bytes > 0 && *one && *one == *other; bytes--, one++, other++)
		;
	return bytes > 0 ? (unsigned char)*one - (unsigned char)*other : 0;
}

int strcmp(const char *one, const char *other)
{
	return strncmp(one, other, SIZE_MAX);
}

char *text_cut(char **rest, char end)
{
	char *text = *rest, *at = text;

	if (!text)
		return NULL;
	while (*at && *at != end)
		at++;
	*rest = *at ? at + 1 : NULL;
	*at = '\0';
	return text;
}

bool text_number(const char *text, uint32_t *to)
{
	uint32_t value = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || value > (UINT32_MAX - 9) / 10)
			return false;
		value = value * 10 + (uint32_t)(*text - '0');
	}
	*to = value;
	return true;
}

uint32_t divide(uint64_t *value, uint32_t by)
{
	uint32_t high = (uint32_t)(*value >> 32), low = (uint32_t)*value, rest = high % by;

	high /= by;
	__asm__("divl %2" : "+a"(low), "+d"(rest) : "r"(by));
	*value = (uint64_t)high << 32 | low;
	return rest;
}

static const char *decimal(uint64_t value, char end[static 24])
{
	char *at = end + 23;

	*at = '\0';
	do
		*--at = (char)('0' + divide(&value, 10));
	while (value > 0);
	return at;
}

size_t text_format_list(char *to, size_t bytes, const char *format, va_list args)
{
	char number[24], letter[2] = "";
	size_t at = 0;

	for (; *format; format++) {
		const char *text = letter;

		letter[0] = *format;
		if (*format == '%') {
			switch (*++format) {
			case 's':
				text = va_arg(args, const char *);
				break;
			case 'c':
				letter[0] = (char)va_arg(args, int);
				break;
			case 'u':
				text = decimal(va_arg(args, uint32_t), number);
				break;
			default: /* %llu */
				format += 2;
				text = decimal(va_arg(args, uint64_t), number);
			}
		}
		while (*text && at + 1 < bytes)
			to[at++] = *text++;
	}
	to[at] = '\0';
	return at;
}

size_t text_format(char *to, size_t bytes, const char *format, ...)
{
	va_list args;
	size_t length;

	va_start(args, format);
	length = text_format_list(to, bytes, format, args);
	va_end(args);
	return length;
}
