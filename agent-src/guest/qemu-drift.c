/*
 * qemu-drift.c: whether the guest's command line still says what the guest is. What was plugged in or inserted by QMP since
 * it started is not on it, and a destination started from it would refuse the guest's state, or show it another medium. What can be told of
 * devices that were plugged in is written into it (qemu-plugged.c).
 */
#include "qemu-discover.h"
#include "json-text.h"
#include "obstacles.h"
#include "process.h"
#include "qemu-opts.h"
#include "qemu-props.h"
#include "util.h"
#include "words.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void guest_note(struct guest *g, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	words_add(&g->notes.text, &g->notes.count, text);
}

#define PERIPHERAL "/machine/peripheral/"
#define CLOCKS_S   2 /* between that of files and that of processes */

int guest_get(const struct guest *g, struct qmp *q, const char *path, const char *property, json_t **value, struct err *e)
{
	int r = qmp_call_ms(q, g->deadline_ms ? g->deadline_ms : QMP_DEADLINE_MS, "qom-get",
			    json_pack("{s:s,s:s}", "path", path, "property", property), value, e);

	if (r < 0)
		*value = NULL;
	return r == -EREMOTEIO ? 0 : r;
}

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

		if (opt.value && !strcmp(opt.name, "debugcon")) /* QEMU makes a device of that id */
			json_object_set_new(ids, opt.name, json_true());
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

/* Id to type of those that are not on the line. */
static json_t *plugged_in(json_t *present, json_t *ids)
{
	json_t *found = json_object(), *one;
	size_t i;

	json_array_foreach(present, i, one) {
		const char *name = json_string_value(json_object_get(one, "name"));
		const char *type = json_string_value(json_object_get(one, "type"));

		if (name && type && !strncmp(type, "child<", 6) && !json_object_get(ids, name))
			json_object_set_new(found, name, json_stringn(type + 6, strcspn(type + 6, ">")));
	}
	return found;
}

static int refuse_plugged(json_t *plugged, struct obstacles *o, struct err *e)
{
	const char *id;
	json_t *type;
	int r = 0;

	json_object_foreach(plugged, id, type) {
		if (r)
			break;
		err_set(e, ENOTSUP,
			"device %s (%s) was plugged in while the guest ran: its command line, from which the destination starts, does not "
			"have it; unplug it (device_del) first",
			id, json_string_value(type));
		r = obstacles_fact(o, e);
	}
	return r;
}

/* Devices that stay in `plugged` are neither written nor refused with a reason of their own: they get the general one. */
static int write_in_plugged(struct guest *g, struct qmp *q, json_t *present, json_t *ids, struct obstacles *o, struct err *e)
{
	json_auto_t *plugged = plugged_in(present, ids);

	return guest_write_in_plugged(g, q, plugged, o, e) ?: refuse_plugged(plugged, o, e);
}

static int check_unplugged(json_t *present, json_t *ids, struct obstacles *o, struct err *e)
{
	const char *id;
	json_t *stays;
	int r = 0;

	json_object_foreach(ids, id, stays) {
		if (r || !json_is_true(stays) || json_find(present, "name", id))
			continue;
		err_set(e, ENOTSUP,
			"device %s was unplugged while the guest ran, but its command line, from which the destination starts, still has "
			"it; plug it in again first (device_add)",
			id);
		r = obstacles_fact(o, e);
	}
	return r;
}

int guest_check_devices(const struct guest *g, json_t *present, struct err *e)
{
	json_auto_t *ids = ids_on_line(g), *plugged = plugged_in(present, ids);

	return refuse_plugged(plugged, NULL, e) ?: check_unplugged(present, ids, NULL, e);
}

/* Devices without an id, which QEMU numbers in order: "device[0]" … */
struct nameless {
	size_t least, most; /* differ because an option that is short for a -device may or may not make one */
};

static void count_nameless(struct nameless *n, const struct qemu_opt *opt)
{
	static const char *const in_short[] = {"hda", "hdb", "hdc",	  "hdd",    "cdrom",	"fda",	   "fdb",   "sd", "mtdblock",
					       "nic", "net", "usbdevice", "virtfs", "watchdog", "balloon", "audio", NULL};
	struct props p;

	if (opt->value && !strcmp(opt->name, "device")) {
		props_parse(&p, opt->value);
		n->least += !kv_get(&p.l, "id", NULL);
		n->most += !kv_get(&p.l, "id", NULL);
		props_fini(&p);
	} else if (opt->value && !strcmp(opt->name, "drive")) {
		n->most += strstr(opt->value, "if=virtio") != NULL;
	}
	n->most += !*opt->name; /* a disk's name alone */
	n->most += word_index(in_short, opt->name) >= 0;
}

static int guest_check_nameless_devices(const struct guest *g, json_t *present, struct err *e)
{
	struct nameless on_line = {0, 0};
	size_t i = 1, n = 0, last = 0;
	struct qemu_opt opt;
	unsigned long at;
	json_t *one;

	while (qemu_opt_next(g->line.expanded, g->line.expanded_count, &i, &opt))
		count_nameless(&on_line, &opt);
	json_array_foreach(present, i, one) {
		const char *name = json_text(one, "name");

		if (!name || sscanf(name, "device[%lu]", &at) != 1)
			continue;
		n++;
		last = MAX(last, (size_t)at + 1);
	}
	if (n > on_line.most)
		return err_set(
			e, ENOTSUP,
			"a device without an id was plugged in while the guest ran: its command line, from which the destination starts, "
			"does not have it; unplug it (device_del) first");
	return n == last && n >= on_line.least
		       ? 0
		       : err_set(e, ENOTSUP,
				 "a device without an id was unplugged while the guest ran, but its command line, from which the destination starts, "
				 "still has it; plug it in again first (device_add)");
}

static int list(const struct guest *g, struct qmp *q, const char *path, json_t **out, struct err *e)
{
	return qmp_call_ms(q, g->deadline_ms ? g->deadline_ms : QMP_DEADLINE_MS, "qom-list", json_pack("{s:s}", "path", path), out, e);
}

static int check_devices(struct guest *g, struct qmp *q, struct obstacles *o, struct err *e)
{
	json_t *present, *ids;
	int r = list(g, q, "/machine/peripheral", &present, e);

	if (r < 0)
		return r;
	ids = ids_on_line(g);
	r = write_in_plugged(g, q, present, ids, o, e) ?: check_unplugged(present, ids, o, e);
	json_decref(ids);
	json_decref(present);
	r = r ?: list(g, q, "/machine/peripheral-anon", &present, e);
	if (r)
		return r;
	r = guest_check_nameless_devices(g, present, e) ? obstacles_fact(o, e) : 0;
	json_decref(present);
	return r;
}

/* ---- what devices are bound to: one of the same id may have been plugged in anew ---- */

/* 52:54:00:aa:00:01 and 52-54-00-AA-00-01 are one. */
static char plain(char c)
{
	return c == '-' ? ':' : (char)tolower((unsigned char)c);
}

static bool is_same_text(const char *a, const char *b)
{
	while (*a && plain(*a) == plain(*b))
		a++, b++;
	return *a == *b;
}

static int check_property(const struct guest *g, struct qmp *q, const struct kv_list *device, const char *name, struct err *e)
{
	const char *id = kv_get(device, "id", NULL), *said = kv_get(device, name, NULL), *has;
	AUTO_FREE char *path = id ? xasprintf("/machine/peripheral/%s", id) : NULL;
	json_auto_t *value = NULL;
	int r;

	if (!id || !said)
		return 0;
	r = guest_get(g, q, path, name, &value, e);
	if (r < 0)
		return r;
	has = json_string_value(value);
	if (has && !is_same_text(has, said))
		r = err_set(e, ENOTSUP,
			    "device %s has %s=%s, and its command line, from which the destination starts, says %s: it was plugged in anew "
			    "while the guest ran. Have it as it was first (device_del, device_add)",
			    id, name, has, said);
	return r;
}

/* QEMU says by its id which device has a disk, or by its path where it is a part without one. */
bool guest_disk_is_in(const struct guest_disk *d, const char *id)
{
	size_t n = strlen(id);

	if (!d->qdev || !strcmp(d->qdev, id))
		return d->qdev;
	return !strncmp(d->qdev, PERIPHERAL, sizeof(PERIPHERAL) - 1) && !strncmp(d->qdev + sizeof(PERIPHERAL) - 1, id, n) &&
	       strchr("/", d->qdev[sizeof(PERIPHERAL) - 1 + n]);
}

const struct guest_disk *guest_disk_of_device(const struct guest *g, const char *id)
{
	for (size_t i = 0; i < g->disk_count; i++)
		if (guest_disk_is_in(&g->disks[i], id))
			return &g->disks[i];
	return NULL;
}

static int check_drive(const struct guest *g, const struct kv_list *device, struct err *e)
{
	const char *id = kv_get(device, "id", NULL), *drive = kv_get(device, "drive", NULL);
	const struct guest_disk *d = id && drive ? guest_disk_of_device(g, id) : NULL;

	if (!d || d->removable_empty || (d->drive_id && !strcmp(d->drive_id, drive)) || (d->node && !strcmp(d->filter ?: d->node, drive)) ||
	    guest_node_is_of(g, drive, d))
		return 0;
	return err_set(
		e, ENOTSUP,
		"device %s has another disk (%s) than its command line says (%s), from which the destination starts: it was plugged in "
		"anew while the guest ran. Have it as it was first (device_del, device_add)",
		id, d->drive_id ?: d->node, drive);
}

/* Text as text is, numbers and PCI's "5.1" as what they are. */
static bool is_same_value(const json_t *has, const char *said)
{
	unsigned slot, function = 0;

	if (json_is_string(has))
		return is_same_text(json_string_value(has), said);
	if (json_is_boolean(has))
		return json_is_true(has) == (!strcmp(said, "on") || !strcmp(said, "true") || !strcmp(said, "yes"));
	return json_is_integer(has) &&
	       (strtoll(said, NULL, 0) == json_integer_value(has) ||
		(sscanf(said, "%x.%x", &slot, &function) >= 1 && (json_int_t)(slot << 3 | function) == json_integer_value(has)));
}

static int refuse_anew(const char *id, const char *what, struct err *e)
{
	return err_set(
		e, ENOTSUP,
		"device %s was plugged in anew while the guest ran, and vmferry cannot tell whether %s is as its command line says, from "
		"which the destination starts: start the guest anew, or move it shut down (--how warm, --how cold)",
		id, what);
}

/* Properties that place a disk or network card must be on the line: two of them may have changed places. */
static int check_place(const struct guest *g, struct qmp *q, const struct kv_list *device, const char *id, struct err *e)
{
	static const char *const places[] = {"addr", "scsi-id", "lun", "port"};
	AUTO_FREE char *path = xasprintf(PERIPHERAL "%s", id);

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		const char *said = kv_get(device, places[i], NULL);
		json_t *has;
		bool same;
		int r = guest_get(g, q, path, places[i], &has, e);

		same = !has || (said && is_same_value(has, said));
		json_decref(has);
		if (r < 0 || !same)
			return r < 0 ? r : refuse_anew(id, places[i], e);
	}
	return kv_get(device, "netdev", NULL) ? refuse_anew(id, "its network", e) : 0;
}

static int check_plugged_anew(const struct guest *g, struct qmp *q, const struct kv_list *device, struct err *e)
{
	static const char *const names[] = {"mac", "netdev", "chardev", "serial", "port"};
	const char *id = kv_get(device, "id", NULL);
	int r = check_drive(g, device, e);
	AUTO_FREE char *path = NULL;
	json_auto_t *plugged = NULL;

	for (size_t i = 0; i < ARRAY_LEN(names) && !r; i++)
		r = check_property(g, q, device, names[i], e);
	if (r || !id || kv_get(device, "failover_pair_id", NULL) || (!kv_get(device, "drive", NULL) && !kv_get(device, "netdev", NULL)))
		return r;
	path = xasprintf(PERIPHERAL "%s", id);
	r = guest_get(g, q, path, "hotplugged", &plugged, e);
	if (!r && json_is_true(plugged))
		r = check_place(g, q, device, id, e);
	return r;
}

static int check_devices_of_line(const struct guest *g, struct qmp *q, struct obstacles *o, struct err *e)
{
	struct qemu_opt opt;
	size_t i = 1;
	int r = 0;

	while (!r && qemu_opt_next(g->line.expanded, g->line.expanded_count - g->line.written_in, &i, &opt)) {
		struct props p;

		if (!opt.value || strcmp(opt.name, "device"))
			continue;
		props_parse(&p, opt.value);
		r = check_plugged_anew(g, q, &p.l, e) ? obstacles_fact(o, e) : 0;
		props_fini(&p);
	}
	return r;
}

/* ---- media ---- */

bool guest_is_inserted(const struct guest *g, const char *path)
{
	AUTO_FREE char *real = realpath(path, NULL);

	for (size_t i = 0; i < g->disk_count; i++) {
		const struct guest_disk *d = &g->disks[i];
		AUTO_FREE char *named = d->file ? guest_path(g, d->file) : NULL; /* its file may have no name any more */

		if ((named && !strcmp(named, path)) || (d->file && !strcmp(d->file, path)) ||
		    (real && d->real_path && !strcmp(d->real_path, real)))
			return true;
	}
	return false;
}

/* True if the line names the disk; its name counts, too, as its file may have been deleted since. */
static bool is_on_line(const struct guest *g, const struct args_result *line, const struct guest_disk *d)
{
	AUTO_FREE char *named = d->file ? guest_path(g, d->file) : NULL;

	for (size_t i = 0; i < line->file_count; i++) {
		AUTO_FREE char *real = realpath(line->files[i].path, NULL);

		if ((named && !strcmp(named, line->files[i].path)) || (real && d->real_path && !strcmp(d->real_path, real)))
			return true;
	}
	return false;
}

const struct guest_disk *guest_disk_of_drive(const struct guest *g, const char *id)
{
	for (size_t i = 0; i < g->disk_count; i++)
		if (g->disks[i].drive_id && !strcmp(g->disks[i].drive_id, id))
			return &g->disks[i];
	return NULL;
}

static int check_media(struct guest *g, struct qmp *q, struct obstacles *o, struct err *e)
{
	struct args_result line;
	struct err why;
	int r = 0;

	(void)q;
	if (guest_look_at_line(g, false, &line, &why) < 0)
		return 0; /* said elsewhere */
	for (size_t i = 0; i < g->disk_count && r == 0; i++) {
		const struct guest_disk *d = &g->disks[i];

		if (!d->removable || d->removable_empty || !d->file || is_on_line(g, &line, d))
			continue;
		err_set(e, ENOTSUP,
			"medium %s was inserted while the guest ran: its command line, from which the destination starts, does not have it; eject it "
			"first",
			d->file);
		r = obstacles_fact(o, e);
	}
	args_result_fini(&line);
	return r;
}

int guest_reads_what_is_there(const struct guest *g, const char *path, struct err *e)
{
	return !g->pid || !process_shows_files(g->pid) || process_has_open(g->pid, path)
		       ? 0
		       : err_set(e, ENOTSUP,
				 "%s was replaced, or removed, since the guest started: its QEMU reads another file, which had that name then, and "
				 "which cannot be carried. Put that back, or have the guest started again",
				 path);
}

/* Seconds since 1970 when the file last became another one: libvirt gives it to QEMU's user whenever it starts a guest that has it, which sets ctime.
 * A copy that keeps its older time (cp -p) is told by its birth. */
static int64_t changed_at(const struct statx *x, bool is_libvirts)
{
	if (!is_libvirts)
		return x->stx_ctime.tv_sec;
	return x->stx_mask & STATX_BTIME ? MAX(x->stx_mtime.tv_sec, x->stx_btime.tv_sec) : x->stx_mtime.tv_sec;
}

const char *guest_read_another(const struct guest *g, const char *path)
{
	struct statx x;

	if (!g->pid || statx(AT_FDCWD, path, 0, STATX_BASIC_STATS | STATX_BTIME, &x))
		return NULL;
	if (!process_sees(g->pid, path))
		return "is another file to its QEMU, which has a root or mounts of its own";
	return changed_at(&x, guest_is_libvirts(g)) > process_started_at(g->start_time) + CLOCKS_S ? "was changed since its QEMU read it"
												   : NULL;
}

/* ---- limits ---- */

/* Limits from the disk's -drive; other disks start without any. False: it shares a throttle group, and any member may have set the
 * limits. */
static bool limits_on_line(const struct guest *g, const struct guest_disk *d, int64_t *limits)
{
	static const char *const keys[GUEST_LIMITS][2] = {{"bps", "throttling.bps-total"},     {"bps_rd", "throttling.bps-read"},
							  {"bps_wr", "throttling.bps-write"},  {"iops", "throttling.iops-total"},
							  {"iops_rd", "throttling.iops-read"}, {"iops_wr", "throttling.iops-write"}};
	struct qemu_opt opt;
	bool alone = true;
	size_t i = 1, k;

	memset(limits, 0, GUEST_LIMITS * sizeof(*limits));
	while (qemu_opt_next(g->line.expanded, g->line.expanded_count, &i, &opt)) {
		const char *id, *file;
		struct kv_list l;

		if (!opt.value || strcmp(opt.name, "drive"))
			continue;
		kv_parse(&l, opt.value);
		id = kv_get(&l, "id", NULL);
		file = kv_get(&l, "file.filename", NULL) ?: kv_get(&l, "file", NULL);
		if (id ? d->drive_id && !strcmp(d->drive_id, id) : file && d->file && !strcmp(d->file, file)) {
			for (k = 0; k < GUEST_LIMITS; k++)
				limits[k] = strtoll(kv_get(&l, keys[k][0], NULL) ?: kv_get(&l, keys[k][1], NULL) ?: "0", NULL, 0);
			alone = !kv_get(&l, "group", NULL) && !kv_get(&l, "throttling.group", NULL);
		}
		kv_fini(&l);
	}
	return alone;
}

static void note_limits(struct guest *g)
{
	static const int64_t none[GUEST_LIMITS];
	int64_t said[GUEST_LIMITS];

	for (size_t i = 0; i < g->disk_count; i++) {
		const struct guest_disk *d = &g->disks[i];

		if (!limits_on_line(g, d, said) || d->removable_empty || !memcmp(said, d->limits, sizeof(said)))
			continue;
		guest_note(
			g,
			memcmp(said, none, sizeof(said))
				? "disk %s has other I/O limits than its command line says (block_set_io_throttle): at the destination it has "
				  "those of the command line, until they are set again"
				: "disk %s has I/O limits that its command line does not say (block_set_io_throttle): they do not go along, and "
				  "have to be set again",
			d->file ?: d->node);
	}
}

static int check_own_files(struct guest *g, struct qmp *q, struct obstacles *o, struct err *e)
{
	(void)q;
	return guest_write_in_own_files(g, o, e);
}

/* Runs all checks in order: each relies on what the one before has written into the line. */
static int check_all_devices(struct guest *g, struct qmp *q, struct obstacles *o, struct err *e)
{
	int r = check_devices(g, q, o, e);

	r = r < 0 ? r : guest_write_in_disks(g, q, o, e);
	return r < 0 ? r : check_devices_of_line(g, q, o, e);
}

int guest_check_drift(struct guest *g, struct qmp *q, struct obstacles *o, struct err *e)
{
	static int (*const checks[])(struct guest *, struct qmp *, struct obstacles *, struct err *) = {check_own_files, check_all_devices,
													check_media};
	struct err one;
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(checks) && (!r || (o && qmp_alive(q))); i++) {
		if (!checks[i](g, q, o, &one))
			continue;
		if (o)
			obstacles_add(o, &one);
		if (!r)
			*e = one;
		r = r ?: -one.code;
	}
	note_limits(g);
	return r;
}
