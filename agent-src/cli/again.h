/*
 * again.h: the command that began a move, as its journal keeps it ("move"), and given once more (vmferry recover --resume): options in full
 * and where they were said, as names of files may depend on that. No secret is among them: keys are named by their files.
 */
#ifndef VMFERRY_AGAIN_H
#define VMFERRY_AGAIN_H

#include "err.h"

#include <jansson.h>
#include <stdbool.h>

struct command_option;
struct move_options;

/* Of a command that is being read; json_decref(). */
json_t *again_new(void);
/* An option that was taken, but for those that are about one call. */
void again_option(json_t *move, const struct command_option *o, const char *arg);
/* All have been read. NULL, and *move is freed, if it is too long for a journal. */
json_t *again_end(json_t *move, const char *vm, const char *dest);

/* The path as it is from every directory, malloc'ed; NULL for NULL. */
char *again_path(const char *path);

/* What is to be different. */
struct again_change {
	const char *dest;  /* NULL: as it was */
	const char *vm;	   /* the same */
	const json_t *way; /* again_new(), with options that come last */
	bool json, verbose;
};

/* Gives it. Returns the exit code. */
int again_run(const json_t *move, const struct again_change *change);

/* The last finished move of vm, if it was rolled back and was to keep something: what its journal begins with, and the journal's path (malloc'ed;
 * NULL: is not wanted). -ENOENT: there is no such move. */
int again_find(json_t **begin, char **path, const char *state_dir, const char *vm, struct err *e);
/* A move goes on from what was brought there ahead, or is left of an earlier one, as that is the guest's own; it is kept if this move ends before its
 * time, too. Says so. command: "vmferry migrate". */
void again_with_kept(struct move_options *o, const char *command);

#endif
