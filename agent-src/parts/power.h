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
	bool asked;	   /* we have told the guest to shut down; also in a later life */
	bool cut;	   /* the guest did not, and was stopped as it was */
	bool no_reboot;	   /* -no-reboot: a reset shuts the guest down */
	bool shuts_down;   /* QEMU has announced the shutdown */
	bool off;	   /* the guest is off: nothing writes to its disks any more */
	bool by_itself;	   /* taken back, the guest stays off: it shut down without being told */
	bool rebooted;	   /* the guest rebooted instead of shutting down */
	uint64_t asked_ns; /* CLOCK_MONOTONIC, of this boot */
	uint64_t until_ns; /* deadline for the shutdown */
	uint64_t off_ns;
};

void power_init(struct power *p, struct source *src);
/* Restores what an earlier life noted. */
void power_restore(struct power *p);
/* Presses the power button; notes that before. */
int power_press(struct power *p, unsigned patience_s, struct err *e);
/* Stops the guest as it is, like pulling the plug; taken back, it goes on from there. */
int power_cut(struct power *p, struct err *e);
/* Notes that the guest, which is off, is to boot when it is taken back, even if it shut down by itself. */
int power_is_wanted(struct power *p, struct err *e);
/* Boots a guest that was told to shut down, once it is off (waits as long as it was given); works in any life, with an open monitor. A
 * guest that does not shut down just goes on. -ECANCELED: another client has stopped it. */
int power_take_back(struct power *p, struct err *e);

#endif
