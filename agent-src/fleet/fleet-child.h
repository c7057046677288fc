/* fleet-child.h: one vmferry command in a process of its own, which prints its events (--json), and is read without waiting for it. */
#ifndef VMFERRY_FLEET_CHILD_H
#define VMFERRY_FLEET_CHILD_H

#include "err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define CHILD_LINE_MAX (8u << 20) /* bytes of an event; longer ones are dropped */
#define CHILD_SAID_MAX 2048	  /* bytes kept of its stderr, from the end */

struct fleet_child {
	pid_t pid;	/* 0: not started, or ended and waited for */
	int out, error; /* -1: at their end */
	char *line;	/* part of the next event that has arrived */
	size_t length, room;
	bool too_long; /* the rest of the event is dropped */
	bool heard;    /* at least one event was heard */
	char said[CHILD_SAID_MAX + 1];
	size_t said_length;
};

/* Starts argv (ends with NULL; argv[0] is a path) in a session of its own, so that only the caller gets the terminal's signals, and the
 * child cannot ask there. */
int child_begin(struct fleet_child *c, char *const *argv, struct err *e);
/*
 * Reads what has come, without waiting; each event is taken by `take`, which borrows it. True: it has ended, and *code is its exit code (of one that a
 * signal has killed: EXIT_UNDECIDED, as nobody knows where its guest is). Its guard, which has its standard error, may live on.
 */
bool child_attend(struct fleet_child *c, void (*take)(void *ctx, json_t *event), void *ctx, int *code);
/* The last line of the child's standard error, without a leading "vmferry: "; "" if there is none. */
const char *child_last_words(struct fleet_child *c);
void child_fini(struct fleet_child *c);

#endif
