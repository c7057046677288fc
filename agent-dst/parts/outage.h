/*
 * outage.h: connections that are gone and may come back. The source makes them again, and is waited for as long as it said that it would
 * try; who comes in another session, and wants the journal, has given this one up.
 */
#ifndef VMFERRY_DST_OUTAGE_H
#define VMFERRY_DST_OUTAGE_H

#include "arriving-data.h"

/* The longest wait for a connection. */
#define OUTAGE_MS_MAX (24 * 3600 * 1000)

struct outage {
	struct data_plane *data;
	unsigned patience_ms; /* time that the source gives; 0: we do not wait for lost connections */
	uint32_t missing;     /* a bit for each channel, by its number */
	uint64_t since_ns;
	struct timer look;
	struct timer watch;
	uint64_t asked_ns,
		acked; /* the source, whether it is there: when, and what it had acknowledged then; 0: it was not, or has answered */
};

void outage_init(struct outage *o, struct data_plane *data);
/* Lets channels outlive their connections from now on: called before the first data channel. */
void outage_agree(struct outage *o, unsigned patience_ms);
/* The connection of this channel is gone; is there again. 0: control. */
void outage_cut(struct outage *o, unsigned channel, const struct err *why);
void outage_back(struct outage *o, unsigned channel);
/* Begins to watch for requests for the journal: a source that does not answer is then given up for another agent. */
void outage_watch(struct outage *o);
void outage_fini(struct outage *o);

#endif
