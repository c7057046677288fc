/*
 * narrow.h: a program that reads what a stranger has made, with next to nothing to do harm by: no file but those that it is for and what every program
 * needs, no network, no new privileges, bounds on memory and time; nobody's rights if we are root, and a user's own if we are root in a user namespace alone.
 */
#ifndef VMFERRY_IMPORT_NARROW_H
#define VMFERRY_IMPORT_NARROW_H

#include "child.h"

#include <stdbool.h>
#include <stdint.h>

#define NARROW_LOOK_S 30u /* seconds of CPU time */

struct narrow {
	char *const *read; /* the stranger's files */
	size_t read_count;
	const char *write;    /* target of the program; NULL: it only reads */
	uint64_t write_bytes; /* size to which the program may make a file: the target, or one that it was given open */
	unsigned more_s;      /* seconds of CPU time beyond NARROW_LOOK_S: for large tables, and for writing */
};

/* Runs a program as child_run() does, but restricted by Landlock. Without Landlock in the kernel it is restricted by mounts of its own if
 * we are root, and otherwise by the limits alone; with VMFERRY_SANDBOX=off in the environment by nothing. */
int narrow_run(char *const *argv, const struct narrow *n, program_said_fn output, void *ctx, struct err *e);

/* True if a program may read everything in its own directory. */
bool narrow_may_have(const char *dir);

#endif
