/*
 * qemu-plugged.c: writes what was plugged in while the guest ran into its command line, as if it had been started with it: devices, and the disks, networks
 * and memory that they are attached to, as far as QEMU tells enough of them.
 *
 * Of a device QEMU tells each property, and what it is by default. So all that is otherwise is written down, of whatever kind it is; its bus and
 * its place there, too, which the guest's state names. What is attached to it QEMU tells less of: some kinds, and there what matters to the guest.
 */
#include "qemu-discover.h"
#include "json-text.h"
#include "obstacles.h"
#include "qemu-opts.h"
#include "qemu-props.h"
#include "util.h"
#include "words.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define PERIPHERAL "/machine/peripheral/"

struct plugged {
	struct guest *g;
	struct qmp *q;
	struct err *e;
	struct obstacles *found; /* devices that cannot be written; NULL: fail at the first */
	json_t *refused;	 /* set of ids of devices that cannot be written, nor those on their buses */
	const char *id, *type;	 /* id and type of the current device */
	char **words;		 /* options, and their values */
	size_t count;
};

/* ---- asking ---- */

static int ask(const struct plugged *p, const char *command, json_t *args, json_t **out)
{
	return qmp_call_ms(p->q, p->g->deadline_ms ? p->g->deadline_ms : QMP_DEADLINE_MS, command, args, out, p->e);
}

static int refuse(const struct plugged *p, const char *why)
{
	return err_set(
		p->e, ENOTSUP,
		"device %s (%s) was plugged in while the guest ran, and %s, so the destination could not be started with it; unplug it "
		"(device_del) first",
		p->id, p->type, why);
}

/* ---- writing ---- */

static void add_option(struct plugged *p, const char *option, const struct kv_list *l)
{
	words_add(&p->words, &p->count, xstrdup(option));
	words_add(&p->words, &p->count, kv_print(l));
}

/* malloc'ed, as a command line has it; NULL: it is no single value. */
static char *text_of(const json_t *v)
{
	return json_is_string(v)    ? xstrdup(json_string_value(v))
	       : json_is_integer(v) ? xasprintf("%lld", (long long)json_integer_value(v))
	       : json_is_boolean(v) ? xstrdup(json_is_true(v) ? "on" : "off")
				    : NULL;
}

static bool is_word_named(char *const *words, size_t count, const char *option, const char *key, const char *value)
{
	size_t i = 0; /* qemu_opt_next() begins behind the program's name */
	struct qemu_opt opt;
	bool yes = false;

	while (!yes && qemu_opt_next(words, count, &i, &opt)) {
		struct props props;
		const char *has;

		if (!opt.value || strcmp(opt.name, option))
			continue;
		props_parse(&props, opt.value);
		has = kv_get(&props.l, key, NULL);
		yes = has && !strcmp(has, value);
		props_fini(&props);
	}
	return yes;
}

/* True if the line, or what was written already, defines it. */
static bool is_defined(const struct plugged *p, const char *option, const char *key, const char *value)
{
	return is_word_named(p->g->line.expanded, p->g->line.expanded_count, option, key, value) ||
	       is_word_named(p->words, p->count, option, key, value);
}

/* ---- disks ---- */

static void add_cache(struct kv_list *l, const json_t *node)
{
	const json_t *cache = json_object_get(node, "cache");

	kv_append(l, "cache.direct", json_is_true(json_object_get(cache, "direct")) ? "on" : "off");
	kv_append(l, "cache.no-flush", json_is_true(json_object_get(cache, "no-flush")) ? "on" : "off");
	kv_append(l, "detect-zeroes", json_text(node, "detect_zeroes") ?: "off");
	if (!strcmp(json_text(node, "detect_zeroes") ?: "", "unmap"))
		kv_append(l, "discard", "unmap"); /* detect-zeroes=unmap requires it */
	if (json_is_true(json_object_get(node, "ro")))
		kv_append(l, "read-only", "on");
}

static int check_image(const struct plugged *p, const json_t *node)
{
	const char *format = guest_disk_format(p->g, json_text(node, "drv")), *file = json_text(node, "file");

	if (!format || !file || !*file || qemu_path_has_protocol(file) || (strcmp(format, "raw") && strcmp(format, "qcow2")))
		return refuse(p, "its disk is no raw or qcow2 image in a file or block device");
	return json_is_true(json_object_get(node, "encrypted")) ? refuse(p, "its disk is encrypted by QEMU, which does not tell the key")
								: 0;
}

/* Writes the -blockdev that corresponds to the user's blockdev-add. */
static int write_node(struct plugged *p, const json_t *node)
{
	const char *file = json_text(node, "file");
	struct kv_list l = {.n = 0};
	int r = check_image(p, node);
	AUTO_FREE char *path = r < 0 ? NULL : guest_path(p->g, file);
	struct stat st;

	if (r < 0)
		return r;
	kv_append(&l, "driver", guest_disk_format(p->g, json_text(node, "drv")));
	kv_append(&l, "node-name", json_text(node, "node-name"));
	add_cache(&l, node);
	kv_append(&l, "file.driver", !stat(path, &st) && S_ISBLK(st.st_mode) ? "host_device" : "file");
	kv_append(&l, "file.filename", file);
	add_option(p, "-blockdev", &l);
	kv_fini(&l);
	return 0;
}

static bool is_limited(const json_t *drive)
{
	static const char *const limits[] = {"bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr"};

	for (size_t i = 0; i < ARRAY_LEN(limits); i++)
		if (json_integer_value(json_object_get(drive, limits[i])))
			return true;
	return false;
}

/* Writes the -drive that corresponds to the human monitor's drive_add. */
static int write_drive(struct plugged *p, const char *id, const json_t *node)
{
	struct kv_list l = {.n = 0};
	int r = check_image(p, node);

	if (!r && is_limited(node))
		r = refuse(p, "its drive is limited (bps, iops)");
	if (r < 0)
		return r;
	kv_append(&l, "file", json_text(node, "file"));
	kv_append(&l, "format", json_text(node, "drv"));
	kv_append(&l, "if", "none");
	kv_append(&l, "id", id);
	kv_append(&l, "cache.writeback", json_is_false(json_object_get(json_object_get(node, "cache"), "writeback")) ? "off" : "on");
	if (strstr(p->type, "-cd"))
		kv_append(&l, "media", "cdrom");
	add_cache(&l, node);
	add_option(p, "-drive", &l);
	kv_fini(&l);
	return 0;
}

static int write_disk(struct plugged *p, const char *name)
{
	json_auto_t *drives = NULL;
	json_t *nodes;
	const json_t *node, *drive;
	int r;

	if (is_defined(p, "drive", "id", name) || is_defined(p, "blockdev", "node-name", name))
		return 0;
	if (*name == '#') /* QEMU's own */
		return refuse(p, "its image was put in later, by a snapshot, a mirror or as a medium");
	r = ask(p, "query-named-block-nodes", NULL, &nodes);
	if (r < 0)
		return r;
	node = json_find(nodes, "node-name", name);
	if (node) {
		r = write_node(p, node);
		json_decref(nodes);
		return r;
	}
	json_decref(nodes);
	r = ask(p, "query-block", NULL, &drives);
	if (r < 0)
		return r;
	drive = json_object_get(json_find(drives, "device", name), "inserted");
	return drive ? write_drive(p, name, drive) : refuse(p, "QEMU does not tell what its disk is");
}

/* ---- networks ---- */

/* The line of the human monitor's "info network" about a back end, malloc'ed: what follows "ID: index=N,"; NULL: there is not exactly one. */
static char *about_network(const char *text, const char *id)
{
	AUTO_FREE char *begins = xasprintf("%s: index=", id);
	const char *line, *found = NULL, *comma;
	unsigned n = 0;

	for (line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		const char *at = line + strspn(line, " \\");

		if (!text_starts_with(at, begins))
			continue;
		found = at;
		n++;
	}
	comma = n == 1 ? strchr(found, ',') : NULL;
	return comma ? xasprintf("%.*s", (int)strcspn(comma + 1, "\r\n"), comma + 1) : NULL;
}

/* "type=tap,ifname=…" to the properties of a -netdev; false: it cannot be told from that. */
static bool network_of(const struct kv_list *said, const char *id, struct kv_list *l)
{
	static const char *const of_tap[] = {"ifname", "script", "downscript"}, *const of_bridge[] = {"br", "helper"};
	const char *type = kv_get(said, "type", NULL) ?: "";
	bool tap = !strcmp(type, "tap") && kv_get(said, "ifname", NULL), bridge = !strcmp(type, "tap") && kv_get(said, "br", NULL);
	bool user = !strcmp(type, "user") && !strcmp(kv_get(said, "net", NULL) ?: "", "10.0.2.0");
	const char *const *keys = tap ? of_tap : of_bridge;
	size_t i, n = tap ? ARRAY_LEN(of_tap) : bridge ? ARRAY_LEN(of_bridge) : 0;

	if (!tap && !bridge && !user)
		return false;
	kv_append(l, NULL, tap ? "tap" : bridge ? "bridge" : "user");
	kv_append(l, "id", id);
	for (i = 0; i < n; i++)
		if (kv_get(said, keys[i], NULL))
			kv_append(l, keys[i], kv_get(said, keys[i], NULL));
	if (user && !strcmp(kv_get(said, "restrict", NULL) ?: "", "on"))
		kv_append(l, "restrict", "on");
	return true;
}

static int write_network(struct plugged *p, const char *id)
{
	AUTO_FREE char *all = NULL, *forwards = NULL, *about = NULL;
	struct kv_list said, l = {.n = 0};
	int r;

	if (is_defined(p, "netdev", "id", id))
		return 0;
	r = qmp_hmp(p->q, "info network", &all, p->e);
	r = r < 0 ? r : qmp_hmp(p->q, "info usernet", &forwards, p->e);
	if (r < 0)
		return r;
	about = about_network(all, id);
	kv_parse(&said, about ?: "");
	if (!network_of(&said, id, &l))
		r = refuse(
			p,
			"QEMU does not tell enough of the network that it is attached to (a tap by its name, a bridge or a plain user network can be "
			"told)");
	else if (!strcmp(kv_get(&said, "type", NULL), "user") && strstr(forwards, "HOST_FORWARD"))
		r = refuse(p, "user networks forward ports, and QEMU does not tell whether its network does");
	else
		add_option(p, "-netdev", &l);
	kv_fini(&said);
	kv_fini(&l);
	return r;
}

/* ---- other objects ---- */

static int write_memory(struct plugged *p, const char *id)
{
	json_t *all;
	const json_t *m;
	struct kv_list l = {.n = 0};
	AUTO_FREE char *size = NULL;
	int r = ask(p, "query-memdev", NULL, &all);

	if (r < 0)
		return r;
	m = json_find(all, "id", id);
	if (strcmp(json_text(m, "policy") ?: "default", "default")) {
		json_decref(all);
		return refuse(p, "its memory is bound to nodes of this host");
	}
	size = xasprintf("%lld", (long long)json_integer_value(json_object_get(m, "size")));
	kv_append(&l, NULL, "memory-backend-ram");
	kv_append(&l, "id", id);
	kv_append(&l, "size", size);
	if (json_is_true(json_object_get(m, "share")))
		kv_append(&l, "share", "on");
	if (json_is_false(json_object_get(m, "merge")))
		kv_append(&l, "merge", "off");
	if (json_is_false(json_object_get(m, "dump")))
		kv_append(&l, "dump", "off");
	if (json_is_true(json_object_get(m, "prealloc")))
		kv_append(&l, "prealloc", "on");
	add_option(p, "-object", &l);
	kv_fini(&l);
	json_decref(all);
	return 0;
}

static int write_iothread(struct plugged *p, const char *id)
{
	AUTO_KV struct kv_list l = {.n = 0};

	kv_append(&l, NULL, "iothread");
	kv_append(&l, "id", id);
	add_option(p, "-object", &l);
	return 0;
}

/* path: "/objects/ID" */
static int write_object(struct plugged *p, const char *path)
{
	const char *id = strrchr(path, '/') + 1, *type;
	json_auto_t *all = NULL;
	int r;

	if (strncmp(path, "/objects/", 9))
		return refuse(p, "it is linked to something that is no object of the user's");
	if (is_defined(p, "object", "id", id))
		return 0;
	r = ask(p, "qom-list", json_pack("{s:s}", "path", "/objects"), &all);
	if (r < 0)
		return r;
	type = json_text(json_find(all, "name", id), "type") ?: "";
	return !strcmp(type, "child<memory-backend-ram>") ? write_memory(p, id)
	       : !strcmp(type, "child<iothread>")
		       ? write_iothread(p, id)
		       : refuse(p, "QEMU does not tell enough of an object that it uses (plain memory and iothreads can be told)");
}

/* ---- devices ---- */

/* Device types about which QEMU can be asked all that matters. A name with "*" at its end is a prefix. */
static bool is_known(const char *type)
{
	static const char *const types[] = {"virtio-blk-pci*", "virtio-scsi-pci*", "virtio-net-pci*", "virtio-balloon-pci*",
					    "scsi-hd",	       "scsi-cd",	   "usb-storage",     "usb-tablet",
					    "usb-mouse",       "usb-kbd",	   "e1000",	      "e1000e",
					    "rtl8139",	       "pc-dimm"};
	size_t n = strlen(type), i;

	for (i = 0; i < ARRAY_LEN(types); i++) {
		size_t len = strcspn(types[i], "*");

		if (!strncmp(type, types[i], len) && (types[i][len] || n == len))
			return true;
	}
	return false;
}

static bool is_processor(const char *type)
{
	return strstr(type, "-x86_64-cpu") != NULL;
}

/* True for properties that place a processor among others; the rest is the model's, which is the same for all. */
static bool is_place_of_processor(const char *name)
{
	static const char *const names[] = {"socket-id", "die-id", "cluster-id", "module-id", "core-id", "thread-id", "node-id", NULL};

	return word_index(names, name) >= 0;
}

static bool is_asked_for(const struct plugged *p, const char *name)
{
	if (is_processor(p->type))
		return is_place_of_processor(name);
	return strcmp(name, "busnr") && strcmp(name, "attached") &&
	       (strcmp(p->type, "pc-dimm") || strcmp(name, "size")); /* these follow from others */
}

/* True if the value says something that differs from a default that QEMU does not report. */
static bool says_something(const char *name, const char *text)
{
	if (!strcmp(name, "bootindex"))
		return *text != '-';
	if (!strcmp(name, "romfile")) /* none, or one of QEMU's own */
		return strchr(text, '/') || !*text;
	return *text && strcmp(text, "0") && strcmp(text, "off") && strcmp(text, "-1");
}

/* True if the user has named the ROM; QEMU's own names for its devices' ROMs begin with efi- and pxe-. */
static bool is_rom_of_the_user(const char *file)
{
	return *file && !strchr(file, '/') && strncmp(file, "efi-", 4) && strncmp(file, "pxe-", 4);
}

static int refers_to(struct plugged *p, const char *name, const char *type, const char *text)
{
	if (!strcmp(name, "drive"))
		return write_disk(p, text);
	if (!strcmp(name, "netdev"))
		return write_network(p, text);
	if (!strcmp(name, "chardev") && !is_defined(p, "chardev", "id", text))
		return refuse(p, "QEMU does not tell enough of the character device that it uses");
	return !strncmp(type, "link<", 5) && strchr(text, '/') ? write_object(p, text) : 0;
}

/* Writes one property from device-list-properties, if it is not at its default. */
static int write_property(struct plugged *p, struct kv_list *l, const char *path, const json_t *property)
{
	const char *name = json_text(property, "name") ?: "", *type = json_text(property, "type") ?: "";
	const json_t *usual = json_object_get(property, "default-value");
	AUTO_FREE char *text = NULL;
	json_t *value;
	int r;

	if (!is_asked_for(p, name) || !strncmp(type, "child<", 6))
		return 0;
	r = guest_get(p->g, p->q, path, name, &value, p->e);
	if (r < 0 || !value)
		return r;
	text = text_of(value);
	if (!strcmp(name, "addr") && !strcmp(type, "str") && json_is_integer(value)) /* PCI addresses: slot and function */
		kv_replace(&text, xasprintf("%02llx.%llx", (unsigned long long)json_integer_value(value) >> 3 & 0x1f,
					    (unsigned long long)json_integer_value(value) & 7));
	if (!strcmp(name, "romfile") && text && is_rom_of_the_user(text))
		r = refuse(p, "its ROM is a file that QEMU looks for in directories of its own");
	if (!text && json_array_size(value))
		r = refuse(p, "it has a property of several values, which are not known");
	if (text && (usual ? !json_equal(value, usual) : says_something(name, text))) {
		r = refers_to(p, name, type, text);
		kv_append(l, name, !strncmp(type, "link<", 5) && strrchr(text, '/') ? strrchr(text, '/') + 1 : text);
	}
	json_decref(value);
	return r;
}

/* Devices of some types keep their disk in a child object and do not name it. */
static int write_part_s_disk(struct plugged *p, struct kv_list *l)
{
	for (size_t i = 0; i < p->g->disk_count; i++) {
		const struct guest_disk *d = &p->g->disks[i];
		const char *name = d->drive_id ?: d->node;

		if (!name || !guest_disk_is_in(d, p->id) || kv_get(l, "drive", NULL))
			continue;
		kv_append(l, "drive", name);
		return write_disk(p, name);
	}
	return 0;
}

static int write_device(struct plugged *p, const char *bus)
{
	AUTO_FREE char *path = xasprintf(PERIPHERAL "%s", p->id);
	struct kv_list l = {.n = 0};
	json_t *properties, *one;
	size_t i;
	int r;

	if (!is_known(p->type) && !is_processor(p->type))
		return refuse(p, "what it has of this host is not known");
	r = ask(p, "device-list-properties", json_pack("{s:s}", "typename", p->type), &properties);
	if (r < 0)
		return r;
	kv_append(&l, NULL, p->type);
	kv_append(&l, "id", p->id);
	if (strrchr(bus, '/'))
		kv_append(&l, "bus", strrchr(bus, '/') + 1);
	json_array_foreach(properties, i, one)
		r = r ?: write_property(p, &l, path, one);
	r = r ?: write_part_s_disk(p, &l);
	if (!r && !strncmp(p->type, "usb-", 4) && !kv_get(&l, "port", NULL))
		r = refuse(p, "QEMU does not tell at which port it is (device_add with port= says)");
	if (!r)
		add_option(p, "-device", &l);
	json_decref(properties);
	kv_fini(&l);
	return r;
}

/* ---- all of them ---- */

/* Finds the device's bus, malloc'ed; "": it has none. */
static int bus_of(const struct plugged *p, char **bus)
{
	AUTO_FREE char *path = xasprintf(PERIPHERAL "%s", p->id);
	json_auto_t *value = NULL;
	int r = guest_get(p->g, p->q, path, "parent_bus", &value, p->e);

	*bus = r < 0 ? NULL : xstrdup(json_string_value(value) ?: "");
	return r;
}

/* The bus belongs to one of these devices. */
static bool is_on_one_of(const json_t *devices, const char *bus)
{
	const char *id;
	json_t *value;

	if (strncmp(bus, PERIPHERAL, sizeof(PERIPHERAL) - 1))
		return false;
	json_object_foreach((json_t *)devices, id, value) {
		size_t n = strlen(id);

		if (!strncmp(bus + sizeof(PERIPHERAL) - 1, id, n) && bus[sizeof(PERIPHERAL) - 1 + n] == '/')
			return true;
	}
	return false;
}

/* A device that cannot be written as a whole loses the options that were written for it. */
static int write_or_tell(struct plugged *p, const char *bus)
{
	size_t before = p->count;
	int r = is_on_one_of(p->refused, bus) ? 0 : write_device(p, bus);

	if (!r && p->count > before)
		return 0;
	while (p->count > before)
		free(p->words[--p->count]);
	json_object_set_new(p->refused, p->id, json_null());
	return r ? obstacles_fact(p->found, p->e) : 0;
}

/* Devices whose bus is there are written, and leave todo. A bus may belong to a device that was plugged in as well, and is not written yet. */
static int write_some(struct plugged *p, json_t *todo)
{
	json_t *type;
	const char *id;
	void *next;
	int r = 0;

	json_object_foreach_safe(todo, next, id, type)
	{
		AUTO_FREE char *bus = NULL, *name = xstrdup(id);

		p->id = name;
		p->type = json_string_value(type);
		r = bus_of(p, &bus);
		if (!r && is_on_one_of(todo, bus))
			continue;
		r = r ?: write_or_tell(p, bus);
		if (r < 0)
			return r;
		json_object_del(todo, name);
	}
	return 0;
}

static void append(char ***argv, size_t *argc, char *const *words, size_t count)
{
	*argv = xrealloc(*argv, (*argc + count + 1) * sizeof(**argv));
	for (size_t i = 0; i < count; i++)
		(*argv)[(*argc)++] = xstrdup(words[i]);
	(*argv)[*argc] = NULL;
}

static void note_devices(struct guest *g, char *const *words, size_t count)
{
	for (size_t i = 0; i + 1 < count; i += 2)
		if (!strcmp(words[i], "-device"))
			guest_note(g, "it was plugged in while the guest ran, and is on its command line at the destination: -device %s",
				   words[i + 1]);
}

int guest_write_in_plugged(struct guest *g, struct qmp *q, json_t *todo, struct obstacles *found, struct err *e)
{
	struct plugged p = {.g = g, .q = q, .e = e, .found = found, .refused = json_object()};
	size_t left = json_object_size(todo) + 1;
	int r = 0;

	while (!r && json_object_size(todo) && json_object_size(todo) < left) {
		left = json_object_size(todo);
		r = write_some(&p, todo);
	}
	if (!r) {
		append(&g->line.argv, &g->line.argc, p.words, p.count);
		append(&g->line.expanded, &g->line.expanded_count, p.words, p.count);
		g->line.written_in += p.count;
		note_devices(g, p.words, p.count);
	}
	args_free_strings(p.words, p.count);
	json_decref(p.refused);
	return r;
}
