/* keep-points.c: see keep-points.h. */
#include "keep-points.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define HOUR_S 3600

int keep_rule_parse(const char *text, struct keep_rule *k, struct err *e)
{
	struct keep_rule new = {0, 0};
	int n = 0;

	if (sscanf(text, "%4u%n,hourly:%4u%n", &new.newest, &n, &new.hourly, &n) < 1 || text[n] || text[0] == '-' || strchr(text, '+') ||
	    strchr(text, ' ') || !new.newest || new.newest > KEEP_POINTS_MAX || new.hourly > KEEP_POINTS_MAX)
		return err_set(e, EINVAL, "'%s' does not say which points are kept: N or N,hourly:H, with N from 1 and both up to %d", text,
			       KEEP_POINTS_MAX);
	*k = new;
	return 0;
}

size_t keep_rule_choose(const struct keep_rule *k, const int64_t *times, size_t count, bool *drop)
{
	size_t i, dropped = 0;
	unsigned hours = 0;
	int64_t hour = 0;

	for (i = count; i-- > 0;) {
		bool is_newest_of_hour = !hours || times[i] / HOUR_S != hour;

		if (is_newest_of_hour) {
			hour = times[i] / HOUR_S;
			hours++;
		}
		drop[i] = count - i > k->newest && !(is_newest_of_hour && hours <= k->hourly) && i + 1 < count;
		dropped += drop[i];
	}
	return dropped;
}
