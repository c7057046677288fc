/* qemu-cpu.c: see qemu-cpu.h. A feature is asked for by itself (QEMU has no command for all), but not waited for each. */
#include "qemu-cpu.h"
#include "util.h"

#include <errno.h>
#include <string.h>

#define PROPERTIES_MAX 4096

struct query {
	unsigned open;
	json_t *features;
};

struct property {
	struct query *query;
	const char *name;
};

static void on_value(void *arg, json_t *ret, const struct err *e)
{
	struct property *p = arg;

	if (!e && json_is_true(ret))
		json_array_append_new(p->query->features, json_string(p->name));
	p->query->open--;
}

/* True in every CPU, or about the object and not the CPU; or how a newer QEMU is like an older one (legacy-cache), which that
 * does not know the name of. */
static bool is_feature(const char *name)
{
	static const char *const others[] = {"realized", "hotplugged", "hotpluggable", "start-powered-off"};
	size_t i;

	if (!strncmp(name, "legacy-", 7))
		return false;
	for (i = 0; i < ARRAY_LEN(others); i++)
		if (!strcmp(name, others[i]))
			return false;
	return true;
}

/* QEMU knows many a feature by two names: avx512-bf16, avx512_bf16. */
static bool has_twin(const json_t *names, const char *name)
{
	AUTO_FREE char *twin = xstrdup(name);
	char *at;
	bool other = false;

	for (at = twin; (at = strchr(at, '_')); other = true)
		*at = '-';
	return other && json_object_get(names, twin);
}

/* The names of its boolean properties: a new reference. */
static int list_features(struct qmp *q, const char *path, json_t **out, struct err *e)
{
	json_t *list, *one, *all;
	const char *name, *type;
	size_t i;
	int r = qmp_call(q, "qom-list", json_pack("{s:s}", "path", path), &list, e);

	if (r)
		return r;
	if (json_array_size(list) > PROPERTIES_MAX) {
		json_decref(list);
		return err_set(e, EMSGSIZE, "QEMU's CPU has more than %d properties", PROPERTIES_MAX);
	}
	all = json_object();
	json_array_foreach(list, i, one) {
		name = json_string_value(json_object_get(one, "name"));
		type = json_string_value(json_object_get(one, "type"));
		if (name && type && !strcmp(type, "bool") && is_feature(name))
			json_object_set_new(all, name, json_null());
	}
	json_decref(list);
	*out = json_array();
	json_object_foreach(all, name, one)
		if (!has_twin(all, name))
			json_array_append_new(*out, json_string(name));
	json_decref(all);
	return 0;
}

/* Appends those of these names that are true. */
static int ask_for_all(struct qmp *q, const char *path, const json_t *names, json_t *features, struct err *e)
{
	struct query query = {.features = features};
	AUTO_FREE struct property *properties = xcalloc(json_array_size(names) + 1, sizeof(*properties));
	json_t *one, *ignored;
	size_t i;
	int r;

	json_array_foreach((json_t *)names, i, one) {
		properties[i] = (struct property){&query, json_string_value(one)};
		query.open++;
		qmp_send(q, "qom-get", json_pack("{s:s,s:O}", "path", path, "property", one), QMP_DEADLINE_MS, on_value, &properties[i]);
	}
	/* answers come in order: with this one all others are there, or have failed; and its deadline is after theirs, so
	 * that none is open when this returns */
	r = qmp_call_ms(q, 2 * QMP_DEADLINE_MS, "query-status", NULL, &ignored, e);
	if (!r)
		json_decref(ignored);
	if (!r && query.open)
		r = err_set(e, ETIMEDOUT, "QEMU does not tell its CPU's features");
	return r;
}

static int check_names(const json_t *names, struct err *e)
{
	json_t *one;
	size_t i;

	if (json_array_size(names) > PROPERTIES_MAX)
		return err_set(e, EMSGSIZE, "a CPU has more than %d features", PROPERTIES_MAX);
	json_array_foreach((json_t *)names, i, one)
		if (!json_is_string(one))
			return err_set(e, EPROTO, "a feature of a CPU is not a name");
	return 0;
}

static int describe(struct qmp *q, const char *path, const json_t *only, json_t **out, struct err *e)
{
	json_t *names = json_incref((json_t *)only), *features = json_array(), *vendor;
	struct err none;
	int r = only ? check_names(only, e) : list_features(q, path, &names, e);

	r = r ? r : ask_for_all(q, path, names, features, e);
	json_decref(names);
	if (r) {
		json_decref(features);
		return r;
	}
	if (qmp_call(q, "qom-get", json_pack("{s:s,s:s}", "path", path, "property", "vendor"), &vendor, &none))
		vendor = NULL;
	*out = json_pack("{s:s,s:o}", "vendor", json_is_string(vendor) ? json_string_value(vendor) : "", "features", features);
	json_decref(vendor);
	return 0;
}

int qemu_cpu(struct qmp *q, const json_t *only, json_t **out, struct err *e)
{
	const char *path;
	json_t *cpus;
	int r = qmp_call(q, "query-cpus-fast", NULL, &cpus, e);

	if (r)
		return r;
	path = json_string_value(json_object_get(json_array_get(cpus, 0), "qom-path"));
	r = path ? describe(q, path, only, out, e) : err_set(e, EPROTO, "QEMU does not name its CPUs");
	json_decref(cpus);
	return r;
}

json_t *qemu_cpu_missing(const json_t *guest, const json_t *host)
{
	json_t *missing = json_array(), *a, *b;
	size_t i, k;

	json_array_foreach(json_object_get(guest, "features"), i, a) {
		json_array_foreach(json_object_get(host, "features"), k, b)
			if (json_equal(a, b))
				break;
		if (k == json_array_size(json_object_get(host, "features")))
			json_array_append(missing, a);
	}
	return missing;
}
