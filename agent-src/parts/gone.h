/*
 * gone.h: what this host remembers of a guest that has gone (whereabouts.h), as a part of its move, of every kind that takes the guest away: its copy here is
 * an old one from then on, whatever would start it. It is written when the guest has gone (RELEASED), before its journal goes.
 */
#ifndef VMFERRY_GONE_H
#define VMFERRY_GONE_H

#include "source.h"

struct gone {
	struct part part;
	const struct source *src;
};

void gone_init(struct gone *g, const struct source *src);

#endif
