/* detach.h: a move that goes on in the background once nothing stands in its way (migrate --detach). */
#ifndef VMFERRY_DETACH_H
#define VMFERRY_DETACH_H

#include "options.h"

/* Calls run in a process of its own. Returns 0 once the move goes on by itself; else the move's exit code. */
int detach_run(struct move_options *o, int (*run)(struct move_options *o));

#endif
