/* pax.h: the records of an extended header of tar (POSIX.1-2008, pax): "LENGTH KEY=VALUE\n", again and again. Pure. */
#ifndef VMFERRY_IMPORT_PAX_H
#define VMFERRY_IMPORT_PAX_H

#include "err.h"

#include <stddef.h>
#include <stdint.h>

#define PAX_MAX 65536u

/* Takes a record off *p, which is changed. 1: both are set; 0: there is none before end; -EINVAL. */
int pax_next(char **p, char *end, const char **key, const char **value, struct err *e);
/* A number of a record. 0; -EINVAL: it is none. */
int pax_number(const char *value, uint64_t *out, struct err *e);

#endif
