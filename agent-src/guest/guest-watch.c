/* guest-watch.c: see guest-watch.h. */
#include "guest-watch.h"

#include <errno.h>
#include <string.h>

#define PERIPHERAL "/machine/peripheral"
#define ANONYMOUS  "/machine/peripheral-anon"

static void wrong(struct guest_watch *w, const struct err *e)
{
	if (!w->wrong.code)
		w->wrong = *e;
}

/* ---- drives ---- */

static const char *text(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "";
}

/* Per drive, everything that must not change: its node, file and size. */
static json_t *drives_of(const json_t *blocks)
{
	json_t *drives = json_object(), *block;
	size_t i;

	json_array_foreach((json_t *)blocks, i, block) {
		const json_t *in = json_object_get(block, "inserted");
		const char *name = *text(block, "qdev")	    ? text(block, "qdev")
				   : *text(block, "device") ? text(block, "device")
							    : text(in, "node-name");

		json_object_set_new(drives, name,
				    in ? json_pack("{s:s,s:s,s:O*}", "node", text(in, "node-name"), "file", text(in, "file"), "size",
						   json_object_get(json_object_get(in, "image"), "virtual-size"))
				       : json_object());
	}
	return drives;
}

static void describe_drive(char out[256], const json_t *drive)
{
	if (json_object_size(drive))
		snprintf(out, 256, "%s (node %s, %lld bytes)", text(drive, "file"), text(drive, "node"),
			 (long long)json_integer_value(json_object_get(drive, "size")));
	else
		snprintf(out, 256, "%s", drive ? "without a medium" : "not there");
}

static void drive_changed(struct guest_watch *w, const char *name, const json_t *was, const json_t *is)
{
	char then[256], now[256];
	struct err e;

	describe_drive(then, was);
	describe_drive(now, is);
	err_set(&e, EBUSY,
		"another client changed drive %s during the move (a snapshot, a block job, another medium or size): it was %s, and is %s: "
		"what the guest writes now would not have been copied",
		name, then, now);
	wrong(w, &e);
}

void guest_watch_drives(struct guest_watch *w, const json_t *blocks)
{
	json_t *now = drives_of(blocks), *drive;
	const char *name;

	json_object_foreach(w->drives, name, drive)
		if (!json_equal(drive, json_object_get(now, name)))
			drive_changed(w, name, drive, json_object_get(now, name));
	json_object_foreach(now, name, drive)
		if (!json_object_get(w->drives, name))
			drive_changed(w, name, NULL, drive);
	json_decref(now);
}

/* ---- all of it ---- */

static void on_answer(struct guest_watch *w, json_t *ret, const struct err *e)
{
	if (!ret)
		wrong(w, e);
	if (!--w->awaited && w->answered)
		w->answered(w->ctx);
}

static void on_blocks(void *arg, json_t *ret, const struct err *e)
{
	if (ret)
		guest_watch_drives(arg, ret);
	on_answer(arg, ret, e);
}

static void job_found(struct guest_watch *w, const char *id, const char *type)
{
	struct err e;

	err_set(&e, EBUSY, "another client began a block job (%s%s%s) in this guest during the move", id, *type ? ", " : "", type);
	wrong(w, &e);
}

static void on_jobs(void *arg, json_t *ret, const struct err *e)
{
	if (json_array_size(ret))
		job_found(arg, text(json_array_get(ret, 0), "device"), text(json_array_get(ret, 0), "type"));
	on_answer(arg, ret, e);
}

static void on_devices(void *arg, json_t *ret, const struct err *e)
{
	struct guest_watch *w = arg;
	struct err why;

	if (ret && w->devices && !json_equal(w->devices, ret)) {
		err_set(&why, EBUSY, "another client plugged a device in or out during the move");
		wrong(w, &why);
	} else if (ret && !w->devices && guest_check_devices(w->guest, ret, &why)) {
		err_prefix(&why, "another client changed the guest during the move");
		wrong(w, &why);
	}
	on_answer(w, ret, e);
}

static void on_anonymous(void *arg, json_t *ret, const struct err *e)
{
	struct guest_watch *w = arg;
	struct err why;

	if (ret && json_array_size(ret) != w->anonymous) {
		err_set(&why, EBUSY, "another client plugged a device in or out during the move");
		wrong(w, &why);
	}
	on_answer(w, ret, e);
}

static void ask(struct guest_watch *w, struct qmp *q, const char *command, json_t *args, qmp_reply_fn fn)
{
	w->awaited++;
	qmp_send(q, command, args, QMP_DEADLINE_MS, fn, w);
}

void guest_watch_ask(struct guest_watch *w, struct qmp *q)
{
	if (w->asked)
		return;
	w->asked = true;
	ask(w, q, "query-block", NULL, on_blocks);
	ask(w, q, "query-block-jobs", NULL, on_jobs);
	ask(w, q, "qom-list", json_pack("{s:s}", "path", PERIPHERAL), on_devices);
	ask(w, q, "qom-list", json_pack("{s:s}", "path", ANONYMOUS), on_anonymous);
}

bool guest_watch_answered(const struct guest_watch *w)
{
	return w->asked && !w->awaited;
}

int guest_watch_result(const struct guest_watch *w, struct err *e)
{
	if (w->wrong.code)
		*e = w->wrong;
	return -w->wrong.code;
}

/* Notes that a device has gone: by the time we look, another one may have its id. */
static void device_gone(struct guest_watch *w, const char *device)
{
	struct err e;

	err_set(&e, EBUSY, "another client took the device %s out of the guest during the move", *device ? device : "without an id");
	wrong(w, &e);
}

/* Notes an event. Every block job is a job; so is a snapshot with memory, which stops the guest. */
void guest_watch_event(struct guest_watch *w, const char *name, const json_t *data)
{
	if (w->guest && !strcmp(name, "JOB_STATUS_CHANGE"))
		job_found(w, text(data, "id"), "");
	if (w->guest && !strcmp(name, "DEVICE_DELETED"))
		device_gone(w, text(data, "device"));
}

static bool is_among(const struct guest *g, const char *node)
{
	for (size_t i = 0; i < g->disk_count; i++)
		if (g->disks[i].node && !strcmp(g->disks[i].filter ?: g->disks[i].node, node))
			return true;
	return false;
}

int guest_watch_check(const struct guest_watch *w, struct err *e)
{
	size_t i, n = 0;
	const char *name;
	bool same = true;
	json_t *drive;

	json_object_foreach(w->drives, name, drive) {
		const char *node = text(drive, "node");

		same &= !*node || is_among(w->guest, node);
		n += *node != '\0';
	}
	for (i = 0; i < w->guest->disk_count; i++)
		n -= w->guest->disks[i].node != NULL;
	return same && !n ? 0
			  : err_set(e, EBUSY,
				    "another client changed a drive of the guest (a snapshot, a block job, another medium) while it was "
				    "looked at: try again");
}

int guest_watch_begin(struct guest_watch *w, const struct guest *g, struct qmp *q, struct err *e)
{
	json_t *answer;
	int r = qmp_call(q, "query-block", NULL, &answer, e);

	*w = (struct guest_watch){.guest = g};
	if (r)
		return r;
	w->drives = drives_of(answer);
	json_decref(answer);
	r = qmp_call(q, "qom-list", json_pack("{s:s}", "path", ANONYMOUS), &answer, e);
	if (r)
		return r;
	w->anonymous = json_array_size(answer);
	json_decref(answer);
	return guest_is_libvirts(g) ? qmp_call(q, "qom-list", json_pack("{s:s}", "path", PERIPHERAL), &w->devices, e) : 0;
}

void guest_watch_fini(struct guest_watch *w)
{
	json_decref(w->drives);
	json_decref(w->devices);
	*w = (struct guest_watch){.guest = NULL};
}
