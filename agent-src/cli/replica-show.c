/* replica-show.c: see replica-show.h. */
#include "replica-show.h"
#include "cmd.h"
#include "json-text.h"
#include "moment.h"
#include "points.h"
#include "report.h"
#include "util.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *health(const struct replica_conf *c, const json_t *state, double lag_s)
{
	if (!json_object_get(state, "point") || json_is_true(json_object_get(state, "replaced")))
		return "critical";
	if (lag_s > 12.0 * c->every_s)
		return "critical";
	return lag_s > 2.0 * c->every_s || json_integer_value(json_object_get(state, "exit_code")) ||
			       (c->freezes && !json_is_true(json_object_get(state, "frozen")))
		       ? "warning"
		       : "normal";
}

static json_t *primary_json(const char *state_dir, const char *guest)
{
	struct replica_conf c;
	json_t *state = replica_state_load(state_dir, guest), *out;
	double lag_s;
	struct err e;

	replica_conf_init(&c);
	c.state_dir = xstrdup(state_dir);
	if (replica_conf_load(&c, guest, &e)) {
		out = json_pack("{s:s,s:s,s:s}", "guest", guest, "role", "primary", "error", e.msg);
	} else {
		lag_s = difftime(time(NULL), (time_t)(json_integer_value(json_object_get(state, "at_ms")) / 1000));
		out = json_pack("{s:s,s:s,s:s,s:s,s:b,s:i,s:s,s:s,s:i}", "guest", guest, "role", "primary", "to", c.to, "dir",
				c.o.disk_dir ?: "?", "paused", c.paused, "every_s", (int)c.every_s, "keep", c.keep, "health",
				health(&c, state, lag_s), "term", (int)c.term);
		json_object_update(out, state ?: json_object());
		if (json_object_get(state, "at_ms"))
			json_object_set_new(out, "lag_s", json_real(lag_s));
	}
	replica_conf_fini(&c);
	json_decref(state);
	return out;
}

static json_t *point_json(const struct point *pt)
{
	return json_pack("{s:I,s:I,s:I,s:O*}", "number", (json_int_t)pt->number, "at_ms", (json_int_t)pt->at_ms, "term",
			 (json_int_t)pt->term, "delta_bytes", json_object_get(pt->json, "delta_bytes"));
}

static json_t *store_json(const char *guest, const char *dir)
{
	struct points p;
	json_t *out, *list = json_array();
	struct err e;
	size_t i;

	if (points_read(&p, dir, &e)) {
		out = json_pack("{s:s,s:s,s:s,s:s,s:o}", "guest", guest, "role", "replica", "dir", dir, "error", e.msg, "points", list);
	} else {
		for (i = 0; i < p.count; i++)
			json_array_append_new(list, point_json(&p.list[i]));
		out = json_pack("{s:s,s:s,s:s,s:O*,s:O*,s:O*,s:o}", "guest", guest, "role", "replica", "dir", dir, "from",
				json_object_get(p.replica, "from"), "term", json_object_get(p.replica, "term"), "run",
				json_object_get(p.replica, "run"), "points", list);
	}
	points_close(&p);
	return out;
}

static json_t *everything(const char *state_dir, const char *only)
{
	json_t *out = json_array(), *names = replica_names(state_dir), *stores = replica_stores(state_dir), *one;
	const char *guest;
	size_t i;

	json_array_foreach(names, i, one)
		if (!only || !strcmp(only, json_string_value(one)))
			json_array_append_new(out, primary_json(state_dir, json_string_value(one)));
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

static void print_primary(const json_t *o)
{
	char at[MOMENT_TEXT];

	printf("%s: primary, its replica is at %s in %s: %s%s\n", json_text(o, "guest"), json_text(o, "to"), json_text(o, "dir"),
	       json_text(o, "health"), json_is_true(json_object_get(o, "paused")) ? ", paused" : "");
	if (json_object_get(o, "point"))
		printf("  point %lld of %s, %.0f s ago; a point every %lld s, kept: %s\n",
		       (long long)json_integer_value(json_object_get(o, "point")),
		       clock_text(at, json_integer_value(json_object_get(o, "at_ms"))), json_number_value(json_object_get(o, "lag_s")),
		       (long long)json_integer_value(json_object_get(o, "every_s")), json_text(o, "keep"));
	if (json_is_true(json_object_get(o, "replaced")))
		puts("  replaced: the guest was taken over at the replica; what runs here is not it any more");
	else if (json_integer_value(json_object_get(o, "exit_code")))
		printf("  the last attempt failed (exit code %lld; vmferry history tells why)\n",
		       (long long)json_integer_value(json_object_get(o, "exit_code")));
}

static void print_store(const json_t *o, bool points)
{
	const json_t *list = json_object_get(o, "points");
	json_t *one;
	char at[MOMENT_TEXT];
	size_t i;

	printf("%s: replica, in %s, of %s: %zu points\n", json_text(o, "guest"), json_text(o, "dir"), json_text(o, "from") ?: "?",
	       json_array_size(list));
	json_array_foreach(list, i, one)
		if (points || i + 1 == json_array_size(list))
			printf("  point %lld of %s\n", (long long)json_integer_value(json_object_get(one, "number")),
			       clock_text(at, json_integer_value(json_object_get(one, "at_ms"))));
}

static void print_all(const json_t *all, bool points)
{
	json_t *one;
	size_t i;

	json_array_foreach((json_t *)all, i, one)
		if (json_text(one, "error"))
			printf("%s: %s: %s\n", json_text(one, "guest"), json_text(one, "role"), json_text(one, "error"));
		else if (!strcmp(json_text(one, "role"), "primary"))
			print_primary(one);
		else
			print_store(one, points);
}

int replica_show(struct replica_conf *c, int argc, char **argv)
{
	json_t *all = everything(c->state_dir, argc ? argv[0] : NULL);
	bool none = argc && !json_array_size(all);

	if (none) {
		fprintf(stderr, "vmferry: this host has no replica of guest %s, nor is it the primary of one\n", argv[0]);
	} else if (c->o.json) {
		json_text_print(all);
	} else {
		report_clean(all); /* the other host's words, and a guest's name, drive no terminal */
		print_all(all, argc);
	}
	json_decref(all);
	return none ? EXIT_REFUSED : 0;
}
