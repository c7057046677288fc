/* replica-ask.c: see replica-ask.h. */
#include "replica-ask.h"
#include "dest-connect.h"
#include "json-text.h"
#include "list-host.h"
#include "points.h"
#include "util.h"

#include <errno.h>
#include <string.h>

/* What the store of the same pair says; others of that name are of another guest, or of another time. */
static char *sentence(const struct replica_conf *c, const json_t *o, bool *settled)
{
	json_int_t term = json_integer_value(json_object_get(o, "term"));
	const char *at = json_text(o, "taken_over_at");
	AUTO_FREE char *when = at ? text_shown(at) : NULL;

	if (strcmp(json_text(o, "pair") ?: "", c->pair) || (term <= (json_int_t)c->term && !json_is_true(json_object_get(o, "taken_over"))))
		return NULL;
	*settled = !json_is_true(json_object_get(o, "unsettled"));
	if (!*settled)
		return xasprintf("a move of it to %s, where its replica is, is not over: vmferry recover", c->to);
	return xasprintf("it was taken over at %s in term %lld%s%s", c->to, (long long)term, when ? ", at " : "", when ?: "");
}

/* Points on this very host. */
static int ask_here(const struct replica_conf *c, const char *guest, char **taken, bool *settled, struct err *e)
{
	AUTO_FREE char *dir = replica_store(c->state_dir, guest);
	struct points p = {.dir = NULL};
	json_t *o;
	int r = dir ? points_read(&p, dir, e) : 0;

	if (dir && !r) {
		o = points_told(&p, c->state_dir);
		*taken = sentence(c, o, settled);
		json_decref(o);
	}
	points_close(&p);
	return r;
}

static int ask_there(const struct replica_conf *c, const char *guest, char **taken, bool *settled, struct err *e)
{
	struct dest_config cfg = c->o.dest;
	json_t *all, *list, *one;
	size_t i;
	int r;

	cfg.where = c->to;
	cfg.state_dir = c->state_dir;
	cfg.runtime_dir = c->runtime_dir;
	r = list_host_ask(&cfg, &all, e);
	if (r)
		return r;
	list = json_object_get(all, "replicas");
	if (!json_is_array(list))
		r = err_set(e, EPROTO, "its vmferry-dst says nothing about replicas: is it an older one?");
	json_array_foreach(list, i, one) {
		AUTO_FREE char *why = text_shown(json_text(one, "error"));

		if (r || *taken || strcmp(json_text(one, "guest") ?: "", guest))
			continue;
		if (json_text(one, "error"))
			r = err_set(e, EIO, "its points cannot be read there: %s", why);
		else
			*taken = sentence(c, one, settled);
	}
	json_decref(all);
	return r;
}

int replica_ask(const struct replica_conf *c, const char *guest, char **taken, bool *settled, struct err *e)
{
	*taken = NULL;
	*settled = false;
	return dest_kind(c->to) == DEST_LOCAL ? ask_here(c, guest, taken, settled, e) : ask_there(c, guest, taken, settled, e);
}
