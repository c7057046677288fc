/*
 * fleet.h: several guests, a vmferry command each, some at a time. There is no queue that would have to survive: what is not begun stays here, what is
 * under way ends by itself, whatever becomes of this process, and the same command again does the rest.
 */
#ifndef VMFERRY_FLEET_H
#define VMFERRY_FLEET_H

#include "fleet-child.h"

#include <stdint.h>

#define FLEET_TRIES 2 /* a guest that stays here, with nothing left anywhere, is tried once more, at the next destination */

enum fleet_state { FLEET_WAITS, FLEET_RUNS, FLEET_ENDED };

/* Where a guest may go, and how; both borrowed. */
struct fleet_way {
	const char *dest;
	const char *how; /* NULL: as the options say */
};

struct fleet_task {
	char *guest;
	struct fleet_way *ways; /* the best first; ours */
	size_t way_count, way;
	unsigned tries;
	enum fleet_state state;
	bool found_done; /* it had gone there before this command began */
	bool is_off;	 /* it is shut down, here and there */
	bool only_off;	 /* and libvirt's: nothing else of that name is meant */
	struct fleet_child child;
	json_t *plan, *estimate, *progress, *result; /* the last of each kind; NULL: none yet */
	char *stage;
	char *before; /* the way that failed before this one, and why; NULL: this is the first */
	int code;     /* once it has ended */
};

struct fleet {
	const char *program, *command; /* a path, and "migrate" or "check" */
	char *const *options;	       /* words that each gets; ends with NULL; NULL: none */
	struct fleet_task *tasks;
	size_t count;
	unsigned at_once; /* 0: all */
	bool halted;	  /* no more is begun; what is under way goes on */
	bool failed;	  /* a signal has asked those under way to roll back */
	/* Hears of each change: an event of the task (borrowed), or NULL: it began, is to begin again, or has ended. NULL: nobody does. */
	void (*changed)(void *ctx, struct fleet *f, struct fleet_task *t, json_t *event);
	/* Called some five times a second, and at the end. NULL: nothing is. */
	void (*tick)(void *ctx, struct fleet *f);
	void *ctx;
};

/* Runs them until none is under way, and none waits or the fleet is halted. Ctrl-C: no more begins; once more, or SIGTERM: those under way roll back. */
void fleet_run(struct fleet *f);
/* Each task as far as it has come is forgotten, but for guest and ways. */
void fleet_fini(struct fleet *f);
/* The way that a task takes, or would take next. */
const struct fleet_way *fleet_way_of(const struct fleet_task *t);
/* The task that is to begin next: one whose destination has the fewest under way, and of these the first; none of a guest that has one under way. NULL: none. */
struct fleet_task *fleet_next(const struct fleet *f);
/* The worse of two exit codes, in that order. */
int fleet_worse(int a, int b);
/* The worst of all, by what a person has to do: 6 5 8 7 4 1 3 2 0. A task that never began counts as EXIT_REFUSED. */
int fleet_exit_code(const struct fleet *f);

#endif
