/*
 * child.h: a program that works for us until it ends, or we do: its output is read as it comes, and it ends when our command is cancelled (life.h).
 */
#ifndef VMFERRY_IMPORT_CHILD_H
#define VMFERRY_IMPORT_CHILD_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>

/* What has come on standard output: n bytes. */
typedef void (*child_output_fn)(void *ctx, const char *text, size_t n);

/*
 * Runs argv (ends with NULL) to its end, with no standard input, a process group of its own, and dies with us. 0: it ended with
 * status 0. -EIO: with another, and the last of what it said on standard error is in *e; -ECANCELED: the command is cancelled.
 */
int child_run(char *const *argv, child_output_fn output, void *ctx, struct err *e);

/* In the new process, before its program begins: 0, or -errno, and it does not. */
typedef int (*child_before_fn)(void *ctx);
int child_run_in(char *const *argv, child_before_fn before, void *before_ctx, child_output_fn output, void *ctx, struct err *e);

#endif
