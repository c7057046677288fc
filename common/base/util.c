/* util.c: see util.h. */
#include "util.h"
#include "text-code.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static void *checked(void *p)
{
	if (!p) {
		fputs("vmferry: out of memory\n", stderr);
		abort();
	}
	return p;
}

void free_all(void *const *all, size_t count)
{
	while (count)
		free(all[--count]);
}

void *xmalloc(size_t size)
{
	return checked(malloc(size ? size : 1));
}

void *xcalloc(size_t count, size_t size)
{
	return checked(calloc(count ? count : 1, size ? size : 1));
}

void *xrealloc(void *p, size_t size)
{
	return checked(realloc(p, size ? size : 1));
}

char *xstrdup(const char *s)
{
	return s ? checked(strdup(s)) : NULL;
}

char *xstrndup(const char *s, size_t n)
{
	return checked(strndup(s, n));
}

char *xvasprintf(const char *fmt, va_list ap)
{
	char *s = NULL;

	return checked(vasprintf(&s, fmt, ap) < 0 ? NULL : s);
}

char *xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	s = xvasprintf(fmt, ap);
	va_end(ap);
	return s;
}

bool bytes_are_zero(const uint8_t *p, size_t n)
{
	typedef uint64_t word __attribute__((aligned(1), may_alias));
	const word *w = (const word *)p;
	size_t i, words = n / 8;

	for (i = 0; i + 8 <= words; i += 8)
		if (w[i] | w[i + 1] | w[i + 2] | w[i + 3] | w[i + 4] | w[i + 5] | w[i + 6] | w[i + 7])
			return false;
	for (i *= 8; i < n; i++)
		if (p[i])
			return false;
	return true;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

uint64_t now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t thread_cpu_ns(void)
{
	return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t process_cpu_ns(void)
{
	return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

int parse_bytes(const char *s, uint64_t *out)
{
	char *end;
	double v;
	unsigned shift = 0;

	errno = 0;
	v = strtod(s, &end);
	if (end == s || errno || !(v >= 0))
		return -EINVAL;
	switch (*end) {
	case '\0':
	case 'B':
	case 'b':
		break;
	case 'k':
	case 'K':
		shift = 10;
		break;
	case 'm':
	case 'M':
		shift = 20;
		break;
	case 'g':
	case 'G':
		shift = 30;
		break;
	case 't':
	case 'T':
		shift = 40;
		break;
	default:
		return -EINVAL;
	}
	if (shift)
		end++;
	if (*end == 'i')
		end++;
	if (*end == 'B' || *end == 'b')
		end++;
	if (*end)
		return -EINVAL;
	v *= (double)(1ULL << shift);
	if (v > 9e18)
		return -EINVAL;
	*out = (uint64_t)v;
	return 0;
}

int parse_rate(const char *s, uint64_t *bytes_per_s)
{
	static const char letters[] = "kKmMgGtT";
	size_t length = strlen(s), digits = strspn(s, "0123456789.");
	const char *letter = digits < length ? strchr(letters, s[digits]) : NULL;
	double bits_per_s;
	ptrdiff_t i;
	char *end;

	if (length < 4 || strcasecmp(s + length - 3, "bit"))
		return parse_bytes(s, bytes_per_s);
	bits_per_s = strtod(s, &end);
	if (!digits || end != s + digits || length - 3 - digits != (letter ? 1 : 0))
		return -EINVAL;
	for (i = 0; letter && i <= (letter - letters) / 2; i++)
		bits_per_s *= 1000;
	if (bits_per_s / 8 >= (double)INT64_MAX)
		return -EINVAL;
	*bytes_per_s = (uint64_t)(bits_per_s / 8);
	return *bytes_per_s || bits_per_s <= 0 ? 0 : -EINVAL;
}

const char *format_bytes(char buf[24], uint64_t bytes)
{
	static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double v = (double)bytes;
	unsigned u = 0;

	while (v >= 1024 && u + 1 < ARRAY_LEN(unit)) {
		v /= 1024;
		u++;
	}
	snprintf(buf, 24, u && v < 100 ? "%.1f %s" : "%.0f %s", v, unit[u]);
	return buf;
}

bool text_equal(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

bool text_starts_with(const char *s, const char *start)
{
	return s && !strncmp(s, start, strlen(start));
}

bool text_is_digits(const char *s)
{
	return s && *s && !s[strspn(s, "0123456789")];
}

size_t text_utf8_length(const char *s)
{
	uint32_t code;

	return text_utf8_take(s, &code);
}

bool text_is_utf8(const char *s)
{
	for (size_t n; *s; s += n)
		if (!(n = text_utf8_length(s)))
			return false;
	return true;
}

void text_make_utf8(char *s)
{
	for (size_t n; *s; s += n) {
		n = text_utf8_length(s);
		if (!n)
			*s = '?', n = 1;
	}
}

void text_make_printable(char *s, bool lines)
{
	uint32_t code;

	for (size_t n; *s; s += n) {
		n = text_utf8_take(s, &code);
		if (!n)
			*s = '?', n = 1;
		else if (text_code_is_hidden(code) && !(lines && (code == '\n' || code == '\t')))
			memset(s, '?', n);
	}
}

char *text_shown(const char *s)
{
	char *copy = xstrdup(s ? s : "?");

	text_make_printable(copy, false);
	return copy;
}
