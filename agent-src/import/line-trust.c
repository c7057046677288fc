/* line-trust.c: see line-trust.h. Options and their properties: QEMU's qemu-options.hx, hw/, qapi/. */
#include "line-trust-private.h"
#include "util.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* ---- what becomes of an option ---- */

static void add(char ***list, size_t *count, bool first, char *text)
{
	*list = xrealloc(*list, (*count + 1) * sizeof(**list));
	if (first)
		memmove(*list + 1, *list, *count * sizeof(**list));
	(*list)[first ? 0 : *count] = text;
	++*count;
}

static char *words_of(const struct judge *j, const char *what)
{
	return xasprintf("-%s%s%s: %s", j->option, j->value ? " " : "", j->value ?: "", what);
}

int judge_say_host(struct judge *j, const char *what)
{
	add(&j->out->host, &j->out->host_count, false, words_of(j, what));
	return 0;
}

int judge_object(struct judge *j, const char *what)
{
	if (j->trusted)
		return judge_say_host(j, what);
	return err_set(j->e, EINVAL, "its command line has -%s %.300s, %s: take it from whom you trust, and say --trust-line", j->option,
		       j->value ?: "", what);
}

static bool is_loopback(const char *host)
{
	struct in_addr v4;

	if (inet_pton(AF_INET, host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	return !strcmp(host, "::1") || !strcmp(host, "[::1]") || !strcmp(host, "localhost");
}

/* host: "" is every address. */
int judge_open_port(struct judge *j, const char *host, bool monitor)
{
	if (monitor && !is_loopback(host) && !j->trusted)
		return judge_object(j, "a monitor that is reached through a network, and whoever does has the rights of QEMU's user");
	add(&j->out->ports, &j->out->port_count, monitor,
	    words_of(j, monitor ? "a monitor, which gives whoever reaches it the rights of QEMU's user" : "through a network"));
	return 0;
}

/* ---- values ---- */

bool judge_among(const char *name, const char *const *patterns, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		size_t n = strlen(patterns[i]);

		if (patterns[i][n - 1] == '*' ? !strncmp(name, patterns[i], n - 1) : !strcmp(name, patterns[i]))
			return true;
	}
	return false;
}

/* A file that the rewriter knows. What the bundle must have is that wherever it stands; what else is read of the host is said with its option. */
bool judge_is_known(const struct judge *j, const char *value)
{
	static const char *const everywhere[] = {"/dev/null",	 "/dev/zero",  "/dev/full", "/dev/random",
						 "/dev/urandom", "/dev/hwrng", "/dev/kvm",  "/dev/vhost-net"};
	size_t i;

	for (i = 0; i < j->line->file_count; i++) {
		const struct args_file *f = &j->line->files[i];

		if (f->to && !strcmp(f->to, value) &&
		    (args_role_is_content(f->role) || (args_role_is_made(f->role) && !args_role_is_memory(f->role)) ||
		     !strcmp(f->option, j->option)))
			return true;
	}
	return judge_among(value, everywhere, ARRAY_LEN(everywhere));
}

static bool is_content(const struct judge *j, const char *value)
{
	size_t i;

	for (i = 0; i < j->line->file_count; i++)
		if (j->line->files[i].to && !strcmp(j->line->files[i].to, value) && args_role_is_content(j->line->files[i].role))
			return true;
	return false;
}

/* What the guest writes to a file by one name must not be read by the other as something else: it could become an image that names files of this host. */
int judge_name(struct judge *j, const char *value, bool writable)
{
	json_t *before = json_object_get(j->named, value);

	if (!judge_is_known(j, value))
		return judge_object(j, NOT_HARMLESS);
	if (!is_content(j, value))
		return 0;
	if (before && (writable || json_is_true(before)))
		return judge_object(j, "a file that is named twice, and written to");
	json_object_set_new_nocheck(j->named, value, json_boolean(writable));
	return 0;
}

/* QEMU is started in the root directory, and takes a bare name for a file of its own unless there is one of that name. */
static bool may_be_file(const char *value)
{
	AUTO_FREE char *path = xasprintf("/%s", value);
	struct stat st;

	return *value && (strchr(value, '/') || !lstat(path, &st));
}

/* Words for the guest, for people or for others on a network. "": of any option. */
static const struct {
	const char *option, *key;
} texts[] = {
	{"", "serial"},	      {"", "wwn"},	     {"", "product"},
	{"", "vendor"},	      {"", "label"},	     {"", "uuid"},
	{"", "guid"},	      {"", "mac"},	     {"", "bus"},
	{"", "password"},     {"machine", "append"}, {"M", "append"},
	{"object", "data"},   {"object", "iv"},	     {"netdev", "net"},
	{"nic", "net"},	      {"net", "net"},	     {"netdev", "ipv6-net"},
	{"nic", "ipv6-net"},  {"net", "ipv6-net"},   {"netdev", "bootfile"},
	{"nic", "bootfile"},  {"net", "bootfile"},   {"fw_cfg", "name"},
	{"fw_cfg", "string"}, {"trace", "enable"},
};

static bool is_text(const struct judge *j, const char *key)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(texts); i++)
		if (!strcmp(texts[i].key, key) && (!*texts[i].option || !strcmp(texts[i].option, j->option)))
			return true;
	return false;
}

/* What is called by these names is another option of the line. */
static bool is_reference(const char *key)
{
	static const char *const keys[] =
		{"id",	   "driver",	    "type",   "backend",  "qom-type",	"accel",	   "drive",	     "netdev",	  "chardev",
		 "memdev", "fsdev",	    "tpmdev", "audiodev", "rng",	"iothread",	   "node-name",	     "cryptodev", "name",
		 "guest",  "tls-creds",	    "canbus", "secret",	  "key-secret", "password-secret", "memory-backend", "pflash0",	  "pflash1",
		 "group",  "throttle-group"};

	return judge_among(key, keys, ARRAY_LEN(keys));
}

int judge_pair(struct judge *j, const char *key, const char *value)
{
	AUTO_FREE char *what = NULL;

	if (judge_is_known(j, value))
		return judge_name(j, value, strcmp(key, "romfile") != 0);
	if (is_text(j, key) || (is_reference(key) ? !strchr(value, '/') : !may_be_file(value)))
		return 0;
	what = xasprintf("whose %.60s is not known to vmferry, " NOT_HARMLESS, *key ? key : "value");
	return judge_object(j, what);
}

/* ---- options of properties ---- */

static int judge_list(struct judge *j, const struct kv_list *l, size_t from)
{
	const char *first = strcmp(j->option, "option-rom") ? "type" : "romfile";
	size_t i;
	int r = 0;

	/* only the first may leave its key out; any other without is a word that is on or off */
	for (i = from; i < l->n && !r; i++)
		if (l->v[i].key || !i)
			r = judge_pair(j, l->v[i].key ?: first, l->v[i].value);
	return r;
}

static int judge_props(struct judge *j)
{
	struct props p;
	int r;

	props_parse(&p, j->value);
	r = p.broken ? judge_object(j, "which cannot be read") : judge_list(j, &p.l, 0);
	props_fini(&p);
	return r;
}

/* What these use of the host is all in the option, and said whole. */
static int judge_kind(struct judge *j)
{
	static const char *const devices[] = {"vfio-*",	      "pci-assign", "usb-host",		  "scsi-block",
					      "scsi-generic", "vhost-*",    "virtio-input-host*", "u2f-passthru",
					      "xen-*",	      "pvrdma",	    "ccid-card-emulated"};
	static const char *const objects[] = {"input-linux", "iommufd", "cryptodev-lkcf", "can-host-*", "secret_keyring", "authz-pam"};
	static const char *const tpms[] = {"passthrough"};
	bool device = !strcmp(j->option, "device"), tpm = !strcmp(j->option, "tpmdev");
	const char *key = device ? "driver" : tpm ? "type" : "qom-type", *kind;
	struct props p;
	bool of_host;

	props_parse(&p, j->value);
	kind = kv_get(&p.l, key, key) ?: "";
	of_host = device ? judge_among(kind, devices, ARRAY_LEN(devices))
		  : tpm	 ? judge_among(kind, tpms, ARRAY_LEN(tpms))
			 : judge_among(kind, objects, ARRAY_LEN(objects));
	props_fini(&p);
	return of_host ? judge_say_host(j, "of this host") : judge_props(j);
}

/* "DRIVER.PROPERTY=VALUE", or driver=,property=,value= */
static int judge_global(struct judge *j)
{
	size_t driver = strcspn(j->value, ".="), equals = strcspn(j->value, "=");
	AUTO_FREE char *key = j->value[driver] == '.' ? xasprintf("%.*s", (int)(equals - driver - 1), j->value + driver + 1) : NULL;

	return key && j->value[equals] ? judge_pair(j, key, j->value + equals + 1) : judge_props(j);
}

/* ---- files ---- */

static int judge_file(struct judge *j)
{
	static const char *const reading[] = {"cdrom", "kernel", "dtb", "shim", "bios", "k"};

	return !*j->value ? 0 : judge_name(j, j->value, !judge_among(j->option, reading, ARRAY_LEN(reading)));
}

/* A bare name is one of a file of QEMU's own. */
static int judge_data_file(struct judge *j)
{
	return may_be_file(j->value) ? judge_file(j) : 0;
}

/* Keys whose values are files, or lists of them with this between two; all others are words. */
static int judge_file_keys(struct judge *j, const char *between)
{
	static const char *const keys[] = {"file", "path", "data", "events"};
	struct props p;
	size_t i;
	int r = 0;

	props_parse(&p, j->value);
	for (i = 0; i < p.l.n && !r; i++) {
		char *each, *at = p.l.v[i].value;

		if (!p.l.v[i].key || !judge_among(p.l.v[i].key, keys, ARRAY_LEN(keys)))
			continue;
		while (!r && (each = between ? strsep(&at, between) : at)) {
			r = judge_name(j, each, !strcmp(j->option, "trace"));
			if (!between)
				break;
		}
	}
	props_fini(&p);
	return r;
}

/* "FILE ARGUMENTS,FILE ARGUMENTS" */
static int judge_modules(struct judge *j)
{
	AUTO_FREE char *list = xstrdup(j->value);
	char *each, *at = list;
	int r = 0;

	while (!r && !judge_is_known(j, j->value) && (each = strsep(&at, ","))) {
		each[strcspn(each, " ")] = '\0';
		r = judge_name(j, each, false);
	}
	return r;
}

/* ---- character devices, networks, displays ---- */

/* Whether a monitor is, or can be, behind that character device. */
static bool serves_monitor(const struct judge *j, const struct kv_list *chardev)
{
	const char *id = kv_get(chardev, "id", NULL);
	struct qemu_opt opt;
	size_t i = 1;
	bool yes = kv_flag(chardev, "mux", false);

	while (!yes && id && qemu_opt_next(j->line->argv, j->line->argc, &i, &opt)) {
		static const char *const options[] = {"monitor", "qmp", "qmp-pretty", "gdb"};
		struct args_monitor m;

		if (args_monitor_of(&m, opt.name, opt.value)) {
			yes = !strcmp(m.chardev, id);
			free(m.chardev);
		} else if (opt.value && judge_among(opt.name, options, ARRAY_LEN(options))) {
			yes = !strcmp(opt.value + (strncmp(opt.value, "chardev:", 8) ? 0 : 8), id);
		}
	}
	return yes;
}

static int judge_chardev(struct judge *j)
{
	struct props p;
	bool local;
	int r;

	props_parse(&p, j->value);
	local = kv_get(&p.l, "path", NULL) ||
		!(kv_get(&p.l, "host", NULL) || kv_get(&p.l, "port", NULL) || kv_get(&p.l, "localport", NULL));
	r = judge_list(j, &p.l, 0);
	if (!r && !local)
		r = judge_open_port(j, kv_get(&p.l, "host", NULL) ?: "", serves_monitor(j, &p.l));
	props_fini(&p);
	return r;
}

/* KIND:HOST:PORT,… */
static int judge_socket(struct judge *j, const char *rest, bool monitor)
{
	size_t n = strcspn(rest, ",");
	AUTO_FREE char *host = xstrndup(rest, n);
	char *colon = strrchr(host, ':');
	struct kv_list l;
	int r;

	if (colon)
		*colon = '\0';
	kv_parse(&l, rest);
	r = judge_list(j, &l, 1);
	kv_fini(&l);
	return r ? r : judge_open_port(j, host, monitor);
}

/* What -serial, -monitor and their like take. */
static int judge_compat(struct judge *j)
{
	static const char *const monitors[] = {"monitor", "qmp", "qmp-pretty", "gdb"};
	static const char *const sockets[] = {"tcp", "telnet", "tn3270", "websocket", "udp"};
	static const char *const harmless[] = {"null", "none", "stdio", "pty", "vc", "chardev", "msmouse", "wctablet", "ringbuf"};
	bool mon = !strncmp(j->value, "mon:", 4), unix_socket;
	const char *dev = j->value + (mon ? 4 : 0), *rest = dev + strcspn(dev, ":");
	AUTO_FREE char *kind = xstrndup(dev, strcspn(dev, ":,"));
	struct kv_list l;
	int r;

	rest += !!*rest;
	if (judge_among(kind, sockets, ARRAY_LEN(sockets)))
		return judge_socket(j, rest, mon || judge_among(j->option, monitors, ARRAY_LEN(monitors)));
	if (judge_among(kind, harmless, ARRAY_LEN(harmless)))
		return strchr(dev, '/') ? judge_object(j, NOT_HARMLESS) : 0;
	unix_socket = !strcmp(kind, "unix");
	if (!unix_socket && strcmp(kind, "file") && strcmp(kind, "pipe"))
		return judge_name(j, dev, true);
	if (!unix_socket)
		return judge_name(j, rest, true);
	kv_parse(&l, rest);
	r = judge_list(j, &l, 0);
	kv_fini(&l);
	return r;
}

static int judge_display(struct judge *j)
{
	struct kv_list l;
	const char *at;
	bool open;
	int r;

	kv_parse(&l, j->value);
	at = l.n && !l.v[0].key ? l.v[0].value : "";
	if (!strcmp(j->option, "vnc")) {
		bool is_unix = !strncmp(at, "unix:", 5);

		open = !is_unix && strcmp(at, "none");
		r = is_unix && !judge_is_known(j, at + 5) ? judge_object(j, NOT_HARMLESS) : judge_list(j, &l, 1);
	} else {
		open = (kv_get(&l, "port", NULL) || kv_get(&l, "tls-port", NULL)) && !kv_flag(&l, "unix", false);
		r = judge_list(j, &l, 0);
	}
	kv_fini(&l);
	return r || !open ? r : judge_open_port(j, "", false);
}

/* ---- the table ---- */

static int judge_words(struct judge *j)
{
	return judge_file_keys(j, NULL);
}

static int judge_tables(struct judge *j)
{
	return judge_file_keys(j, ":");
}

/* -s: -gdb tcp::1234 */
static int judge_gdb(struct judge *j)
{
	return judge_open_port(j, "", true);
}

static const struct rule {
	int (*judge)(struct judge *j); /* NULL: whatever its value is, it names nothing of the host */
	const char *const *options;
} rules[] = {
	{NULL, (const char *const[]){"name",
				     "uuid",
				     "m",
				     "smp",
				     "numa",
				     "cpu",
				     "append",
				     "prom-env",
				     "rtc",
				     "vga",
				     "balloon",
				     "watchdog-action",
				     "action",
				     "overcommit",
				     "realtime",
				     "seed",
				     "compat",
				     "echr",
				     "msg",
				     "dfilter",
				     "sandbox",
				     "tb-size",
				     "soundhw",
				     "S",
				     "incoming",
				     "enable-kvm",
				     "usb",
				     "nodefaults",
				     "no-user-config",
				     "nodefconfig",
				     "no-reboot",
				     "no-shutdown",
				     "mem-prealloc",
				     "no-fd-bootchk",
				     "no-kvm",
				     "no-kvm-irqchip",
				     "no-kvm-pit",
				     "no-kvm-pit-reinjection",
				     "win2k-hack",
				     "singlestep",
				     "one-insn-per-tb",
				     "nographic",
				     "only-migratable",
				     "enable-fips",
				     "async-teardown",
				     "enable-sync-profile",
				     "virtfs_synth",
				     NULL}},
	{judge_props, (const char *const[]){"machine", "M", "accel", "icount", "boot", "option-rom", "mon", "display", "audiodev", "audio",
					    "iscsi", "run-with", "fsdev", "virtfs", NULL}},
	{judge_kind, (const char *const[]){"device", "object", "tpmdev", NULL}},
	{judge_global, (const char *const[]){"global", NULL}},
	{judge_block, (const char *const[]){"drive", "blockdev", NULL}},
	{judge_file, (const char *const[]){"", "hda", "hdb", "hdc", "hdd", "pflash", "sd", "mtdblock", "cdrom", "fda", "fdb", "kernel",
					   "dtb", "shim", "mem-path", "pidfile", "D", NULL}},
	{judge_data_file, (const char *const[]){"bios", "k", "d", "usbdevice", NULL}},
	{judge_modules, (const char *const[]){"initrd", NULL}},
	{judge_words, (const char *const[]){"smbios", "fw_cfg", "trace", NULL}},
	{judge_tables, (const char *const[]){"acpitable", NULL}},
	{judge_chardev, (const char *const[]){"chardev", NULL}},
	{judge_compat,
	 (const char *const[]){"monitor", "qmp", "qmp-pretty", "serial", "parallel", "debugcon", "virtioconsole", "gdb", NULL}},
	{judge_gdb, (const char *const[]){"s", NULL}},
	{judge_network, (const char *const[]){"netdev", "nic", "net", NULL}},
	{judge_display, (const char *const[]){"vnc", "spice", NULL}},
};

static int judge_option(struct judge *j)
{
	size_t i, k;

	for (i = 0; i < ARRAY_LEN(rules); i++)
		for (k = 0; rules[i].options[k]; k++)
			if (!strcmp(rules[i].options[k], j->option))
				return !rules[i].judge				 ? 0
				       : j->value || rules[i].judge == judge_gdb ? rules[i].judge(j)
										 : judge_object(j, "without its value");
	return judge_object(j, "an option that " NOT_HARMLESS);
}

int line_judge(struct line_words *out, const struct args_result *line, bool trusted, struct err *e)
{
	struct judge j = {.line = line, .trusted = trusted, .named = json_object(), .out = out, .e = e};
	struct qemu_opt opt;
	size_t i = 1;
	int r = 0;

	*out = (struct line_words){.ports = NULL};
	while (!r && qemu_opt_next(line->argv, line->argc, &i, &opt)) {
		j.option = opt.name;
		j.value = opt.value;
		r = judge_option(&j);
	}
	json_decref(j.named);
	if (r)
		line_words_fini(out);
	return r;
}

void line_words_fini(struct line_words *w)
{
	args_free_strings(w->ports, w->port_count);
	args_free_strings(w->host, w->host_count);
	*w = (struct line_words){.ports = NULL};
}
