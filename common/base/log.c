/* log.c: see log.h. Its settings are written once at start, before any thread. */
#include "log.h"
#include "output.h"
#include "util.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *log_who = "vmferry";
static enum log_level log_max = LOG_LEVEL_ERROR;
static int log_fd = 2;
static unsigned log_count;

void log_init(const char *who, enum log_level level, int fd)
{
	const char *env = getenv("VMFERRY_LOG");

	log_who = who;
	log_max = level;
	log_fd = fd;
	if (env && !strcmp(env, "debug"))
		log_max = LOG_LEVEL_DEBUG;
	else if (env && !strcmp(env, "info"))
		log_max = MAX(log_max, LOG_LEVEL_INFO);
}

bool log_shows(enum log_level level)
{
	return level <= log_max;
}

unsigned log_lines(void)
{
	return __atomic_load_n(&log_count, __ATOMIC_RELAXED);
}

void log_line(enum log_level level, const char *fmt, ...)
{
	char line[1200];
	uint64_t ns = now_ns();
	va_list ap;
	int n, m;

	if (!log_shows(level))
		return;
	n = snprintf(line, sizeof(line), "%llu.%06llu %s: ", (unsigned long long)(ns / 1000000000),
		     (unsigned long long)(ns % 1000000000 / 1000), log_who);
	va_start(ap, fmt);
	m = vsnprintf(line + n, sizeof(line) - (size_t)n - 1, fmt, ap);
	va_end(ap);
	n = MIN(n + m, (int)sizeof(line) - 2);
	text_make_printable(line, false);
	line[n++] = '\n';
	__atomic_add_fetch(&log_count, 1, __ATOMIC_RELAXED);
	output_put(log_fd, OUTPUT_LOG, line, (size_t)n); /* a dead terminal must not end a move, nor one that is stopped delay it */
}
