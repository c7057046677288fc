/* networks.c: see networks.h. */
#include "networks.h"
#include "qemu-line.h"
#include "util.h"

#include <errno.h>
#include <unistd.h>
#include <stdio.h>
#include <string.h>

bool network_wish_parse(struct network_wish *out, const char *arg)
{
	const char *p;

	*out = (struct network_wish){.net = arg};
	if (line_net_known(arg))
		return true;
	/* a network's name may have "=" in it */
	for (p = strchr(arg, '='); p; p = strchr(p + 1, '='))
		if (p > arg && line_net_known(p + 1)) {
			*out = (struct network_wish){.card = arg, .card_bytes = (size_t)(p - arg), .net = p + 1};
			return true;
		}
	return false;
}

/* The ways in which a wish names a card, the most exact one last. */
enum fit { FIT_NONE, FIT_ALL, FIT_KIND, FIT_NETWORK, FIT_CARD };

static enum fit fit_of(const struct network_wish *w, const struct described_nic *n, size_t number)
{
	AUTO_FREE char *card = w->card ? xasprintf("%.*s", (int)w->card_bytes, w->card) : NULL, *own = xasprintf("#%zu", number);
	struct described_nic named = {.has_mac = false};

	if (!card)
		return FIT_ALL;
	if (!strcmp(card, own) || (n->has_mac && described_mac(&named, card) && !memcmp(named.mac, n->mac, sizeof(n->mac))))
		return FIT_CARD;
	if (n->network && !strcmp(card, n->network))
		return FIT_NETWORK;
	return n->kind && !strcmp(card, n->kind) ? FIT_KIND : FIT_NONE;
}

char *network_there(const struct described_nic *n)
{
	if (n->network)
		return xasprintf("%s%s'%.60s'", n->kind ? n->kind : "", n->kind ? " " : "", n->network);
	return n->kind ? xasprintf("'%.60s'", n->kind) : NULL;
}

static void list_cards(FILE *f, const struct guest_description *d)
{
	for (size_t i = 0; i < d->nic_count; i++) {
		const struct described_nic *n = &d->nics[i];
		AUTO_FREE char *there = network_there(n);

		fprintf(f, "%s#%zu", i ? ", " : "", i + 1);
		if (n->has_mac)
			fprintf(f, " %02x:%02x:%02x:%02x:%02x:%02x", n->mac[0], n->mac[1], n->mac[2], n->mac[3], n->mac[4], n->mac[5]);
		if (there)
			fprintf(f, " on %s", there);
	}
}

static int no_such_card(const struct guest_description *d, const struct network_wish *w, struct err *e)
{
	AUTO_FREE char *cards = NULL;
	size_t size;
	FILE *f = open_memstream(&cards, &size);

	list_cards(f, d);
	fclose(f);
	return err_set(e, EINVAL, "--net %.*s: the guest has no such network card or network; it has %s", (int)MIN(w->card_bytes, 60),
		       w->card, d->nic_count ? cards : "none");
}

static int choose(const char **net, const struct guest_description *d, const struct network_wish *w, size_t n, size_t i, bool *used,
		  enum fit *best, struct err *e)
{
	*net = NETWORKS_DEFAULT;
	*best = FIT_NONE;
	for (size_t k = 0; k < n; k++) {
		enum fit fit = fit_of(&w[k], &d->nics[i], i + 1);

		used[k] |= fit != FIT_NONE;
		if (fit == FIT_NONE || fit < *best)
			continue;
		if (fit == *best && fit > FIT_ALL && strcmp(*net, w[k].net) != 0)
			return err_set(e, EINVAL, "--net says of network card #%zu both %s and %s", i + 1, *net, w[k].net);
		*best = fit;
		*net = w[k].net;
	}
	return 0;
}

/* Networks that were apart are so for a reason: the cards of a firewall, say. QEMU's NAT is one of its own for each card. */
static void note_joined(struct guest_description *d, const char *const *nets, bool any_said)
{
	size_t i, k;

	for (i = 0; i < d->nic_count; i++)
		for (k = 0; k < i; k++) {
			AUTO_FREE char *one = network_there(&d->nics[k]), *other = network_there(&d->nics[i]);
			bool joined = !strcmp(nets[i], nets[k]) && !strncmp(nets[i], "bridge=", 7);

			if (!one || !other || !strcmp(one, other) || (any_said && !joined))
				continue;
			description_note(d,
					 "network cards #%zu and #%zu were on %s and %s there%s: --net CARD=WHAT attaches each to its own",
					 k + 1, i + 1, one, other, joined ? ", and are on one network here" : "");
			return;
		}
}

int networks_choose(const char *nets[GUEST_NICS_MAX], struct guest_description *d, const struct network_wish *w, size_t n, struct err *e)
{
	AUTO_FREE bool *used = xcalloc(n + 1, sizeof(*used));
	enum fit best[GUEST_NICS_MAX];
	bool any_named = false;
	int r;

	for (size_t i = 0; i < d->nic_count; i++) {
		r = choose(&nets[i], d, w, n, i, used, &best[i], e);
		if (r)
			return r;
		any_named |= best[i] > FIT_ALL;
	}
	for (size_t i = 0; i < n; i++)
		if (w[i].card && !used[i])
			return no_such_card(d, &w[i], e);
	for (size_t i = 0; i < d->nic_count; i++) {
		AUTO_FREE char *there = network_there(&d->nics[i]);

		if (any_named && best[i] == FIT_NONE)
			description_note(d, "--net does not say where network card #%zu%s%s goes: it is on %s", i + 1,
					 there ? ", there on " : "", there ? there : "", nets[i]);
	}
	note_joined(d, nets, n > 0);
	return 0;
}

void networks_offer(const char *const *nets, struct guest_description *d)
{
	for (size_t i = 0; i < d->nic_count; i++) {
		const struct described_nic *n = &d->nics[i];
		AUTO_FREE char *net = n->network ? xasprintf("bridge=%s", n->network) : NULL, *path = NULL;

		if (!net || !line_net_known(net) || !n->kind || strcmp(n->kind, "bridge") || !strcmp(nets[i], net))
			continue;
		path = xasprintf("/sys/class/net/%s/bridge", n->network);
		if (!access(path, F_OK))
			description_note(d, "network card #%zu was on the bridge %s, and one of that name is here: --net %s=bridge=%s",
					 i + 1, n->network, n->network, n->network);
	}
}
