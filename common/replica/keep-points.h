/*
 * keep-points.h: the rule by which points of a replica are kept. Pure.
 *
 * "12,hourly:24" keeps the newest twelve points, and the newest point of each of the last 24 hours that have any. Applying the rule after
 * each point or once after many makes no difference: a point that the rule would keep later is never dropped earlier.
 */
#ifndef VMFERRY_KEEP_POINTS_H
#define VMFERRY_KEEP_POINTS_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEEP_POINTS_MAX 400 /* limit of either number: a chain of so many images still opens */

struct keep_rule {
	unsigned newest; /* number of newest points, at least 1 */
	unsigned hourly;
};

/* -EINVAL: e says what is allowed. */
int keep_rule_parse(const char *text, struct keep_rule *k, struct err *e);
/* times: seconds since 1970 of count points, the oldest point first; a clock may have been set back between two of them. drop[i]: point i
 * does not stay. Returns how many do not; the newest always stays. */
size_t keep_rule_choose(const struct keep_rule *k, const int64_t *times, size_t count, bool *drop);

#endif
