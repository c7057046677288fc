/* qemu-query.c: what QEMU itself says about a guest: guest_query() of qemu-discover.h. Nothing is changed. */
#include "qemu-discover.h"
#include "image-name.h"
#include "json-text.h"
#include "qcow2-options.h"
#include "qemu-filters.h"
#include "qemu-opts.h"
#include "util.h"
#include "words.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static int ask(const struct guest *g, struct qmp *q, const char *command, json_t *args, json_t **ret, struct err *e)
{
	return qmp_call_ms(q, g->deadline_ms ? g->deadline_ms : QMP_DEADLINE_MS, command, args, ret, e);
}

static char *dup_member(json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s && *s ? xstrdup(s) : NULL;
}

static char *network_name(const char *text)
{
	json_t *root, *node;
	const char *driver, *key;
	char *name = NULL;

	if (!text)
		return NULL;
	if (strncmp(text, "json:", 5)) {
		key = strstr(text, ":key="); /* rbd */
		return !qemu_path_has_protocol(text) || !qemu_is_network_storage(text) ? NULL
		       : key							       ? xasprintf("%.*s", (int)(key - text), text)
										       : xstrdup(text);
	}
	root = json_loads(text + 5, 0, NULL);
	for (node = root; json_is_object(node) && !name; node = json_object_get(node, "file")) {
		driver = json_string_value(json_object_get(node, "driver"));
		if (driver && qemu_is_network_storage(driver))
			name = xasprintf("%s:%s", driver, json_string_value(json_object_get(node, "image")) ?: json_string_value(json_object_get(node, "export")) ?: "");
	}
	json_decref(root);
	return name;
}

static void look_at_file(const struct guest *g, struct guest_disk *d)
{
	AUTO_FREE char *path = d->file ? guest_path(g, d->file) : NULL;
	struct stat st;

	d->real_path = path ? realpath(path, NULL) : NULL;
	if (!d->real_path && path && *path == '/') {
		AUTO_FREE char *inside = xasprintf("/proc/%d/root%s", (int)g->pid, path);

		d->seen_by = access(inside, F_OK) ? 0 : g->pid;
	}
	if (!d->real_path || stat(d->real_path, &st) < 0)
		return;
	d->block_device = S_ISBLK(st.st_mode);
	if (S_ISREG(st.st_mode))
		d->allocated = (uint64_t)st.st_blocks * 512;
}

/* True if libvirt has written the guest's line, or did before the guest became a plain one (--as plain). */
static bool has_libvirts_line(const struct guest *g)
{
	size_t i;

	for (i = 0; i < g->line.argc && !strstr(g->line.argv[i], "\"node-name\":\"libvirt-"); i++)
		;
	return guest_is_libvirts(g) || i < g->line.argc;
}

const char *guest_disk_format(const struct guest *g, const char *driver)
{
	return (text_equal(driver, "file") || text_equal(driver, "host_device")) && has_libvirts_line(g) ? "raw" : driver;
}

static char *dup_format(const struct guest *g, json_t *o, const char *key)
{
	return xstrdup(guest_disk_format(g, json_text(o, key)));
}

#define CHAIN_MAX 64

/* Down the chain of "backing-image"; a name that is no file's leaves real_path NULL. */
static void fill_chain(const struct guest *g, struct guest_disk *d, json_t *image)
{
	json_t *below;
	struct stat st;

	d->chain = xcalloc(CHAIN_MAX, sizeof(*d->chain));
	for (; d->chain_count < CHAIN_MAX && (below = json_object_get(image, "backing-image")); image = below) {
		struct guest_backing *b = &d->chain[d->chain_count++];
		AUTO_FREE char *full = image_name_file(json_string_value(json_object_get(below, "filename")));
		AUTO_FREE char *path = full ? guest_path(g, full) : NULL;

		b->name = dup_member(image, "backing-filename");
		b->format = dup_format(g, below, "format");
		b->real_path = path ? realpath(path, NULL) : NULL;
		if (b->real_path && !stat(b->real_path, &st))
			b->allocated = (uint64_t)st.st_blocks * 512;
	}
}

static void fill_image(const struct guest *g, struct guest_disk *d, json_t *image)
{
	json_t *specific = json_object_get(json_object_get(image, "format-specific"), "data");

	d->virtual_size = json_bytes(image, "virtual-size");
	d->allocated = json_bytes(image, "actual-size");
	d->cluster_size = (unsigned)json_bytes(image, "cluster-size");
	d->lacks.snapshots = (unsigned)json_array_size(json_object_get(image, "snapshots"));
	d->lacks.bitmaps = (unsigned)json_array_size(json_object_get(specific, "bitmaps"));
	d->lacks.data_file = dup_member(specific, "data-file");
	if (d->format && !strcmp(d->format, "qcow2"))
		d->qcow2 = qcow2_options_of(specific);
	d->lacks.encrypted = json_is_true(json_object_get(image, "encrypted"));
	fill_chain(g, d, image);
}

bool guest_disk_read_limits(const json_t *inserted, int64_t limits[GUEST_LIMITS])
{
	static const char *const names[GUEST_LIMITS] = {"bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr"};
	bool any = false;

	for (size_t i = 0; i < GUEST_LIMITS; i++) {
		limits[i] = json_integer_value(json_object_get(inserted, names[i]));
		any |= limits[i] != 0;
	}
	return any;
}

static void fill_disk(const struct guest *g, struct guest_disk *d, json_t *block)
{
	json_t *inserted = json_object_get(block, "inserted");
	const char *file = json_string_value(json_object_get(inserted, "file"));

	*d = (struct guest_disk){.qdev = dup_member(block, "qdev"),
				 .drive_id = dup_member(block, "device"),
				 .filter = dup_member(block, FILTER_NODE),
				 .removable = json_is_true(json_object_get(block, "removable"))};
	if (!inserted) {
		d->removable_empty = true;
		return;
	}
	d->node = dup_member(inserted, "node-name");
	d->format = dup_format(g, inserted, "drv");
	d->read_only = json_is_true(json_object_get(inserted, "ro"));
	d->no_flush = json_is_true(json_object_get(json_object_get(inserted, "cache"), "no-flush"));
	fill_image(g, d, json_object_get(inserted, "image"));
	d->lacks.encrypted |= json_is_true(json_object_get(inserted, "encrypted"));
	d->file = image_name_file(file);
	d->named_by_json = file && !image_is_plain(file);
	d->network = network_name(file);
	d->bounds.begins_later = image_begins_later(file);
	d->bounds.ends_by_size = image_ends_by_size(file);
	d->bounds.ends_below = image_ends_by_size_below(file);
	guest_disk_read_limits(inserted, d->limits);
	look_at_file(g, d);
}

static bool has_filter(const json_t *blocks)
{
	json_t *block;
	bool yes = false;
	size_t i;

	json_array_foreach((json_t *)blocks, i, block)
		yes |= filter_is_seen_through(json_string_value(json_object_get(json_object_get(block, "inserted"), "drv")) ?: "");
	return yes;
}

/* Looks below filter nodes. Most guests have none, and are not asked for more. */
static int see_through_filters(struct guest *g, struct qmp *q, json_t *blocks, struct err *e)
{
	json_auto_t *nodes = NULL, *graph = NULL;
	int r;

	if (!has_filter(blocks))
		return 0;
	r = ask(g, q, "query-named-block-nodes", NULL, &nodes, e);
	r = r < 0 ? r : ask(g, q, "x-debug-query-block-graph", NULL, &graph, e);
	return r < 0 ? r : filters_look_below(blocks, nodes, graph, e);
}

static int query_disks(struct guest *g, struct qmp *q, struct err *e)
{
	json_t *blocks, *block;
	size_t i;
	int r = ask(g, q, "query-block", NULL, &blocks, e);

	if (r < 0)
		return r;
	r = see_through_filters(g, q, blocks, e);
	if (r < 0) {
		json_decref(blocks);
		return r;
	}
	g->disks = xcalloc(json_array_size(blocks), sizeof(*g->disks));
	json_array_foreach(blocks, i, block) {
		struct guest_disk *d = &g->disks[g->disk_count++];

		fill_disk(g, d, block);
		if (!d->removable_empty && (!d->node || !d->format))
			r = err_set(e, EPROTO, "QEMU does not tell the node or the driver of a disk");
	}
	json_decref(blocks);
	return r;
}

static int query_machine(struct guest *g, struct qmp *q, struct err *e)
{
	json_t *type;
	int r = ask(g, q, "qom-get", json_pack("{s:s, s:s}", "path", "/machine", "property", "type"), &type, e);
	const char *name;
	char *suffix;

	if (r < 0)
		return r;
	name = json_string_value(type);
	g->machine = xstrdup(name ? name : "");
	suffix = strstr(g->machine, "-machine");
	if (suffix)
		*suffix = '\0';
	json_decref(type);
	return *g->machine ? 0 : err_set(e, EPROTO, "QEMU does not tell its machine type");
}

static int query_status(struct guest *g, struct qmp *q, struct err *e)
{
	json_t *status, *memory;
	int r = ask(g, q, "query-status", NULL, &status, e);

	if (r < 0)
		return r;
	g->status = dup_member(status, "status");
	json_decref(status);
	if (!g->status)
		return err_set(e, EPROTO, "QEMU does not tell its state");
	r = ask(g, q, "query-memory-size-summary", NULL, &memory, e);
	if (r < 0)
		return r;
	g->ram_bytes = json_bytes(memory, "base-memory") + json_bytes(memory, "plugged-memory");
	json_decref(memory);
	return 0;
}

/* "host-x86_64-cpu" is -cpu host. */
static void query_cpu_model(struct guest *g, struct qmp *q, json_t *cpu)
{
	const char *path = json_string_value(json_object_get(cpu, "qom-path"));
	char *suffix;
	json_t *type;
	struct err e;

	if (!path || ask(g, q, "qom-get", json_pack("{s:s, s:s}", "path", path, "property", "type"), &type, &e) < 0)
		return;
	if (json_is_string(type))
		g->cpu.model = xstrdup(json_string_value(type));
	suffix = g->cpu.model ? strstr(g->cpu.model, "-x86_64-cpu") : NULL;
	if (suffix)
		*suffix = '\0';
	json_decref(type);
}

static int query_cpus(struct guest *g, struct qmp *q, struct err *e)
{
	json_t *kvm, *cpus;
	int r = ask(g, q, "query-kvm", NULL, &kvm, e);

	if (r < 0)
		return r;
	g->cpu.accel = xstrdup(json_is_true(json_object_get(kvm, "enabled")) ? "kvm" : "tcg");
	json_decref(kvm);
	r = ask(g, q, "query-cpus-fast", NULL, &cpus, e);
	if (r < 0)
		return r;
	g->cpu.count = (unsigned)json_array_size(cpus);
	query_cpu_model(g, q, json_array_get(cpus, 0));
	json_decref(cpus);
	return 0;
}

static void free_chain(struct guest_disk *d)
{
	for (size_t i = 0; i < d->chain_count; i++) {
		FREE_ALL(d->chain[i].name, d->chain[i].real_path, d->chain[i].format);
	}
	free(d->chain);
}

static void free_disks(struct guest *g)
{
	for (size_t i = 0; i < g->disk_count; i++) {
		struct guest_disk *d = &g->disks[i];

		FREE_ALL(d->node, d->filter, d->file, d->network, d->real_path, d->format, d->qdev, d->drive_id);
		free_chain(d);
		free(d->lacks.data_file);
		json_decref(d->qcow2);
	}
	free(g->disks);
	g->disks = NULL;
	g->disk_count = 0;
}

void guest_forget_query(struct guest *g)
{
	free_disks(g);
	FREE_ALL(g->machine, g->status, g->cpu.accel, g->cpu.model);
	g->machine = g->status = g->cpu.accel = g->cpu.model = NULL;
}

int guest_query(struct guest *g, struct qmp *q, struct err *e)
{
	int r;

	guest_forget_query(g);
	qmp_version(q, &g->version.major, &g->version.minor, &g->version.micro);
	r = query_status(g, q, e);
	if (r == 0)
		r = query_machine(g, q, e);
	if (r == 0)
		r = query_cpus(g, q, e);
	if (r == 0)
		r = query_disks(g, q, e);
	return r < 0 ? err_prefix(e, "cannot describe guest %s", g->name) : 0;
}

bool guest_filter_is_of_job(const char *driver)
{
	static const char *const filters[] = {"mirror_top", "commit_top", "copy-before-write", "backup-top", "copy-on-read", NULL};

	return word_index(filters, driver) >= 0;
}

static bool among_filters(const char *driver)
{
	static const char *const filters[] = {"blkdebug", "blkverify", "blklogwrites", "preallocate", "compress", "snapshot-access", NULL};

	return word_index(filters, driver) >= 0 || guest_filter_is_of_job(driver);
}

int guest_disk_movable(const struct guest_disk *d, unsigned accept, struct err *e)
{
	const char *why = NULL;

	if (d->removable_empty || d->read_only)
		return 0;
	if (d->network)
		return err_set(e, ENOTSUP,
			       "disk %s is behind a network, and is not copied: if the destination reaches the very same one by that name, "
			       "--disk %s=shared leaves it where it is",
			       d->network, d->drive_id ?: d->node);
	if (d->seen_by)
		return err_set(
			e, ENOTSUP,
			"disk %s is a file that only its QEMU sees, in a mount namespace of its own (PrivateTmp=, unshare -m): run vmferry in "
			"that one (nsenter -t %d -m vmferry …)",
			d->file, (int)d->seen_by);
	if (!d->real_path)
		why = "is no file with a name here (QEMU made a temporary one, or makes up what is in it): only files and block devices can be copied";
	else if (d->format && among_filters(d->format))
		return err_set(
			e, ENOTSUP,
			"disk %s is seen through the filter '%s', which vmferry does not make again at the destination: give the guest its disk "
			"without it, or move it shut down (--how cold), when it goes as it is",
			d->real_path, d->format);
	else if (!d->format || (strcmp(d->format, "raw") && strcmp(d->format, "qcow2")))
		why = "has a format that cannot be moved (raw and qcow2 can)";
	else if (d->bounds.begins_later && (d->named_by_json || !(accept & DISK_ACCEPT_PART)))
		why = "begins in the middle of its file (offset= of the raw driver): its copy would begin at 0, and the command line skip that";
	else if (d->bounds.ends_below)
		why = "lies in a part of its file (size= of a raw driver below its format): its copy would be cut off there";
	else if (d->lacks.snapshots && !(accept & DISK_ACCEPT_SNAPSHOTS))
		why = "has internal snapshots, which a copy of a running disk cannot carry (--drop=snapshots leaves them behind)";
	else if (d->lacks.bitmaps && !(accept & DISK_ACCEPT_BITMAPS))
		why = "has persistent dirty bitmaps, which would be lost (--drop=bitmaps leaves them behind)";
	else if (d->lacks.encrypted)
		why = "is encrypted by QEMU";
	else if (d->lacks.data_file && !(accept & DISK_ACCEPT_DATA_FILE))
		why = "keeps its data in an external file (--drop=data-file brings them into the image)";
	return why ? err_set(e, ENOTSUP, "disk %s %s", d->real_path ?: d->drive_id ?: d->node, why) : 0;
}

uint64_t guest_disk_allocated(const struct guest_disk *d, bool with_chain)
{
	uint64_t sum = d->allocated;

	for (size_t i = 0; i < d->chain_count && with_chain; i++)
		sum += d->chain[i].allocated;
	return MIN(sum, MAX(d->virtual_size, d->allocated));
}

bool guest_disk_is_called(const struct guest_disk *d, const char *name, size_t n)
{
	const char *slash = d->real_path ? strrchr(d->real_path, '/') : NULL, *id = d->qdev ? strrchr(d->qdev, '/') : NULL;
	const char *given = d->block_device && d->file ? strrchr(d->file, '/') : NULL; /* name of a volume: /dev/vg/web */
	const char *const names[] = {d->node,
				     d->drive_id,
				     d->qdev,
				     d->real_path,
				     d->file,
				     d->network,
				     slash ? slash + 1 : NULL,
				     given ? given + 1 : NULL,
				     id ? id + 1 : NULL};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (names[i] && strlen(names[i]) == n && !memcmp(names[i], name, n))
			return true;
	/* "/machine/peripheral/vd0/virtio-backend" is the device vd0's */
	return d->qdev && n && strstr(d->qdev, "/peripheral/") && !strncmp(strstr(d->qdev, "/peripheral/") + 12, name, n) &&
	       strchr("/", strstr(d->qdev, "/peripheral/")[12 + n]);
}

/* "a.qcow2 (drive0)" */
static char *disk_called(const struct guest_disk *d)
{
	const char *slash = d->real_path ? strrchr(d->real_path, '/') : NULL, *name = slash ? slash + 1 : d->network ?: d->node;

	return d->drive_id ? xasprintf("%s (%s)", name ?: "?", d->drive_id) : xstrdup(name ?: "?");
}

char *guest_disks_called(const struct guest *g)
{
	char *all = xstrdup("");

	for (size_t i = 0; i < g->disk_count; i++) {
		if (g->disks[i].removable_empty)
			continue;
		AUTO_FREE char *before = all;
		AUTO_FREE char *one = disk_called(&g->disks[i]);

		all = xasprintf("%s%s%s", before, *before ? ", " : "", one);
	}
	return all;
}
