/*
 * qemu-drift.c: whether the guest's command line still says what the guest is. What was plugged in or inserted by QMP since
 * it started is not on it, and a destination started from it would refuse the guest's state, or show it another medium.
 */
#include "qemu-discover.h"
#include "qemu-opts.h"
#include "qemu-props.h"
#include "util.h"

#include <errno.h>
#include <string.h>

/* ---- devices ---- */

/* Ids of the -device options, as a set; those that wait for their partner (failover) come and go by themselves. */
static json_t *ids_on_line(const struct guest *g)
{
	json_t *ids = json_object();
	struct qemu_opt opt;
	size_t i = 1;

	while (qemu_opt_next(g->line.expanded, g->line.expanded_count, &i, &opt)) {
		const char *id;
		struct props p;

		if (!opt.value || strcmp(opt.name, "device"))
			continue;
		props_parse(&p, opt.value);
		id = kv_get(&p.l, "id", NULL);
		if (id)
			json_object_set_new(ids, id, json_boolean(!kv_get(&p.l, "failover_pair_id", NULL)));
		props_fini(&p);
	}
	return ids;
}

static int check_plugged(json_t *present, json_t *ids, struct err *e)
{
	json_t *one;
	size_t i;

	json_array_foreach(present, i, one) {
		const char *name = json_string_value(json_object_get(one, "name"));
		const char *type = json_string_value(json_object_get(one, "type"));

		if (name && type && !strncmp(type, "child<", 6) && !json_object_get(ids, name))
			return err_set(e, ENOTSUP,
				       "device %s (%.*s) was plugged in while the guest ran: its command line, from which the "
				       "destination starts, does not have it; unplug it (device_del) first",
				       name, (int)strcspn(type + 6, ">"), type + 6);
	}
	return 0;
}

static bool is_present(json_t *present, const char *id)
{
	json_t *one;
	size_t i;

	json_array_foreach(present, i, one) {
		const char *name = json_string_value(json_object_get(one, "name"));

		if (name && !strcmp(name, id))
			return true;
	}
	return false;
}

static int check_unplugged(json_t *present, json_t *ids, struct err *e)
{
	const char *id;
	json_t *stays;

	json_object_foreach(ids, id, stays)
		if (json_is_true(stays) && !is_present(present, id))
			return err_set(e, ENOTSUP,
				       "device %s was unplugged while the guest ran, but its command line, from which the "
				       "destination starts, still has it; plug it in again first (device_add)",
				       id);
	return 0;
}

int guest_check_devices(const struct guest *g, json_t *present, struct err *e)
{
	json_t *ids = ids_on_line(g);
	int r = check_plugged(present, ids, e);

	if (r == 0)
		r = check_unplugged(present, ids, e);
	json_decref(ids);
	return r;
}

static int check_devices(const struct guest *g, struct qmp *q, struct err *e)
{
	json_t *present;
	int r = qmp_call_ms(q, g->deadline_ms ? g->deadline_ms : QMP_DEADLINE_MS, "qom-list",
			    json_pack("{s:s}", "path", "/machine/peripheral"), &present, e);

	if (r < 0)
		return r;
	r = guest_check_devices(g, present, e);
	json_decref(present);
	return r;
}

/* ---- media ---- */

bool guest_is_inserted(const struct guest *g, const char *path)
{
	AUTO_FREE char *real = realpath(path, NULL);
	size_t i;

	for (i = 0; i < g->disk_count; i++) {
		const struct guest_disk *d = &g->disks[i];

		if ((d->file && !strcmp(d->file, path)) || (real && d->real_path && !strcmp(d->real_path, real)))
			return true;
	}
	return false;
}

static bool is_on_line(const struct args_result *line, const struct guest_disk *d)
{
	size_t i;

	for (i = 0; i < line->file_count; i++) {
		AUTO_FREE char *real = realpath(line->files[i].path, NULL);

		if ((d->file && !strcmp(d->file, line->files[i].path)) || (real && d->real_path && !strcmp(d->real_path, real)))
			return true;
	}
	return false;
}

static int check_media(const struct guest *g, struct err *e)
{
	struct args_result line;
	struct err why;
	size_t i;
	int r = 0;

	if (guest_read_line(g, false, &line, &why) < 0)
		return 0; /* said elsewhere */
	for (i = 0; i < g->disk_count && r == 0; i++) {
		const struct guest_disk *d = &g->disks[i];

		if (d->removable && !d->removable_empty && d->file && !is_on_line(&line, d))
			r = err_set(e, ENOTSUP,
				    "medium %s was inserted while the guest ran: its command line, from which the "
				    "destination starts, does not have it; eject it first",
				    d->file);
	}
	args_result_fini(&line);
	return r;
}

int guest_check_drift(const struct guest *g, struct qmp *q, struct err *e)
{
	int r = check_devices(g, q, e);

	return r < 0 ? r : check_media(g, e);
}
