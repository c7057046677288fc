/* percentile.c: see percentile.h. */
#include "percentile.h"

#include <math.h>

double percentile(const double *values, size_t count, double percent)
{
	double at = count ? percent / 100 * (double)(count - 1) : NAN;
	size_t low;

	if (!(at >= 0))
		return NAN;
	low = (size_t)at;
	return low + 1 < count ? values[low] + (at - (double)low) * (values[low + 1] - values[low]) : values[count - 1];
}
