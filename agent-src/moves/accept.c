/*
 * accept.c: whether the destination's plan (ACCEPT) has the shape that whoever shows it or goes by it relies on. Pure. What
 * is not looked at here may be missing or of any kind, for whom reads it by name.
 */
#include "accept.h"

#include "util.h"

#include <errno.h>

static bool all_are(const json_t *list, json_type type)
{
	const json_t *v;
	size_t i;

	json_array_foreach((json_t *)list, i, v)
		if (json_typeof(v) != type)
			return false;
	return true;
}

int accept_check(const json_t *accept, struct err *e)
{
	static const struct {
		const char *name;
		json_type of;
	} lists[] = {{"argv", JSON_STRING},	{"notes", JSON_STRING}, {"findings", JSON_STRING},
		     {"cautions", JSON_STRING}, {"disks", JSON_OBJECT}, {"files", JSON_OBJECT},
		     {"nics", JSON_OBJECT},	{"carry", JSON_OBJECT}, {"obstacles", JSON_STRING}};

	if (!json_is_object(accept))
		return err_set(e, EPROTO, "the destination's plan is malformed");
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		const json_t *list = json_object_get(accept, lists[i].name);

		if (list && (!json_is_array(list) || !all_are(list, lists[i].of)))
			return err_set(e, EPROTO, "the destination's plan is malformed: %s", lists[i].name);
	}
	if (json_object_get(accept, "host") && !json_is_object(json_object_get(accept, "host")))
		return err_set(e, EPROTO, "the destination's plan is malformed: host");
	if (json_is_array(json_object_get(accept, "obstacles")) && !json_array_size(json_object_get(accept, "obstacles")))
		return err_set(e, EPROTO, "the destination's plan is malformed: obstacles, of which there are none");
	return 0;
}
