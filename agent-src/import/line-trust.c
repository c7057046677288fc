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
	return err_set(j->e, EINVAL, "the command line has -%s %.300s, %s: take it from whom you trust, and say --trust-line", j->option,
		       j->value ?: "", what);
}

static bool is_loopback(const char *host)
{
	struct in_addr v4;

	if (inet_pton(AF_INET, host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	return !strcmp(host, "::1") || !strcmp(host, "[::1]") || !strcmp(host, "localhost");
}

static int say_port(struct judge *j, bool first, char *text)
{
	add(&j->out->ports, &j->out->port_count, first, text);
	return 0;
}

int judge_say_monitor(struct judge *j, const char *text)
{
	return say_port(j, true, xstrdup(text));
}

/* host: "" is every address. */
int judge_open_port(struct judge *j, const char *host, bool monitor)
{
	if (monitor && !is_loopback(host) && !j->trusted)
		return judge_object(j, "a monitor that is reached through a network, and gives its clients the rights of QEMU's user");
	return say_port(j, monitor,
			words_of(j, monitor ? "a monitor, which gives its clients the rights of QEMU's user" : "through a network"));
}

/* ---- values ---- */

bool judge_among(const char *name, const char *const *patterns, size_t count)
{
	for (size_t i = 0; i < count; i++) {
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

	for (size_t i = 0; i < j->line->file_count; i++) {
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
	for (size_t i = 0; i < j->line->file_count; i++)
		if (j->line->files[i].to && !strcmp(j->line->files[i].to, value) && args_role_is_content(j->line->files[i].role))
			return true;
	return false;
}

/* Contents that the guest writes to a file by one name must not be read by another name as something else: they could become an image that names files of this host. */
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
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (!strcmp(texts[i].key, key) && (!*texts[i].option || !strcmp(texts[i].option, j->option)))
			return true;
	return false;
}

/* Keys whose value refers to another option of the line. */
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

int judge_list(struct judge *j, const struct kv_list *l, size_t from)
{
	const char *first = strcmp(j->option, "option-rom") ? "type" : "romfile";
	int r = 0;

	/* only the first may leave its key out; any other without is a word that is on or off */
	for (size_t i = from; i < l->n && !r; i++)
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

/* Devices and objects that use something of the host: their option names all of it. */
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
	int r = 0;

	props_parse(&p, j->value);
	for (size_t i = 0; i < p.l.n && !r; i++) {
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

/* ---- the table ---- */

static int judge_words(struct judge *j)
{
	return judge_file_keys(j, NULL);
}

static int judge_tables(struct judge *j)
{
	return judge_file_keys(j, ":");
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
	r = r ?: judge_monitors(&j);
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
