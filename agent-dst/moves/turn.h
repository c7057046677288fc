/*
 * turn.h: whose turn it is to come to this host (ticket.h, host-settings.h). A source that knows of turns says so in DESCRIBE, and waits; one that does not
 * is counted, and never waits. What it describes is looked at when its turn has come. Private to this folder.
 */
#ifndef VMFERRY_DST_TURN_H
#define VMFERRY_DST_TURN_H

#include "ticket.h"

#include <stdbool.h>
#include <stdint.h>

struct transfer;

struct turn {
	struct ticket *ticket; /* NULL: none is needed, or none could be taken */
	bool asked;	       /* the source has asked for a ticket */
	bool waits;
	unsigned told; /* number of moves that come first, as the source was told */
	char *why_not; /* reason why no ticket could be taken; NULL: one could */

	uint64_t accepted_ns; /* time at which the plan was accepted, since when PREPARE is awaited; 0: it is not */
	bool lapsed;	      /* PREPARE took too long: other moves have come before this one */
};

/*
 * From ACCEPT to PREPARE a source has its hooks to ask (30 s each), and little else to do. One that says nothing for longer than this keeps nobody from coming:
 * its ticket goes, and with it what it was promised.
 */
#define TURN_LAPSES_MS 300000

/* On DESCRIBE. t->turn.waits: it is not its turn. -errno: this host's file cannot be read. */
int turn_begin(struct transfer *t, struct err *e);
/* The time has come to look again. */
int turn_look(struct transfer *t, struct err *e);
/* On PREPARE, of a source that did not ask: it is counted. */
void turn_count(struct transfer *t);
/* ACCEPT is sent. */
void turn_accepted(struct turn *u, uint64_t now_ns);
/* The ticket has just gone, as PREPARE has not come. */
bool turn_lapses(struct turn *u, uint64_t now_ns);
/* On PREPARE, of one whose ticket has gone: another. -ETIMEDOUT: so many as may (in; 0: any number) have come before it. Any other error is one of the directory. */
int turn_regain(struct turn *u, const char *runtime_dir, unsigned in, struct err *e);
/* PREPARE has come: of one whose ticket had gone, all that others were promised meanwhile is looked at again. -errno: there is no turn, or no room, for it. */
int turn_resume(struct transfer *t, struct err *e);
/* The move's ticket goes, so that others have their turn. */
void turn_end(struct transfer *t);
/* And, of a move that was taken up, that of the agent that has died does not. */
void turn_fini(struct transfer *t);

#endif
