/*
 * fleet.h: several guests, a vmferry command each, some at a time. There is no queue that would have to survive: what is not begun stays here, what is
 * under way ends by itself, whatever becomes of this process, and the same command again does the rest.
 */
#ifndef VMFERRY_FLEET_H
#define VMFERRY_FLEET_H

#include "fleet-child.h"

#include <stdint.h>

#define FLEET_TRIES 2 /* a failed move without leftovers is tried once more, to the next destination */

enum fleet_state { FLEET_WAITS, FLEET_RUNS, FLEET_ENDED };

/* A possible destination of a guest, and the kind of move; both borrowed. */
struct fleet_way {
	const char *dest;
	const char *how; /* NULL: from the options */
};

struct fleet_task {
	char *guest;
	struct fleet_way *ways; /* best first; owned */
	size_t way_count, way;
	unsigned tries;
	enum fleet_state state;
	bool found_done; /* the guest was there before this command began */
	bool is_there;	 /* the guest runs there, and can be had back for a while (--revert-within): others need not wait */
	bool is_off;	 /* the guest is shut down, and stays so */
	bool only_off;	 /* the guest is shut down, stays so, and only libvirt's guest of that name is meant */
	struct fleet_child child;
	json_t *plan, *estimate, *progress, *result; /* last event of each kind; NULL: none yet */
	char *stage;
	char *before; /* earlier way that failed, and why; NULL: none */
	int code;     /* valid once it has ended */
};

struct fleet {
	const char *program, *command; /* path; "migrate" or "check" */
	char *const *options;	       /* options for each command; ends with NULL; NULL: none */
	struct fleet_task *tasks;
	size_t count;
	unsigned at_once; /* 0: all */
	bool halted;	  /* further tasks are not started; running ones go on */
	bool failed;	  /* a signal has made running tasks roll back */
	/* Called on each change of a task: with an event (borrowed), or NULL: it has started, is to start again, or has ended. May be
	 * NULL. */
	void (*changed)(void *ctx, struct fleet *f, struct fleet_task *t, json_t *event);
	/* Called about five times a second, and at the end. May be NULL. */
	void (*tick)(void *ctx, struct fleet *f);
	void *ctx;
};

/* Runs all tasks, until all have ended or the fleet is halted. Ctrl-C: starts no more; a second one, or SIGTERM: running tasks roll
 * back. */
void fleet_run(struct fleet *f);
/* Frees the state of each task, but not guest and ways. */
void fleet_fini(struct fleet *f);
/* Way that a task takes, or will take next. */
const struct fleet_way *fleet_way_of(const struct fleet_task *t);
/* Next task to start: the first whose destination has the fewest running tasks; not for a guest that has a running task. NULL: none. */
struct fleet_task *fleet_next(const struct fleet *f);
/* The worse of two exit codes, in that order. */
int fleet_worse(int a, int b);
/* Worst exit code of all, in order of what the user has to do: 6 5 8 7 4 1 3 2 0. A task that was never started counts as EXIT_REFUSED. */
int fleet_exit_code(const struct fleet *f);

#endif
