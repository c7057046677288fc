/*
 * again.h: records the command that began a move in its journal ("move") and runs it again (vmferry recover --resume): options in full, and
 * the directory in which they were given, as file names may depend on it. No secrets: keys are named by their files.
 */
#ifndef VMFERRY_AGAIN_H
#define VMFERRY_AGAIN_H

#include "err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

struct command_option;
struct move_options;

/* Begins a record while the command is parsed; json_decref(). */
json_t *again_new(void);
/* Adds an option, unless it concerns only this one call. */
void again_option(json_t *move, const struct command_option *o, const char *arg);
/* Completes the record. NULL, with *move freed: too long for a journal. */
json_t *again_end(json_t *move, const char *vm, const char *dest);

/* Path that is valid from every directory, malloc'ed; NULL for NULL. */
char *again_path(const char *path);

/* Changes to the recorded command. */
struct again_change {
	const char *dest;  /* NULL: unchanged */
	const char *vm;	   /* NULL: unchanged */
	const json_t *way; /* options to add at the end, from again_new() */
	bool json, verbose;
};

/* Runs the command again. Returns the exit code. */
int again_run(const json_t *move, const struct again_change *change);

/* Finds vm's last finished move, if it was rolled back and was to keep something: its journal's beginning and path (malloc'ed; path
 * NULL: not wanted). -ENOENT: no such move. */
int again_find(json_t **begin, char **path, const char *state_dir, const char *vm, struct err *e);
/* Lets a move use disks that were brought ahead, or were left by an earlier move of the same guest, and keeps them if this move fails,
 * too. Reports that. command: "vmferry migrate". */
void again_with_kept(struct move_options *o, const char *command);
/* Prints a line for each move from here that is not settled, and whose agent is gone: after a reboot nothing else here may know of its guest. */
void again_tell_cut_off(FILE *f, const char *runtime_dir);

#endif
