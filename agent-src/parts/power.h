/*
 * power.h: the guest is turned off for its move, as a part of it. From the beginning of the move on its QEMU stays when the guest
 * shuts down (set-action), whoever wanted that, so that its disks can be read to their end. It is told to by the power button
 * (ACPI). Taken back, it is reset and boots again, from the disks that it has here.
 */
#ifndef VMFERRY_POWER_H
#define VMFERRY_POWER_H

#include "source.h"

struct power {
	struct part part;
	struct source *src;
	bool asked;	   /* by us, to shut down; also in a later life */
	bool cut;	   /* it did not, and was stopped as it was */
	bool no_reboot;	   /* -no-reboot: whatever resets it shuts it down */
	bool shuts_down;   /* its QEMU says so */
	bool off;	   /* it has: nothing writes to its disks any more */
	bool by_itself;	   /* taken back, it stays off, as nobody had asked it to be */
	bool rebooted;	   /* when it was to shut down */
	uint64_t asked_ns; /* CLOCK_MONOTONIC, of this boot */
	uint64_t until_ns; /* for so long it is waited for */
	uint64_t off_ns;
};

void power_init(struct power *p, struct source *src);
/* What an earlier life noted. */
void power_restore(struct power *p);
/* The power button; that is noted before. */
int power_press(struct power *p, unsigned patience_s, struct err *e);
/* As if the plug was pulled: it stands where it was, and goes on from there if it is taken back. */
int power_cut(struct power *p, struct err *e);
/* It is off, and is to boot again if it is taken back, though nobody had asked it to be. */
int power_is_wanted(struct power *p, struct err *e);
/* In any life, its monitor is open: a guest that was told to shut down boots again, once it has (that is waited for as long as it was
 * given); one that does not just goes on. -ECANCELED: it was stopped, and not by us. */
int power_take_back(struct power *p, struct err *e);

#endif
