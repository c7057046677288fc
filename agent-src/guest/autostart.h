/*
 * autostart.h: who else might start the guest here: the systemd unit that its QEMU runs in, or one that vmferry made for it
 * in an earlier move, or one that started it before that (unit-of-disks.h).
 *
 * Theory of operation. A unit is kept from starting the guest by a drop-in of ours that says Restart=no and a condition
 * that is never true, so that neither the death of QEMU, nor the boot, nor another unit, a timer or a person in a hurry
 * starts the old copy. That is one file, so it can be journaled before it is made and undone to the byte.
 *
 *   hold    before memory is copied: the drop-in under /run, and daemon-reload. From here on systemd does not answer the
 *           death of QEMU; a reboot forgets it, and the guest starts here as ever: it is still ours.
 *   block   before the guest is stopped for the switchover, thus before COMMITTED: the same under /etc, durable. From here
 *           on a reboot does not start it either. (Nothing to reload: systemd reads it when it matters.) Where a script of
 *           the unit's runs QEMU, that is stopped, so that it does not answer the death of QEMU either.
 *   settle  RELEASED: the unit is disabled and stopped, the drop-in under /etc stays and is reported with how to undo it.
 *           ABORTED: both drop-ins go, scripts go on, and the unit is as it was.
 *
 * The journal's entries (kind "unit") carry all that settling needs, in this life or a later one.
 */
#ifndef VMFERRY_AUTOSTART_H
#define VMFERRY_AUTOSTART_H

#include "err.h"
#include "journal.h"
#include "qemu-discover.h"

#include <jansson.h>
#include <stdbool.h>

struct autostart {
	char *unit;		   /* unit to be stopped and disabled; NULL: nothing else starts the guest, or the user deals with it */
	char *left;		   /* unit that is left as it is, as the user wants or as it starts nothing; NULL: none */
	bool user;		   /* the unit belongs to our own user's systemd */
	bool active;		   /* the guest runs in it now */
	bool changing;		   /* systemd starts or stops that unit, or waits to start it again */
	bool wrapped;		   /* QEMU is the child of a program of the unit, which might start it again by itself */
	pid_t main_pid, guest_pid; /* pids of that program, and of QEMU */
	bool enabled;		   /* systemctl disable is needed */
	bool held;
	char *restart; /* Restart= */
	char *note;    /* sentence for the plan, or NULL */
	char *starter; /* beginning of a sentence: another program that may start the guest again and cannot be kept from it; or NULL */
	bool starter_at_boot; /* it does so when this host boots, and not before */
	char *at_boot;	      /* unit or table that starts the guest when this host boots, in words; NULL: none known */
};

/*
 * Changes nothing. keep: the user wants the unit left alone. A unit that might start the guest again and cannot be kept
 * from it is refused: -EPERM, -ENOTSUP, -EBUSY. autostart_fini() in any case.
 */
int autostart_examine(struct autostart *a, const struct guest *g, bool keep, struct err *e);
/* Beginning of a sentence, malloc'ed: what else than a unit may start the guest again, and cannot be kept from it; NULL: nothing is known. in_unit:
 * processes of its unit do not count, as they end, or stand still, together with it. *at_boot: that starts it when this host boots, and not before.
 * *by_table (NULL: not asked): the table that starts it with this host, malloc'ed words, or NULL. */
char *guest_starter(const struct guest *g, bool in_unit, bool *at_boot, char **by_table);
/* A process or a table of this host, in words, malloc'ed, that would start the guest by other means than that script (its real path), which gets new
 * images: from the old ones. NULL: none is known. Processes of the guest's unit do not count. */
char *guest_starter_beside(const struct guest *g, const char *script);
int autostart_hold(struct autostart *a, struct journal *j, struct err *e);
int autostart_block(struct autostart *a, struct journal *j, struct err *e);
/* Like autostart_block(), for a unit that does not run: systemd knows at once, not only at the next boot. */
int autostart_block_now(struct autostart *a, struct journal *j, struct err *e);
/* QEMU is about to be ended, as its guest is the destination's: tells systemd to do nothing then (ExecStop), and ends the other programs
 * of wrapping units, so that they do not start it again. */
void autostart_expect_end(struct journal *j);
/* Processes from QEMU's parent up to the unit's main process; only the latter if QEMU does not descend from it (its parent may then be
 * the user's systemd, which must go on). Returns their number. */
#define AUTOSTART_WRAPPERS_MAX 64
size_t autostart_wrappers(pid_t qemu, pid_t main_pid, pid_t out[AUTOSTART_WRAPPERS_MAX]);
/* Settles one entry. released: the guest is gone for good; appends to disabled an object with "unit" and "again" (the command that
 * brings it back). 0: the entry is done with. */
int autostart_settle(const json_t *detail, bool released, json_t *disabled, struct err *e);
/* Does after a rollback what systemd would have done when QEMU ended while we kept it from restarting. True: the guest is started. */
bool autostart_make_up(const struct autostart *a, bool shut_down);
void autostart_fini(struct autostart *a);

#endif
