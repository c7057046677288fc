/* played-names.h: what a QEMU that is played (played-qemu.h) has, by names alone: lists of them that it tells of, and takes from. To be included by a test. */
#ifndef VMFERRY_TEST_PLAYED_NAMES_H
#define VMFERRY_TEST_PLAYED_NAMES_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* A new list of objects that have the name as `key`, and a boolean or a text that is the same in all (stolen; NULL: none). */
__attribute__((unused)) static json_t *names_told(const json_t *names, const char *key, json_t *beside)
{
	json_t *out = json_array(), *name;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)names, i, name) {
		json_t *one = json_pack("{s:O}", key, name);

		json_object_update(one, beside);
		json_array_append_new(out, one);
	}
	json_decref(beside);
	return out;
}

/* False: it is not among them. to: gets it; may be NULL. */
static bool names_take(json_t *from, const char *name, json_t *to)
{
	json_t *x;
	size_t i;

	json_array_foreach(from, i, x) {
		if (strcmp(json_string_value(x), name))
			continue;
		if (to)
			json_array_append(to, x);
		json_array_remove(from, i);
		return true;
	}
	return false;
}

static void assert_names(json_t *names, const char *want)
{
	char got[256] = "";
	json_t *x;
	size_t i;

	json_array_foreach(names, i, x)
		snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s", i ? " " : "", json_string_value(x));
	assert_string_equal(got, want);
}

#endif
