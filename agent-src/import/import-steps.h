/* import-steps.h: carries out an import from checks to result. A struct of steps has what differs between a bundle and another
 * hypervisor's files. */
#ifndef VMFERRY_IMPORT_STEPS_H
#define VMFERRY_IMPORT_STEPS_H

#include "import.h"
#include "made-files.h"
#include "start-script.h"

/* ctx: the import's own. */
struct import_steps {
	/* Examines the sources, and decides on the guest; changes nothing. */
	int (*look)(void *ctx, struct err *e);
	/* The plan: a "title" and "rows" (life.h). */
	json_t *(*plan)(const void *ctx);
	/* The command line of its QEMU, for a shell; malloc'ed. */
	char *(*line)(const void *ctx);
	/* Makes the guest. *pid: of its QEMU, if it was started. */
	int (*make)(void *ctx, pid_t *pid, struct err *e);
	/* Removes temporary files, and after a failure what was made. */
	void (*clean)(void *ctx, bool failed);
	/* Sentence on how to start the guest. pid 0: it was not started. */
	char *(*start)(const void *ctx, pid_t pid);
};

/* Returns the exit code. */
int import_carry_out(struct life *l, const struct import_options *o, const struct import_steps *steps, void *ctx);
/* Opens the control socket of an import whose guest has a name and a place. */
int import_open_life(struct life *l, const struct import_options *o, const char *guest, const char *dir, struct err *e);

/* Makes the script that starts the guest, dated now. */
int import_make_script(struct made *made, const char *path, const struct start_script *s, struct err *e);

#endif
