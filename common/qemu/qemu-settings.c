/* qemu-settings.c: see qemu-settings.h. */
#include "qemu-settings.h"
#include "log.h"
#include "words.h"

#include <errno.h>
#include <string.h>

static int query_capabilities(struct qmp *q, json_t **out, struct err *e)
{
	json_t *list, *entry, *map;
	size_t i;
	int r = qmp_call(q, "query-migrate-capabilities", NULL, &list, e);

	if (r)
		return r;
	map = json_object();
	json_array_foreach(list, i, entry) {
		const char *name = json_string_value(json_object_get(entry, "capability"));

		if (name)
			json_object_set(map, name, json_object_get(entry, "state"));
	}
	json_decref(list);
	*out = map;
	return 0;
}

int settings_save(struct qmp *q, json_t **out, struct err *e)
{
	json_t *caps, *params;
	int r = query_capabilities(q, &caps, e);

	if (r)
		return r;
	r = qmp_call(q, "query-migrate-parameters", NULL, &params, e);
	if (r) {
		json_decref(caps);
		return r;
	}
	*out = json_pack("{s:o,s:o}", "capabilities", caps, "parameters", params);
	return 0;
}

bool settings_has_capability(const json_t *saved, const char *name)
{
	return json_object_get(json_object_get(saved, "capabilities"), name);
}

bool settings_has_parameter(const json_t *saved, const char *name)
{
	return json_object_get(json_object_get(saved, "parameters"), name);
}

/* Sets the capabilities in `want` (name → bool) that differ so far: first those to switch off, as some exclude each other. */
static int set_capabilities(struct qmp *q, const json_t *want, struct err *e)
{
	json_t *now, *list, *value;
	const char *name;
	int pass, r = query_capabilities(q, &now, e);

	for (pass = 0; pass < 2 && !r; pass++) {
		list = json_array();
		json_object_foreach((json_t *)want, name, value) {
			json_t *is = json_object_get(now, name);

			if (is && json_is_true(is) != json_is_true(value) && json_is_true(value) == (pass == 1))
				json_array_append_new(list, json_pack("{s:s,s:b}", "capability", name, "state", json_is_true(value)));
		}
		if (json_array_size(list))
			r = qmp_call(q, "migrate-set-capabilities", json_pack("{s:o}", "capabilities", list), NULL, e);
		else
			json_decref(list);
		if (pass == 1 || r)
			json_decref(now);
	}
	return r;
}

/* Name → bool, of all that this QEMU has. */
static json_t *exactly(const json_t *saved, const char *const *on)
{
	json_t *want = json_object(), *value;
	const char *name;

	json_object_foreach(json_object_get(saved, "capabilities"), name, value)
		json_object_set_new(want, name, json_false());
	for (; *on; on++)
		if (json_object_get(want, *on))
			json_object_set_new(want, *on, json_true());
	return want;
}

int settings_capabilities(struct qmp *q, const json_t *saved, const char *const *on, struct err *e)
{
	json_auto_t *want = exactly(saved, on);

	return set_capabilities(q, want, e);
}

int settings_check(struct qmp *q, const json_t *saved, const char *const *on, struct err *e)
{
	json_auto_t *now = NULL, *want = NULL;
	json_t *value;
	const char *name;
	int r = query_capabilities(q, &now, e);

	if (r)
		return r;
	want = exactly(saved, on);
	json_object_foreach(want, name, value)
		if (!r && json_is_true(json_object_get(now, name)) != json_is_true(value))
			r = err_set(e, EBUSY, "another client has changed the migration capability %s of this QEMU", name);
	return r;
}

int settings_parameters(struct qmp *q, const json_t *saved, json_t *params, struct err *e)
{
	json_t *value;
	const char *name;
	void *tmp;

	json_object_foreach_safe(params, tmp, name, value) if (!settings_has_parameter(saved, name)) json_object_del(params, name);
	if (json_object_size(params))
		return qmp_call(q, "migrate-set-parameters", params, NULL, e);
	json_decref(params);
	return 0;
}

/* The parameters that a move or an export sets. A change of any other comes from another client, for a migration of its own. */
static const char *const set_by_us[] = {"tls-creds",
					"multifd-compression",
					"multifd-channels",
					"max-bandwidth",
					"downtime-limit",
					"avail-switchover-bandwidth",
					"zero-page-detection",
					"throttle-trigger-threshold",
					NULL};

static int restore_parameters(struct qmp *q, const json_t *saved, struct err *e)
{
	json_t *now, *value, *set;
	const char *name;
	struct err one;
	int first = 0, r = qmp_call(q, "query-migrate-parameters", NULL, &now, e);

	if (r)
		return r;
	json_object_foreach(json_object_get(saved, "parameters"), name, value) {
		if (word_index(set_by_us, name) < 0 || json_equal(json_object_get(now, name), value))
			continue;
		set = json_object();
		json_object_set(set, name, value);
		r = qmp_call(q, "migrate-set-parameters", set, NULL, &one);
		if (r) {
			err_prefix(&one, "%s is not put back", name);
			log_info("%s", one.msg);
			if (!first) {
				first = r;
				*e = one;
			}
		}
	}
	json_decref(now);
	return first;
}

int settings_restore(struct qmp *q, const json_t *saved, struct err *e)
{
	struct err second;
	int r = set_capabilities(q, json_object_get(saved, "capabilities"), e);
	int r2 = restore_parameters(q, saved, &second);

	if (!r && r2) {
		*e = second;
		r = r2;
	}
	return r;
}
