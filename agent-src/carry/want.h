/*
 * want.h: reads disks before they are copied, and tells the destination by hashes of small blocks what is in them, so that it can take from other images there
 * what is the same (PROTOCOL.md, "Guests that are alike"). One thread. What it cannot read is told of by whoever copies the disk.
 */
#ifndef VMFERRY_WANT_H
#define VMFERRY_WANT_H

#include "data-send.h"
#include "disk-io.h"

/* A disk at this side, of which the strings are copied. */
struct want_disk {
	uint32_t object;
	struct disk_at at;
	uint64_t bytes;
};

struct want;

/* Sends the hashes that are wanted, in ascending order of the disks' objects, to one channel: its sender lives longer. The destination
 * looks after the last of them. */
int want_start(struct want **out, const struct want_disk *disks, unsigned count, struct sender *to, struct send_shared *shared,
	       struct err *e);
/* Ends and frees; NULL ok. */
void want_stop(struct want *w);

#endif
