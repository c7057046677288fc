/* accept.h: the shape of ACCEPT. For move.c. */
#ifndef VMFERRY_MOVE_ACCEPT_H
#define VMFERRY_MOVE_ACCEPT_H

#include "err.h"

#include <jansson.h>

/* 0, or -EPROTO: it is no plan. */
int accept_check(const json_t *accept, struct err *e);

#endif
