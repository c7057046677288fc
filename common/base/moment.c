/* moment.c: see moment.h. */
#include "moment.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define SPAN_MAX (366L * 24 * 3600)

static const struct unit {
	const char *name;
	long seconds;
} units[] = {{"", 1}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 24 * 3600}};

long moment_span(const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);

	for (unsigned i = 0; i < sizeof(units) / sizeof(*units); i++)
		if (!strcmp(end, units[i].name) && text[0] >= '0' && text[0] <= '9' && n <= SPAN_MAX / units[i].seconds)
			return n * units[i].seconds;
	return 0;
}

/* True if the whole text fits the format; members that the format does not name stay as they are in *tm. */
static bool fits(const char *text, const char *format, struct tm *tm)
{
	struct tm read = *tm;
	const char *end = strptime(text, format, &read);

	if (!end || *end)
		return false;
	*tm = read;
	return true;
}

/* A moment that is on the clock, and after now: there is no 30th of February, and no hour that the clock leaves out. */
static time_t exact(struct tm asked, time_t now)
{
	struct tm tm = asked;
	time_t at;

	tm.tm_isdst = -1;
	at = mktime(&tm);
	return tm.tm_mon == asked.tm_mon && tm.tm_mday == asked.tm_mday && tm.tm_hour == asked.tm_hour && at > now ? at : 0;
}

/* Today, else tomorrow. */
static time_t next(int hour, int minute, int second, time_t now)
{
	time_t at = 0;

	for (int day = 0; day < 2 && !at; day++) {
		time_t some = now + day * 24 * 3600L;
		struct tm tm;

		localtime_r(&some, &tm);
		tm.tm_hour = hour;
		tm.tm_min = minute;
		tm.tm_sec = second;
		at = exact(tm, now);
	}
	return at;
}

time_t moment_read(const char *text, time_t now)
{
	static const char *const days[] = {"%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M"};
	struct tm tm = {0};

	if (text[0] == '+')
		return moment_span(text + 1) ? now + moment_span(text + 1) : 0;
	for (unsigned i = 0; i < sizeof(days) / sizeof(*days); i++)
		if (fits(text, days[i], &tm))
			return exact(tm, now);
	return fits(text, "%H:%M:%S", &tm) || fits(text, "%H:%M", &tm) ? next(tm.tm_hour, tm.tm_min, tm.tm_sec, now) : 0;
}

const char *moment_text(char to[MOMENT_TEXT], time_t at)
{
	struct tm tm;

	localtime_r(&at, &tm);
	strftime(to, MOMENT_TEXT, "%Y-%m-%d %H:%M:%S", &tm);
	return to;
}
