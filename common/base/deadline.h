/* deadline.h: how long it is until a moment of now_ns(). */
#ifndef VMFERRY_DEADLINE_H
#define VMFERRY_DEADLINE_H

#include "util.h"

#include <limits.h>

/* Milliseconds, rounded up; 0: it is past. */
static inline int ms_left(uint64_t until_ns)
{
	uint64_t now = now_ns();

	return now < until_ns ? (int)MIN((until_ns - now + 999999) / 1000000, INT_MAX) : 0;
}

#endif
