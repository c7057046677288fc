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

/* Effects of a kind of move on the guest; code asks for these instead of the kind. All false for a guest that is shut down. */
struct traits {
	bool guest_runs;     /* the guest has a QEMU here; if this agent dies, the guard must act at once */
	bool carries_memory; /* memory and device state travel: the guest goes on there, or is paused there */
	bool boots_after;    /* the guest is shut down here and boots there */
	bool stays_here;     /* copy of the guest's disks only; the guest stays */
	bool stops_first;    /* the guest is stopped before anything is copied */
};

/* Ties of the guest to libvirt, here and at the destination. */
struct libvirt_ties {
	bool is_its;	    /* libvirt starts it */
	uid_t user;	    /* user of a QEMU that libvirt starts; 0: ours */
	bool is_its_there;  /* a plain guest here, libvirt's at the destination */
	bool goes_plain;    /* libvirt's here, plain at the destination, as it runs: its line is the one for there */
	json_t *line_there; /* command line for the destination, if another one; NULL: this one */
	char *uuid;	    /* UUID of a running guest of libvirt's: its monitor is reached through libvirt; NULL: any other guest */
	bool is_transient;  /* libvirt forgets the guest when its QEMU ends */
};

/* Facts about the guest's machine, as QEMU tells them. */
struct machine_facts {
	json_t *cpu;	   /* qemu_cpu() */
	json_t *roms;	   /* rom_sizes_ask(), NULL: not known */
	json_t *rings;	   /* virtio_rings_used(), NULL: not known */
	const char *accel; /* "kvm", "tcg" */
};

/* State in which the guest runs, and who stopped it. */
struct guest_run {
	bool was_running;
	bool ran;	    /* the guest has run at some time since then */
	bool paused;	    /* the guest is to stay paused at the destination */
	bool stopped;	    /* we stopped the guest, to go on at the destination or here; also in a later life */
	const char *broken; /* run state in which an error has stopped the guest during the move, or is about to; NULL: none */
	bool suspended;	    /* the guest has suspended itself */
};

/* End of the guest, or of its QEMU. */
struct guest_end {
	bool has_shut_down; /* the guest has shut itself down */
	bool was_ended;	    /* another client ended its QEMU */
	bool stays_shut;    /* has_shut_down, and its QEMU has not ended */
	bool was_shut;	    /* found shut down, in a QEMU that stays: a point may be made of it */
};

struct source {
	struct part part;
	struct obstacles obstacles; /* obstacles at both ends, before anything was touched */
	const struct move_options *opt;
	struct report *report;
	const char *how; /* the kind of move, as in `plan` */
	struct traits traits;
	struct guest guest;
	struct guest_watch watch; /* watch for what other clients do to the guest */
	struct qmp *qmp;	  /* NULL: no monitor, or it was closed */
	struct machine_facts machine;
	struct guest_run run;
	struct guest_end end;
	bool is_held;		 /* QEMU does not switch over before we ask (ram-hold.h) */
	bool migrating;		 /* the migration in QEMU is ours; also in a later life */
	bool cannot_be_complete; /* a later life's: our migration had not come so far */
	bool unreachable;	 /* QEMU is alive and its monitor does not answer */
	bool examined;		 /* the checks have passed */
	bool adds_monitor;	 /* the command line at the destination gets a QMP monitor, which this one lacks */
	struct libvirt_ties libvirt;
	bool patient; /* we are the guard: what fails now is tried again */
	json_t *disk_paths;
	json_t *shared_paths;  /* paths of disks that both hosts see */
	json_t *disks_by_word; /* names of disks that both hosts see by the user's word */
	json_t *images;	       /* images that QEMU writes to, as found (source-images.h); NULL: not known */
	char *script;	       /* start script of a guest at rest */
};

void source_init(struct source *s, struct attempt *a, const struct move_options *opt, struct report *report);

/* Adds *e to the obstacles. 0: the guest can still be described, so that the destination reports its obstacles, too; -errno: QEMU does
 * not answer any more. */
int source_obstacle(struct source *s, const struct err *e);

/* -ENOTSUP: the guest is libvirt's or Proxmox's; -EPERM: another user's. */
int source_check_owner(const struct guest *g, const struct move_options *opt, struct err *e);
/* Queries the QEMU of a guest that was found. */
int source_query(struct source *s, struct err *e);
/* Finds a guest that is shut down, by its start script or libvirt definition. */
int source_find_at_rest(struct source *s, const struct libvirt_guest *libvirts, struct err *e);
/* The guest is described by a point of its replica and is elsewhere: this part asks and reports nothing about it. */
void source_is_in_point(struct source *s);
/* The plain guest that was found becomes libvirt's at the destination, as `becomes` defines it. */
int source_become_libvirts(struct source *s, const struct libvirt_guest *becomes, struct err *e);
/* Restores what an earlier life knew, from the journal's beginning and notes. */
void source_restore(struct source *s);
/* Adds the source to the journal's beginning. */
void source_describe_for_journal(const struct source *s, json_t *begin);

/* Opens any of the guest's monitors: another client may use one by now. */
int source_open_monitor(struct source *s, struct err *e);
/* True if QEMU has ended; waits a moment for that, as its monitor closes first. */
bool source_has_ended(const struct source *s);
/* 1: QEMU can be asked; 0: QEMU has ended; -EPIPE: QEMU is alive and its monitor does not answer. */
int source_reach(struct source *s, struct err *e);
/* Undoes a change in QEMU. 1: QEMU has ended, and the change with it; or undo()'s result. */
int source_undo(struct source *s, int (*undo)(struct source *s, const json_t *detail, struct err *e), const json_t *detail, struct err *e);
#define SOURCE_SETTLES_MS 5000 /* a migration that is about to end has ended within that time */
/* QEMU's run state once it is stable: at the end of a migration QEMU lets the guest go on by itself. */
int source_run_state(struct source *s, char out[32], uint64_t until_ns, struct err *e);
/* True if the guest runs in that state. */
bool source_runs(const char *state);
/* Sets and notes `paused`, for `recover`, too. -errno: the note failed. */
int source_set_paused(struct source *s, bool paused, struct err *e);
/* Stops the guest, unless it is paused; notes that before, so that taking it back lets it go on. whoever: a stop by another client
 * counts as ours, too; otherwise the guest then stays paused. */
int source_stop(struct source *s, bool whoever, struct err *e);
/* Notes whether the guest's stop is ours; false: it goes on, and a later stop is another client's. */
int source_note_stopped(struct source *s, bool stopped, struct err *e);
/* Notes whether a migration in QEMU is ours to cancel and take back from; for a later life, too. ends_noted: the migration cannot be
 * complete before a note says that all was sent (disks-written). */
int source_note_migration(struct source *s, bool ours, bool ends_noted, struct err *e);

#endif
