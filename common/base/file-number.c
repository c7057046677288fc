/* file-number.c: see file-number.h. */
#include "file-number.h"

#include <stdio.h>

long file_number(const char *path)
{
	FILE *f = fopen(path, "re");
	long n = 0;

	if (f && fscanf(f, "%ld", &n) != 1)
		n = 0;
	if (f)
		fclose(f);
	return n;
}
