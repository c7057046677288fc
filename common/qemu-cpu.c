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

static int ask_for_all(struct qmp *q, const char *path, const json_t *list, json_t *features, struct err *e)
{
	struct query query = {.features = features};
	AUTO_FREE struct property *properties = xcalloc(json_array_size(list) + 1, sizeof(*properties));
	json_t *one, *ignored;
	size_t i;
	int r;

	json_array_foreach((json_t *)list, i, one) {
		const char *name = json_string_value(json_object_get(one, "name"));
		const char *type = json_string_value(json_object_get(one, "type"));

		if (!name || !type || strcmp(type, "bool") || !is_feature(name))
			continue;
		properties[i] = (struct property){&query, name};
		query.open++;
		qmp_send(q, "qom-get", json_pack("{s:s,s:s}", "path", path, "property", name), QMP_DEADLINE_MS, on_value,
			 &properties[i]);
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

int qemu_cpu(struct qmp *q, json_t **out, struct err *e)
{
	json_t *cpus, *list, *vendor = NULL, *features;
	const char *path;
	struct err none;
	int r = qmp_call(q, "query-cpus-fast", NULL, &cpus, e);

	if (r)
		return r;
	path = json_string_value(json_object_get(json_array_get(cpus, 0), "qom-path"));
	r = path ? qmp_call(q, "qom-list", json_pack("{s:s}", "path", path), &list, e)
		 : err_set(e, EPROTO, "QEMU does not name its CPUs");
	if (r) {
		json_decref(cpus);
		return r;
	}
	features = json_array();
	if (json_array_size(list) > PROPERTIES_MAX)
		r = err_set(e, EMSGSIZE, "QEMU's CPU has more than %d properties", PROPERTIES_MAX);
	else
		r = ask_for_all(q, path, list, features, e);
	if (!r && qmp_call(q, "qom-get", json_pack("{s:s,s:s}", "path", path, "property", "vendor"), &vendor, &none))
		vendor = NULL;
	json_decref(list);
	json_decref(cpus);
	if (r) {
		json_decref(features);
		return r;
	}
	*out = json_pack("{s:s,s:o}", "vendor", json_is_string(vendor) ? json_string_value(vendor) : "", "features", features);
	json_decref(vendor);
	return 0;
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
