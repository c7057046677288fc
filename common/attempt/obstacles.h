/* obstacles.h: the obstacles to a move, collected so that the user sees all of them at once. Pure. */
#ifndef VMFERRY_OBSTACLES_H
#define VMFERRY_OBSTACLES_H

#include "err.h"

#include <jansson.h>

#define OBSTACLES_MAX 64 /* reported at most */

struct obstacles {
	json_t *list; /* sentences; NULL: none */
	int code;     /* code of the first obstacle; ENOTSUP if any has that */
};

/* The same sentence counts once. */
void obstacles_add(struct obstacles *o, const struct err *e);
/* Takes an error from a reader of QEMU's answers. 0: *e is a fact about the guest (ENOTSUP) and is in the list now: go on with the rest.
 * -e->code: a true error, or there is no list. */
int obstacles_fact(struct obstacles *o, const struct err *e);
size_t obstacles_count(const struct obstacles *o);
/* 0: none; or -errno, and *e has the only obstacle, or all of them numbered. */
int obstacles_err(const struct obstacles *o, struct err *e);
void obstacles_fini(struct obstacles *o);

#endif
