/*
 * util.h: the few helpers every file uses: scope cleanup, array length, allocation that does not fail.
 */
#ifndef VMFERRY_UTIL_H
#define VMFERRY_UTIL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#define ARRAY_LEN(a)			(sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define MIN(a, b)			((a) < (b) ? (a) : (b))
#define MAX(a, b)			((a) > (b) ? (a) : (b))
#define KIB				(1024ULL)
#define MIB				(1024ULL * 1024)
#define GIB				(1024ULL * 1024 * 1024)

static inline void auto_free_fn(void *p)
{
	free(*(void **)p);
}

static inline void auto_close_fn(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* Freed or closed when the scope ends. */
#define AUTO_FREE  __attribute__((cleanup(auto_free_fn)))
#define AUTO_CLOSE __attribute__((cleanup(auto_close_fn)))

/* Frees each of the pointers, which are all evaluated before the first is freed. */
#define FREE_ALL(...) free_all((void *[]){__VA_ARGS__}, sizeof((void *[]){__VA_ARGS__}) / sizeof(void *))
void free_all(void *const *all, size_t count);

/* Memory for small control structures: running out of it ends the process with a message. */
void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *p, size_t size);
char *xstrdup(const char *s); /* NULL for NULL */
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
char *xvasprintf(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0)));

/* True if every byte is zero, also if there is none. */
bool bytes_are_zero(const uint8_t *p, size_t n);

/* Nanoseconds of CLOCK_MONOTONIC. */
uint64_t now_ns(void);
/* CPU time of this thread; of this process. */
uint64_t thread_cpu_ns(void);
uint64_t process_cpu_ns(void);

/* Parses "10M", "1.5GiB", "800k": binary multiples. 0 or -EINVAL. */
int parse_bytes(const char *s, uint64_t *out);
/* Parses a rate in bytes a second, as parse_bytes() does, or in bits: "100Mbit", "1gbit", of which k, M and G are powers of 1000. 0 or -EINVAL. */
int parse_rate(const char *s, uint64_t *bytes_per_s);
/* True if both are the same text, or both NULL. */
bool text_equal(const char *a, const char *b);
/* True if the text starts so; false for NULL. */
bool text_starts_with(const char *s, const char *start);
/* True if the text is one decimal digit or more, and nothing else; false for NULL. */
bool text_is_digits(const char *s);
/* Bytes of the UTF-8 character that s begins with (RFC 3629); 0: it is none. */
size_t text_utf8_length(const char *s);
bool text_is_utf8(const char *s);
/* Puts '?' in place of every byte that belongs to no UTF-8 character. */
void text_make_utf8(char *s);
/* Puts '?' in place of control characters, which a terminal might obey; with lines, newlines and tabs stay. */
void text_make_printable(char *s, bool lines);
/* A copy of foreign text for one line of a terminal or a log, malloc'ed; "?" for NULL. */
char *text_shown(const char *s);
/* Writes "1.5 GiB" and the like to buf (at least 16 bytes) and returns it. */
const char *format_bytes(char buf[24], uint64_t bytes);

#endif
