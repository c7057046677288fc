/*
 * place-cost.h: what it costs here to write memory that is new, and to hash what was written: most of what a processor does for a byte
 * that arrives (estimate-model.h). It is not told by what reading costs: pages have to be found and cleared for it, which depends on the
 * kernel, and on what is below that.
 */
#ifndef VMFERRY_PLACE_COST_H
#define VMFERRY_PLACE_COST_H

/* CPU time of a byte, in ns; 0: not known. For less than 0.2 s of this thread, and in 64 MiB at most. */
double place_cost_ns(void);

#endif
