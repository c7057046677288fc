/* pax.c: see pax.h. */
#include "pax.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int pax_next(char **p, char *end, const char **key, const char **value, struct err *e)
{
	char *begin, *equals;
	unsigned long len;

	if (*p >= end)
		return 0;
	len = strtoul(*p, &begin, 10);
	if (**p < '0' || **p > '9' || *begin != ' ' || len < 5 || len > (unsigned long)(end - *p) || (*p)[len - 1] != '\n' ||
	    begin - *p + 1 >= (long)len)
		return err_set(e, EINVAL, "an extended header is malformed");
	(*p)[len - 1] = '\0';
	equals = strchr(++begin, '=');
	if (!equals)
		return err_set(e, EINVAL, "an extended header is malformed");
	*equals = '\0';
	*key = begin;
	*value = equals + 1;
	*p += len;
	return 1;
}

int pax_number(const char *value, uint64_t *out, struct err *e)
{
	char *rest;

	errno = 0;
	*out = strtoull(value, &rest, 10);
	return *value < '0' || *value > '9' || *rest || errno ? err_set(e, EINVAL, "an extended header has a size that is not a number")
							      : 0;
}
