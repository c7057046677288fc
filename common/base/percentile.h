/*
 * percentile.h: percentiles of a few measurements. Pure.
 */
#ifndef VMFERRY_PERCENTILE_H
#define VMFERRY_PERCENTILE_H

#include <stddef.h>

/* The value below which that percentage of the values (in ascending order) lies: linear between neighbours, from the first (0) to the last
 * (100), so that 50 is the median. NAN if there are none. */
double percentile(const double *values, size_t count, double percent);

#endif
