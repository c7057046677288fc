/*
 * turn.h: whose turn it is to leave this host (ticket.h, host-settings.h), and to come to the destination, which says so itself. Private to this folder.
 *
 * A ticket to leave is taken first, and kept for the whole of a command; who has the destination's has it already, so that two hosts that are emptied
 * into each other do not wait for each other. A move that had to wait begins anew when it is its turn: whatever was looked at is old by then.
 */
#ifndef VMFERRY_TURN_H
#define VMFERRY_TURN_H

#include "ticket.h"

#include <stdbool.h>

struct transfer;

/* The queue in which a move waits. */
struct wait {
	bool here;	/* queue to leave this host; false: to come to the destination */
	unsigned ahead; /* moves that come first; 0: no wait */
};

/* Outlives the transfers of a command. */
struct turn {
	struct ticket *ticket; /* NULL: not needed, or not available */
	bool asked;	       /* the ticket was asked for, once per command */
	bool again;	       /* the move starts anew */
};

/* Takes a ticket, once. *waits: it is not the move's turn yet. -errno: this host's file cannot be read. */
int turn_wait(struct transfer *t, bool *waits, struct err *e);
/* Word for DESCRIBE: "wait", "now", or NULL. */
const char *turn_word(const struct transfer *t);
/* Reports the move's place in the queue if it has changed. here: this host's queue. */
void turn_tell(struct transfer *t, bool here, unsigned ahead);
/* Removes the move's ticket, so that others have their turn. */
void turn_end(struct transfer *t);

#endif
