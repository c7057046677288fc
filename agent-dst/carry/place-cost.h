/*
 * place-cost.h: what it costs here to write memory that is new, and to hash what was written: most of what a processor does for a byte
 * that arrives (estimate-model.h). It is not told by what reading costs: pages have to be found and cleared for it, which depends on the
 * kernel, and on what is below that.
 */
#ifndef VMFERRY_PLACE_COST_H
#define VMFERRY_PLACE_COST_H

#include <stddef.h>
#include <stdint.h>

/* CPU time of a byte of so many, in ns; 0: not known. For less than 0.2 s of this thread, and in 512 MiB at most. */
double place_cost_ns(uint64_t bytes);
/*
 * Of all pieces each, when the first n took so long, those up to each: memory that was lent to somebody a moment ago comes first, and costs little.
 * What was lent to nobody for a while, which is most of a guest's, costs as much as the last quarter of the n. Pure.
 */
double place_cost_of(const uint64_t *took, size_t n, double all);

#endif
