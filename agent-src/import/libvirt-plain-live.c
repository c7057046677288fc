/*
 * libvirt-plain-live.c: see libvirt-plain.h: the line of a guest that goes on with its memory. It is that of its QEMU here, but for what libvirt alone has: open files
 * that it has passed on, its monitor, its networks, its places of sockets.
 *
 * Options and objects that are not in these tables are refused, as nobody knows what they would want there. What stays is judged (libvirt-plain-judge.c).
 */
#include "libvirt-plain-private.h"
#include "guest-description.h"
#include "json-text.h"
#include "qemu-args.h"
#include "qemu-opts.h"
#include "qemu-props.h"
#include "unit-text.h"
#include "util.h"
#include "words.h"

#include <errno.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define MASTER_KEY     "masterKey0" /* the key that encrypts libvirt's other secrets */
#define AGENT_PORT     "org.qemu.guest_agent.0"
#define SERIAL_CHARDEV "charserial"

struct item {
	const char *name, *value; /* option of the line, and its value */
	struct props p;
};

struct live {
	const struct libvirt_definition *def;
	const struct plain_live *in;
	struct item *items;
	size_t count;
	struct libvirt_plain *out;
	char *dir, *name; /* directory and name of sockets */
	bool has_screen;
	struct err *e;
};

/* ---- words ---- */

static void emit(struct live *l, char *word /* stolen */)
{
	words_add(&l->out->argv, &l->out->argc, word);
}

static void option(struct live *l, const char *name, char *value /* stolen, or NULL */)
{
	emit(l, xasprintf("-%s", name));
	if (value)
		emit(l, value);
}

__attribute__((format(printf, 2, 3))) static void note(struct live *l, const char *fmt, ...)
{
	struct libvirt_plain *o = l->out;
	char *text;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	if (words_have(o->notes, o->note_count, text))
		free(text);
	else
		words_add(&o->notes, &o->note_count, text);
}

static const char *get(const struct item *it, const char *key)
{
	return it ? kv_get(&it->p.l, key, NULL) : NULL;
}

/* The option of that name with that property; NULL: there is none. */
static const struct item *find(const struct live *l, const char *name, const char *key, const char *value)
{
	for (size_t i = 0; i < l->count && value; i++) {
		const char *has = strcmp(l->items[i].name, name) ? NULL : get(&l->items[i], key);

		if (has && !strcmp(has, value))
			return &l->items[i];
	}
	return NULL;
}

static int refuse(struct live *l, const struct item *it)
{
	return err_set(
		l->e, ENOTSUP,
		"libvirt runs it with -%s%s%s, which a plain guest (--as plain) cannot have as it runs: move it shut down (--how cold)",
		it->name, it->value ? " " : "", it->value ?: "");
}

/* ---- sockets ---- */

/* A socket beside the first disk; the destination puts its own in its place. Malloc'ed, as a part of an option. */
static char *socket_of(const struct live *l, const char *what)
{
	AUTO_FREE char *path = xasprintf("%s%s%s.%s", l->dir, strcmp(l->dir, "/") ? "/" : "", l->name, what);
	struct kv part = {NULL, path};
	struct kv_list list = {&part, 1};

	return kv_print(&list);
}

static void name_sockets(struct live *l)
{
	AUTO_FREE char *first = NULL;

	for (size_t i = 0; i < l->def->disk_count && !first; i++)
		if (l->def->disks[i].path && !strcmp(l->def->disks[i].device, "disk"))
			first = xstrdup(l->def->disks[i].path);
	l->dir = xstrdup(l->in->dir ? l->in->dir : first ? dirname(first) : "/");
	l->name = unit_plain_name(l->def->name);
}

/* Sockets are called as a cold move calls them, where it has them: "serial", "serial2", "agent"; else as libvirt does. Malloc'ed. */
static char *word_of_chardev(const char *id, const struct item *device)
{
	const char *port = get(device, "name");
	unsigned n;

	if (port && !strcmp(port, AGENT_PORT))
		return xstrdup("agent");
	if (sscanf(id, SERIAL_CHARDEV "%u", &n) == 1)
		return n ? xasprintf("serial%u", n + 1) : xstrdup("serial");
	return unit_plain_name(strncmp(id, "char", 4) || !id[4] ? id : id + 4);
}

/* The monitor's socket has that name, or another chardev's before it. */
static bool is_taken(const struct live *l, const struct item *it, const char *what)
{
	const struct item *other;

	if (!strcmp(what, "qmp") || !strcmp(what, "vnc"))
		return true;
	for (other = l->items; other < it; other++) {
		const char *id = strcmp(other->name, "chardev") ? NULL : get(other, "id");
		const struct item *device = id ? find(l, "device", "chardev", id) : NULL;
		AUTO_FREE char *its = device ? word_of_chardev(id, device) : NULL;

		if (its && !strcmp(its, what))
			return true;
	}
	return false;
}

/* libvirt 12 makes its monitor so, from QEMU 11.1 on; NULL ok. */
static bool is_monitor(const struct item *object)
{
	return object && text_equal(kv_get(&object->p.l, "qom-type", "qom-type"), "monitor-qmp");
}

static int on_chardev(struct live *l, struct item *it)
{
	const char *id = get(it, "id"), *backend = kv_get(&it->p.l, "backend", "backend");
	const struct item *device = find(l, "device", "chardev", id);
	AUTO_FREE char *what = NULL;
	AUTO_FREE char *path = NULL;

	if (id && (find(l, "mon", "chardev", id) || is_monitor(find(l, "object", "chardev", id)))) /* libvirt's own */
		return 0;
	if (id && find(l, "tpmdev", "chardev", id)) {
		option(l, it->name, xstrdup(it->value));
		return 0;
	}
	if (!id || !backend || !device || !described_is_word(id))
		return refuse(l, it);
	what = word_of_chardev(id, device);
	if (is_taken(l, it, what)) {
		free(what);
		what = unit_plain_name(id);
	}
	path = socket_of(l, what);
	if (strcmp(backend, "pty") && (strcmp(backend, "socket") || !kv_flag(&it->p.l, "server", false)))
		note(l, "%s, which libvirt connects to a %s here, is a socket there", what, backend);
	option(l, it->name, xasprintf("socket,id=%s,path=%s,server=on,wait=off", id, path));
	return 0;
}

/* ---- memory, and other objects ---- */

/* Removes what begins so; how many there were. */
static size_t drop_keys(struct props *p, const char *const *prefixes, size_t count)
{
	size_t i, k, n = 0;

	for (k = 0; k < count; k++) {
		json_object_del(p->tree, prefixes[k]);
		for (i = 0; i < p->l.n;) {
			AUTO_FREE char *key = p->l.v[i].key ? xstrdup(p->l.v[i].key) : NULL;

			if (key && !strncmp(key, prefixes[k], strlen(prefixes[k]))) {
				kv_remove(&p->l, key);
				n++;
			} else {
				i++;
			}
		}
	}
	return n;
}

/* Machine types up to 4.0 call the memory of a file by another name than plain memory (hw_compat_4_0 of QEMU). */
static bool names_files_otherwise(const struct live *l)
{
	int major, minor;
	size_t i, n;

	for (i = 0; i < l->count && strcmp(l->items[i].name, "machine") != 0; i++)
		;
	if (i == l->count || !l->items[i].value)
		return false;
	for (n = strcspn(l->items[i].value, ","); n && l->items[i].value[n] != '-'; n--)
		;
	return sscanf(l->items[i].value + n, "-%d.%d", &major, &minor) == 2 && (major < 4 || (major == 4 && minor < 1));
}

/* The block of memory is called as the object is, of whichever kind that is. */
static void on_memory(struct live *l, struct item *it, const char *kind)
{
	static const char *const of_files[] = {"mem-path", "discard-data", "align", "pmem", "readonly", "rom", "offset", "hugetlb", "seal"};
	static const char *const of_places[] = {"host-nodes", "policy", "prealloc"};
	struct kv *type = kv_find(&it->p.l, "qom-type", "qom-type");
	bool huge = get(it, "mem-path") || kv_flag(&it->p.l, "hugetlb", false);

	drop_keys(&it->p, of_files, ARRAY_LEN(of_files));
	if (!strcmp(kind, "memory-backend-file"))
		kv_replace(&type->value, xstrdup("memory-backend-ram"));
	if (huge)
		note(l, "its memory is not of huge pages, or in a file, there");
	if (drop_keys(&it->p, of_places, ARRAY_LEN(of_places)))
		note(l, "its memory has no place of its own in the host's (NUMA nodes, allocated beforehand) there");
}

static int on_object(struct live *l, struct item *it)
{
	static const char *const kept[] = {"iothread", "rng-random", "rng-builtin", "throttle-group", NULL};
	const char *kind = kv_get(&it->p.l, "qom-type", "qom-type"), *id = get(it, "id");

	if (!kind || !id)
		return refuse(l, it);
	if ((!strcmp(kind, "secret") && !strcmp(id, MASTER_KEY)) || !strcmp(kind, "thread-context") || is_monitor(it))
		return 0;
	if (!strcmp(kind, "memory-backend-file") && names_files_otherwise(l) && !get(it, "x-use-canonical-path-for-ramblock-id"))
		return refuse(l, it);
	if (!strcmp(kind, "memory-backend-ram") || !strcmp(kind, "memory-backend-memfd") || !strcmp(kind, "memory-backend-file"))
		on_memory(l, it, kind);
	else if (word_index(kept, kind) < 0)
		return refuse(l, it);
	option(l, it->name, props_print(&it->p));
	return 0;
}

/* ---- network ---- */

static bool is_called(const struct item *device, const char *netdev, const char *name, size_t n)
{
	const char *names[] = {netdev, get(device, "id"), get(device, "mac")};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (names[i] && strlen(names[i]) == n && !strncasecmp(names[i], name, n))
			return true;
	return false;
}

/* The last value of --map-net for that card: "bridge:br0"; NULL: none. */
static const char *mapped_to(const struct live *l, const struct item *device, const char *netdev)
{
	for (size_t i = l->in->net_count; i-- > 0;) {
		const char *equals = strchr(l->in->nets[i], '=');

		if (equals && is_called(device, netdev, l->in->nets[i], (size_t)(equals - l->in->nets[i])))
			return strcmp(equals, "=as-is") ? equals + 1 : NULL;
	}
	return NULL;
}

static const struct libvirt_nic *nic_of(const struct live *l, const struct item *device)
{
	const char *mac = get(device, "mac");

	for (size_t i = 0; mac && i < l->def->nic_count; i++)
		if (l->def->nics[i].mac && !strcasecmp(l->def->nics[i].mac, mac))
			return &l->def->nics[i];
	return NULL;
}

static bool is_bridge(const char *name)
{
	return name && *name && strlen(name) < 16 && !strpbrk(name, "/,= \t\n");
}

static int refuse_net(struct live *l, const struct libvirt_nic *nic, const char *mac)
{
	return err_set(
		l->e, ENOTSUP,
		"network card %s is on %s%s%s here, to which only libvirt attaches it: say to which bridge or tap it goes, --map-net %s=bridge:BRIDGE",
		mac, nic && nic->kind ? nic->kind : "a network of libvirt's", nic && nic->source ? " " : "",
		nic && nic->source ? nic->source : "", mac);
}

/* A tap is only a place for what it is mapped to: what libvirt calls it here is nothing there. */
static void add_tap(struct live *l, const struct item *it, const char *id)
{
	unsigned queues = args_tap_queues(&it->p.l);
	AUTO_FREE char *several = queues > 1 ? xasprintf(",queues=%u", queues) : xstrdup("");

	option(l, it->name,
	       xasprintf("tap,id=%s,ifname=%s,script=no,downscript=no%s%s", id, id, kv_flag(&it->p.l, "vhost", false) ? ",vhost=on" : "",
			 several));
}

static int on_netdev(struct live *l, struct item *it)
{
	const char *id = get(it, "id"), *type = kv_get(&it->p.l, "type", "type");
	const struct item *device = find(l, "device", "netdev", id);
	const char *mac = get(device, "mac"), *to = mapped_to(l, device, id ?: "");
	const struct libvirt_nic *nic = nic_of(l, device);
	bool tap = type && !strcmp(type, "tap");

	if (!id || !type || !mac || !described_is_word(id))
		return refuse(l, it);
	if (!strcmp(type, "user") || (!tap && to)) {
		option(l, it->name, xstrdup(it->value));
	} else if (to) {
		add_tap(l, it, id);
	} else if (!tap || !nic || !nic->kind || strcmp(nic->kind, "bridge") || !is_bridge(nic->source)) {
		return refuse_net(l, nic, mac);
	} else if (args_tap_queues(&it->p.l) > 1) {
		return err_set(l->e, ENOTSUP,
			       "network card %s has several queues, which only a tap of the destination's has: say --map-net %s=tap:TAP",
			       mac, mac);
	} else {
		if (kv_flag(&it->p.l, "vhost", false))
			note(l, "network card %s is served by QEMU itself there, and not by the kernel (vhost)", mac);
		option(l, it->name, xasprintf("bridge,id=%s,br=%s", id, nic->source));
	}
	return 0;
}

/* ---- all options ---- */

static int keep(struct live *l, struct item *it)
{
	option(l, it->name, it->value ? xstrdup(it->value) : NULL);
	return 0;
}

/* ---- disks that become whole ---- */

#define NODES_DEEP 3 /* an image's base: its format, a part of a file, the file */

static bool is_base(const struct live *l, const char *node, unsigned depth);

/* Images that the guest may write, and what they are based on; those that it only reads are as they are here. */
static bool becomes_whole(const struct live *l, const struct item *it, unsigned depth)
{
	return !strcmp(it->name, "blockdev") && (!kv_flag(&it->p.l, "read-only", false) || is_base(l, get(it, "node-name"), depth));
}

static bool is_base(const struct live *l, const char *node, unsigned depth)
{
	for (size_t i = 0; i < l->count && node && depth; i++) {
		const struct item *it = &l->items[i];
		const char *backing = get(it, "backing"), *file = get(it, "file");

		if (strcmp(it->name, "blockdev"))
			continue;
		if (backing && !strcmp(backing, node) && becomes_whole(l, it, depth - 1))
			return true;
		if (file && !strcmp(file, node) && is_base(l, get(it, "node-name"), depth - 1))
			return true;
	}
	return false;
}

/* A raw image may have no node of its format (libvirt 10). */
static bool lacks_format(const struct live *l, const struct item *it)
{
	return it->p.tree && get(it, "filename") && get(it, "node-name") && !find(l, "blockdev", "file", get(it, "node-name"));
}

/* Adds a format node above the file, which takes over the node's name, so that the image can have another format there. */
static void add_format(struct live *l, struct item *it)
{
	static const char *const both[] = {"discard", "detect-zeroes"};
	struct kv *node = kv_find(&it->p.l, "node-name", NULL);
	AUTO_FREE char *file = xasprintf("%s-file", node->value);
	json_auto_t *format = json_pack("{s:s,s:s,s:s}", "driver", "raw", "node-name", node->value, "file", file);

	for (size_t i = 0; i < ARRAY_LEN(both); i++)
		if (get(it, both[i]))
			json_object_set_new(format, both[i], json_string(get(it, both[i])));
	kv_replace(&node->value, xstrdup(file));
	option(l, it->name, props_print(&it->p));
	option(l, it->name, json_text_dump(format, JSON_COMPACT));
}

static int on_blockdev(struct live *l, struct item *it)
{
	if (!l->in->whole || !becomes_whole(l, it, NODES_DEEP))
		return keep(l, it);
	if (is_base(l, get(it, "node-name"), NODES_DEEP))
		return 0;
	if (lacks_format(l, it)) {
		add_format(l, it);
		return 0;
	}
	kv_remove(&it->p.l, "backing");
	if (it->p.tree)
		json_object_del(it->p.tree, "backing"); /* null is not in the list */
	option(l, it->name, props_print(&it->p));
	return 0;
}

static int drop(struct live *l, struct item *it)
{
	(void)l, (void)it;
	return 0;
}

/* A clock of the guest's own begins then at each start, and what it has run since comes with QEMU's stream. */
static int on_rtc(struct live *l, struct item *it)
{
	struct kv *base = kv_find(&it->p.l, "base", NULL);

	if (base && strcmp(base->value, "utc") && strcmp(base->value, "localtime")) {
		kv_replace(&base->value, xstrdup("utc"));
		note(l, "its clock begins at UTC whenever it is started there: here libvirt keeps how far it is from that");
	}
	option(l, it->name, props_print(&it->p));
	return 0;
}

static int drop_sandbox(struct live *l, struct item *it)
{
	(void)it;
	note(l, "QEMU may run programs there, which libvirt forbids it here (-sandbox)");
	return 0;
}

static int drop_memory_path(struct live *l, struct item *it)
{
	(void)it;
	note(l, "its memory is not of huge pages, or in a file, there");
	return 0;
}

static int on_screen(struct live *l, struct item *it)
{
	l->has_screen = true;
	if (strcmp(it->name, "vnc"))
		note(l, "its screen is reached by VNC there, and not by SPICE");
	if (it->value && (strstr(it->value, "password") || strstr(it->value, "tls") || strstr(it->value, "sasl")))
		note(l,
		     "its screen is a socket there that only QEMU's user reaches: the password, or what else libvirt asks for here, does not go along");
	return 0;
}

/* The sound card's other end, which nobody hears. */
static int on_audiodev(struct live *l, struct item *it)
{
	const char *id = get(it, "id"), *driver = kv_get(&it->p.l, "driver", "driver");

	if (!id || !described_is_word(id))
		return refuse(l, it);
	if (driver && strcmp(driver, "none"))
		note(l, "the guest's sound is not played there (%s here)", driver);
	option(l, it->name, xasprintf("none,id=%s", id));
	return 0;
}

static const struct {
	const char *name;
	int (*apply)(struct live *l, struct item *it);
} rules[] = {
	{"name", keep},
	{"machine", keep},
	{"accel", keep},
	{"cpu", keep},
	{"m", keep},
	{"smp", keep},
	{"numa", keep},
	{"uuid", keep},
	{"smbios", keep},
	{"rtc", on_rtc},
	{"global", keep},
	{"boot", keep},
	{"kernel", keep},
	{"initrd", keep},
	{"append", keep},
	{"dtb", keep},
	{"no-hpet", keep},
	{"no-acpi", keep},
	{"no-reboot", keep},
	{"action", keep},
	{"watchdog-action", keep},
	{"overcommit", keep},
	{"usb", keep},
	{"nodefaults", keep},
	{"no-user-config", keep},
	{"msg", keep},
	{"blockdev", on_blockdev},
	{"device", keep},
	{"tpmdev", keep},
	{"object", on_object},
	{"chardev", on_chardev},
	{"netdev", on_netdev},
	{"audiodev", on_audiodev},
	{"vnc", on_screen},
	{"spice", on_screen},
	{"mem-path", drop_memory_path},
	{"mem-prealloc", drop_memory_path},
	{"sandbox", drop_sandbox},
	{"display", drop},
	{"mon", drop},
	{"add-fd", drop},
	{"L", drop}, /* a script that is its <emulator> adds this there, too */
	{"S", drop},
	{"incoming", drop},
	{"no-shutdown", drop}, /* libvirt ends its QEMU then */
	{"pidfile", drop},
	{"daemonize", drop},
};

static int apply(struct live *l, struct item *it)
{
	__auto_type rule = ROW_OF(rules, name, it->name);

	return rule && !it->p.broken ? rule->apply(l, it) : refuse(l, it);
}

static void read_items(struct live *l)
{
	struct qemu_opt opt;
	size_t i = 1;

	l->items = xcalloc(l->in->argc + 1, sizeof(*l->items));
	while (qemu_opt_next(l->in->argv, l->in->argc, &i, &opt)) {
		struct item *it = &l->items[l->count++];

		*it = (struct item){.name = opt.name, .value = opt.value};
		props_parse(&it->p, opt.value);
	}
}

static int make(struct live *l)
{
	AUTO_FREE char *vnc = NULL;
	AUTO_FREE char *qmp = NULL;
	int r = 0;

	name_sockets(l);
	emit(l, xstrdup(l->def->emulator));
	for (size_t i = 0; i < l->count && !r; i++)
		r = apply(l, &l->items[i]);
	vnc = socket_of(l, "vnc");
	qmp = socket_of(l, "qmp");
	option(l, l->has_screen ? "vnc" : "display", l->has_screen ? xasprintf("unix:%s", vnc) : xstrdup("none"));
	option(l, "qmp", xasprintf("unix:%s,server=on,wait=off", qmp));
	return r;
}

static void fini(struct live *l)
{
	for (size_t i = 0; i < l->count; i++)
		props_fini(&l->items[i].p);
	FREE_ALL(l->items, l->dir, l->name);
}

int libvirt_plain_live_line(struct libvirt_plain *out, const char *xml, const struct libvirt_definition *def, const struct plain_live *live,
			    struct err *e)
{
	struct live l = {.def = def, .in = live, .out = out, .e = e};
	int r;

	*out = (struct libvirt_plain){.argv = NULL};
	r = plain_check_soundness(xml, def, e);
	if (!r && !def->emulator)
		r = err_set(e, EINVAL, "it does not say which QEMU runs it (<emulator>)");
	if (!r) {
		read_items(&l);
		r = make(&l) ?: plain_judge_line(out, def, e);
		fini(&l);
	}
	if (r)
		libvirt_plain_fini(out);
	return r;
}
