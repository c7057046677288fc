/* earlier-moves.h: does an earlier move of this very QEMU stand in the way, whose agent died, or is alive? */
#ifndef VMFERRY_EARLIER_MOVES_H
#define VMFERRY_EARLIER_MOVES_H

#include "qemu-discover.h"
#include "report.h"

/* Looks through the journals in state_dir. 0, or -EBUSY: which, and how it is settled. */
int earlier_moves_check(const char *state_dir, const struct guest *g, struct report *report, struct err *e);

#endif
