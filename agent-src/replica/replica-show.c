/* replica-show.c: see replica-show.h. */
#include "replica-show.h"
#include "exit-code.h"
#include "json-text.h"
#include "moment.h"
#include "onward.h"
#include "points.h"
#include "points-state.h"
#include "replica-health.h"
#include "replica-note.h"
#include "report.h"
#include "text-table.h"
#include "util.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define PLANNED_S 60.0 /* a plan is made so often at most */

/* Disks that the replica leaves out, by the names that its settings have. */
static json_t *left_out_of(const struct replica_conf *c)
{
	const struct option_list *l = &c->o.disks.map;
	json_t *out = json_array();

	for (unsigned i = 0; i < l->count; i++)
		json_array_append_new(out, json_stringn(l->at[i], (size_t)(option_pair_value(l->at[i]) - 1 - l->at[i])));
	return out;
}

/* Seconds by which the newest point, or the last attempt, is in the future: after the clock was set back nobody can tell how old they
 * are. */
static double ahead_of(const json_t *state, time_t now)
{
	double at = (double)(json_integer_value(json_object_get(state, "at_ms")) / 1000);
	double tried = json_number_value(json_object_get(state, "tried_at"));

	return MAX(MAX(at, tried) - (double)now, 0.0);
}

json_t *replica_row(const struct replica_conf *c, const char *guest, const json_t *state)
{
	double lag_s = difftime(time(NULL), (time_t)(json_integer_value(json_object_get(state, "at_ms")) / 1000));
	json_t *out = json_pack("{s:s,s:s,s:s,s:s,s:b,s:i,s:s,s:i,s:b}", "guest", guest, "role", c->goes_on ? "onward" : "primary", "to",
				c->to, "dir", c->o.disk_dir ?: "?", "paused", c->paused, "every_s", (int)c->every_s, "keep", c->keep,
				"term", (int)c->term, "freezes", c->freezes);

	json_object_set_new(out, "left_out", left_out_of(c));
	if (json_is_object(state))
		json_object_update(out, (json_t *)(uintptr_t)state);
	if (json_object_get(state, "at_ms"))
		json_object_set_new(out, "lag_s", json_real(MAX(lag_s, 0.0)));
	json_object_set_new(out, "ahead_s", json_real(ahead_of(state, time(NULL))));
	if (json_is_true(json_object_get(out, "replaced"))) /* nothing starts there from its points any more */
		json_object_del(out, "would_start");
	replica_health(out);
	return out;
}

/* A guest whose points are made here, or go on from here. */
static json_t *sent_json(const char *state_dir, const char *guest)
{
	struct replica_conf c;
	json_t *state, *out;
	struct err e;
	int r;

	replica_conf_init(&c);
	c.state_dir = xstrdup(state_dir);
	r = replica_conf_load(&c, guest, &e);
	state = replica_state_load(c.settings_dir, guest);
	out = r ? json_pack("{s:s,s:s,s:s}", "guest", guest, "role", c.goes_on ? "onward" : "primary", "error", e.msg)
		: replica_row(&c, guest, state);
	replica_conf_fini(&c);
	json_decref(state);
	return out;
}

/* Guests of which this host is the primary come first: of a guest that has both the others say nothing any more. */
static json_t *names_of_sent(const char *state_dir)
{
	AUTO_FREE char *dir = xasprintf("%s/onward", state_dir);
	json_t *out = replica_names(state_dir), *onward = replica_names(dir), *one;
	size_t i, k;

	json_array_foreach(onward, i, one) {
		for (k = 0; k < json_array_size(out) && !json_equal(json_array_get(out, k), one); k++)
			;
		if (k == json_array_size(out))
			json_array_append(out, one);
	}
	json_decref(onward);
	return out;
}

static json_t *point_json(const struct point *pt)
{
	json_t *left_out = point_left_out(pt), *out;

	out = json_pack("{s:I,s:I,s:I,s:O*,s:O*,s:O*,s:o}", "number", (json_int_t)pt->number, "at_ms", (json_int_t)pt->at_ms, "term",
			(json_int_t)pt->term, "delta_bytes", json_object_get(pt->json, "delta_bytes"), "frozen",
			json_object_get(pt->json, "frozen"), "shut_down", json_object_get(pt->json, "shut_down"), "left_out", left_out);
	return out;
}

/* A guest that was taken over is not behind its primary. */
static void add_age(const struct points *p, json_t *out)
{
	const struct point *newest = points_newest(p);

	if (!newest || json_object_get(p->replica, "run"))
		return;
	json_object_set_new(out, "at_ms", json_integer((json_int_t)newest->at_ms));
	json_object_set_new(out, "lag_s", json_real(MAX(difftime(time(NULL), (time_t)(newest->at_ms / 1000)), 0.0)));
}

/* Judges the store: where no points are kept any more nothing is well, nor would start. */
static void judge_store(const struct points *p, json_t *out)
{
	if (!points_are_vacant(p)) {
		replica_health_here(out);
		return;
	}
	json_object_set_new(out, points_are_over(p) ? "over" /* the guest has stayed here */ : "removed", json_true());
	json_object_del(out, "would_start");
	json_object_del(out, "planned_at");
}

static json_t *store_json(const char *guest, const char *dir)
{
	struct points p;
	json_t *out, *list = json_array(), *damaged = json_array();
	struct err e;

	if (points_read(&p, dir, &e)) {
		out = json_pack("{s:s,s:s,s:s,s:s,s:o}", "guest", guest, "role", "replica", "dir", dir, "error", e.msg, "points", list);
	} else {
		for (size_t i = 0; i < p.count; i++)
			json_array_append_new(list, point_json(&p.list[i]));
		out = json_pack("{s:s,s:s,s:s,s:O*,s:O*,s:O*,s:O*,s:o}", "guest", guest, "role", "replica", "dir", dir, "from",
				json_object_get(p.replica, "from"), "term", json_object_get(p.replica, "term"), "run",
				json_object_get(p.replica, "run"), "would_start", json_object_get(p.replica, "would_start"), "points",
				list);
		if (onward_replaced(&p))
			json_object_set_new(out, "taken_over_at", json_string(onward_to(&p)));
		if (json_object_get(p.replica, "planned_at"))
			json_object_set(out, "planned_at", json_object_get(p.replica, "planned_at"));
		for (size_t i = 0; i < p.damaged_count; i++)
			json_array_append_new(damaged, json_pack("{s:s,s:s}", "slot", p.damaged[i].slot, "why", p.damaged[i].why));
		if (p.damaged_count)
			json_object_set(out, "damaged", damaged);
		add_age(&p, out);
		json_object_set_new(out, "trial", json_boolean(points_are_tried(&p)));
		if (json_object_get(p.replica, "test"))
			json_object_set(out, "test", json_object_get(p.replica, "test"));
		json_object_set_new(out, "warnings", points_warnings(&p));
		judge_store(&p, out);
	}
	points_close(&p);
	json_decref(damaged);
	return out;
}

json_t *replica_everything(const char *state_dir, const char *only)
{
	json_t *out = json_array(), *names = names_of_sent(state_dir), *stores = replica_stores(state_dir), *one;
	const char *guest;
	size_t i;

	json_array_foreach(names, i, one)
		if (!only || !strcmp(only, json_string_value(one)))
			json_array_append_new(out, sent_json(state_dir, json_string_value(one)));
	json_object_foreach(stores, guest, one)
		if (!only || !strcmp(only, guest))
			json_array_append_new(out, store_json(guest, json_string_value(one)));
	json_decref(names);
	json_decref(stores);
	return out;
}

static const char *clock_text(char out[MOMENT_TEXT], json_int_t at_ms)
{
	return moment_text(out, (time_t)(at_ms / 1000));
}

static json_int_t planned_at(const json_t *o)
{
	return json_integer_value(json_object_get(o, "planned_at"));
}

/* The replica's host does not know how often a point is to be made: there the time is always said. */
bool replica_plan_is_old(const json_t *o, time_t now)
{
	double every = json_number_value(json_object_get(o, "every_s")), age = difftime(now, (time_t)planned_at(o));

	return planned_at(o) && (!every || age < 0 || age > 2 * MAX(every, PLANNED_S));
}

static void print_would_start(const json_t *o, const char *where)
{
	const json_t *would = json_object_get(o, "would_start");
	char at[MOMENT_TEXT];
	json_t *one;
	size_t i;

	if (!would)
		return;
	printf("  would start %s: %s", where, json_is_true(json_object_get(would, "start")) ? "yes" : "no");
	if (json_text(would, "qemu_version"))
		printf(" (QEMU %s)", json_text(would, "qemu_version"));
	if (replica_plan_is_old(o, time(NULL)))
		printf(", as of %s", moment_text(at, (time_t)planned_at(o)));
	puts("");
	json_array_foreach(json_object_get(would, "why"), i, one)
		printf("    %s\n", json_string_value(one) ?: "?");
	json_array_foreach(json_object_get(would, "cautions"), i, one)
		printf("    note: %s\n", json_string_value(one) ?: "?");
}

/* Sentences of a plan stand with it. */
static void print_why(const json_t *o)
{
	json_t *one;
	size_t i;

	json_array_foreach(json_object_get(o, "health_why"), i, one)
		if (strncmp(json_string_value(one) ?: "", "the guest would not", 19) != 0)
			printf("  %s\n", json_string_value(one) ?: "?");
}

static void print_left_out(const json_t *list)
{
	json_t *one;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)list, i, one)
		printf("%s%s", i ? ", " : "  left out, and empty where it runs from a point: ", json_string_value(one) ?: "?");
	if (json_array_size(list))
		puts("");
}

static bool is_onward(const json_t *o)
{
	return !strcmp(json_text(o, "role") ?: "", "onward");
}

/* "41 s ago". The moment is of the primary's clock, and this host's may be behind it; malloc'ed. */
static char *ago(json_int_t at_ms)
{
	double age = difftime(time(NULL), (time_t)(at_ms / 1000));
	AUTO_FREE char *span = replica_span(age < 0 ? -age : age);

	return age < 0 ? xasprintf("%s in the future by this host's clock", span) : xasprintf("%s ago", span);
}

static const char *of_shut_down(const json_t *point)
{
	return json_is_true(json_object_get(point, "shut_down")) ? ", of the guest shut down" : "";
}

static void print_sent(const json_t *o)
{
	char at[MOMENT_TEXT];
	AUTO_FREE char *when = ago(json_integer_value(json_object_get(o, "at_ms")));

	printf("%s: %s %s in %s: %s%s\n", json_text(o, "guest"), is_onward(o) ? "its points here go on to" : "primary, its replica is at",
	       json_text(o, "to"), json_text(o, "dir"), json_text(o, "health"),
	       json_is_true(json_object_get(o, "paused")) ? ", paused" : "");
	if (json_object_get(o, "point"))
		printf("  point %lld of %s, %s%s; a point every %lld s, kept: %s\n",
		       (long long)json_integer_value(json_object_get(o, "point")),
		       clock_text(at, json_integer_value(json_object_get(o, "at_ms"))), when, of_shut_down(o),
		       (long long)json_integer_value(json_object_get(o, "every_s")), json_text(o, "keep"));
	print_left_out(json_object_get(o, "left_out"));
	print_why(o);
	print_would_start(o, "there");
}

static void print_store(const json_t *o, bool points)
{
	const json_t *list = json_object_get(o, "points");
	bool calm = !strcmp(json_text(o, "health") ?: "normal", "normal");
	json_t *one;
	char at[MOMENT_TEXT];
	size_t i;

	if (json_is_true(json_object_get(o, "over"))) {
		printf("%s: was a replica, in %s, until its guest came to stay here\n", json_text(o, "guest"), json_text(o, "dir"));
		return;
	}
	if (json_is_true(json_object_get(o, "removed"))) {
		printf("%s: was a replica, in %s; its points were removed, and who was replaced is refused still\n", json_text(o, "guest"),
		       json_text(o, "dir"));
		return;
	}
	printf("%s: replica, in %s, of %s: %zu point%s%s%s\n", json_text(o, "guest"), json_text(o, "dir"), json_text(o, "from") ?: "?",
	       json_array_size(list), json_array_size(list) == 1 ? "" : "s", calm ? "" : ": ", calm ? "" : json_text(o, "health"));
	print_left_out(json_object_get(json_array_get(list, json_array_size(list) ? json_array_size(list) - 1 : 0), "left_out"));
	print_why(o);
	if (!json_object_get(o, "run"))
		print_would_start(o, "here");
	json_array_foreach(list, i, one) {
		AUTO_FREE char *when = ago(json_integer_value(json_object_get(one, "at_ms")));

		if (points || i + 1 == json_array_size(list))
			printf("  point %lld of %s, %s%s\n", (long long)json_integer_value(json_object_get(one, "number")),
			       clock_text(at, json_integer_value(json_object_get(one, "at_ms"))), when, of_shut_down(one));
	}
}

/* ---- attempts ---- */

static void fill_entry(char **cells, const json_t *o)
{
	char at[MOMENT_TEXT], bytes[24];
	json_int_t moment = json_integer_value(json_object_get(o, "at_ms"));
	const char *reason = json_text(o, "reason");

	cells[0] = xstrdup(clock_text(at, json_integer_value(json_object_get(o, "at")) * 1000));
	cells[1] = moment ? xasprintf("%lld", (long long)json_integer_value(json_object_get(o, "point"))) : xstrdup("-");
	cells[2] = xasprintf("%.1f s", json_number_value(json_object_get(o, "total_ms")) / 1000);
	cells[3] = xstrdup(format_bytes(bytes, (uint64_t)MAX(0, json_integer_value(json_object_get(o, "delta_bytes")))));
	cells[4] = xstrdup(format_bytes(bytes, (uint64_t)MAX(0, json_integer_value(json_object_get(o, "bytes_wire")))));
	cells[5] = moment ? xasprintf("%s%s", json_is_true(json_object_get(o, "whole")) ? "everything compared" : "what was written",
				      json_is_true(json_object_get(o, "frozen")) ? ", frozen" : "")
			  : xasprintf("failed (exit code %d): %s", (int)json_integer_value(json_object_get(o, "exit_code")), reason ?: "?");
	text_make_printable(cells[5], false);
}

int replica_show_history(struct replica_conf *c, int argc, char **argv)
{
	static const char *const heads[] = {"ENDED", "POINT", "TOOK", "WRITTEN", "SENT", "AS"};
	enum { COLUMNS = ARRAY_LEN(heads) };
	json_auto_t *all = NULL;
	size_t count, i;
	AUTO_FREE char **cells = NULL;

	(void)argc;
	replica_conf_choose_settings(c, argv[0]);
	all = replica_history(c->settings_dir, argv[0]);
	count = json_array_size(all) + 1;
	cells = xcalloc(count * COLUMNS, sizeof(*cells));
	for (i = 0; i < COLUMNS; i++)
		cells[i] = xstrdup(heads[i]);
	for (i = 1; i < count; i++)
		fill_entry(&cells[i * COLUMNS], json_array_get(all, i - 1));
	if (c->o.events.json)
		json_text_print(all);
	else if (count == 1)
		fprintf(stderr, "no point of guest %s was made from here: at its primary vmferry replica history tells of them\n", argv[0]);
	else
		text_table_print(stdout, cells, COLUMNS, count);
	for (i = 0; i < count * COLUMNS; i++)
		free(cells[i]);
	return 0;
}

/* ---- the command ---- */

static void print_all(const json_t *all, bool points)
{
	json_t *one;
	size_t i;

	json_array_foreach((json_t *)all, i, one)
		if (json_text(one, "error"))
			printf("%s: %s: %s\n", json_text(one, "guest"), json_text(one, "role"), json_text(one, "error"));
		else if (strcmp(json_text(one, "role"), "replica"))
			print_sent(one);
		else
			print_store(one, points);
}

/* A guest that was asked for is told with what became of its last points. */
static void add_history(const struct replica_conf *c, json_t *all)
{
	AUTO_FREE char *onward = xasprintf("%s/onward", c->state_dir);
	json_t *one;
	size_t i;

	json_array_foreach(all, i, one)
		if (strcmp(json_text(one, "role") ?: "", "replica"))
			json_object_set_new(one, "history",
					    replica_history(is_onward(one) ? onward : c->state_dir, json_text(one, "guest")));
}

int replica_show(struct replica_conf *c, int argc, char **argv)
{
	json_auto_t *all = replica_everything(c->state_dir, argc ? argv[0] : NULL);
	bool none = argc && !json_array_size(all);

	if (none) {
		fprintf(stderr, "vmferry: this host has no replica of guest %s, nor is it the primary of one\n", argv[0]);
	} else if (!json_array_size(all) && !c->o.events.json) {
		fputs("no guest is replicated from this host, and no replica is here (vmferry replica add begins one)\n", stderr);
	} else if (c->o.events.json) {
		if (argc)
			add_history(c, all);
		json_text_print(all);
	} else {
		report_clean(all); /* the other host's words, and a guest's name, drive no terminal */
		print_all(all, argc);
	}
	return none ? EXIT_REFUSED : 0;
}
