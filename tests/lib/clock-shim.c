/*
 * clock-shim.c: a clock that somebody sets, under the agents, by LD_PRELOAD (build/VARIANT/shared): while the file named by CLOCK_IS_SET
 * is there, the time of day is CLOCK_STEP seconds later (less than 0: earlier), and who is told so makes the file named by CLOCK_SEEN.
 * Other programs that they start go on as if it were not there; what the kernel gives files stays the true time, as if another host had
 * written them.
 */
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const char *set, *seen;
static long long step_s;

__attribute__((constructor)) static void begin(void)
{
	if (!getenv("CLOCK_STEP") || !shim_is_under("vmferry"))
		return;
	step_s = atoll(getenv("CLOCK_STEP"));
	set = getenv("CLOCK_IS_SET");
	seen = getenv("CLOCK_SEEN");
}

static time_t step(void)
{
	int was = errno, fd;

	if (!set || !seen || access(set, F_OK) != 0) {
		errno = was;
		return 0;
	}
	fd = open(seen, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0)
		close(fd);
	errno = was;
	return (time_t)step_s;
}

int clock_gettime(clockid_t clock, struct timespec *t)
{
	static int (*real)(clockid_t clock, struct timespec * t);
	int r;

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
	r = real(clock, t);
	if (!r && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		t->tv_sec += step();
	return r;
}

time_t time(time_t *out)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	if (out)
		*out = t.tv_sec;
	return t.tv_sec;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
	struct timespec t;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &t);
	*out = (struct timeval){.tv_sec = t.tv_sec, .tv_usec = t.tv_nsec / 1000};
	return 0;
}
