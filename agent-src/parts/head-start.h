/*
 * head-start.h: a guest that runs when the command begins, and is to go cold: its disks go ahead while it does, and then it is waited for until it is down.
 * What is known of it from one attempt to the next. The attempts: agent-src/moves/head-start.c.
 */
#ifndef VMFERRY_HEAD_START_H
#define VMFERRY_HEAD_START_H

#include "attempt-id.h"
#include "digest.h"
#include "have.h"
#include "qemu-discover.h"

/* A disk all of which the destination had on stable storage when the attempt known_by ended. */
struct known_disk {
	char *path;
	struct have *have;
};

struct head_start {
	struct guest *guest;	/* the guest, which runs or ran */
	struct qmp *qmp;	/* monitor of the attempt that waits; NULL: none */
	unsigned passes;	/* attempts that have ended and were followed by another */
	uint64_t begin_ns;	/* begin of the first attempt */
	uint64_t wire_bytes;	/* bytes on the wire of those attempts */
	bool is_wanted;		/* the user has ended the wait (--hold) */
	bool is_asked;		/* the owner, or the guest, was asked to shut it down */
	bool is_told;		/* we told the guest to shut down */
	bool has_said_shutdown; /* QEMU has announced the guest's shutdown */
	bool is_stopped;	/* stopped as by QEMU's own migration: it neither runs nor has shut down */
	bool is_down;		/* the guest's QEMU has ended */
	bool is_over;		/* the move itself follows; tries: how often it was tried again */
	unsigned tries;
	uint64_t down_ns;
	json_t *images; /* path to [device, inode] of what QEMU had open at the last look */
	struct known_disk known[OBJECT_DISK_MAX];
	unsigned known_count; /* 0: it is not known what the destination has */
	char known_by[2 * ATTEMPT_ID_LEN + 1];
	struct digest_key key; /* key of all attempts, which identifies known contents */
	bool has_key;
	/* path of a script that says how the guest was started here, written before it may go down; NULL: not written yet */
	char *start_script;
};

#endif
