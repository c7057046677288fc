/*
 * turn.h: whose turn it is to come to this host (ticket.h, host-settings.h). A source that knows of turns says so in DESCRIBE, and waits; one that does not
 * is counted, and never waits. What it describes is looked at when its turn has come. Private to this folder.
 */
#ifndef VMFERRY_DST_TURN_H
#define VMFERRY_DST_TURN_H

#include "ticket.h"

#include <stdbool.h>

struct transfer;

struct turn {
	struct ticket *ticket; /* NULL: none is needed, or could be had */
	bool asked;	       /* for it */
	bool waits;
	unsigned told; /* so many come first, as the source knows */
	char *why_not; /* none could be had; NULL: it could */
};

/* On DESCRIBE. t->turn.waits: it is not its turn. -errno: this host's file cannot be read. */
int turn_begin(struct transfer *t, struct err *e);
/* The time has come to look again. */
int turn_look(struct transfer *t, struct err *e);
/* On PREPARE, of a source that did not ask: it is counted. */
void turn_count(struct transfer *t);
/* The move's ticket goes, so that others have their turn. */
void turn_end(struct transfer *t);
/* And, of a move that was taken up, that of the agent that has died does not. */
void turn_fini(struct transfer *t);

#endif
