/* target.h: the guest as it is to be on this host: its name and place, the source's description of it, its QEMU and that QEMU's monitor.
 * Every other part of a move to this host asks it. */
#ifndef VMFERRY_TARGET_H
#define VMFERRY_TARGET_H

#include "attempt.h"
#include "obstacles.h"
#include "part.h"
#include "qemu-args.h"
#include "qemu-launch.h"

#define OCCUPIED_MAX	   8
#define KEEP_PARTIAL_S_MAX (366L * 24 * 3600)

enum run_state { RUNS, STANDS, MIGRATED, UNKNOWN }; /* MIGRATED: it was migrated away from here, or is being */

struct domain;

struct target {
	struct part part;
	const char *runtime_dir;
	json_t *description; /* DESCRIBE; after an earlier life, only the members that are used below */
	char *name, *exe;
	char *dir;     /* directory of disks and sockets */
	char *run_dir; /* directory of ours, while the guest moves */
	char *qmp_path;
	struct args_result args; /* command line that runs the guest here (line.h) */
	struct qemu_proc qemu;
	struct qmp *qmp; /* NULL: not connected yet, or the monitor is libvirt's */
	/* a guest that comes as it runs from libvirt */
	struct {
		struct domain *domain; /* its part (domain.h); NULL: any other guest */
		char *uuid;
		enum run_state (*run_state)(struct target *t); /* function that asks libvirt for the run state of that guest */
	} libvirt;
	json_t *settings;	    /* QEMU's settings, to be put back */
	struct obstacles obstacles; /* obstacles that the plan has found: they do not end it */
	int occupied[OCCUPIED_MAX]; /* connections to monitors on TCP ports, which keep others from having one */
	unsigned occupied_count;
	bool makes_dir;	   /* the last directory of dir does not exist yet */
	char *makes_below; /* directory for backing files in dir that does not exist yet; NULL: none */
	bool disks_stay;   /* some of its disks stay, and the source's QEMU still has them open */
	bool tried;	   /* QEMU is only started for a trial */
	bool keep_guest;   /* the guest runs here: only our scaffolding is undone */
	json_t *whole;	   /* paths of images that are entirely on stable storage, to true; NULL: this is known of no image (partial.h) */
	json_t *notices;   /* sentences for people, sent with COPY_READY: what is different here from the source, or stays */
	bool drop_partial; /* partial copies are dropped, as nobody is to go on from them (partial.h) */
};

void target_init(struct target *t, struct attempt *a, const char *runtime_dir);
/* Restores the target of an earlier life from its journal, and its QEMU, if that still runs. */
void target_restore(struct target *t);
/* Finds the QEMU of an earlier life. is_users: we have let go of it and of its monitors. */
void target_find_qemu_again(struct target *t, bool is_users);
void target_describe_for_journal(const struct target *t, json_t *begin);

/* True if the source has found an obstacle already: its description may then be incomplete. */
bool target_is_refused(const struct target *t);
/* True if prepare() makes that directory. */
bool target_makes_dir(const struct target *t, const char *dir);
/* Adds *e to the plan's obstacles. The plan goes on, so that all of them are found. Returns 0. */
int target_obstacle(struct target *t, const struct err *e);
/* Sets the error (ENOTSUP) for a QEMU here that starts but cannot load this guest. */
int target_misfit(struct err *e, const char *why);
bool target_is_paused(const struct target *t);
/* True if the guest goes on here instead of booting. */
bool target_has_state(const struct target *t);
/* True if the guest is shut down, and so does not run here either. */
bool target_is_at_rest(const struct target *t);
/* Description of a disk, from the source; NULL: there is none. */
const json_t *target_described_disk(const struct target *t, uint32_t object);
/* True if a guest that is shut down is to be started here at the end. */
bool target_is_to_start(const struct target *t);
/* True if the source may want the guest back, as it was, after it has begun to run here. */
bool target_is_revertible(const struct target *t);
/* True for a move within this host: the guest goes on with the disks, sockets and names that it has (in-place.h). */
bool target_is_in_place(const struct target *t);
/* The time in seconds for which partial copies of disks are kept if the move ends early; 0: they are not. */
long target_keep_partial_s(const struct target *t);
/* Environment of the source's QEMU: "KEY=VALUE" strings and a NULL. */
char **target_environment(const struct target *t);
void target_free_environment(char **env);

/* The words of systemd_scope() for starting the guest's own QEMU, or NULL. */
char **target_scope(const struct target *t);
/* Starts a QEMU that waits, with no client but us at its monitors. */
int target_start_qemu(struct target *t, struct err *e);
/* Starts QEMU, ends it again, and removes what it has made. */
int target_try_qemu(struct target *t, struct err *e);
/* Sets QEMU's migration capabilities and parameters; multifd: QEMU's channels, 0 for none. */
int target_configure_qemu(struct target *t, unsigned multifd, struct err *e);
/* Ends QEMU. -EBUSY: it does not end. */
int target_end_qemu(struct target *t, struct err *e);
/* Takes the disks' locks now, so that `cont` cannot fail on them. */
int target_activate(struct target *t, struct err *e);
/* True if QEMU takes the disks' locks by itself when the guest is loaded. */
bool target_locks_at_load(const struct target *t);
/* Checks that the guest is loaded and has not run, which may be promised: 0. */
int target_stands(struct target *t, struct err *e);
enum run_state target_run_state(struct target *t);

#endif
