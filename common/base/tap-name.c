/* tap-name.c: see tap-name.h. */
#include "tap-name.h"

#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

unsigned tap_stood_in_for(const char *name)
{
	size_t n = strlen(TAP_STAND_IN);
	unsigned long index;
	char *end;

	if (strncmp(name, TAP_STAND_IN, n) || !isdigit((unsigned char)name[n]))
		return 0;
	index = strtoul(name + n, &end, 10);
	return *end || index > INT_MAX ? 0 : (unsigned)index;
}
