/* point-run.h: a guest's run from a point of its replica, at the replica's host: between replica-here.c, which makes and ends it, and replica-complete.c. */
#ifndef VMFERRY_POINT_RUN_H
#define VMFERRY_POINT_RUN_H

#include "points.h"
#include "qemu-args.h"
#include "qemu-launch.h"
#include "replica-conf.h"
#include "swtpm-args.h"

#include <sys/types.h>

/* A run that is being made, or ended. */
struct run {
	const char *kind; /* "test", "run": its member of replica.json, and its directory */
	const char *guest;
	char *name; /* of its QEMU */
	struct points store;
	int lock;
	json_int_t term; /* before it */
	const struct point *point;
	char *dir;  /* of its overlays */
	char *home; /* of its sockets, logs and script */
	char *qmp, *script;
	char **argv;
	size_t argc;
	struct args_result args;
	char **env;
	struct swtpm tpm; /* no socket: the guest has none */
	char *tpm_exe;
	struct qemu_proc tpm_proc;
};

/* The store of the guest's replica, locked. run_fini() in any case. */
int run_begin(struct run *r, const struct replica_conf *c, const char *guest, const char *kind, struct err *e);
void run_fini(struct run *r);
/* Malloc'ed: what disk i is written to. */
char *run_overlay(const struct run *r, size_t i);
/* The pid of its QEMU as noted is that QEMU's own still. 0: it has ended. */
pid_t run_pid_of(const json_t *run);

/* A card of -nic may have no name: those of a trial get one, by which they can be told to lead nowhere. */
void run_name_nics(struct run *r);
/* *out: malloc'ed; its strings are the options', the line's and the point's. */
int run_map_nets(const struct run *r, const struct replica_conf *c, const struct args_result *looked, struct args_net_map **out,
		 size_t *count, struct err *e);
/* Files that the run's line (r->args) names besides its overlays: 0 if they harm no other guest and keep nothing of a trial. -EBUSY: another process has its memory. */
int run_check_files(const struct run *r, struct err *e);
/* Its TPM: where it is to be, with what the point has of it. */
int run_plan_tpm(struct run *r, struct err *e);
/* The TPM listens then, and is noted; nobody has spoken to it. */
int run_start_tpm(struct run *r, struct loop *l, struct err *e);
/* Words, and a NULL (free_words), that start the TPM again before its guest; NULL: the guest has none. */
char **run_tpm_line(const struct run *r);
/* Ended, if it was started and its QEMU never was; it ends with that. */
void run_end_tpm(struct run *r);
/* A TPM that is in the note of a run is ended, and its directory removed. */
int run_remove_tpm(const json_t *run, struct err *e);

#endif
