/* moment.h: a moment of the wall clock, as people write it, in local time. Pure but for the time zone. */
#ifndef VMFERRY_MOMENT_H
#define VMFERRY_MOMENT_H

#include <time.h>

enum { MOMENT_TEXT = 32 };

/* "HH:MM[:SS]": when it is that next; "YYYY-MM-DD HH:MM[:SS]", T in place of the space, too; "+N" seconds, "+Nm", "+Nh", "+Nd" from now. 0: it is none of
 * these, does not exist, or is not after now. */
time_t moment_read(const char *text, time_t now);
/* "N" or "Ns", "Nm", "Nh", "Nd": so many seconds, minutes, hours or days, in seconds, at most 366 days. 0: it is none of these. */
long moment_span(const char *text);
/* "YYYY-MM-DD HH:MM:SS", as moment_read takes it. Returns to. */
const char *moment_text(char to[MOMENT_TEXT], time_t at);

#endif
