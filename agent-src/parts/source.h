/*
 * source.h: the guest where it runs now, and the monitor of its QEMU: what every other part of a move asks and changes.
 *
 * The first part of a recipe. It finds out whether this guest may be moved at all, and keeps what is known of how it runs: others have
 * monitors, too.
 */
#ifndef VMFERRY_SOURCE_H
#define VMFERRY_SOURCE_H

#include "attempt.h"
#include "obstacles.h"
#include "guest-watch.h"
#include "libvirt-find.h"
#include "options.h"
#include "part.h"
#include "qemu-discover.h"
#include "report.h"

/* What a kind of move does with the guest: for whoever would ask for the kind. Of one that is shut down, nothing. */
struct traits {
	bool guest_runs;     /* it has a QEMU here, and something must be done for it at once should this agent die */
	bool carries_memory; /* and the state of its processors and devices: it goes on there, or is paused there */
	bool boots_after;    /* it is shut down here, and boots there */
	bool stays_here;     /* its disks are copied */
	bool stops_first;    /* it is stopped before anything is copied */
};

struct source {
	struct part part;
	struct obstacles obstacles; /* of either end, before anything was touched */
	const struct move_options *opt;
	struct report *report;
	const char *how; /* it moves: as in `plan` */
	struct traits traits;
	struct guest guest;
	struct guest_watch watch; /* what others do to it */
	struct qmp *qmp;	  /* NULL: no monitor, or none any more */
	json_t *cpu;		  /* qemu_cpu() */
	json_t *roms;		  /* rom_sizes_ask(), NULL: not known */
	json_t *rings;		  /* virtio_rings_used(), NULL: not known */
	const char *accel;	  /* "kvm", "tcg" */
	bool was_running;
	bool ran;		 /* at any time since then */
	bool paused;		 /* is to stay so at the destination */
	bool stopped;		 /* by us, to go on at the destination, or here again; also in a later life */
	const char *broken;	 /* the run state in which an error has stopped it during the move, or is about to; NULL: none has */
	bool suspended;		 /* by itself */
	bool shut_down;		 /* by itself */
	bool was_ended;		 /* or rather: somebody ended its QEMU */
	bool stays_shut;	 /* and its QEMU did not end */
	bool is_held;		 /* its QEMU does not switch over before it is asked to (ram-hold.h) */
	bool migrating;		 /* the migration in QEMU is ours; also in a later life */
	bool cannot_be_complete; /* of a later life: ours had not come so far */
	bool unreachable;	 /* QEMU is alive and its monitor is not */
	bool examined;		 /* and found good */
	bool adds_monitor;	 /* its line at the destination has a QMP monitor, which it lacks here */
	bool is_libvirts;	 /* libvirt starts it */
	uid_t libvirt_user;	 /* as which its QEMU runs then; 0: ours */
	bool becomes_libvirts;	 /* at the destination; here it is a plain one */
	bool goes_plain;	 /* the other way round, as it runs: its line is the one that it has there */
	json_t *line_there;	 /* the command line that it has there, where that is another one; NULL: it is this one */
	char *libvirt_uuid;	 /* of one of libvirt's that runs: its monitor is reached through libvirt; NULL: of any other */
	bool is_transient;	 /* that guest is transient: libvirt forgets it with its QEMU */
	bool patient;		 /* we are the guard: what cannot be done now is tried again */
	json_t *disk_paths;
	json_t *shared_paths;  /* of disks that both hosts see */
	json_t *disks_by_word; /* names of those that both hosts see by the user's word */
	json_t *images;	       /* that its QEMU writes to, as they were found (source-images.h); NULL: not known */
	char *script;	       /* that starts it, of one at rest */
};

void source_init(struct source *s, struct attempt *a, const struct move_options *opt, struct report *report);

/* Adds *e to what stands in the way. 0: the guest can be described all the same, so that the destination says what it finds, too; -errno: its QEMU
 * answers nothing more. */
int source_obstacle(struct source *s, const struct err *e);

/* -ENOTSUP: it is libvirt's or Proxmox's; -EPERM: another user's. */
int source_check_owner(const struct guest *g, const struct move_options *opt, struct err *e);
/* Asks the QEMU of a guest that was found about it. */
int source_query(struct source *s, struct err *e);
/* Finds one that is shut down, by what starts it, or as libvirt defines it. */
int source_find_at_rest(struct source *s, const struct libvirt_guest *libvirts, struct err *e);
/* The guest is one that a point of its replica describes: it is elsewhere, and nothing of it is asked, or told by this part. */
void source_is_in_point(struct source *s);
/* A plain one that was found so is to be libvirt's at the destination, as `becomes` defines it. */
int source_become_libvirts(struct source *s, const struct libvirt_guest *becomes, struct err *e);
/* What an earlier life knew of it: from the journal's beginning and notes. */
void source_restore(struct source *s);
/* Into what a journal begins with. */
void source_describe_for_journal(const struct source *s, json_t *begin);

/* Any of the guest's monitors: one may be somebody else's by now. */
int source_open_monitor(struct source *s, struct err *e);
/* Its monitor closed because it ended; waits a moment for that, as the monitor closes first. */
bool source_has_ended(const struct source *s);
/* 1: QEMU can be asked; 0: it has ended; -EPIPE: it is alive, and its monitor does not answer. */
int source_reach(struct source *s, struct err *e);
/* Undoes what is in QEMU. 1: QEMU has ended, and all of that with it; or as undo(). */
int source_undo(struct source *s, int (*undo)(struct source *s, const json_t *detail, struct err *e), const json_t *detail, struct err *e);
#define SOURCE_SETTLES_MS 5000 /* a migration that is about to end has ended by then */
/* QEMU's run state, once it is not about to change by itself: at the end of a migration QEMU sets the guest going again. */
int source_run_state(struct source *s, char out[32], uint64_t until_ns, struct err *e);
/* Noted for `recover`, too: -errno if that failed. */
int source_set_paused(struct source *s, bool paused, struct err *e);
/* Stops it, unless it is paused; it is noted before, so that whoever takes it back lets it go on. whoever: it counts as ours, too, if somebody has stopped
 * it meanwhile; otherwise it stays paused. */
int source_stop(struct source *s, bool whoever, struct err *e);
/* It goes on: what stops it from now on is not ours. */
int source_note_stopped(struct source *s, bool stopped, struct err *e);
/* Whether a migration in QEMU is ours, to cancel and to take back from; for a later life, too. ends_noted: it cannot be complete before a note says that
 * all was sent (disks-written). */
int source_note_migration(struct source *s, bool ours, bool ends_noted, struct err *e);

#endif
