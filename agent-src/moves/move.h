/* move.h: a move, as the command line begins it, and what is done about one whose agent died. */
#ifndef VMFERRY_SRC_MOVE_H
#define VMFERRY_SRC_MOVE_H

#include "life.h"
#include "options.h"

struct guest;
struct keep;

/* Runs a move to its end. Returns the exit code. */
int move_run(const struct move_options *opt);
/* The same once more, in a process that has run one. */
int move_run_another(const struct move_options *opt);
/* A guest that runs is moved cold, or with dry_run is only looked at: its disks go ahead, it is waited for until it is down, and it is started there.
 * running: as guest_find() has found it, with or without a monitor. Returns the exit code. */
int head_start_run(struct move_options *o, struct guest *running);

/* What taking up a move needs beside its journal. */
struct move_taken_up {
	struct life_options life;
	struct dest_config dest; /* how the destination is reached now */
	bool fenced;		 /* a person vouches that it will never act again */
	bool not_started;	 /* a person vouches that the guest was not started here since it was handed over */
	bool resumes;		 /* the move is begun again: what has arrived of its disks is kept there */
};

/* As guard_take_up has it: before COMMITTED the guest is set going again here. kept: QEMU's connections to the dead agent, let go
 * of when its migration is over. */
bool move_guard(const struct life_options *o, struct journal *j, struct keep *kept, struct err *words);
/* Settles an attempt of an earlier life; j: stolen. Returns the exit code. */
int move_recover(const struct move_taken_up *u, struct journal *j);
/* What the destination has kept of one that was rolled back is wanted no more; finished: its journal, which goes then. */
int move_drop_kept(const struct move_taken_up *u, const char *finished, struct err *e);

#endif
