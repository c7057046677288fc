/*
 * child.h: a program that works for us until it ends, or we do: its output is read as it comes, and it ends when our command is cancelled (life.h).
 */
#ifndef VMFERRY_IMPORT_CHILD_H
#define VMFERRY_IMPORT_CHILD_H

#include "program-run.h"

/*
 * Runs argv (ends with NULL) to its end, with no standard input, a process group of its own, and dies with us. 0: it ended with
 * status 0. -EIO: with another, and the last of what it said on standard error is in *e; -ECANCELED: the command is cancelled.
 */
int child_run(char *const *argv, program_said_fn output, void *ctx, struct err *e);

/* The same with what is done in the new process before its program begins. */
int child_run_in(char *const *argv, program_before_fn before, void *before_ctx, program_said_fn output, void *ctx, struct err *e);

#endif
