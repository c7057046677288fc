/* qemu-args-trial.c: see qemu-args-trial.h. */
#include "qemu-args-trial.h"
#include "qemu-args.h"
#include "qemu-opts.h"
#include "qemu-props.h"
#include "util.h"
#include "words.h"

#include <string.h>

#define MADE_UP	  "null-co"
#define MADE_SIZE "1073741824"
#define FIRST_HUB 5000

struct trial {
	struct args_trial *out;
	bool (*is_directory)(const char *path);
	unsigned hubs;
};

typedef void rule_fn(struct trial *t, const struct qemu_opt *opt, struct props *p);

static void emit(struct trial *t, const char *name, const char *value)
{
	words_add(&t->out->words, &t->out->count, *name ? xasprintf("-%s", name) : xstrdup(value));
	if (*name && value)
		words_add(&t->out->words, &t->out->count, xstrdup(value));
}

static void emit_props(struct trial *t, const char *name, struct props *p)
{
	AUTO_FREE char *value = props_print(p);

	emit(t, name, value);
}

static void emit_list(struct trial *t, const char *name, struct kv_list *l)
{
	AUTO_FREE char *value = kv_print(l);

	emit(t, name, value);
	kv_fini(l);
}

static bool is(const char *s, const char *word)
{
	return s && !strcmp(s, word);
}

static bool among(const char *s, const char *const *patterns, size_t count)
{
	size_t i, n;

	for (i = 0; s && i < count; i++) {
		n = strlen(patterns[i]);
		if (patterns[i][n - 1] == '*' ? !strncmp(s, patterns[i], n - 1) : !strcmp(s, patterns[i]))
			return true;
	}
	return false;
}

/* Copies the parts of from whose keys are among these. */
static void keep(struct kv_list *to, const struct kv_list *from, const char *const *keys, size_t count)
{
	for (size_t i = 0; i < from->n; i++)
		if (among(from->v[i].key, keys, count))
			kv_append(to, from->v[i].key, from->v[i].value);
}

static void drop(struct kv_list *l, const char *const *keys, size_t count)
{
	for (size_t i = 0; i < count; i++)
		kv_remove(l, keys[i]);
}

static bool is_path(const char *s)
{
	return s && strchr(s, '/');
}

/* ---- disks, firmware and what is booted ---- */

static void gone(struct trial *t, const struct qemu_opt *opt, struct props *p)
{
	(void)t, (void)opt, (void)p;
}

static void make_up(struct kv_list *l)
{
	kv_append(l, "driver", MADE_UP);
	kv_append(l, "size", MADE_SIZE);
	kv_append(l, "read-zeroes", "on");
}

static void on_drive(struct trial *t, const struct qemu_opt *opt, struct props *p)
{
	static const char *const keys[] = {"if",       "id",	    "index",  "bus",	"unit", "media",
					   "readonly", "read-only", "werror", "rerror", "addr", "locking"};
	static const char *const flash[] = {"pflash", "mtd"};
	const char *bus = kv_get(&p->l, "if", NULL);
	bool has_medium = kv_get(&p->l, "file", NULL) || kv_get(&p->l, "driver", NULL) || kv_get(&p->l, "file.driver", NULL) ||
			  kv_get(&p->l, "file.filename", NULL);
	struct kv_list l = {.n = 0};

	if (among(bus, flash, ARRAY_LEN(flash)))
		return;
	keep(&l, &p->l, keys, ARRAY_LEN(keys));
	kv_remove(&l, "locking");
	if (has_medium && !is(bus, "floppy")) /* a CD, too: its drive may be one that cannot be empty (if=virtio,media=cdrom) */
		make_up(&l);
	emit_list(t, opt->name, &l);
}

static void on_blockdev(struct trial *t, const struct qemu_opt *opt, struct props *p)
{
	static const char *const keys[] = {"node-name", "read-only"};
	struct kv_list l = {.n = 0};

	if (!kv_get(&p->l, "node-name", NULL))
		return;
	keep(&l, &p->l, keys, ARRAY_LEN(keys));
	make_up(&l);
	emit_list(t, opt->name, &l);
}

static void on_disk_file(struct trial *t, const struct qemu_opt *opt, struct props *p)
{
	AUTO_FREE char *index = xasprintf("%d", *opt->name ? opt->name[2] - 'a' : 0);
	struct kv_list l = {.n = 0};

	(void)p;
	kv_append(&l, is(opt->name, "sd") ? "if" : "index", is(opt->name, "sd") ? "sd" : index);
	make_up(&l);
	emit_list(t, "drive", &l);
}

static void on_machine(struct trial *t, const struct qemu_opt *opt, struct props *p)
{
	static const char *const keys[] = {"pflash0", "pflash1", "kernel", "initrd", "dtb", "append", "shim"};

	drop(&p->l, keys, ARRAY_LEN(keys));
	if (is_path(kv_get(&p->l, "firmware", NULL)))
		kv_remove(&p->l, "firmware");
	emit_props(t, opt->name, p);
}

/* A bare name is a file of QEMU's own, which the destination's must have; any other file may not be there yet. */
static void on_data_file(struct trial *t, const struct qemu_opt *opt, struct props *p)
{
	(void)p;
	if (!is_path(opt->value))
		emit(t, opt->name, opt->value);
}

/* A device's ROM may not be there yet. */
static void on_global(struct trial *t, const struct qemu_opt *opt, struct props *p)
{
	(void)p;
	if (!strstr(opt->value, "romfile") || !is_path(opt->value))
		emit(t, opt->name, opt->value);
}

static void on_boot(struct trial *t, const struct qemu_opt *opt, struct props *p)
{
	kv_remove(&p->l, "splash");
	if (p->l.n)
		emit_props(t, opt->name, p);
}

static void on_table(struct trial *t, const struct qemu_opt *opt, struct props *p)
{
	if (!kv_get(&p->l, "file", NULL) && !kv_get(&p->l, "path", NULL) && !kv_get(&p->l, "data", NULL))
		emit(t, opt->name, opt->value);
}

/* ---- memory, devices ---- */

static void on_mem_path(struct trial *t, const struct qemu_opt *opt, struct props *p)
{
	(void)p;
	if (t->is_directory(opt->value))
		emit(t, opt->name, opt->value);
}

static void on_object(struct trial *t, const struct qemu_opt *opt, struct props *p)
{
	static const char *const ahead[] = {"prealloc", "prealloc-threads", "prealloc-context"};
	static const char *const keys[] = {"id", "size", "host-nodes*", "policy", "share", "merge", "dump", "reserve"};
	const char *kind = kv_get(&p->l, "qom-type", "qom-type"), *path = kv_get(&p->l, "mem-path", NULL);
	struct kv_list l = {.n = 0};

	if (is(kind, "filter-dump"))
		return;
	drop(&p->l, ahead, ARRAY_LEN(ahead));
	if (!is(kind, "memory-backend-file") || (path && t->is_directory(path))) {
		emit_props(t, opt->name, p);
		return;
	}
	kv_append(&l, NULL, "memory-backend-ram");
	keep(&l, &p->l, keys, ARRAY_LEN(keys));
	emit_list(t, opt->name, &l);
}

static void on_device(struct trial *t, const struct qemu_opt *opt, struct props *p)
{
	static const char *const others[] = {"vfio-*",	    "pci-assign",  "usb-host",	  "scsi-block",		"scsi-generic",
					     "vhost-scsi*", "vhost-vdpa*", "vhost-user*", "virtio-input-host*", "u2f-passthru",
					     "tpm-*",	    "loader",	   "guest-loader"};
	static const char *const files[] = {"frudatafile", "sdrfile"};
	const char *driver = kv_get(&p->l, "driver", "driver");
	struct kv *rom = kv_find(&p->l, "romfile", NULL);

	if (among(driver, others, ARRAY_LEN(others)))
		return;
	drop(&p->l, files, ARRAY_LEN(files));
	if (is(driver, "floppy"))
		kv_remove(&p->l, "drive");
	if (rom && is_path(rom->value))
		kv_replace(&rom->value, xstrdup(""));
	emit_props(t, opt->name, p);
}

/* Sound servers are asked whether they take a client, as QEMU does not start without; a sound card or a file may be somebody's. */
static void on_audiodev(struct trial *t, const struct qemu_opt *opt, struct props *p)
{
	static const char *const servers[] = {"pa", "pipewire", "oss", "sndio"}; /* of OSS, QEMU looks for the device */
	static const char *const keys[] = {"id"};
	struct kv_list l = {.n = 0};

	if (among(kv_get(&p->l, "driver", "driver"), servers, ARRAY_LEN(servers))) {
		emit_props(t, opt->name, p);
		return;
	}
	kv_append(&l, NULL, "none");
	keep(&l, &p->l, keys, ARRAY_LEN(keys));
	emit_list(t, opt->name, &l);
}

/* ---- the network ---- */

/* Emits a hub port that is attached to nothing. */
static void emit_hubport(struct trial *t, const char *name, const struct kv_list *of)
{
	static const char *const keys[] = {"id", "model", "mac", "addr", "vectors", "name"};
	AUTO_FREE char *hub = xasprintf("%u", FIRST_HUB + t->hubs++);
	struct kv_list l = {.n = 0};

	if (is(name, "net"))
		return;
	kv_append(&l, NULL, "hubport");
	kv_append(&l, "hubid", hub);
	keep(&l, of, keys, is(name, "netdev") ? 1 : ARRAY_LEN(keys));
	emit_list(t, name, &l);
}

/* True for back ends that only bind a port or run a helper: they connect to no other process and create no file. */
static bool may_be_tried(const struct kv_list *l, const char *type)
{
	static const char *const plain[] = {"bridge", "user", "l2tpv3", "hubport", "none", "nic"};

	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].key && strlen(l->v[i].key) > 5 && !strcmp(l->v[i].key + strlen(l->v[i].key) - 5, ".path"))
			return false;
	return among(type, plain, ARRAY_LEN(plain)) || (is(type, "tap") && !kv_get(l, "ifname", NULL)) ||
	       (is(type, "socket") && !kv_get(l, "connect", NULL)) || (is(type, "stream") && kv_flag(l, "server", false)) ||
	       is(type, "dgram");
}

static void on_network(struct trial *t, const struct qemu_opt *opt, struct props *p)
{
	const char *type = kv_get(&p->l, "type", "type");

	if (!may_be_tried(&p->l, type)) {
		emit_hubport(t, opt->name, &p->l);
		return;
	}
	kv_remove(&p->l, "smb"); /* QEMU makes a directory for smb */
	if (is(type, "tap") && !kv_get(&p->l, "helper", NULL) && !kv_get(&p->l, "br", NULL)) {
		kv_set_flag(&p->l, "script", "no");
		kv_set_flag(&p->l, "downscript", "no");
	}
	emit_props(t, opt->name, p);
}

/* ---- character devices and displays ---- */

static void emit_null_chardev(struct trial *t, const char *name, const struct kv_list *of)
{
	static const char *const keys[] = {"id", "mux"};
	struct kv_list l = {.n = 0};

	kv_append(&l, NULL, "null");
	keep(&l, of, keys, ARRAY_LEN(keys));
	emit_list(t, name, &l);
}

static void on_chardev(struct trial *t, const struct qemu_opt *opt, struct props *p)
{
	static const char *const others[] = {"file", "pipe", "serial", "tty", "parallel", "parport"};
	static const char *const files[] = {"logfile", "logappend"};
	const char *backend = kv_get(&p->l, "backend", "backend");
	bool listens = kv_flag(&p->l, "server", false) && !kv_get(&p->l, "path", NULL);

	if (among(backend, others, ARRAY_LEN(others)) || (is(backend, "socket") && !listens)) {
		emit_null_chardev(t, opt->name, &p->l);
		return;
	}
	drop(&p->l, files, ARRAY_LEN(files));
	if (is(backend, "pty"))
		kv_remove(&p->l, "path");
	emit_props(t, opt->name, p);
}

/* "tcp::4444,server=on,wait=off": a port that it listens on. */
static bool is_a_port(const char *dev)
{
	static const char *const kinds[] = {"tcp:*", "telnet:*", "tn3270:*", "websocket:*"};
	struct kv_list l;
	bool listens;

	if (!among(dev, kinds, ARRAY_LEN(kinds)))
		return false;
	kv_parse(&l, dev);
	listens = kv_flag(&l, "server", false) && !kv_get(&l, "logfile", NULL);
	kv_fini(&l);
	return listens;
}

static void on_chardev_compat(struct trial *t, const struct qemu_opt *opt, struct props *p)
{
	static const char *const others[] = {"unix:*", "tcp:*", "telnet:*", "tn3270:*", "websocket:*", "file:*", "pipe:*", "/dev/*"};
	bool mon = text_starts_with(opt->value, "mon:");
	const char *dev = opt->value + (mon ? 4 : 0);

	(void)p;
	emit(t, opt->name, !among(dev, others, ARRAY_LEN(others)) || is_a_port(dev) ? opt->value : mon ? "mon:null" : "null");
}

static void on_gdb(struct trial *t, const struct qemu_opt *opt, struct props *p)
{
	(void)p;
	if (text_starts_with(opt->value, "tcp:"))
		emit(t, opt->name, opt->value);
}

static void on_vnc(struct trial *t, const struct qemu_opt *opt, struct props *p)
{
	const char *display = kv_get(&p->l, "vnc", "vnc");

	if (!text_starts_with(display, "unix:") && !kv_flag(&p->l, "reverse", false))
		emit(t, opt->name, opt->value);
}

static void on_spice(struct trial *t, const struct qemu_opt *opt, struct props *p)
{
	if (!kv_flag(&p->l, "unix", false) && !is_path(kv_get(&p->l, "addr", NULL)))
		emit(t, opt->name, opt->value);
}

static void on_display(struct trial *t, const struct qemu_opt *opt, struct props *p)
{
	static const char *const sessions[] = {"dbus", "spice-app"};

	emit(t, opt->name, among(kv_get(&p->l, "type", "type"), sessions, ARRAY_LEN(sessions)) ? "none" : opt->value);
}

/* ---- the walk ---- */

/* Options without a rule are tried as they are. */
static const struct rule {
	const char *name;
	rule_fn *apply;
} rules[] = {
	{"drive", on_drive},
	{"blockdev", on_blockdev},
	{"", on_disk_file},
	{"hda", on_disk_file},
	{"hdb", on_disk_file},
	{"hdc", on_disk_file},
	{"hdd", on_disk_file},
	{"sd", on_disk_file},
	{"pflash", gone},
	{"mtdblock", gone},
	{"cdrom", gone},
	{"fda", gone},
	{"fdb", gone},
	{"machine", on_machine},
	{"M", on_machine},
	{"mem-path", on_mem_path},
	{"mem-prealloc", gone},
	{"overcommit", gone},
	{"bios", on_data_file},
	{"option-rom", on_data_file},
	{"kernel", gone},
	{"initrd", gone},
	{"append", gone},
	{"dtb", gone},
	{"shim", gone},
	{"boot", on_boot},
	{"fw_cfg", on_table},
	{"smbios", on_table},
	{"acpitable", on_table},
	{"plugin", gone},
	{"object", on_object},
	{"device", on_device},
	{"global", on_global},
	{"tpmdev", gone},
	{"audiodev", on_audiodev},
	{"netdev", on_network},
	{"nic", on_network},
	{"net", on_network},
	{"chardev", on_chardev},
	{"qmp", on_chardev_compat},
	{"qmp-pretty", on_chardev_compat},
	{"monitor", on_chardev_compat},
	{"serial", on_chardev_compat},
	{"parallel", on_chardev_compat},
	{"debugcon", on_chardev_compat},
	{"virtioconsole", on_chardev_compat},
	{"gdb", on_gdb},
	{"vnc", on_vnc},
	{"spice", on_spice},
	{"display", on_display},
	{"pidfile", gone},
	{"D", gone},
	{"d", gone},
	{"dfilter", gone},
	{"trace", gone},
	{"perfmap", gone},
	{"jitdump", gone},
	{"S", gone},
	{"incoming", gone},
};

static rule_fn *rule_of(const char *name)
{
	__auto_type rule = ROW_OF(rules, name, name);

	return rule ? rule->apply : NULL;
}

void args_trial_of(struct args_trial *out, char *const *argv, size_t argc, bool (*is_directory)(const char *path))
{
	struct trial t = {.out = out, .is_directory = is_directory};
	struct qemu_opt opt;
	size_t i = 1;

	*out = (struct args_trial){.count = 0};
	while (qemu_opt_next(argv, argc, &i, &opt)) {
		rule_fn *apply = rule_of(opt.name);
		struct props p;

		if (!apply) {
			emit(&t, opt.name, opt.value);
			continue;
		}
		props_parse(&p, opt.value);
		apply(&t, &opt, &p);
		props_fini(&p);
	}
	emit(&t, "incoming", "defer");
}

/* ---- without what failed ---- */

static bool can_be_left_out(const char *name)
{
	static const char *const ends[] = {"netdev",   "nic", "chardev", "serial", "monitor", "qmp",	"qmp-pretty", "parallel",
					   "debugcon", "gdb", "vnc",	 "spice",  "net",     "device", "fsdev",      "virtfs"};

	return among(name, ends, ARRAY_LEN(ends));
}

/* Emits an option that cannot fail, under the same name, in place of one that did. */
static void emit_instead(struct trial *t, const struct qemu_opt *opt)
{
	struct props p;

	props_parse(&p, opt->value);
	if (is(opt->name, "netdev") || is(opt->name, "nic"))
		emit_hubport(t, opt->name, &p.l);
	else if (is(opt->name, "chardev"))
		emit_null_chardev(t, opt->name, &p.l);
	else if (is(opt->name, "serial") || is(opt->name, "parallel")) /* the position of such an option counts */
		emit(t, opt->name, "null");
	props_fini(&p);
}

bool args_trial_without(struct args_trial *trial, const char *said)
{
	struct args_trial fewer = {.count = 0}, was = *trial;
	struct trial t = {.out = &fewer, .hubs = (unsigned)trial->count};
	struct qemu_opt opt;
	bool found = false;
	size_t i = 0;

	while (qemu_opt_next(was.words, was.count, &i, &opt)) {
		AUTO_FREE char *named = xasprintf("-%s %s: ", opt.name, opt.value ? opt.value : "");

		if (found || !opt.value || !can_be_left_out(opt.name) || !strstr(said, named)) {
			emit(&t, opt.name, opt.value);
			continue;
		}
		found = true;
		emit_instead(&t, &opt);
	}
	*trial = fewer;
	args_trial_fini(&was);
	return found;
}

void args_trial_fini(struct args_trial *t)
{
	args_free_strings(t->words, t->count);
	*t = (struct args_trial){.count = 0};
}
