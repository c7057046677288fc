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
	struct guest *guest;	/* as it runs, or ran */
	struct qmp *qmp;	/* of the attempt that waits, if there is a monitor; NULL: none */
	unsigned passes;	/* attempts that are over, after which there is another */
	uint64_t begin_ns;	/* of the first of them */
	uint64_t wire_bytes;	/* that they took */
	bool is_asked;		/* its owner, or it, to shut it down */
	bool is_told;		/* it, by us */
	bool has_said_shutdown; /* its QEMU, of the guest */
	bool is_down;		/* its QEMU has ended */
	bool is_over;		/* and what follows is the move itself, which is tried so many times more */
	unsigned tries;
	uint64_t down_ns;
	json_t *images; /* path to [device, inode], as its QEMU had them open when that was last looked at */
	struct known_disk known[OBJECT_DISK_MAX];
	unsigned known_count; /* 0: nothing is known of what the destination has */
	char known_by[2 * ATTEMPT_ID_LEN + 1];
	struct digest_key key; /* of all attempts, as what is known is told by it */
	bool has_key;
	char *start_script; /* by which it was started here, once it may go down; NULL: not yet written */
};

#endif
