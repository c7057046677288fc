/* virtio-rings.c: see virtio-rings.h. */
#include "virtio-rings.h"
#include "json-text.h"
#include "util.h"
#include "words.h"

#include <errno.h>
#include <string.h>

#define RINGS_MAX 1024 /* rings of a device: QEMU's VIRTIO_QUEUE_MAX */

/* *answer is NULL where QEMU has no such command, or no such device any more. */
static int ask(struct qmp *q, const char *command, json_t *args, json_t **answer, struct err *e)
{
	int r = qmp_call(q, command, args, answer, e);

	if (r)
		*answer = NULL;
	return r == -EREMOTEIO ? 0 : r;
}

/* The rings of a device are those before the first that QEMU does not know. */
static int ask_entries(struct qmp *q, const char *path, const char *figure, json_t *entries, struct err *e)
{
	json_int_t i;
	json_t *ring;
	int r = 0;

	for (i = 0; i < RINGS_MAX && !r; i++) {
		r = ask(q, "x-query-virtio-queue-status", json_pack("{s:s,s:I}", "path", path, "queue", i), &ring, e);
		if (r || !json_is_integer(json_object_get(ring, figure))) {
			json_decref(ring);
			break;
		}
		json_array_append(entries, json_object_get(ring, figure));
		json_decref(ring);
	}
	return r;
}

/* QEMU alone serves these device types. A network card may be served by another process (vhost-user). */
static int is_qemus_own(struct qmp *q, const char *path, bool *own, struct err *e)
{
	static const char *const types[] = {"virtio-blk-device", "virtio-scsi-device",	  "virtio-serial-device",
					    "virtio-rng-device", "virtio-balloon-device", NULL};
	json_auto_t *type = NULL;
	int r = ask(q, "qom-get", json_pack("{s:s,s:s}", "path", path, "property", "type"), &type, e);

	*own = json_is_string(type) && word_index(types, json_string_value(type)) >= 0;
	return r;
}

static int ask_device(struct qmp *q, const json_t *device, const char *figure, bool has_guest, json_t *rings, struct err *e)
{
	const char *path = json_text(device, "path"), *name = json_text(device, "name");
	json_auto_t *entries = json_array();
	bool may_ask = path && name;
	int r = may_ask && has_guest ? is_qemus_own(q, path, &may_ask, e) : 0;

	if (!r && may_ask)
		r = ask_entries(q, path, figure, entries, e);
	if (!r && json_array_size(entries))
		json_array_append_new(rings, json_pack("{s:s,s:s,s:O}", "device", name, "path", path, "entries", entries));
	return r;
}

static int ask_all(struct qmp *q, const char *figure, bool has_guest, json_t **rings, struct err *e)
{
	json_t *devices, *one;
	size_t i;
	int r = ask(q, "x-query-virtio", NULL, &devices, e);

	*rings = json_array();
	json_array_foreach(devices, i, one)
		r = r ?: ask_device(q, one, figure, has_guest, *rings, e);
	json_decref(devices);
	if (r) {
		json_decref(*rings);
		*rings = NULL;
	}
	return r;
}

int virtio_rings_used(struct qmp *q, json_t **rings, struct err *e)
{
	int major, minor, micro;

	*rings = NULL;
	qmp_version(q, &major, &minor, &micro);
	return major == 10 && !minor && micro >= 13 ? ask_all(q, "vring-num", true, rings, e) : 0;
}

int virtio_rings_longest(struct qmp *q, json_t **rings, struct err *e)
{
	return ask_all(q, "vring-num-default", false, rings, e);
}

static const json_t *same_device(const json_t *rings, const char *device, const char *path)
{
	const json_t *one;
	size_t i;

	json_array_foreach((json_t *)rings, i, one)
		if (!strcmp(json_text(one, "device") ?: "", device) && !strcmp(json_text(one, "path") ?: "", path))
			return json_object_get(one, "entries");
	return NULL;
}

static char *misfit_of(const json_t *one, const json_t *longest)
{
	const char *device = json_text(one, "device"), *path = json_text(one, "path");
	const json_t *entries = json_object_get(one, "entries"), *there = device && path ? same_device(longest, device, path) : NULL;
	json_int_t has, may;

	for (size_t i = 0; i < json_array_size(there); i++) {
		has = json_integer_value(json_array_get(entries, i));
		may = json_integer_value(json_array_get(there, i));
		if (has > may && may > 0) {
			AUTO_FREE char *shown = text_shown(device);

			return xasprintf("the guest's %s device has a ring of %" JSON_INTEGER_FORMAT
					 " entries, which that QEMU makes %" JSON_INTEGER_FORMAT " entries long at most",
					 shown, has, may);
		}
	}
	return NULL;
}

char *virtio_rings_misfit(const json_t *used, const json_t *longest)
{
	const json_t *one;
	char *words = NULL;
	size_t i;

	json_array_foreach((json_t *)used, i, one)
		if (!words)
			words = misfit_of(one, longest);
	return words;
}
