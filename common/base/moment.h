/* moment.h: a moment of the wall clock, as people write it, in local time. Pure but for the time zone. */
#ifndef VMFERRY_MOMENT_H
#define VMFERRY_MOMENT_H

#include <time.h>

enum { MOMENT_TEXT = 32 };

/* Reads "HH:MM[:SS]", the next such time; "YYYY-MM-DD HH:MM[:SS]", also with T for the space; "+N" seconds, "+Nm", "+Nh", "+Nd" from now.
 * 0: none of these, or a time that does not exist or is not after now. */
time_t moment_read(const char *text, time_t now);
/* Reads "N" or "Ns", "Nm", "Nh", "Nd" as a number of seconds, at most 366 days. 0: none of these. */
long moment_span(const char *text);
/* "YYYY-MM-DD HH:MM:SS", as moment_read takes it. Returns to. */
const char *moment_text(char to[MOMENT_TEXT], time_t at);

#endif
