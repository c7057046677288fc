/* detach.h: a move that goes on in the background once nothing stands in its way (migrate --detach). */
#ifndef VMFERRY_DETACH_H
#define VMFERRY_DETACH_H

#include "options.h"

/* Calls run in a process of its own. Returns the exit code: of the move, if it does not get that far; 0 once it goes on by itself. */
int detach_run(struct move_options *o, int (*run)(struct move_options *o));

#endif
