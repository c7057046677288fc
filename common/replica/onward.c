/* onward.c: see onward.h. */
#include "onward.h"
#include "json-text.h"
#include "moment.h"
#include "paths.h"
#include "program-run.h"
#include "util.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ASK_MS	   60000
#define ANSWER_MAX 16384

static const json_t *onward_of(const struct points *p)
{
	return json_object_get(p->replica, "onward");
}

const char *onward_to(const struct points *p)
{
	return json_text(onward_of(p), "to");
}

uint64_t onward_number(const struct points *p)
{
	json_int_t n = json_integer_value(json_object_get(onward_of(p), "number"));

	return n > 0 ? (uint64_t)n : 0;
}

const char *onward_replaced(const struct points *p)
{
	return json_text(onward_of(p), "replaced");
}

int onward_check(const struct points *p, const char *pair, struct err *e)
{
	const char *guest = json_text(p->replica, "guest") ?: "?", *its = json_text(p->replica, "pair") ?: "";

	if (json_object_get(p->replica, "run") || points_are_vacant(p))
		return err_set(
			e, ESTALE,
			"guest %s was taken over here, so no point of its primary goes on from here. Once it has disks of its own (vmferry replica "
			"failover %s --complete) its replica is made of those: vmferry replica reverse %s, to the same host",
			guest, guest, guest);
	return pair && strcmp(its, pair)
		       ? err_set(e, ESTALE,
				 "the points of guest %s in %s are another replica's than the one that went on from here: vmferry replica remove %s, then add",
				 guest, p->dir, guest)
		       : 0;
}

/* Opens and locks the store; the caller calls points_close(), and closes *lock. */
static int open_store(struct points *p, const char *dir, int *lock, struct err *e)
{
	*p = (struct points){.dir = NULL};
	*lock = -1;
	return points_lock(dir, lock, e) ?: points_read(p, dir, e);
}

static void close_store(struct points *p, int lock)
{
	points_close(p);
	if (lock >= 0)
		close(lock);
}

static json_int_t term_of(const json_t *o)
{
	return json_integer_value(json_object_get(o, "term"));
}

json_int_t onward_own_term(const struct points *p)
{
	const json_t *raised = onward_replaced(p) ? onward_of(p) : json_object_get(p->replica, "run");

	return !raised ? term_of(p->replica)
		       : MAX(json_integer_value(json_object_get(raised, onward_replaced(p) ? "term" : "term_before")), 1);
}

/* Raises the term that --cancel goes back to when a run from here is thrown away: that run has raised the store's own term already. */
static void raise_below(json_t *run, json_int_t own)
{
	json_object_set_new(run, "term_before", json_integer(own + 1));
}

/* A takeover there raises the term here, which versions of vmferry that know nothing of further hosts understand, too. */
static void set_replaced(struct points *p)
{
	json_t *now = json_object_get(p->replica, "onward"), *run = json_object_get(p->replica, "run");
	json_int_t own = onward_own_term(p);
	char at[MOMENT_TEXT];

	if (onward_replaced(p))
		return;
	json_object_set_new(now, "replaced", json_string(moment_text(at, time(NULL))));
	json_object_set_new(now, "term", json_integer(own));
	if (run)
		raise_below(run, own);
	else
		json_object_set_new(p->replica, "term", json_integer(own + 1));
}

/* Forgets that the guest was taken over further on. While it runs here, or is here to stay, the term was raised, too: then that stays
 * known. */
static void unset_replaced(struct points *p)
{
	json_t *now = json_object_get(p->replica, "onward");

	if (!onward_replaced(p) || json_object_get(p->replica, "run") || points_are_over(p))
		return;
	json_object_set_new(p->replica, "term", json_integer(onward_own_term(p)));
	json_object_del(now, "replaced");
	json_object_del(now, "term");
}

static int write_store(struct points *p, struct err *e)
{
	return points_set(p, "term", json_incref(json_object_get(p->replica, "term")), e);
}

int onward_begin(const char *dir, const char *to, uint64_t number, struct err *e)
{
	struct points p;
	int lock, r = open_store(&p, dir, &lock, e);

	if (!r && onward_of(&p))
		unset_replaced(&p);
	if (!r && !onward_replaced(&p)) {
		json_object_set_new(p.replica, "onward", json_pack("{s:s,s:I}", "to", to, "number", (json_int_t)number));
		r = write_store(&p, e);
	}
	close_store(&p, lock);
	return r;
}

int onward_set_replaced(const char *dir, bool replaced, struct err *e)
{
	struct points p;
	int lock, r = open_store(&p, dir, &lock, e);

	if (!r && onward_of(&p) && replaced != (onward_replaced(&p) != NULL)) {
		if (replaced)
			set_replaced(&p);
		else
			unset_replaced(&p);
		r = write_store(&p, e);
	}
	close_store(&p, lock);
	return r;
}

int onward_end(const char *dir, struct err *e)
{
	struct points p;
	int lock, r = open_store(&p, dir, &lock, e);

	if (!r && onward_of(&p) && !onward_replaced(&p)) {
		json_object_del(p.replica, "onward");
		r = write_store(&p, e);
	}
	close_store(&p, lock);
	return r == -ENOENT ? 0 : r;
}

void onward_is_over(const char *state_dir, const char *guest, struct points *p)
{
	static const char *const suffixes[] = {"conf", "json", "history"};
	AUTO_FREE char *name = path_with_name("%n", guest);

	json_object_del(p->replica, "onward");
	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
		AUTO_FREE char *path = xasprintf("%s/onward/replica/%s.%s", state_dir, name, suffixes[i]);

		unlink(path);
	}
}

/* ---- asking the further host ---- */

struct answer {
	char text[ANSWER_MAX];
	size_t n;
};

static void hear(void *ctx, const char *text, size_t n)
{
	struct answer *a = ctx;

	n = MIN(n, sizeof(a->text) - 1 - a->n);
	memcpy(a->text + a->n, text, n);
	a->n += n;
}

static void hear_nothing(void *ctx, const char *text, size_t n)
{
	(void)ctx, (void)text, (void)n;
}

json_t *onward_ask(const char *state_dir, const char *guest)
{
	AUTO_FREE char *program = program_beside("vmferry");
	AUTO_FREE struct answer *said = xcalloc(1, sizeof(*said));
	char *argv[] = {program,      (char *)"replica", (char *)"ask", (char *)"--json", (char *)"--state-dir", (char *)state_dir,
			(char *)"--", (char *)guest,	 NULL};
	const struct program_run run = {.argv = argv, .output = hear, .output_ctx = said, .error = hear_nothing, .timeout_ms = ASK_MS};
	struct err e;
	int status, r = program_run(&run, &status, &e);
	json_t *o = r ? NULL : json_loads(said->text, JSON_REJECT_DUPLICATES, NULL);

	if (json_is_boolean(json_object_get(o, "taken_over")))
		return o;
	json_decref(o);
	return json_pack("{s:s}", "unknown", r ? e.msg : "the vmferry there gives no answer (vmferry replica ask)");
}
