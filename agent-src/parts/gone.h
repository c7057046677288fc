/*
 * gone.h: what this host remembers of a guest that has gone (whereabouts.h), as a part of its move, of every kind that takes the guest away: its copy here is
 * an old one from then on, whatever would start it. It is written when the guest has gone (RELEASED), before its journal goes.
 * A guest whose replica is made from here takes that along, if the destination can be its primary.
 */
#ifndef VMFERRY_GONE_H
#define VMFERRY_GONE_H

#include "source.h"

struct gone {
	struct part part;
	const struct source *src;
	const char *instance;		/* instance of the host that the guest goes to, as that host has said; NULL: it has not said */
	bool has_replica, replica_goes; /* this host is the primary of a replica; and no longer is once the guest has gone */
};

void gone_init(struct gone *g, const struct source *src);

#endif
