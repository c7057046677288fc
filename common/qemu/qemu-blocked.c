/* qemu-blocked.c: see qemu-blocked.h. */
#include "qemu-blocked.h"
#include "util.h"

#include <string.h>

/* QEMU's qemu_savevm_non_migratable_list() */
#define DEVICE "non-migratable device: "

static json_t *sentences(const struct qmp *q, const json_t *info, const char *beginning)
{
	json_t *all = json_array(), *reason;
	int major, minor, micro;
	size_t i;

	qmp_version(q, &major, &minor, &micro);
	json_array_foreach(json_object_get(info, "blocked-reasons"), i, reason) {
		const char *text = json_string_value(reason);

		if (text_starts_with(text, beginning))
			json_array_append_new(all, json_sprintf("QEMU %d.%d.%d cannot migrate this guest: %s", major, minor, micro, text));
	}
	return all;
}

json_t *qemu_blocked(const struct qmp *q, const json_t *info)
{
	return sentences(q, info, "");
}

json_t *qemu_blocked_devices(const struct qmp *q, const json_t *info)
{
	return sentences(q, info, DEVICE);
}
