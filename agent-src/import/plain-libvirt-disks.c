/* plain-libvirt-disks.c: what disks and drives are made of, and where they are. */
#include "plain-libvirt-private.h"
#include "qemu-opts.h"
#include "util.h"
#include "words.h"

#include <stdio.h>
#include <string.h>

/* ---- images ---- */

struct image {
	const char *file, *format, *below; /* below: of the driver that reads the file */
	const char *cache, *io, *discard, *zeroes, *werror, *rerror, *serial;
	bool is_read_only, is_cdrom, copies_on_read;
	int direct, no_flush;
};

static bool is_of_files(const char *driver)
{
	static const char *const words[] = {"file", "host_device", "host_cdrom", NULL};

	return word_index(words, driver) >= 0;
}

static const char *take_in(struct word *w, const char *prefix, const char *key)
{
	AUTO_FREE char *whole = xasprintf("%s%s", prefix, key);

	return word_take(w, whole);
}

static int flag_in(struct word *w, const char *prefix, const char *key)
{
	AUTO_FREE char *whole = xasprintf("%s%s", prefix, key);

	return word_flag(w, whole);
}

static void take_common(struct word *w, const char *prefix, struct image *m)
{
	int is;

	m->io = take_in(w, prefix, "aio") ?: m->io;
	m->discard = take_in(w, prefix, "discard") ?: m->discard;
	m->zeroes = take_in(w, prefix, "detect-zeroes") ?: m->zeroes;
	is = flag_in(w, prefix, "cache.direct");
	m->direct = is >= 0 ? is : m->direct;
	is = flag_in(w, prefix, "cache.no-flush");
	m->no_flush = is >= 0 ? is : m->no_flush;
	m->is_read_only |= flag_in(w, prefix, "read-only") == 1;
	flag_in(w, prefix, "auto-read-only");
}

/* A node of -blockdev, or of what a -drive has behind a prefix, and those below it. */
static void take_node(struct plain_work *p, struct word *w, const char *prefix, struct image *m, unsigned depth)
{
	const char *driver = take_in(w, prefix, "driver"), *file;
	AUTO_FREE char *below = xasprintf("%sfile.", prefix);
	struct word *next;

	take_in(w, prefix, "node-name");
	take_common(w, prefix, m);
	if (driver && is_of_files(driver)) {
		m->file = take_in(w, prefix, "filename") ?: m->file;
		return;
	}
	if (driver && !strcmp(driver, "throttle"))
		plain_note(p, "limits of disk I/O are not set there (virsh blkdeviotune)"), take_in(w, prefix, "throttle-group");
	else if (driver && !strcmp(driver, "copy-on-read"))
		m->copies_on_read = true;
	else if (driver && (!m->format || !strcmp(m->format, "raw")))
		m->format = driver;
	if (take_in(w, prefix, "offset") || take_in(w, prefix, "size"))
		plain_refuse(p, "a disk that is a part of its file");
	file = take_in(w, prefix, "file");
	next = file ? word_called(p, "blockdev", "node-name", file) : NULL;
	if (next)
		word_see(next);
	if (depth < 8 && (next || !file))
		take_node(p, next ?: w, next ? "" : below, m, depth + 1);
}

static void take_drive(struct plain_work *p, struct word *w, struct image *m)
{
	static const char *const passed[] = {"if", "id", "index", "bus", "unit"};
	const char *media = word_take(w, "media"), *driver = kv_get(&w->p.l, "driver", NULL);

	word_see(w);
	word_pass(w, passed, ARRAY_LEN(passed));
	if (word_flag(w, "snapshot") == 1)
		plain_refuse(p, "a disk whose changes are thrown away (snapshot=on)");
	take_common(w, "", m);
	take_common(w, "file.", m);
	m->is_cdrom = media && !strcmp(media, "cdrom");
	m->is_read_only |= word_flag(w, "readonly") == 1;
	m->copies_on_read = word_flag(w, "copy-on-read") == 1;
	m->cache = word_take(w, "cache");
	m->werror = word_take(w, "werror");
	m->rerror = word_take(w, "rerror");
	m->serial = word_take(w, "serial");
	m->file = word_take(w, "file") ?: word_take(w, "file.filename") ?: word_take(w, "filename");
	word_take(w, "file.driver");
	m->format = word_take(w, "format") ?: (driver && !is_of_files(driver) ? driver : NULL);
	word_take(w, "driver");
	word_take(w, "node-name");
	if (!m->file && word_take(w, "file.file.filename"))
		m->file = word_take(w, "file.file.filename"), word_take(w, "file.file.driver");
	if (word_take(w, "offset") || word_take(w, "size") || word_take(w, "file.offset") || word_take(w, "file.size"))
		plain_refuse(p, "a disk that is a part of its file");
}

/* The image of a device: of a -drive, or of a -blockdev. False: its drive is empty. */
static bool take_image(struct plain_work *p, struct word *device, struct image *m)
{
	const char *id = word_take(device, "drive");
	struct word *w = id ? word_called(p, "drive", "id", id) : NULL, *node = id ? word_called(p, "blockdev", "node-name", id) : NULL;

	*m = (struct image){.direct = -1, .no_flush = -1};
	if (w) {
		take_drive(p, w, m);
	} else if (node) {
		word_see(node);
		take_node(p, node, "", m, 0);
	} else if (id) {
		plain_refuse(p, "a device whose drive is not on its line (%.60s)", id);
	}
	return m->file && *m->file;
}

/* ---- a disk ---- */

struct place {
	const char *bus, *model;
	char target[16];
	bool has_address;
	unsigned controller, bus_number, scsi_target, unit;
};

static void name_target(struct place *to, const char *prefix, unsigned n)
{
	if (n < 26)
		snprintf(to->target, sizeof(to->target), "%s%c", prefix, 'a' + n);
	else
		snprintf(to->target, sizeof(to->target), "%s%c%c", prefix, 'a' + n / 26 - 1, 'a' + n % 26);
}

static const char *cache_of(const struct image *m)
{
	static const char *const words[] = {"none", "writeback", "writethrough", "directsync", "unsafe", NULL};

	if (m->cache)
		return word_index(words, m->cache) >= 0 ? m->cache : NULL;
	return m->direct == 1 ? "none" : m->no_flush == 1 ? "unsafe" : NULL;
}

static const char *format_of(const struct plain_work *p, const struct image *m, const char *path)
{
	for (size_t i = 0; !m->format && i < p->g->image_count; i++)
		if (!strcmp(p->g->images[i].path, path))
			return p->g->images[i].format;
	return m->format ?: "raw";
}

static void add_driver(struct plain_work *p, xmlNode *disk, const struct image *m, struct word *device, const char *path)
{
	xmlNode *d = plain_add_with(disk, "driver", "name", "qemu");
	const char *discard = m->discard && (!strcmp(m->discard, "unmap") || !strcmp(m->discard, "on")) ? "unmap"
			      : m->discard								? "ignore"
													: NULL;

	plain_set(d, "type", path ? format_of(p, m, path) : "raw");
	plain_set(d, "cache", cache_of(m));
	plain_set(d, "io", m->io);
	plain_set(d, "discard", discard);
	plain_set(d, "detect_zeroes", m->zeroes);
	plain_set(d, "copy_on_read", m->copies_on_read ? "on" : NULL);
	plain_set(d, "error_policy", m->werror ?: device ? m->werror ?: word_take(device, "werror") : NULL);
	plain_set(d, "rerror_policy", m->rerror ?: device ? m->rerror ?: word_take(device, "rerror") : NULL);
	if (device && !strncmp(kv_get(&device->p.l, "driver", NULL) ?: "", "virtio-blk", 10)) {
		plain_set(d, "queues", word_take(device, "num-queues"));
		plain_take_thread(p, device, d);
	}
}

/* Adds serial number and sector sizes, which only the device has. */
static void add_identity(xmlNode *disk, struct word *device, const char *serial, bool is_scsi)
{
	static const char *const sectors[] = {"logical_block_size", "physical_block_size"};
	const char *own = device ? word_take(device, "serial") : NULL;
	xmlNode *io = NULL;

	if (own || serial)
		plain_add_text(disk, "serial", own ?: serial);
	for (size_t i = 0; device && i < ARRAY_LEN(sectors); i++) {
		const char *value = word_take(device, sectors[i]);

		if (value)
			io = io ?: plain_add(disk, "blockio");
		if (value)
			plain_set(io, sectors[i], value);
	}
	if (!device || !is_scsi)
		return;
	own = word_take(device, "wwn");
	if (own)
		plain_add_text(disk, "wwn", !strncmp(own, "0x", 2) ? own + 2 : own);
	own = word_take(device, "vendor");
	if (own)
		plain_add_text(disk, "vendor", own);
	own = word_take(device, "product");
	if (own)
		plain_add_text(disk, "product", own);
}

static void add_address(xmlNode *disk, const struct place *to)
{
	xmlNode *a = plain_add_with(disk, "address", "type", "drive");

	plain_set_number(a, "controller", to->controller);
	plain_set_number(a, "bus", to->bus_number);
	plain_set_number(a, "target", to->scsi_target);
	plain_set_number(a, "unit", to->unit);
}

static bool check_file(struct plain_work *p, const char *file)
{
	if (!strncmp(file, "json:", 5) || qemu_path_has_protocol(file) || !strncmp(file, "fat:", 4)) {
		plain_refuse(p, "a disk that is not a file (%.60s)", file);
		return false;
	}
	return true;
}

static void add_disk(struct plain_work *p, const struct image *m, const char *kind, const struct place *to, struct word *device)
{
	AUTO_FREE char *path = m->file && *m->file ? plain_path(p, !strncmp(m->file, "file:", 5) ? m->file + 5 : m->file) : NULL;
	bool is_device = path && !strncmp(path, "/dev/", 5);
	xmlNode *disk, *target;

	if (path && !check_file(p, path))
		return;
	disk = plain_add_with(p->xml.devices, "disk", "type", is_device ? "block" : "file");
	plain_set(disk, "device", kind);
	plain_set(disk, "model", to->model);
	add_driver(p, disk, m, device, path);
	if (path)
		plain_add_with(disk, "source", is_device ? "dev" : "file", path);
	target = plain_add_with(disk, "target", "dev", to->target);
	plain_set(target, "bus", to->bus);
	if (m->is_read_only || !strcmp(kind, "cdrom"))
		plain_add(disk, "readonly");
	add_identity(disk, device, m->serial, !strcmp(to->bus, "scsi"));
	if (to->has_address)
		add_address(disk, to);
	if (device) {
		plain_boots(p, device, disk);
		if (!strcmp(to->bus, "usb"))
			plain_set(target, "removable", word_flag(device, "removable") == 1 ? "on" : NULL);
		plain_no_place(device);
	}
}

/* ---- places ---- */

/* "scsi0.0" is "scsi0", and 0. */
static const struct plain_controller *controller_of(const struct plain_controller *list, size_t count, const char *bus, unsigned *n)
{
	const char *dot = bus ? strrchr(bus, '.') : NULL;

	*n = dot ? (unsigned)strtoul(dot + 1, NULL, 10) : 0;
	for (size_t i = 0; bus && i < count; i++) {
		size_t bytes = dot ? (size_t)(dot - bus) : strlen(bus);

		if (list[i].id && strlen(list[i].id) == bytes && !strncmp(list[i].id, bus, bytes))
			return &list[i];
	}
	return !bus && count ? &list[0] : NULL;
}

static bool place_sata(struct plain_work *p, unsigned index, int unit, struct place *to)
{
	unsigned u = unit < 0 ? 0 : (unsigned)unit;

	while (unit < 0 && u < SATA_UNITS && p->sata_used[index][u])
		u++;
	if (u >= SATA_UNITS || index >= PLAIN_CONTROLLERS_MAX) {
		plain_refuse(p, "a SATA disk more than its controller has room for");
		return false;
	}
	p->sata_used[index][u] = true;
	*to = (struct place){.bus = "sata", .has_address = true, .controller = index, .unit = u};
	name_target(to, "sd", p->other_disks++);
	return true;
}

static bool place_ide(struct plain_work *p, int slot, struct place *to)
{
	unsigned s = slot < 0 ? 0 : (unsigned)slot;

	while (slot < 0 && s < ARRAY_LEN(p->ide) && p->ide[s])
		s++;
	if (s >= ARRAY_LEN(p->ide)) {
		plain_refuse(p, "more IDE disks than a PC has room for");
		return false;
	}
	p->ide[s] = true;
	*to = (struct place){.bus = "ide", .has_address = true, .bus_number = s / 2, .unit = s % 2};
	name_target(to, "hd", s);
	return true;
}

/* ide-hd and ide-cd: on the chip set's controller (bus "ide.N"), or on one of the line's. */
static bool place_ata(struct plain_work *p, struct word *w, struct place *to)
{
	const char *bus = kv_get(&w->p.l, "bus", NULL), *unit = word_take(w, "unit");
	unsigned n;
	const struct plain_controller *c = controller_of(p->sata, p->sata_count, bus, &n);
	bool is_pc_ide = !p->is_q35 && (!bus || !strncmp(bus, "ide.", 4));

	if (is_pc_ide)
		return place_ide(p, bus ? (int)(n * 2 + (unit ? strtoul(unit, NULL, 10) : 0)) : -1, to);
	if (c)
		return place_sata(p, c->index, bus ? (int)n : -1, to);
	plain_refuse(p, "a disk on a bus that is not known (%.60s)", bus);
	return false;
}

static bool place_scsi(struct plain_work *p, struct word *w, struct place *to)
{
	const char *bus = kv_get(&w->p.l, "bus", NULL), *id = word_take(w, "scsi-id"), *lun = word_take(w, "lun"),
		   *channel = word_take(w, "channel");
	unsigned n, target, unit = lun ? (unsigned)strtoul(lun, NULL, 10) : 0;
	struct plain_controller *c = (struct plain_controller *)(uintptr_t)controller_of(p->scsi, p->scsi_count, bus, &n);
	bool is_narrow;

	if (!c) {
		plain_refuse(p, "a SCSI disk on a controller that is not known (%.60s)", bus ?: "");
		return false;
	}
	target = id ? (unsigned)strtoul(id, NULL, 10) : lun ? 0 : c->next;
	c->next = MAX(c->next, target + 1);
	is_narrow = !strcmp(c->model, "lsilogic") || !strcmp(c->model, "am53c974") || !strcmp(c->model, "dc390");
	*to = (struct place){.bus = "scsi", .has_address = true, .controller = c->index};
	to->bus_number = channel ? (unsigned)strtoul(channel, NULL, 10) : 0;
	to->scsi_target = is_narrow ? 0 : target;
	to->unit = is_narrow ? target : unit;
	name_target(to, "sd", p->other_disks++);
	return true;
}

static bool place_virtio(struct plain_work *p, struct word *w, struct place *to)
{
	const char *driver = w ? kv_get(&w->p.l, "driver", NULL) : "";

	*to = (struct place){.bus = "virtio",
			     .model = strstr(driver, "non-transitional") ? "virtio-non-transitional"
				      : strstr(driver, "transitional")	 ? "virtio-transitional"
									 : NULL};
	name_target(to, "vd", p->virtio_disks++);
	return true;
}

static bool place_usb(struct plain_work *p, struct word *w, struct place *to)
{
	(void)w;
	*to = (struct place){.bus = "usb"};
	name_target(to, "sd", p->other_disks++);
	return true;
}

/* A libvirt has NVMe disks since its version 11.5 only. Every system can start from SATA, but one that was made for NVMe alone. */
static bool place_nvme(struct plain_work *p, struct word *w, struct place *to)
{
	(void)w;
	plain_note(
		p,
		"a disk that is NVMe here is on SATA there: a system whose initramfs has the driver of NVMe alone does not start from it");
	if (!p->sata_count)
		p->sata_count = 1; /* libvirt makes this controller */
	return place_sata(p, 0, -1, to);
}

static bool place_floppy(struct plain_work *p, struct word *w, struct place *to)
{
	(void)w;
	*to = (struct place){.bus = "fdc", .has_address = true, .unit = p->floppies};
	name_target(to, "fd", p->floppies++);
	return to->unit < 2;
}

static const struct {
	const char *driver, *kind;
	bool (*place)(struct plain_work *p, struct word *w, struct place *to);
} disk_devices[] = {
	{"virtio-blk-pci", "disk", place_virtio},
	{"virtio-blk", "disk", place_virtio},
	{"virtio-blk-pci-transitional", "disk", place_virtio},
	{"virtio-blk-pci-non-transitional", "disk", place_virtio},
	{"scsi-hd", "disk", place_scsi},
	{"scsi-cd", "cdrom", place_scsi},
	{"scsi-disk", "disk", place_scsi},
	{"ide-hd", "disk", place_ata},
	{"ide-cd", "cdrom", place_ata},
	{"ide-drive", "disk", place_ata},
	{"nvme", "disk", place_nvme},
	{"usb-storage", "disk", place_usb},
	{"floppy", "floppy", place_floppy},
};

static void take_disk_device(struct plain_work *p, struct word *w)
{
	const char *driver = kv_get(&w->p.l, "driver", NULL);
	__auto_type known = ROW_OF(disk_devices, driver, driver);
	struct image m;
	struct place to;

	if (!known)
		return;
	word_see(w);
	if (!take_image(p, w, &m) && !strcmp(known->kind, "disk") && !m.is_cdrom) {
		plain_refuse(p, "a disk without an image (-device %s)", driver);
		return;
	}
	if (known->place(p, w, &to))
		add_disk(p, &m, m.is_cdrom ? "cdrom" : known->kind, &to, w);
}

/* ---- drives that make their own device ---- */

static bool place_slot(struct plain_work *p, int slot, struct place *to)
{
	return p->is_q35 ? place_sata(p, 0, slot, to) : place_ide(p, slot, to);
}

static int number(struct word *w, const char *key)
{
	const char *value = kv_get(&w->p.l, key, NULL);

	return value ? (int)MIN(strtoul(value, NULL, 10), 1000) : -1;
}

/* index=, or bus= and unit=: of q35 each bus has one. */
static int slot_of(const struct plain_work *p, struct word *w)
{
	int index = number(w, "index"), bus = number(w, "bus"), unit = number(w, "unit");

	if (index >= 0)
		return index;
	if (bus < 0 && unit < 0)
		return -1;
	return p->is_q35 ? MAX(bus, 0) : 2 * MAX(bus, 0) + MAX(unit, 0);
}

static bool place_drive(struct plain_work *p, struct word *w, const char *kind, struct place *to)
{
	int slot = slot_of(p, w);

	if (!strcmp(kind, "virtio"))
		return place_virtio(p, NULL, to);
	if (!strcmp(kind, "floppy"))
		return place_floppy(p, w, to);
	if (!strcmp(kind, "ide"))
		return place_slot(p, slot, to);
	plain_refuse(p, "a disk on a bus that libvirt does not have (if=%.40s)", kind);
	return false;
}

static void take_own_drive(struct plain_work *p, struct word *w)
{
	const char *kind = kv_get(&w->p.l, "if", NULL) ?: "ide";
	struct image m = {.direct = -1, .no_flush = -1};
	struct place to;

	if (!strcmp(kind, "none") || !strcmp(kind, "pflash"))
		return;
	if (place_drive(p, w, kind, &to)) {
		take_drive(p, w, &m);
		add_disk(p, &m, !strcmp(kind, "floppy") ? "floppy" : m.is_cdrom ? "cdrom" : "disk", &to, NULL);
	}
	word_see(w);
}

/* -hda FILE and its like. */
static void take_short(struct plain_work *p, struct word *w, int slot, const char *kind)
{
	struct image m = {.file = word_see(w), .direct = -1, .no_flush = -1};
	struct place to;
	bool is_floppy = !strcmp(kind, "floppy");

	if (is_floppy ? place_floppy(p, w, &to) : place_slot(p, slot, &to))
		add_disk(p, &m, kind, &to, NULL);
}

void plain_disks(struct plain_work *p)
{
	static const struct {
		const char *option, *kind;
		int slot;
	} shorts[] = {{"hda", "disk", 0}, {"", "disk", 0},	 {"hdb", "disk", 1},   {"hdc", "disk", 2},
		      {"hdd", "disk", 3}, {"cdrom", "cdrom", 2}, {"fda", "floppy", 0}, {"fdb", "floppy", 1}};
	struct word *w;

	for (size_t i = 0; i < ARRAY_LEN(shorts); i++)
		for (w = NULL; (w = word_next(p, shorts[i].option, w));)
			take_short(p, w, shorts[i].slot, shorts[i].kind);
	for (w = NULL; (w = word_next(p, "drive", w));) /* those with a place of their own first */
		if (!w->seen && slot_of(p, w) >= 0)
			take_own_drive(p, w);
	for (w = NULL; (w = word_next(p, "drive", w));)
		if (!w->seen)
			take_own_drive(p, w);
	for (w = NULL; (w = word_next(p, "device", w));)
		take_disk_device(p, w);
}
