/*
 * percentile.h: percentiles of a few measurements. Pure.
 */
#ifndef VMFERRY_PERCENTILE_H
#define VMFERRY_PERCENTILE_H

#include <stddef.h>

/* What percent of the values, which ascend, lie below: linear between the two next to it, from the first one (0) to the last (100), so
 * that 50 is the median. NAN of none. */
double percentile(const double *values, size_t count, double percent);

#endif
