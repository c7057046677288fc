/* program-run.h: runs a program to its end, reads its output meanwhile, and stops it on request. */
#ifndef VMFERRY_PROGRAM_RUN_H
#define VMFERRY_PROGRAM_RUN_H

#include "program.h"

#include <stddef.h>

/* Takes n bytes that the program has written. */
typedef void (*program_said_fn)(void *ctx, const char *text, size_t n);

struct program_run {
	char *const *argv;	/* ends with NULL; argv[0] is looked up in PATH */
	char *const *env;	/* environment, which ends with NULL; NULL: ours */
	int input;		/* becomes its standard input; 0: it has none */
	program_said_fn output; /* takes its standard output as it comes; NULL: that is forgotten */
	program_said_fn error;	/* takes its standard error; NULL: that goes with the output, in its order */
	void *output_ctx, *error_ctx;
	program_before_fn before; /* before, its ctx, and how: as in struct program */
	void *before_ctx;
	unsigned how;
	bool (*stop)(void);  /* asked every 200 ms: true: the program is killed; NULL: never */
	unsigned timeout_ms; /* time after which the program is killed; 0: it may take as long as it likes */
};

/*
 * The program has a process group of its own. 0: it has ended, and *status is as of waitpid(2). -ECANCELED, -ETIMEDOUT: it was
 * killed, with all of its group; another -errno: it cannot be run. Blocks the calling thread.
 */
int program_run(const struct program_run *r, int *status, struct err *e);

#endif
