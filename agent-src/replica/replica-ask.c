/* replica-ask.c: see replica-ask.h. */
#include "replica-ask.h"
#include "dest-connect.h"
#include "json-text.h"
#include "onward.h"
#include "points.h"
#include "points-note.h"
#include "replica-note.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The points there go on to a further host, which that one has asked; or which it knows to have taken the guest over, it or one that is further still. */
static int read_further(const struct replica_conf *c, const json_t *onward, const json_t *further, char **taken, bool *settled,
			struct err *e)
{
	AUTO_FREE char *to = text_shown(json_text(onward, "to") ?: "?"), *said = NULL;

	if (json_text(onward, "replaced")) {
		*settled = true;
		*taken = xasprintf("it was taken over at %s, to which its replica at %s goes on, or further on", to, c->to);
		return 0;
	}
	if (!further || json_text(further, "unknown")) {
		said = text_shown(json_text(further, "unknown") ?: "it says nothing of that");
		return err_set(e, EHOSTUNREACH, "its points go on from there to %s: %s", to, said);
	}
	if (json_text(further, "taken")) {
		said = text_shown(json_text(further, "taken"));
		*settled = json_is_true(json_object_get(further, "settled"));
		*taken = xasprintf("its points go on from %s to %s, and %s", c->to, to, said);
	}
	return 0;
}

/*
 * A primary's term rises with each takeover, also with one at a further host. The store of points that go on from here has no higher term than those, unless the
 * guest was taken over there, or at one that is further still and has its replica there now.
 */
static bool is_not_taken_there(const json_t *o, json_int_t term)
{
	return !json_is_true(json_object_get(o, "taken_over")) &&
	       (json_text(json_object_get(o, "onward"), "replaced") || json_integer_value(json_object_get(o, "term")) <= term);
}

/* Reads this host's term, by which the other host's is judged. */
static int know_term(const struct replica_conf *c, const char *guest, json_int_t *term, struct err *e)
{
	AUTO_FREE char *dir = c->goes_on ? replica_store(c->state_dir, guest) : NULL;
	struct points p = {.dir = NULL};
	int r = dir ? points_read(&p, dir, e) : 0;

	*term = p.replica ? onward_own_term(&p) : (json_int_t)c->term;
	r = p.replica ? 0 : r;
	points_close(&p);
	return r ? (e->code = EIO, -EIO) : 0;
}

/* A store's answer about this pair. -ENOENT: it has, and had, other pairs alone. */
static int read_answer(const struct replica_conf *c, const char *guest, const json_t *o, char **taken, bool *settled, struct err *e)
{
	json_int_t term, is = json_integer_value(json_object_get(o, "term")), past;
	const char *at = json_text(o, "taken_over_at");
	AUTO_FREE char *when = at ? text_shown(at) : NULL;
	bool is_its = !strcmp(json_text(o, "pair") ?: "", c->pair);
	int r = know_term(c, guest, &term, e);

	if (r)
		return r;
	past = points_replaced_in(json_object_get(o, "past"), c->pair, term);
	if (!is_its && !past)
		return err_set(e, ENOENT, "it has nothing of this replica");
	*settled = !is_its || !json_is_true(json_object_get(o, "unsettled"));
	if (is_its && is_not_taken_there(o, term))
		return json_object_get(o, "onward")
			       ? read_further(c, json_object_get(o, "onward"), json_object_get(o, "further"), taken, settled, e)
			       : 0;
	if (!*settled)
		*taken = xasprintf("a move of it to %s, where its replica is, is not over: vmferry recover", c->to);
	else
		*taken = xasprintf("it was taken over at %s in term %lld%s%s", c->to, (long long)(is_its ? is : past),
				   is_its && when ? ", at " : "", is_its && when ? when : "");
	return 0;
}

/* Points on this very host. */
static int ask_here(const struct replica_conf *c, const char *guest, char **taken, bool *settled, struct err *e)
{
	AUTO_FREE char *dir = NULL;
	struct points p = {.dir = NULL};
	json_t *o;
	int r = points_look_up(c->state_dir, guest, &dir, e);

	if (r)
		return e->code = EIO, -EIO;
	r = dir ? points_read(&p, dir, e) : err_set(e, ENOENT, "this host has no replica of it");

	if (json_integer_value(json_object_get(p.replica, "term")) > 0) {
		o = points_told(&p, c->state_dir);
		if (onward_to(&p) && !c->goes_on)
			json_object_set_new(o, "further", onward_ask(c->state_dir, guest));
		r = read_answer(c, guest, o, taken, settled, e);
		json_decref(o);
	} else if (dir && r) {
		e->code = EIO;
		r = -EIO;
	}
	points_close(&p);
	return r;
}

static int find_answer(const struct replica_conf *c, const char *guest, const json_t *list, char **taken, bool *settled, struct err *e)
{
	const json_t *one = json_find(list, "guest", guest);
	AUTO_FREE char *why = json_text(one, "error") ? text_shown(json_text(one, "error")) : NULL;

	return !one  ? err_set(e, ENOENT, "it has no replica of it")
	       : why ? err_set(e, EIO, "its points cannot be read there: %s", why)
		     : read_answer(c, guest, one, taken, settled, e);
}

/* The host is asked about that guest alone, and asks further where its points go on. */
static int ask_there(const struct replica_conf *c, const char *guest, char **taken, bool *settled, struct err *e)
{
	const char *const args[] = {"replicas", guest, NULL};
	struct dest_config cfg = c->o.dest;
	AUTO_FREE char *text = NULL;
	json_auto_t *all = NULL;
	int r;

	cfg.where = c->to;
	cfg.state_dir = c->state_dir;
	cfg.runtime_dir = c->runtime_dir;
	r = dest_ask(&cfg, args, &text, e);
	if (r)
		return r;
	all = json_loads(text, 0, NULL);
	if (json_is_array(json_object_get(all, "replicas")))
		r = find_answer(c, guest, json_object_get(all, "replicas"), taken, settled, e);
	else
		r = err_set(e, EIO, "its vmferry-dst says nothing that can be understood");
	return r;
}

int replica_ask(const struct replica_conf *c, const char *guest, char **taken, bool *settled, struct err *e)
{
	*taken = NULL;
	*settled = false;
	return dest_kind(c->to) == DEST_LOCAL ? ask_here(c, guest, taken, settled, e) : ask_there(c, guest, taken, settled, e);
}

int replica_note_replaced(const struct replica_conf *c, const char *guest, bool replaced, struct err *e)
{
	AUTO_FREE char *store = c->goes_on ? replica_store(c->state_dir, guest) : NULL;
	const char *dir = c->settings_dir ?: c->state_dir;
	int r, lock = replica_note_lock(dir, guest);
	json_t *state = replica_state_load(dir, guest) ?: json_object();

	json_object_set_new(state, "replaced", json_boolean(replaced));
	r = replica_state_save(dir, guest, state, e);
	if (!r && store)
		r = onward_set_replaced(store, replaced, e);
	json_decref(state);
	if (lock >= 0)
		close(lock);
	return r ? err_prefix(e, "cannot note that guest %s was%s taken over elsewhere", guest, replaced ? "" : " not") : 0;
}

static bool is_noted_replaced(const struct replica_conf *c, const char *guest)
{
	json_auto_t *state = replica_state_load(c->settings_dir ?: c->state_dir, guest);

	return json_is_true(json_object_get(state, "replaced"));
}

int replica_check_not_taken(const struct replica_conf *c, const char *guest, char **alone, struct err *e)
{
	AUTO_FREE char *taken = NULL;
	struct err why;
	bool settled;

	if (!replica_ask(c, guest, &taken, &settled, &why)) {
		if (taken && settled && replica_note_replaced(c, guest, true, &why))
			fprintf(stderr, "vmferry: %s\n", why.msg);
		if (!taken && is_noted_replaced(c, guest) && replica_note_replaced(c, guest, false, e)) /* that run was thrown away there */
			return -e->code;
		return taken ? err_set(e, EBUSY, "%s%s", taken, settled ? ", and what lies here is the old copy" : "") : 0;
	}
	if (why.code == EIO) /* the host has answered */
		return err_set(e, EIO, "cannot tell whether the guest was taken over at %s (if it certainly was not: --peer-is-fenced): %s",
			       c->to, why.msg);
	if (strcmp(c->start_alone, "yes") != 0)
		return err_set(e, EAGAIN,
			       "cannot tell whether the guest was taken over at %s, which is an obstacle (start-alone=no; if it certainly "
			       "was not: --peer-is-fenced): %s",
			       c->to, why.msg);
	*alone = xasprintf("cannot tell whether the guest was taken over at %s: %s", c->to, why.msg);
	return 0;
}
