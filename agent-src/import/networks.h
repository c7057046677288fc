/*
 * networks.h: which network of this host each card of an imported guest is attached to, by what the user says with --net. Pure.
 *
 * A card is named by its number in the guest ("#1" is the first), its address, or the network that it was on there; what is said without a
 * card is for all others.
 */
#ifndef VMFERRY_IMPORT_NETWORKS_H
#define VMFERRY_IMPORT_NETWORKS_H

#include "err.h"
#include "guest-description.h"

#include <stdbool.h>
#include <stddef.h>

#define NETWORKS_DEFAULT "user"

/* A --net option: "WHAT" or "CARD=WHAT". */
struct network_wish {
	const char *card; /* card_bytes long; NULL: all other cards */
	size_t card_bytes;
	const char *net; /* line_net_known() */
};

/* False: arg has neither form. arg must outlive out. */
bool network_wish_parse(struct network_wish *out, const char *arg);
/*
 * Chooses each card's network, and notes what was left open. The addresses are the description's. -EINVAL: a wish names a card that the
 * guest does not have, or two name the same.
 */
int networks_choose(const char *nets[GUEST_NICS_MAX], struct guest_description *d, const struct network_wish *w, size_t n, struct err *e);
/* Network at the source, for messages: "'Outside'", or its kind; malloc'ed, NULL: not known. */
char *network_there(const struct described_nic *n);

/* Notes bridges of the same name here, without using them: they may lead elsewhere. */
void networks_offer(const char *const *nets, struct guest_description *d);

#endif
