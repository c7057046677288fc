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

/* One --net: "WHAT" or "CARD=WHAT". */
struct network_wish {
	const char *card; /* card_bytes of it; NULL: all others */
	size_t card_bytes;
	const char *net; /* line_net_known() */
};

/* False: arg is neither. It must outlive out. */
bool network_wish_parse(struct network_wish *out, const char *arg);
/*
 * The network of each card, with notes of what was not said. The addresses are those of the description. 0; -EINVAL: a wish names a card
 * that the guest has not, or two are for the same.
 */
int networks_choose(const char *nets[GUEST_NICS_MAX], struct guest_description *d, const struct network_wish *w, size_t n, struct err *e);
/* "'Outside'", or the kind of network, for people; malloc'ed, NULL: not said. */
char *network_there(const struct described_nic *n);

/* A bridge of the same name may be another one: it is offered in a note, and not taken. */
void networks_offer(const char *const *nets, struct guest_description *d);

#endif
