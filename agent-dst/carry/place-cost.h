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
/* Estimates the time that a piece takes on average over `all` pieces. took[i] is the time that the first i + 1 of n measured pieces took.
 * The first pieces may be cheap, as their memory was lent to another process a moment ago; the rest, which is most of a guest's memory, is
 * taken to cost as much as the last quarter of the n. Pure. */
double place_cost_of(const uint64_t *took, size_t n, double all);

#endif
