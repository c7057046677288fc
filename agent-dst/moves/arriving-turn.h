/*
 * arriving-turn.h: whose turn it is to come to this host (ticket.h, host-settings.h). A source that knows of turns says so in DESCRIBE, and waits; one that does not
 * is counted, and never waits. What it describes is looked at when its turn has come. Private to this folder.
 */
#ifndef VMFERRY_ARRIVING_TURN_H
#define VMFERRY_ARRIVING_TURN_H

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

/* The time after which a silent source loses its ticket, and with it what it was promised. Between ACCEPT and PREPARE it runs its hooks (30
 * s each) and does little else, so a source that is silent for longer must not keep others from coming. */
#define TURN_LAPSES_MS 300000

/* Takes a ticket on DESCRIBE. Sets t->turn.waits if other moves come first. -errno: this host's settings cannot be read. */
int turn_begin(struct transfer *t, struct err *e);
/* The time has come to look again. */
int turn_look(struct transfer *t, struct err *e);
/* Counts a move on PREPARE whose source did not ask for a turn. */
void turn_count(struct transfer *t);
/* ACCEPT is sent. */
void turn_accepted(struct turn *u, uint64_t now_ns);
/* The ticket has just gone, as PREPARE has not come. */
bool turn_lapses(struct turn *u, uint64_t now_ns);
/* Takes another ticket on PREPARE for a move that lost its own. -ETIMEDOUT: as many as may come at once (in; 0: any number) have come
 * before it. Other errors are those of the directory. */
int turn_regain(struct turn *u, const char *runtime_dir, unsigned in, struct err *e);
/* PREPARE has come: of one whose ticket had gone, all that others were promised meanwhile is looked at again. -errno: there is no turn, or no room, for it. */
int turn_resume(struct transfer *t, struct err *e);
/* The move's ticket goes, so that others have their turn. */
void turn_end(struct transfer *t);
/* Returns the ticket; of a move that was taken up also the ticket of the agent that died. */
void turn_fini(struct transfer *t);

#endif
