/* replica-onward.c: see replica-onward.h. */
#include "replica-onward.h"
#include "exit-code.h"
#include "json-text.h"
#include "log.h"
#include "merge.h"
#include "onward.h"
#include "points-note.h"
#include "replica-ask.h"
#include "replica-note.h"
#include "replica-whereabouts.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- add ---- */

/* Points of a guest that is elsewhere. */
static bool has_points(const struct replica_conf *c, const char *guest)
{
	AUTO_FREE char *dir = replica_store(c->state_dir, guest);
	struct points p = {.dir = NULL};
	struct err ignored;
	bool yes = dir && !points_read(&p, dir, &ignored) && points_newest(&p) && !json_object_get(p.replica, "run") &&
		   !points_are_vacant(&p) && !replica_check_no_guest_runs(guest, &ignored);

	points_close(&p);
	return yes;
}

const char *replica_onward_misses(const struct replica_conf *c)
{
	return c->freezes ? "freeze" : c->spool ? "spool" : c->o.disks.map.count ? "disk" : NULL;
}

int replica_onward_choose(struct replica_conf *c, const char *guest)
{
	struct err e;

	free(c->settings_dir);
	c->settings_dir = xstrdup(c->state_dir);
	if (!has_points(c, guest))
		return 0;
	if (replica_onward_misses(c)) {
		fprintf(stderr,
			"vmferry replica: --%s is for where the guest runs: this host has points of guest %s, and these go on as they are\n",
			replica_onward_misses(c), guest);
		return EXIT_USAGE;
	}
	replica_conf_goes_on(c);
	c->pair = NULL;
	return replica_conf_take_store(c, guest, &e) ? replica_say(&e) : 0;
}

/* ---- whether it was taken over there ---- */

/* Asks the further host now; -ENOENT: there are no settings any more by which it could be. Its answer is noted in the store. */
static int ask_now(const struct replica_conf *c, const char *guest, struct err *e)
{
	AUTO_FREE char *taken = NULL;
	struct replica_conf on;
	struct err why;
	bool settled;
	int r;

	replica_conf_init(&on);
	on.o.dirs.state = c->state_dir;
	on.o.dirs.runtime = c->runtime_dir;
	r = replica_conf_dirs(&on, e) ?: replica_conf_load(&on, guest, e);
	if (!r && !on.goes_on)
		r = err_set(e, ENOENT, "its points do not go on any more");
	r = r ?: replica_ask(&on, guest, &taken, &settled, e);
	if (!r && !taken)
		r = replica_note_replaced(&on, guest, false, e);
	else if (!r && settled && replica_note_replaced(&on, guest, true, &why)) /* a takeover counts, whoever vouches for that host */
		fprintf(stderr, "vmferry: %s\n", why.msg);
	replica_conf_fini(&on);
	return r || !taken ? r : err_set(e, EBUSY, "%s", taken);
}

/* Looks at the store of points. to: the host to which they go on, malloc'ed; NULL: none. *replaced: this host knows that the guest was
 * taken over there. Points that cannot be read do not hide that. */
static int look_at_store(const struct replica_conf *c, const char *guest, char **to, bool *replaced, struct err *e)
{
	AUTO_FREE char *dir = NULL;
	struct points p = {.dir = NULL};
	int r = points_look_up(c->state_dir, guest, &dir, e);

	*to = NULL;
	*replaced = false;
	if (!r && dir)
		r = points_read(&p, dir, e);
	if (p.replica && onward_to(&p)) {
		*to = xstrdup(onward_to(&p));
		*replaced = onward_replaced(&p);
	}
	r = r == -ENOENT || p.replica ? 0 : r;
	points_close(&p);
	return r;
}

/* ---- an attempt ---- */

/* *failed: the last attempt did, and is to be noted as over. */
static bool is_there(const struct replica_conf *c, const char *guest, const struct point *newest, bool *failed)
{
	json_auto_t *state = replica_state_load(c->settings_dir, guest);
	bool yes = newest && json_integer_value(json_object_get(state, "point")) == (json_int_t)newest->number &&
		   json_integer_value(json_object_get(state, "at_ms")) == newest->at_ms;

	*failed = json_object_get(state, "reason");
	return yes;
}

/* The further host is noted before it has a point: whoever asks this host has to be told of it. */
static int note_where(const struct replica_conf *c, const struct points *p, struct err *e)
{
	const char *known = onward_to(p);

	return known && !strcmp(known, c->to) ? 0 : onward_begin(c->store, c->to, 0, e);
}

/* A run there that was thrown away stands in nobody's way any more. */
static int ask_again(struct replica_conf *c, const char *guest, struct err *e)
{
	AUTO_FREE char *taken = NULL;
	bool settled;
	int r = replica_ask(c, guest, &taken, &settled, e);

	if (r)
		return err_prefix(e, "guest %s was taken over at %s, and vmferry cannot tell whether it still is", guest, c->to);
	c->sync.outcome.replaced = taken;
	return taken ? err_set(e, ESTALE, "guest %s: %s", guest, taken) : replica_note_replaced(c, guest, false, e);
}

static int refuse(struct replica_conf *c, const char *guest, const struct err *why)
{
	c->sync.outcome.event = json_pack("{s:s}", "reason", why->msg);
	replica_note(c, guest, EXIT_REFUSED);
	return replica_say(why);
}

/* A further host that gets nothing new would not say that the guest was taken over, so it is asked. One that is not reached by SSH cannot be. */
static int ask_of_nothing_new(struct replica_conf *c, const char *guest, uint64_t number, struct err *e)
{
	int r = dest_kind(c->to) == DEST_STANDING ? 0 : ask_now(c, guest, e);
	json_t *o;

	c->sync.outcome.replaced = r == -EBUSY;
	if (r)
		return err_prefix(e, "guest %s", guest);
	if (c->o.events.json) {
		o = json_pack("{s:s,s:s,s:s,s:I}", "event", "result", "outcome", "there-already", "guest", guest, "point",
			      (json_int_t)number);
		json_text_print(o);
		json_decref(o);
	} else {
		printf("%s: there is no newer point here than %llu, which is at %s\n", guest, (unsigned long long)number, c->to);
	}
	return 0;
}

int replica_onward_begin(struct replica_conf *c, const char *guest)
{
	struct points p = {.dir = NULL};
	struct err e;
	bool there = false, failed = false;
	int r = replica_conf_take_store(c, guest, &e);

	if (!r && points_tidy_at(c->store, &e)) /* a merge that was cut off; who makes points does that, too, unless it is lost */
		log_info("%s", e.msg);
	r = r ?: points_read(&p, c->store, &e);
	if (!r && onward_replaced(&p) && strcmp(onward_to(&p), c->to) != 0)
		r = err_set(&e, ESTALE, "guest %s was taken over at %s, to which its points went on from here before", guest,
			    onward_to(&p));
	else if (!r && onward_replaced(&p))
		r = ask_again(c, guest, &e);
	if (!r)
		there = !c->sync.whole && is_there(c, guest, points_newest(&p), &failed);
	if (there)
		r = ask_of_nothing_new(c, guest, points_newest(&p)->number, &e);
	if (there && !r && failed)
		replica_note(c, guest, 0);
	r = r || there ? r : note_where(c, &p, &e);
	points_close(&p);
	return r ? refuse(c, guest, &e) : there ? 0 : REPLICA_GOES_ON;
}

int replica_onward_end(struct replica_conf *c, int code)
{
	struct err e;
	int r = 0;

	c->sync.outcome.durable |= c->sync.outcome.was_there;
	if (c->sync.outcome.durable)
		r = onward_begin(c->store, c->to, c->sync.outcome.number, &e);
	else if (c->sync.outcome.replaced)
		r = onward_set_replaced(c->store, true, &e);
	if (r)
		fprintf(stderr, "vmferry: %s\n", e.msg);
	return c->sync.outcome.was_there ? 0 : code;
}

/* ---- its end ---- */

static char *dir_of(const char *state_dir)
{
	return xasprintf("%s/onward", state_dir);
}

bool replica_onward_has(const char *state_dir, const char *guest)
{
	AUTO_FREE char *dir = dir_of(state_dir), *conf = replica_path(dir, guest, "conf");

	return !access(conf, F_OK);
}

static int forget(const char *state_dir, const char *guest, struct err *e)
{
	AUTO_FREE char *dir = dir_of(state_dir), *conf = replica_path(dir, guest, "conf"), *store = replica_store(state_dir, guest);
	int r = store ? onward_end(store, e) : 0;

	if (!r && unlink(conf) && errno != ENOENT)
		r = err_sys(e, errno, "cannot remove %s", conf);
	if (!r)
		replica_forget(dir, guest);
	return r;
}

void replica_onward_forget(const char *state_dir, const char *guest)
{
	struct err e;

	if (replica_onward_has(state_dir, guest) && forget(state_dir, guest, &e))
		fprintf(stderr, "vmferry: %s\n", e.msg);
}

/* Checks before the removal whether the guest was taken over there. A takeover that is noted here, or gets noted now, is kept: *taken. */
static int ask_before_removal(const struct replica_conf *c, const char *guest, bool *taken, struct err *e)
{
	AUTO_FREE char *alone = NULL, *to = NULL, *noted = NULL;
	struct err ignored;
	int r = look_at_store(c, guest, &to, taken, e);

	if (r || *taken || c->once.fenced)
		return r;
	r = replica_check_not_taken(c, guest, &alone, e);
	if (r == -EBUSY && !look_at_store(c, guest, &noted, taken, &ignored) && *taken)
		return 0;
	return alone ? err_set(e, EAGAIN,
			       "%s. Remove it once that host can be asked (if it certainly was not taken over there: --peer-is-fenced)",
			       alone)
		     : r;
}

/* Afterwards nobody who asks this host hears of the further one. */
int replica_onward_remove(struct replica_conf *c, const char *guest)
{
	AUTO_FREE char *to = NULL, *known = NULL;
	struct err e;
	bool taken = false;
	int r = replica_conf_load(c, guest, &e);

	if (!r && ask_before_removal(c, guest, &taken, &e))
		r = err_prefix(&e, "guest %s", guest);
	to = r ? NULL : xstrdup(c->to);
	r = r ?: forget(c->state_dir, guest, &e);
	if (r)
		return replica_say(&e);
	known = taken ? xasprintf("the guest was taken over at %s, which stays known here", to)
		      : xasprintf("those at %s stay until vmferry replica remove %s there", to, guest);
	printf("%s: its points do not go on from here any more; %s. Points here stay: the same command once more removes them\n", guest,
	       known);
	return 0;
}

int replica_onward_may_run(const struct replica_conf *c, const char *guest, struct err *e)
{
	AUTO_FREE char *to = NULL;
	bool replaced;
	int r = look_at_store(c, guest, &to, &replaced, e);

	if (r)
		return r;
	r = to ? ask_now(c, guest, e) : 0;
	if (!r || r == -EBUSY || c->once.further_fenced)
		return r == -EBUSY ? r : 0;
	if (replaced)
		return err_set(
			e, EBUSY,
			"the guest was taken over at %s, to which its points went on from here, and vmferry cannot tell whether it still "
			"is (if it certainly does not run there: --further-is-fenced)",
			to);
	return err_prefix(e, "the guest's points go on from here to %s, and vmferry cannot tell whether it was taken over there", to),
	       -EAGAIN;
}

int replica_onward_check_not_taken(const struct replica_conf *c, const char *guest)
{
	struct err e;
	int r = replica_onward_may_run(c, guest, &e);

	if (!r)
		return 0;
	err_prefix(&e, "guest %s", guest);
	if (r != -EAGAIN)
		return replica_say(&e);
	fprintf(stderr, "vmferry: %s (if it certainly does not run there: --further-is-fenced)\n", e.msg);
	return EXIT_REFUSED;
}

static void print_answer(const struct replica_conf *c, const char *guest, const char *taken, bool settled, const char *unknown)
{
	json_t *o;

	if (c->o.events.json) {
		o = json_pack("{s:s,s:s,s:b,s:s*,s:b,s:s*}", "guest", guest, "asked", c->to, "taken_over", taken != NULL, "taken", taken,
			      "settled", settled, "unknown", unknown);
		json_text_print(o);
		json_decref(o);
	} else if (unknown) {
		printf("%s: cannot tell whether it was taken over at %s: %s\n", guest, c->to, unknown);
	} else {
		printf("%s: %s%s\n", guest, taken ?: "it was not taken over at ", taken ? "" : c->to);
	}
}

int replica_onward_ask(struct replica_conf *c, int argc, char **argv)
{
	AUTO_FREE char *taken = NULL;
	bool settled = false;
	struct err e;
	int r = replica_conf_load(c, argv[0], &e);

	(void)argc;
	if (r)
		return replica_say(&e);
	r = replica_ask(c, argv[0], &taken, &settled, &e);
	if (!r && taken && settled && replica_note_replaced(c, argv[0], true, &e))
		fprintf(stderr, "vmferry: %s\n", e.msg);
	print_answer(c, argv[0], taken, settled, r ? e.msg : NULL);
	return r || taken ? EXIT_REFUSED : 0;
}
