/*
 * log.h: lines for whoever debugs a move, on stderr or to a file; never the way a user learns of an error.
 *
 * The level comes from the command line (-v) or VMFERRY_LOG=debug|info. Thread-safe: one write per line; what nobody reads
 * is dropped (output.h). What a line says may be foreign: control characters in it, newlines too, become question marks.
 */
#ifndef VMFERRY_LOG_H
#define VMFERRY_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Sets once, at start, who logs ("src", "dst") and how much. fd: where lines go. */
void log_init(const char *who, enum log_level level, int fd);
bool log_shows(enum log_level level);
/* The number of lines so far: code that writes over its own text must know it. */
unsigned log_lines(void);
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_info(...)  log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
