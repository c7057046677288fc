/* point-run.h: a guest's run from a point of its replica, at the replica's host. Shared by replica-here.c, which makes it, replica-undo.c,
 * which throws it away, and replica-complete.c. */
#ifndef VMFERRY_POINT_RUN_H
#define VMFERRY_POINT_RUN_H

#include "points.h"
#include "qemu-args.h"
#include "qemu-launch.h"
#include "replica-conf.h"
#include "swtpm-args.h"

#include <sys/types.h>

/* A run that is being started or ended. */
struct run {
	const char *kind; /* "test", "run": its member of replica.json, and its directory */
	const char *guest;
	char *name; /* name of its QEMU */
	struct points store;
	int lock;
	json_int_t term; /* the term before this run */
	const struct point *point;
	char *dir;  /* directory of its overlays */
	char *home; /* directory of its sockets, logs and script */
	char *qmp, *script;
	char **argv;
	size_t argc;
	struct args_result args;
	char **env;
	struct swtpm tpm; /* swtpm of the guest; socket NULL: none */
	char *tpm_exe;
	struct qemu_proc tpm_proc;
};

/* Opens and locks the store of the guest's replica. run_fini() in any case. */
int run_begin(struct run *r, const struct replica_conf *c, const char *guest, const char *kind, struct err *e);
void run_fini(struct run *r);
/* Path of the overlay that disk i is written to; malloc'ed. */
char *run_overlay(const struct run *r, size_t i);
/* Pid of the QEMU that was noted; 0: it has ended. */
pid_t run_pid_of(const json_t *run);

/* Undoes a run that failed to start. The primary is refused as long as something of the run is left. */
void run_undo(struct run *r, const char *command, const char *option);
/* Drops points of the store in `dir` that were kept for a trial, or are far too many. */
void run_tidy(const char *dir);

/* Names the network cards of -nic, so that a trial's can be disconnected by name. */
void run_name_nics(struct run *r);
/* Maps the network cards. *out: malloc'ed; its strings belong to the options, the line and the point. */
int run_map_nets(const struct run *r, const struct replica_conf *c, const struct args_result *looked, struct args_net_map **out,
		 size_t *count, struct err *e);
/* Checks files other than overlays on the run's line (r->args): they must not affect other guests, nor keep a trial's data. -EBUSY:
 * another process uses the memory file. */
int run_check_files(const struct run *r, struct err *e);
/* Chooses the TPM's place, and its state from the point. */
int run_plan_tpm(struct run *r, struct err *e);
/* Starts the TPM and notes it; no one has connected to it yet. */
int run_start_tpm(struct run *r, struct loop *l, struct err *e);
/* Command, ending with NULL (free_words), that starts the TPM again before the guest; NULL: no TPM. */
char **run_tpm_line(const struct run *r);
/* Ends the TPM if it was started and QEMU was not; it ends with QEMU. */
void run_end_tpm(struct run *r);
/* Ends the TPM in a run's note, and removes its directory. */
int run_remove_tpm(const json_t *run, struct err *e);

#endif
