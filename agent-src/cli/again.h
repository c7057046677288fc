/*
 * again.h: the command that began a move, as its journal keeps it ("move"), and given once more (vmferry recover --resume): options in full
 * and where they were said, as names of files may depend on that. No secret is among them: keys are named by their files.
 */
#ifndef VMFERRY_AGAIN_H
#define VMFERRY_AGAIN_H

#include "err.h"

#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>

struct move_options;

/* Of a command that is being read; json_decref(). */
json_t *again_new(void);
/* An option of the table, by its value there, as it was given. */
void again_option(json_t *move, const struct option *table, int option, const char *arg);
/* All have been read. NULL, and *move is freed, if it is too long for a journal. */
json_t *again_end(json_t *move, const char *vm, const char *dest);

/* What is to be different. */
struct again_change {
	const char *dest;  /* NULL: as it was */
	const char *vm;	   /* the same */
	const json_t *way; /* again_new(), with options that come last */
	bool json, verbose;
};

/* Gives it. Returns the exit code. */
int again_run(const json_t *move, const struct again_change *change);

/* Of moves of vm that are finished, where the last was rolled back and was one of which something was to be kept: what its journal begins with,
 * and its path (malloc'ed; NULL: is not wanted). -ENOENT: it was not. */
int again_find(json_t **begin, char **path, const char *state_dir, const char *vm, struct err *e);
/* What was brought there ahead, or is left of a move, is the guest's own: it is gone on with as long as it is there, and kept should this one end
 * before its time, too. Says so. command: "migrate" or "check". */
void again_with_kept(struct move_options *o, const char *command);

#endif
