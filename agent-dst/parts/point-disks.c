/* point-disks.c: see point-disks.h. */
#include "point-disks.h"
#include "json-text.h"
#include "words.h"

#include <string.h>

bool point_has_sizes(const struct point *newest, const json_t *disks)
{
	for (size_t i = 0; point_disk(newest, i); i++)
		if (!json_is_true(json_object_get(json_array_get(disks, i), "empty")) &&
		    json_integer_value(json_object_get(json_array_get(disks, i), "virtual_size")) !=
			    json_integer_value(json_object_get(point_disk(newest, i), "bytes")))
			return false;
	return true;
}

bool point_lacks_disk(const struct point *newest, const json_t *disks)
{
	for (size_t i = 0; point_disk(newest, i); i++)
		if (point_disk_is_left_out(newest, i) && !json_is_true(json_object_get(json_array_get(disks, i), "empty")) &&
		    !json_is_true(json_object_get(json_array_get(disks, i), "whole")))
			return true;
	return false;
}

/* True if another disk of the guest had that name when the point was made. */
static bool is_another(const json_t *had, size_t i, const char *now)
{
	for (size_t k = 0; k < json_array_size(had); k++) {
		const char *then = json_text(json_array_get(had, k), "from") ?: "";

		if (k != i && (!strcmp(then, now) || !strcmp(path_base(then), path_base(now))))
			return true;
	}
	return false;
}

bool point_has_disk(const json_t *had, size_t i, const json_t *is, uint64_t from)
{
	const json_t *was = json_array_get(had, i);
	const char *now = json_text(is, "real_path") ?: "", *then = json_text(was, "from") ?: "";

	if (json_integer_value(json_object_get(is, "virtual_size")) < json_integer_value(json_object_get(was, "bytes")))
		return false;
	if (!strcmp(json_text(is, "reuse") ?: "", then)) /* the disk was taken over where its points went on from, and says what it was */
		return true;
	return !strcmp(now, then) || (!is_another(had, i, now) && (from || !strcmp(path_base(now), path_base(then))));
}
