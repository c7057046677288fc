/* place.c: see place.h. */
#include "place.h"
#include "util.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct place_offer *offer_of(const struct place *p, size_t guest, size_t host)
{
	return &p->offers[guest * p->host_count + host];
}

/* ---- what would be left ---- */

static uint64_t taken_of(const struct place_host *h, uint64_t device)
{
	for (size_t i = 0; i < h->taken_count; i++)
		if (h->taken[i].device == device)
			return h->taken[i].need;
	return 0;
}

static struct place_rating impossible(char *words)
{
	return (struct place_rating){.words = words};
}

/* Takes the share into the rating if it is the smallest. */
static void note_share(struct place_rating *r, double left, const char *what)
{
	if (r->words && left >= r->left) {
		r->next = fmin(r->next, left);
		return;
	}
	r->next = r->words ? r->left : INFINITY;
	free(r->words);
	r->left = left;
	r->words = xasprintf("%s %.0f %%", what, floor(left * 100));
}

static bool rate_memory(const struct place *p, const struct place_guest *g, const struct place_host *h, struct place_rating *r)
{
	uint64_t need = g->memory + h->memory_taken + p->keep_memory;
	char a[24], b[24];

	if (!h->memory_total)
		return true;
	if (need > h->memory_free) {
		uint64_t others = h->memory_taken + p->keep_memory;

		*r = impossible(xasprintf("the guest has %s of memory, and %s is left there", format_bytes(a, g->memory),
					  format_bytes(b, h->memory_free - MIN(h->memory_free, others))));
		return false;
	}
	note_share(r, (double)(h->memory_free - need) / (double)h->memory_total, "memory");
	return true;
}

/* Rates the processors that remain: guests may have more than there are, so none may be left, and the place is still possible. */
static void rate_processors(const struct place_guest *g, const struct place_host *h, struct place_rating *r)
{
	if (h->processors > 0)
		note_share(r, fmax(0, 1 - (h->load + h->processors_taken + g->processors) / h->processors), "processors");
}

static bool rate_room(const struct place_offer *o, const struct place_host *h, struct place_rating *r)
{
	for (size_t i = 0; i < o->volume_count; i++) {
		const struct place_volume *v = &o->volumes[i];
		uint64_t need = v->need + taken_of(h, v->device);
		AUTO_FREE char *what = xasprintf("room in %s", v->dir);
		char a[24], b[24];

		if (!v->total)
			continue;
		if (need > v->free) {
			free(r->words);
			*r = impossible(xasprintf("the guest's disks need %s in %s, and %s is left there", format_bytes(a, v->need), v->dir,
						  format_bytes(b, v->free - MIN(v->free, need - v->need))));
			return false;
		}
		note_share(r, (double)(v->free - need) / (double)v->total, what);
	}
	return true;
}

struct place_rating place_rate(const struct place *p, size_t guest, size_t host)
{
	const struct place_offer *o = offer_of(p, guest, host);
	const struct place_host *h = &p->hosts[host];
	struct place_rating r = {.words = NULL};

	if (!o->possible)
		return impossible(xstrdup(o->reason ?: "the guest cannot go there"));
	if (!rate_memory(p, &p->guests[guest], h, &r))
		return r;
	rate_processors(&p->guests[guest], h, &r);
	if (!rate_room(o, h, &r))
		return r;
	r.possible = true;
	r.words = r.words ?: xstrdup("nothing is known of that host");
	r.stars = (unsigned)fmin(PLACE_STARS, 1 + floor(r.left * PLACE_STARS));
	return r;
}

/* ---- rules ---- */

/* True if the rule keeps a guest from this host, as another guest that it names is at that host. */
static bool keeps_away(const struct fleet_rule *rule, const char *other, bool there, char **words)
{
	if (!rule_names(rule, other) || there != (rule->kind == RULE_APART))
		return false;
	*words = xasprintf("%s goes %s, and a rule has them %s", other, there ? "there" : "elsewhere", there ? "apart" : "together");
	return true;
}

/* chosen: where each guest was placed; host_count: nowhere yet. */
static bool rule_against(const struct place *p, const size_t *chosen, size_t guest, size_t host, char **words)
{
	size_t i, k;

	for (i = 0; p->rules && i < p->rules->count; i++) {
		const struct fleet_rule *rule = &p->rules->list[i];

		if ((rule->kind != RULE_APART && rule->kind != RULE_TOGETHER) || !rule_names(rule, p->guests[guest].name))
			continue;
		for (k = 0; k < p->guest_count; k++)
			if (k != guest && chosen[k] != p->host_count && keeps_away(rule, p->guests[k].name, chosen[k] == host, words))
				return true;
		for (k = 0; k < p->settled_count; k++)
			if (strcmp(p->settled[k].guest, p->guests[guest].name) &&
			    keeps_away(rule, p->settled[k].guest, p->settled[k].host == host, words))
				return true;
	}
	return false;
}

static bool are_together(const struct place *p, size_t a, size_t b)
{
	for (size_t i = 0; p->rules && i < p->rules->count; i++)
		if (p->rules->list[i].kind == RULE_TOGETHER && rule_names(&p->rules->list[i], p->guests[a].name) &&
		    rule_names(&p->rules->list[i], p->guests[b].name))
			return true;
	return false;
}

/* The first of a guest's companions that would have no room there beside it; NULL: all have. */
static const struct place_guest *companion_without_place(struct place *p, const size_t *chosen, size_t guest, size_t host)
{
	struct place_host was = p->hosts[host];
	const struct place_guest *without = NULL;

	p->hosts[host].memory_taken += p->guests[guest].memory;
	for (size_t i = 0; i < p->guest_count && !without; i++) {
		struct place_rating r;

		if (i == guest || chosen[i] != p->host_count || !are_together(p, guest, i))
			continue;
		r = place_rate(p, i, host);
		if (!r.possible)
			without = &p->guests[i];
		free(r.words);
		p->hosts[host].memory_taken += p->guests[i].memory;
	}
	p->hosts[host] = was;
	return without;
}

static void apply_rules(struct place *p, const size_t *chosen, size_t guest, size_t host, struct place_rating *r)
{
	const struct place_guest *without;
	char *words = NULL;

	if (!r->possible)
		return;
	if (!rule_against(p, chosen, guest, host, &words)) {
		without = companion_without_place(p, chosen, guest, host);
		if (!without)
			return;
		words = xasprintf("%s is to be with it, and cannot go there", without->name);
	}
	free(r->words);
	*r = impossible(words);
}

/* ---- all ---- */

/* Above 0: a is better. */
static double compare(const struct place *p, size_t guest, const struct place_rating *ratings, size_t a, size_t b)
{
	double left = ratings[a].left - ratings[b].left, next = ratings[a].next == ratings[b].next ? 0 : ratings[a].next - ratings[b].next;
	double faster = offer_of(p, guest, b)->total_s - offer_of(p, guest, a)->total_s;
	bool a_is_empty = ratings[a].left >= PLACE_FULL_LEAST, b_is_empty = ratings[b].left >= PLACE_FULL_LEAST;

	switch (p->wish) {
	case PLACE_FAST:
		return faster != 0 ? faster : left;
	case PLACE_FULL:
		return a_is_empty != b_is_empty ? (a_is_empty ? 1 : -1) : a_is_empty ? -left : left;
	case PLACE_EVEN:
		break;
	}
	return left != 0 ? left : next != 0 ? next : faster;
}

/* The possible hosts, the best first; of equals the one that was named first. */
static void rank(const struct place *p, size_t guest, const struct place_rating *ratings, size_t *ranks)
{
	size_t n = 0, h, k;

	for (h = 0; h < p->host_count; h++) {
		if (!ratings[h].possible)
			continue;
		for (k = n; k > 0 && compare(p, guest, ratings, h, ranks[k - 1]) > 0; k--)
			ranks[k] = ranks[k - 1];
		ranks[k] = h;
		n++;
	}
	for (; n < p->host_count; n++)
		ranks[n] = p->host_count;
}

static void take_room(struct place_host *h, const struct place_volume *v)
{
	size_t i;

	for (i = 0; i < h->taken_count && h->taken[i].device != v->device; i++)
		;
	if (i == PLACE_VOLUMES_MAX)
		return;
	if (i == h->taken_count)
		h->taken[h->taken_count++] = (struct place_volume){.device = v->device};
	h->taken[i].need += v->need;
}

static void put_there(struct place *p, size_t guest, size_t host)
{
	const struct place_offer *o = offer_of(p, guest, host);

	p->hosts[host].memory_taken += p->guests[guest].memory;
	p->hosts[host].processors_taken += p->guests[guest].processors;
	for (size_t i = 0; i < o->volume_count; i++)
		take_room(&p->hosts[host], &o->volumes[i]);
}

/* Companions of the guest that was placed last come before another takes their room; else it is the largest that has no place yet. guest_count: all were
 * tried. */
static size_t next_guest(const struct place *p, const bool *tried, size_t last)
{
	size_t best = p->guest_count, i;

	for (i = 0; i < p->guest_count; i++)
		if (last < p->guest_count && !tried[i] && are_together(p, last, i))
			return i;
	for (i = 0; i < p->guest_count; i++)
		if (!tried[i] && (best == p->guest_count || p->guests[i].memory > p->guests[best].memory))
			best = i;
	return best;
}

void place_all(struct place *p, size_t *ranks, struct place_rating *ratings)
{
	AUTO_FREE bool *tried = xcalloc(p->guest_count + 1, sizeof(*tried));
	AUTO_FREE size_t *chosen = xcalloc(p->guest_count + 1, sizeof(*chosen));
	size_t g, h, last = p->guest_count;

	for (g = 0; g < p->guest_count; g++)
		chosen[g] = p->host_count;
	while ((g = next_guest(p, tried, last)) < p->guest_count) {
		struct place_rating *own = &ratings[g * p->host_count];
		size_t *order = &ranks[g * p->host_count];

		tried[g] = true;
		last = g;
		for (h = 0; h < p->host_count; h++) {
			own[h] = place_rate(p, g, h);
			apply_rules(p, chosen, g, h, &own[h]);
		}
		rank(p, g, own, order);
		chosen[g] = order[0];
		if (order[0] < p->host_count)
			put_there(p, g, order[0]);
	}
}

void place_free_ratings(struct place_rating *ratings, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(ratings[i].words);
}
