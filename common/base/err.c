/* err.c: see err.h. */
#include "err.h"

#include "util.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Makes the message valid UTF-8 and one line: names, logs and a peer's words in it may hold any bytes, cutting it may have split a
 * character, and a second line would look like a message of its own. */
static void finish(struct err *e)
{
	char *p;

	for (p = e->msg; (p = strpbrk(p, "\n\t")); p++)
		*p = ' ';
	text_make_printable(e->msg, false);
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
	va_end(ap);
	finish(e);
	e->code = code;
	return -code;
}

int err_sys(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
	va_end(ap);
	n = strlen(e->msg);
	snprintf(e->msg + n, sizeof(e->msg) - n, ": %s", strerror(code));
	finish(e);
	e->code = code;
	return -code;
}

int err_prefix(struct err *e, const char *fmt, ...)
{
	char old[ERR_MAX];
	va_list ap;
	size_t n;

	memcpy(old, e->msg, sizeof(old));
	va_start(ap, fmt);
	vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
	va_end(ap);
	n = strlen(e->msg);
	snprintf(e->msg + n, sizeof(e->msg) - n, ": %s", old);
	finish(e);
	return -e->code;
}
