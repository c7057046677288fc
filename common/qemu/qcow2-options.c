/* qcow2-options.c: see qcow2-options.h. */
#include "qcow2-options.h"

#include <string.h>

static void copy(json_t *out, const char *to, const json_t *in, const char *from)
{
	if (json_object_get(in, from))
		json_object_set(out, to, json_object_get(in, from));
}

/* Images of version 2 have none of the other options. */
json_t *qcow2_options_of(const json_t *specific)
{
	const char *compat = json_string_value(json_object_get(specific, "compat"));
	json_t *out = json_object();

	if (!compat)
		return out;
	json_object_set_new(out, "version", json_string(strcmp(compat, "0.10") ? "v3" : "v2"));
	if (!strcmp(compat, "0.10"))
		return out;
	copy(out, "lazy-refcounts", specific, "lazy-refcounts");
	copy(out, "refcount-bits", specific, "refcount-bits");
	copy(out, "compression-type", specific, "compression-type");
	copy(out, "extended-l2", specific, "extended-l2");
	return out;
}

static void add_word(json_t *create, const json_t *options, const char *key, const char *one, const char *other)
{
	const char *word = json_string_value(json_object_get(options, key));

	if (word && (!strcmp(word, one) || !strcmp(word, other)))
		copy(create, key, options, key);
}

static void add_bool(json_t *create, const json_t *options, const char *key)
{
	if (json_is_boolean(json_object_get(options, key)))
		copy(create, key, options, key);
}

void qcow2_options_add(json_t *create, const json_t *options)
{
	json_int_t bits = json_integer_value(json_object_get(options, "refcount-bits"));

	add_word(create, options, "version", "v2", "v3");
	add_word(create, options, "compression-type", "zlib", "zstd");
	add_bool(create, options, "lazy-refcounts");
	add_bool(create, options, "extended-l2");
	if (bits >= 1 && bits <= 64 && !(bits & (bits - 1)))
		copy(create, "refcount-bits", options, "refcount-bits");
}
