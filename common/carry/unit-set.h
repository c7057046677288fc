/*
 * unit-set.h: a set of unit numbers of one object (pages, sectors), as bits; what a dirty delta is made from.
 */
#ifndef VMFERRY_UNIT_SET_H
#define VMFERRY_UNIT_SET_H

#include "cursor.h"

#include <stdbool.h>
#include <stdint.h>

struct unit_set {
	uint64_t units; /* size of the universe */
	uint64_t count;
	uint64_t *bits;
};

void unit_set_init(struct unit_set *s, uint64_t units);
void unit_set_fini(struct unit_set *s);
void unit_set_clear(struct unit_set *s);
void unit_set_add(struct unit_set *s, uint64_t first, uint64_t n);
/* The next run of units in the set, from *at on, which is moved behind it; false: there is none. */
bool unit_set_next(const struct unit_set *s, uint64_t *at, uint64_t *first, uint64_t *n);
bool unit_set_has(const struct unit_set *s, uint64_t unit);
/* Encodes as runs from *from on; *from is moved past what was written. True when everything is written. */
bool unit_set_encode(const struct unit_set *s, struct writer *w, uint64_t *from);
/* Number of units in the runs that are (want = true) or are not in the set; -EPROTO for malformed runs. */
int unit_set_compare(const struct unit_set *s, struct slice runs, uint64_t *in, uint64_t *out);

#endif
