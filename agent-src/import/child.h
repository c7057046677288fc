/* child.h: runs a program to its end: reads its output as it comes, and ends it if our command is cancelled (life.h) or we die. */
#ifndef VMFERRY_IMPORT_CHILD_H
#define VMFERRY_IMPORT_CHILD_H

#include "program-run.h"

/* Runs argv (ends with NULL) without standard input, in a process group of its own; it dies with us. 0: exit status 0; -EIO: another,
 * and *e has the end of its stderr; -ECANCELED: our command was cancelled. */
int child_run(char *const *argv, program_said_fn output, void *ctx, struct err *e);

/* Does the same as child_run(), with a function to call in the new process before its program starts. */
int child_run_in(char *const *argv, program_before_fn before, void *before_ctx, program_said_fn output, void *ctx, struct err *e);

#endif
