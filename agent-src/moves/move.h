/* move.h: a move, as the command line begins it, and what is done about one whose agent died. */
#ifndef VMFERRY_SRC_MOVE_H
#define VMFERRY_SRC_MOVE_H

#include "options.h"

struct keep;

/* Runs a move to its end. Returns the exit code. */
int move_run(const struct move_options *opt);
/* The agent of this attempt has died: before COMMITTED the guest is set going again here. kept (stolen): QEMU's connections to that agent,
 * let go of when its migration is over. Returns 0, or 1: it said why not. */
int move_guard(const struct move_options *opt, const char *journal_path, struct keep *kept);
/* Settles an attempt of an earlier life. fenced: a person vouches that the peer will never act again. */
int move_recover(const struct move_options *opt, const char *journal_path, bool fenced);
/* What the destination has kept of one that was rolled back is wanted no more; finished: its journal, which goes then. */
int move_drop_kept(const struct move_options *opt, const char *finished, struct err *e);

#endif
