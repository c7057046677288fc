/*
 * output.h: text for standard output and standard error, which may be a terminal that is stopped (^S), a pipe that nobody reads,
 * or an SSH session that is gone. Callers never wait for these: unless it is a file, a thread writes to it from a bounded queue.
 * Thread-safe, and safe in a forked child.
 */
#ifndef VMFERRY_OUTPUT_H
#define VMFERRY_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

enum output_kind {
	OUTPUT_PASSING, /* only while nothing else waits: the next one will say it better */
	OUTPUT_LOG,	/* while little waits */
	OUTPUT_TEXT,	/* while not too much waits */
	OUTPUT_LAST,	/* always */
};

#define OUTPUT_LOG_BYTES  (256u << 10) /* bytes that may wait while OUTPUT_LOG and OUTPUT_TEXT are still taken */
#define OUTPUT_TEXT_BYTES (8u << 20)

/* Writes text to fd (1 or 2). False: it was dropped. Text that cannot be written (nobody has the other end) counts as taken. */
bool output_put(int fd, enum output_kind kind, const char *text, size_t n);
/* Waits until all is written, or nothing more was for patience_ms. Also done at exit(), with OUTPUT_EXIT_MS. */
void output_flush(unsigned patience_ms);

#define OUTPUT_EXIT_MS 2000

#endif
