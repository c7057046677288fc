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

/* What a move waits for. */
struct wait {
	bool here;	/* to leave this host; otherwise to come to the destination */
	unsigned ahead; /* so many come first; 0: it does not wait */
};

/* Outlives the transfers of a command. */
struct turn {
	struct ticket *ticket; /* NULL: none is needed, or could be had */
	bool asked;	       /* for it, once a command */
	bool again;	       /* the move begins anew */
};

/* Takes a ticket, once. *waits: it is not its turn. -errno: this host's file cannot be read. */
int turn_wait(struct transfer *t, bool *waits, struct err *e);
/* As the destination is told (DESCRIBE): "wait", "now", or NULL. */
const char *turn_word(const struct transfer *t);
/* It is told what is waited for, where that has changed. here: on this host. */
void turn_tell(struct transfer *t, bool here, unsigned ahead);
/* The move's ticket goes, so that others have their turn. */
void turn_end(struct transfer *t);

#endif
