/*
 * target.h: the guest as it is to be here: its name and place, what the source says of it, its QEMU and that one's monitor. What every
 * other part of a move to this host asks.
 */
#ifndef VMFERRY_TARGET_H
#define VMFERRY_TARGET_H

#include "attempt.h"
#include "obstacles.h"
#include "part.h"
#include "qemu-args.h"
#include "qemu-launch.h"

#define OCCUPIED_MAX	   8
#define KEEP_PARTIAL_S_MAX (366L * 24 * 3600)

enum run_state { RUNS, STANDS, MIGRATED, UNKNOWN }; /* MIGRATED: away from here, or it is being */

struct domain;

struct target {
	struct part part;
	const char *runtime_dir;
	json_t *description; /* DESCRIBE; of an earlier life's only what is asked for below */
	char *name, *exe;
	char *dir;     /* where disks and sockets go */
	char *run_dir; /* ours, while it moves */
	char *qmp_path;
	struct args_result args; /* the line that runs it here: line.h */
	struct qemu_proc qemu;
	struct qmp *qmp;			       /* NULL: not yet, or it is libvirt's */
	struct domain *domain;			       /* of a guest that comes as it runs from libvirt (domain.h); NULL: of any other */
	char *uuid;				       /* of that */
	enum run_state (*run_state)(struct target *t); /* as libvirt has it */
	json_t *settings;			       /* of its QEMU, to be put back */
	struct obstacles obstacles;		       /* that the plan has found: they do not end it */
	int occupied[OCCUPIED_MAX];		       /* connections to monitors on TCP ports, so that nobody else has one */
	unsigned occupied_count;
	bool makes_dir;	   /* dir: the last part of its name is not there yet */
	char *makes_below; /* a directory in it, which is not there yet, for backing files; NULL: none */
	bool disks_stay;   /* some of its disks, which the source's QEMU has open still */
	bool tried;	   /* its QEMU is, only */
	bool keep_guest;   /* it runs here: what is undone is our scaffolding only */
	json_t *whole;	   /* paths of images all of which is on stable storage, to true; NULL: of none is that known (partial.h) */
	json_t *notices;   /* sentences for people, told with COPY_READY: what is here otherwise than at the source, or stays */
	bool drop_partial; /* nobody is to go on from what has arrived: partial.h */
};

void target_init(struct target *t, struct attempt *a, const char *runtime_dir);
/* Restores the target of an earlier life from its journal, and its QEMU, if that lives. */
void target_restore(struct target *t);
/* is_users: we have let go of it, and its monitors with it. */
void target_find_qemu_again(struct target *t, bool is_users);
void target_describe_for_journal(const struct target *t, json_t *begin);

/* True if the source has found an obstacle already: its description may then be incomplete. */
bool target_is_refused(const struct target *t);
/* Whether prepare() makes that directory. */
bool target_makes_dir(const struct target *t, const char *dir);
/* Adds *e to the plan's obstacles. The plan goes on, so that all of them are found. 0. */
int target_obstacle(struct target *t, const struct err *e);
/* Sets the error (ENOTSUP) for a QEMU here that starts but cannot load this guest. */
int target_misfit(struct err *e, const char *why);
bool target_is_paused(const struct target *t);
/* True if the guest goes on here, instead of booting. */
bool target_has_state(const struct target *t);
/* Is the guest shut down, so that nothing runs it here either? */
bool target_is_at_rest(const struct target *t);
/* The source's description of a disk; NULL: there is none. */
const json_t *target_described_disk(const struct target *t, uint32_t object);
/* True if a guest that is shut down is to be started here at the end. */
bool target_is_to_start(const struct target *t);
/* The source may want it back, as it was, after it has begun to run here. */
bool target_is_revertible(const struct target *t);
/* True for a move within this host: the guest goes on with the disks, sockets and names that it has (in-place.h). */
bool target_is_in_place(const struct target *t);
/* The time in seconds for which partial copies of disks are kept if the move ends early; 0: they are not. */
long target_keep_partial_s(const struct target *t);
/* "KEY=VALUE" strings and a NULL, of the source QEMU's environment. */
char **target_environment(const struct target *t);
void target_free_environment(char **env);

/* The words of systemd_scope() for starting the guest's own QEMU, or NULL. */
char **target_scope(const struct target *t);
/* Starts a QEMU that waits, with no client but us at its monitors. */
int target_start_qemu(struct target *t, struct err *e);
/* Starts QEMU and ends it again, and removes what that has made. */
int target_try_qemu(struct target *t, struct err *e);
/* Its migration capabilities and parameters; multifd: QEMU's channels, 0 for none. */
int target_configure_qemu(struct target *t, unsigned multifd, struct err *e);
/* -EBUSY: it does not end. */
int target_end_qemu(struct target *t, struct err *e);
/* Takes the disks' locks now, so that `cont` cannot fail on them. */
int target_activate(struct target *t, struct err *e);
/* Its QEMU does so by itself when the guest is loaded. */
bool target_locks_at_load(const struct target *t);
/* 0: the guest is loaded and has not run; what may be promised. */
int target_stands(struct target *t, struct err *e);
enum run_state target_run_state(struct target *t);

#endif
