/*
 * ram-hold.h: keeps QEMU from stopping the guest for the switchover before the move asks for it.
 *
 * QEMU switches over by itself as soon as what is left fits its downtime limit; of an idle guest nothing is left after the first pass. Two
 * things keep it from that, and QEMU is asked which of them it knows:
 *
 *   acknowledgement  QEMU 8.1 to 11.0 waits for a message on its return path (capability switchover-ack). From 11.1 on only devices can
 *                    make it wait, and a message that none of them has asked for ends the migration.
 *   pending bitmap   Any other QEMU: an empty dirty bitmap of a node that holds nothing (null-co) is migrated, too. QEMU sends it only once
 *                    the guest stands, so until then its size counts as left. As long as the downtime limit is smaller QEMU does not
 *                    switch over, and the walker drops the bitmap from the stream. (QEMU 8.1 to 11.0 would not look for what the guest
 *                    has written while the bitmap is larger than the limit: they have it beside the acknowledgement, of which they ask nothing
 *                    for a guest that is paused, and as long as it is.) It is made when memory is about to be copied, and not before: a
 *                    migration that somebody else begins while disks are copied would wait for it, for ever.
 */
#ifndef VMFERRY_RAM_HOLD_H
#define VMFERRY_RAM_HOLD_H

#include "source.h"

enum hold_way {
	HOLD_NONE, /* QEMU stops the guest when it likes */
	HOLD_ACKNOWLEDGEMENT,
	HOLD_BITMAP,
};

struct ram_hold {
	enum hold_way way;
	bool while_paused; /* HOLD_ACKNOWLEDGEMENT: a bitmap, too, for a guest that is paused, and is to be held */
	bool begun;	   /* the bitmap is there */
};

/* Asks QEMU which way it supports. settings: QEMU's saved migration settings. */
int hold_choose(struct ram_hold *h, struct source *s, const json_t *settings, struct err *e);
/* Adds to `on` the capabilities needed now, at most 2; returns their number. */
unsigned hold_capabilities(const struct ram_hold *h, const char **on);
/* avail-switchover-bandwidth, in bytes per second, until the switchover is asked for; goes with a downtime limit of 1 ms. */
uint64_t hold_limit(const struct ram_hold *h);
/* Makes the node and its bitmap if a bitmap is to hold the guest, and names it as the only one to migrate. Journaled. Changes capability
 * and limit. */
int hold_begin(struct ram_hold *h, struct source *s, const json_t *settings, struct err *e);
/* Undoes the record "hold", as a part's undo. */
int hold_undo(struct source *s, const json_t *detail, struct err *e);

#endif
