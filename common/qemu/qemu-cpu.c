/*
 * qemu-cpu.c: see qemu-cpu.h. By number, QEMU reports all CPUID words at once. By name, each feature needs a query of its own, which takes
 * 0.2 s of a guest under TCG, though all are sent without waiting.
 */
#include "qemu-cpu.h"
#include "json-text.h"
#include "util.h"
#include "words.h"

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

/* Properties that are not features: true in every CPU, about the object and not the CPU, or how a newer QEMU imitates an older one
 * (legacy-cache), which does not know the name. */
static bool is_feature(const char *name)
{
	static const char *const others[] = {"realized", "hotplugged", "hotpluggable", "start-powered-off", NULL};

	return strncmp(name, "legacy-", 7) && word_index(others, name) < 0;
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
	/* answers come in order, so when this one is there all others are, or have failed; its deadline is after theirs, so that
	 * none is open when this returns */
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

/* The path of the first CPU, malloc'ed. */
static int first_cpu(struct qmp *q, char **out, struct err *e)
{
	const char *path;
	json_auto_t *cpus = NULL;
	int r = qmp_call(q, "query-cpus-fast", NULL, &cpus, e);

	if (r)
		return r;
	path = json_text(json_array_get(cpus, 0), "qom-path");
	if (path)
		*out = xstrdup(path);
	else
		r = err_set(e, EPROTO, "QEMU does not name its CPUs");
	return r;
}

/* NULL when it has none of that name. */
static json_t *get(struct qmp *q, const char *path, const char *property)
{
	struct err none;
	json_t *value;

	return qmp_call(q, "qom-get", json_pack("{s:s,s:s}", "path", path, "property", property), &value, &none) ? NULL : value;
}

int qemu_cpu_names(struct qmp *q, const json_t *only, json_t *cpu, struct err *e)
{
	json_t *names = json_incref((json_t *)only), *features = json_array();
	AUTO_FREE char *path = NULL;
	int r = first_cpu(q, &path, e);

	if (!r)
		r = only ? check_names(only, e) : list_features(q, path, &names, e);
	r = r ?: ask_for_all(q, path, names, features, e);
	json_decref(names);
	if (r)
		json_decref(features);
	else
		json_object_set_new(cpu, "features", features);
	return r;
}

/* ---- by number ---- */

/* Bits that say that there are features which are in no CPUID word, but in MSRs: VMX's, IA32_PERF_CAPABILITIES, IA32_ARCH_CAPABILITIES,
 * IA32_CORE_CAPABILITIES (Intel's SDM, volume 2, CPUID; QEMU's "feature-words" leaves those out). */
static const struct {
	const char *word;
	uint32_t bits;
} beyond_cpuid[] = {{"1.0.ECX", 1u << 5 | 1u << 15}, {"7.0.EDX", 1u << 29 | 1u << 30}};

/* Properties that are numbers and must not be lower at the destination: bits of physical addresses, the version of AVX10. */
static const char *const numbers[] = {"phys-bits", "avx10-version"};

static json_int_t number_of(const json_t *cpu, const char *of, const char *name)
{
	return json_integer_value(json_object_get(json_object_get(cpu, of), name));
}

static uint32_t word_of(const json_t *cpu, const char *name)
{
	return (uint32_t)number_of(cpu, "words", name);
}

/* QEMU's list as {"EAX.ECX.REGISTER": bits}. */
static json_t *words_of(const json_t *list)
{
	json_t *words = json_object(), *one;
	size_t i;

	json_array_foreach((json_t *)list, i, one) {
		const char *reg = json_text(one, "cpuid-register");
		AUTO_FREE char *name = xasprintf("%" JSON_INTEGER_FORMAT ".%" JSON_INTEGER_FORMAT ".%s",
						 json_integer_value(json_object_get(one, "cpuid-input-eax")),
						 json_integer_value(json_object_get(one, "cpuid-input-ecx")), reg ? reg : "");

		json_object_set(words, name, json_object_get(one, "features"));
	}
	return words;
}

int qemu_cpu(struct qmp *q, json_t **out, struct err *e)
{
	AUTO_FREE char *path = NULL;
	json_t *list, *vendor, *value, *found = json_object();
	int r = first_cpu(q, &path, e);

	if (r) {
		json_decref(found);
		return r;
	}
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		value = get(q, path, numbers[i]);
		if (json_is_integer(value))
			json_object_set(found, numbers[i], value);
		json_decref(value);
	}
	vendor = get(q, path, "vendor");
	list = get(q, path, "feature-words");
	*out = json_pack("{s:s,s:o,s:o}", "vendor", json_is_string(vendor) ? json_string_value(vendor) : "", "words", words_of(list),
			 "numbers", found);
	json_decref(list);
	json_decref(vendor);
	return 0;
}

bool qemu_cpu_needs_names(const json_t *cpu)
{
	for (size_t i = 0; i < ARRAY_LEN(beyond_cpuid); i++)
		if (!json_object_get(json_object_get(cpu, "words"), beyond_cpuid[i].word) ||
		    word_of(cpu, beyond_cpuid[i].word) & beyond_cpuid[i].bits)
			return true;
	return false;
}

static void add_lower(json_t *missing, const json_t *guest, const json_t *host)
{
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		json_int_t here = number_of(guest, "numbers", numbers[i]), there = number_of(host, "numbers", numbers[i]);

		if (there < here)
			json_array_append_new(missing,
					      json_sprintf("%s of %lld (there: %lld)", numbers[i], (long long)here, (long long)there));
	}
}

static void add_words(json_t *missing, const json_t *guest, const json_t *host)
{
	json_t *bits;
	const char *name;

	json_object_foreach(json_object_get(guest, "words"), name, bits) {
		uint32_t lacks = (uint32_t)json_integer_value(bits) & ~word_of(host, name);
		AUTO_FREE char *text = lacks ? xasprintf("bits 0x%x of CPUID %.40s", lacks, name) : NULL;

		if (text)
			json_array_append_new(missing, json_string(text));
	}
}

json_t *qemu_cpu_missing(const json_t *guest, const json_t *host)
{
	json_t *missing = json_array(), *name;
	size_t i;

	json_array_foreach(json_object_get(guest, "features"), i, name)
		if (!json_has(json_object_get(host, "features"), name))
			json_array_append(missing, name);
	if (!json_array_size(missing)) /* else the names say it better */
		add_words(missing, guest, host);
	add_lower(missing, guest, host);
	return missing;
}
