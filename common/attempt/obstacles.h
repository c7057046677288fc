/* obstacles.h: what stands in the way of a move, collected so that a person hears of all of it at once. Pure. */
#ifndef VMFERRY_OBSTACLES_H
#define VMFERRY_OBSTACLES_H

#include "err.h"

#include <jansson.h>

#define OBSTACLES_MAX 64 /* that are told */

struct obstacles {
	json_t *list; /* of sentences; NULL: none */
	int code;     /* of the first, but ENOTSUP if one has that */
};

/* The same sentence counts once. */
void obstacles_add(struct obstacles *o, const struct err *e);
/* An error that a reader of QEMU's answers has found. 0: *e states a fact of the guest (ENOTSUP), which stands in the list now, and the rest can be looked at; or
 * -e->code: it is an error, or there is no list. */
int obstacles_fact(struct obstacles *o, const struct err *e);
size_t obstacles_count(const struct obstacles *o);
/* 0: there is none; or its code, and *e has it, or all of them numbered. */
int obstacles_err(const struct obstacles *o, struct err *e);
void obstacles_fini(struct obstacles *o);

#endif
