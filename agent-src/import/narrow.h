/*
 * narrow.h: a program that reads what a stranger has made, with next to nothing to do harm by: no file but those that it is for and what every program
 * needs, no network, no new privileges, bounds on memory and time; nobody's rights if we are root.
 */
#ifndef VMFERRY_IMPORT_NARROW_H
#define VMFERRY_IMPORT_NARROW_H

#include "child.h"

#include <stdint.h>

#define NARROW_LOOK_S 30u /* of CPU time, for one that only looks */

struct narrow {
	char *const *read; /* the stranger's files */
	size_t read_count;
	const char *write;    /* NULL: it only looks: it writes nothing, and for no longer than NARROW_LOOK_S */
	uint64_t write_bytes; /* of one that looks: how far it may write to files that it was given open */
	unsigned more_s;      /* of CPU time, for one that looks through large tables */
};

/*
 * As child_run(). Where the kernel has no Landlock it is held to the bounds alone, as our own user; and with VMFERRY_SANDBOX=off in the environment to nothing.
 */
int narrow_run(char *const *argv, const struct narrow *n, child_output_fn output, void *ctx, struct err *e);

#endif
