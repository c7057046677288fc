/* move.h: a move, as the command line begins it, and what is done about one whose agent died. */
#ifndef VMFERRY_SRC_MOVE_H
#define VMFERRY_SRC_MOVE_H

#include "life.h"
#include "options.h"

struct guest;
struct keep;

/* Runs a move to its end. Returns the exit code. */
int move_run(const struct move_options *opt);
/* Runs another move in a process that has run one. */
int move_run_another(const struct move_options *opt);
/* Moves a running guest cold: copies its disks ahead, waits until it is down, and starts it there; with plan.only just looks. running:
 * from guest_find(), with or without a monitor. Returns the exit code. */
int head_start_run(struct move_options *o, struct guest *running);

/* Arguments of taking up a move, in addition to its journal. */
struct move_taken_up {
	struct life_options life;
	struct dest_config dest; /* way to the destination now */
	bool fenced;		 /* a person vouches that the destination will never act again */
	bool not_started;	 /* a person vouches that the guest was not started here since it was handed over */
	bool resumes;		 /* the move is begun again: what has arrived of its disks stays there */
};

/* The guard's work, as guard_take_up() asks: before COMMITTED lets the guest go on here. kept: QEMU's connections to the dead agent,
 * released once its migration is over. */
bool move_guard(const struct life_options *o, struct journal *j, struct keep *kept, struct err *words);
/* Settles an attempt of an earlier life; j: stolen. Returns the exit code. */
int move_recover(const struct move_taken_up *u, struct journal *j);
/* Has the destination drop what it kept of a move that was rolled back. finished: that move's journal, which is removed then. */
int move_drop_kept(const struct move_taken_up *u, const char *finished, struct err *e);

#endif
