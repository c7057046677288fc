/*
 * read-proxmox.c: the configuration of a guest of Proxmox VE's (/etc/pve/qemu-server/VMID.conf, qm config VMID): lines of KEY: VALUE, of which many
 * values are lists of NAME=VALUE. What is behind the first "[" is a snapshot's, or is pending. qm.conf(5).
 */
#include "read-proxmox.h"
#include "readers.h"
#include "util.h"
#include "words.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define CONF_BYTES_MAX (1u << 20)
#define MEMORY_DEFAULT 512u /* MiB */

/* ---- lines ---- */

/* Texts that are not the guest's hardware. */
static bool may_be_long(const char *key, size_t n)
{
	static const char *const keys[] = {"sshkeys", "description", "tags", "cicustom"};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (strlen(keys[i]) == n && !strncmp(key, keys[i], n))
			return true;
	return false;
}

static int add_line(struct conf *c, const char *from, size_t n, unsigned number, struct err *e)
{
	const char *colon = memchr(from, ':', n), *value, *end = from + n;

	while (end > from && isspace((unsigned char)end[-1]))
		end--;
	if (end == from || *from == '#')
		return 0;
	if (!colon || colon == from || (end - from > GUEST_TEXT_MAX && !may_be_long(from, (size_t)(colon - from))))
		return err_set(e, EINVAL, "line %u is not KEY: VALUE", number);
	if (c->n == CONF_LINES_MAX)
		return err_set(e, EINVAL, "the description has more than %d lines", CONF_LINES_MAX);
	for (value = colon + 1; value < end && isspace((unsigned char)*value); value++)
		;
	c->lines[c->n++] = (struct conf_line){.key = xasprintf("%.*s", (int)(colon - from), from),
					      .value = xasprintf("%.*s", value < end ? (int)(end - value) : 0, value)};
	return 0;
}

/* "[before-upgrade]" */
static void add_section(struct conf *c, const char *from, size_t n)
{
	const char *close = memchr(from, ']', n);
	int chars = close ? (int)(close - from) - 1 : 0;
	char *longer;

	if (chars <= 0 || !strncmp(from, "[special:", 9))
		return;
	if (chars == 7 && !strncasecmp(from, "[PENDING]", 9)) {
		c->pending = true;
		return;
	}
	if (c->snapshots && strlen(c->snapshots) > 200)
		return;
	longer = xasprintf("%s%s%.*s", c->snapshots ? c->snapshots : "", c->snapshots ? ", " : "", MIN(chars, 60), from + 1);
	free(c->snapshots);
	c->snapshots = longer;
}

static int split(struct conf *c, const char *text, size_t n, struct err *e)
{
	const char *end = text + n, *next;
	bool in_section = false;
	unsigned number = 1;
	int r = 0;

	if (n > CONF_BYTES_MAX || memchr(text, '\0', n))
		return err_set(e, EINVAL, "not a text of at most %u KiB", CONF_BYTES_MAX >> 10);
	for (; !r && text < end; text = next, number++) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		size_t chars = (size_t)((stop ? stop : end) - text);

		next = stop ? stop + 1 : end;
		if (*text == '[')
			add_section(c, text, chars);
		in_section |= *text == '[';
		if (!in_section)
			r = add_line(c, text, chars, number, e);
	}
	return r;
}

const char *conf_get(struct conf *c, const char *fmt, ...)
{
	char key[64];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(key, sizeof(key), fmt, ap);
	va_end(ap);
	for (size_t i = 0; i < c->n; i++)
		if (!strcmp(c->lines[i].key, key)) {
			c->lines[i].known = true;
			return *c->lines[i].value ? c->lines[i].value : NULL;
		}
	return NULL;
}

char *conf_property(const char *list, const char *name)
{
	const char *p, *next;

	for (p = list; p && *p; p = *next ? next + 1 : next) {
		size_t n = strcspn(p, ","), key = strcspn(p, ",=");

		next = p + n;
		if (!name && key == n)
			return n ? xasprintf("%.*s", (int)n, p) : NULL;
		if (name && key < n && strlen(name) == key && !strncmp(p, name, key))
			return xasprintf("%.*s", (int)(n - key - 1), p + key + 1);
	}
	return NULL;
}

char *conf_main_property(const char *list, const char *name)
{
	char *value = conf_property(list, name);

	return value ? value : conf_property(list, NULL);
}

bool conf_is_true(const char *value)
{
	return value && (!strcmp(value, "1") || !strcasecmp(value, "on") || !strcasecmp(value, "yes") || !strcasecmp(value, "true"));
}

/* ---- is it one? ---- */

/* "scsi0: …" of a line; how far its key reaches. 0: it is none. */
static size_t key_of(const char *line, size_t n)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
	size_t key = 0;

	while (key < n && strchr(letters, line[key]))
		key++;
	return key < n && line[key] == ':' && islower((unsigned char)*line) ? key : 0;
}

static bool is_telling(const char *key, size_t n)
{
	static const char *const words[] = {"memory", "cores",	"sockets", "ostype", "scsihw",	"boot",	  "bootdisk", "agent",
					    "net0",   "scsi0",	"virtio0", "sata0",  "ide0",	"ide2",	  "vmgenid",  "smbios1",
					    "bios",   "onboot", "numa",	   "rootfs", "machine", "hotplug"};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strlen(words[i]) == n && !strncmp(words[i], key, n))
			return true;
	return false;
}

bool is_proxmox(const char *text, size_t n)
{
	const char *end = text + n, *stop;
	unsigned telling = 0;

	for (; text < end && *text != '[' && (stop = memchr(text, '\n', (size_t)(end - text))); text = stop + 1) {
		size_t key = key_of(text, (size_t)(stop - text));

		if (*text == '#' || text == stop || *text == '\r')
			continue;
		if (!key)
			return false;
		telling += is_telling(text, key);
	}
	return telling >= 3;
}

/* ---- the machine ---- */

static const struct {
	const char *word;
	bool windows, old;
} systems[] = {
	{"wxp", true, true},   {"w2k", true, true},	  {"w2k3", true, true},	   {"w2k8", true, false},  {"wvista", true, false},
	{"win7", true, false}, {"win8", true, false},	  {"win10", true, false},  {"win11", true, false}, {"l24", false, false},
	{"l26", false, false}, {"solaris", false, false}, {"other", false, false},
};

static void take_system(struct conf *c)
{
	const char *type = conf_get(c, "ostype"), *name = conf_get(c, "name"), *local = conf_get(c, "localtime");
	__auto_type system = ROW_OF(systems, word, type);

	c->d->system.windows = system && system->windows;
	c->d->system.old_windows = system && system->old;
	c->d->name = xstrdup(name);
	c->d->system.local_time = conf_is_true(local);
	c->d->system.utc = local && !c->d->system.local_time;
}

static int take_machine(struct conf *c, struct err *e)
{
	const char *text = conf_get(c, "machine"), *arch = conf_get(c, "arch"), *bios = conf_get(c, "bios");
	AUTO_FREE char *type = text ? conf_main_property(text, "type") : NULL, *viommu = text ? conf_property(text, "viommu") : NULL;

	if (arch && strcmp(arch, "x86_64") != 0)
		return err_set(e, EINVAL, "the processor is %.40s; only x86_64 can be imported", arch);
	c->d->machine = type && strstr(type, "q35") ? MACHINE_Q35 : MACHINE_PC;
	if (type)
		described_machine_type(c->d, type);
	if (viommu)
		description_note(c->d, "the IOMMU (viommu=%.20s) is not mapped", viommu);
	c->d->firmware = bios && !strcmp(bios, "ovmf") ? FIRMWARE_UEFI : FIRMWARE_BIOS;
	return 0;
}

/* Proxmox VE's own words for processors, and what it gives QEMU for them; no model is this host's. */
static const struct {
	const char *word, *model;
} processors[] = {
	{"host", NULL},
	{"max", NULL},
	{"kvm64", "kvm64,lahf_lm=on,sep=on"},
	{"x86-64-v2", "qemu64,popcnt=on,pni=on,sse4.1=on,sse4.2=on,ssse3=on"},
	{"x86-64-v2-AES", "qemu64,aes=on,popcnt=on,pni=on,sse4.1=on,sse4.2=on,ssse3=on"},
	{"x86-64-v3", "qemu64,aes=on,popcnt=on,pni=on,sse4.1=on,sse4.2=on,ssse3=on,avx=on,avx2=on,bmi1=on,bmi2=on,f16c=on,fma=on,abm=on,"
		      "movbe=on,xsave=on"},
	{"x86-64-v4", "qemu64,aes=on,popcnt=on,pni=on,sse4.1=on,sse4.2=on,ssse3=on,avx=on,avx2=on,bmi1=on,bmi2=on,f16c=on,fma=on,abm=on,"
		      "movbe=on,xsave=on,avx512f=on,avx512bw=on,avx512cd=on,avx512dq=on,avx512vl=on"},
};

/* "+aes;-pcid" becomes ",aes=on,pcid=off". What is no word ends it. */
static char *with_flags(const char *model, const char *flags)
{
	char *out = xstrdup(model);

	while (flags && (*flags == '+' || *flags == '-')) {
		size_t n = strcspn(flags + 1, ";");
		AUTO_FREE char *flag = xasprintf("%.*s", (int)n, flags + 1);
		char *longer;

		if (!described_is_word(flag))
			break;
		longer = xasprintf("%s,%s=%s", out, flag, *flags == '+' ? "on" : "off");
		free(out);
		out = longer;
		flags += 1 + n;
		flags += *flags == ';';
	}
	return out;
}

static void take_processor(struct conf *c)
{
	const char *text = conf_get(c, "cpu"), *model = NULL;
	AUTO_FREE char *word = text ? conf_main_property(text, "cputype") : NULL, *flags = text ? conf_property(text, "flags") : NULL;
	__auto_type known = ROW_OF(processors, word, word ?: "kvm64");

	if (known) {
		model = known->model;
	} else if (!strncmp(word, "custom-", 7) || !described_is_word(word)) {
		description_note(c->d, "the processor '%.60s' is described in a file that is not here: it becomes this host's", word);
		return;
	} else {
		model = word;
	}
	if (model)
		c->d->cpu_model = with_flags(model, flags);
	else if (flags)
		description_note(c->d, "the flags of its processor (%.80s) are not mapped: it is as this host's", flags);
}

static int take_cpus(struct conf *c, struct err *e)
{
	const char *sockets = conf_get(c, "sockets"), *cores = conf_get(c, "cores"), *used = conf_get(c, "vcpus");
	uint64_t s, n;

	if (described_number(&s, sockets ? sockets : "1", 1, GUEST_CPUS_MAX, "the number of sockets", e) ||
	    described_number(&n, cores ? cores : "1", 1, GUEST_CPUS_MAX / s, "the number of cores", e))
		return -EINVAL;
	c->d->cpu.count = (unsigned)(s * n);
	c->d->cpu.sockets = (unsigned)s;
	c->d->cpu.cores = (unsigned)n;
	c->d->cpu.threads = 1;
	if (used && strtoul(used, NULL, 10) != s * n)
		description_note(c->d, "%.20s of its %u processors were in use there: here all are (--cpus)", used, c->d->cpu.count);
	return 0;
}

static int take_memory(struct conf *c, struct err *e)
{
	const char *text = conf_get(c, "memory"), *balloon = conf_get(c, "balloon");
	AUTO_FREE char *mib = text ? conf_main_property(text, "current") : xasprintf("%u", MEMORY_DEFAULT);

	c->d->has.balloon = !balloon || strcmp(balloon, "0") != 0;
	return described_memory(&c->d->memory_bytes, mib, MIB, e);
}

/* ---- identity ---- */

/* Values are plain, or all but the UUID in base64. */
static void take_smbios(struct conf *c)
{
	const char *text = conf_get(c, "smbios1");
	AUTO_FREE char *uuid = text ? conf_property(text, "uuid") : NULL, *coded = text ? conf_property(text, "base64") : NULL;

	c->d->uuid = described_uuid(uuid);
	for (size_t i = 0; text && i < SMBIOS_COUNT; i++) {
		AUTO_FREE char *value = conf_property(text, described_smbios[i]);
		AUTO_FREE char *plain = value && conf_is_true(coded) ? described_base64(value) : NULL;

		if (!value || !*value)
			continue;
		if (!plain && conf_is_true(coded))
			description_note(c->d, "the %s of its SMBIOS is not a text in base64, and is left out", described_smbios[i]);
		else
			c->d->smbios[i] = xstrdup(plain ? plain : value);
	}
}

static void take_generation(struct conf *c)
{
	const char *text = conf_get(c, "vmgenid");

	c->d->genid = text ? described_uuid(text) : NULL;
}

/* ---- ports and display ---- */

static void take_ports(struct conf *c)
{
	const char *agent = conf_get(c, "agent"), *rng = conf_get(c, "rng0");
	AUTO_FREE char *on = agent ? conf_main_property(agent, "enabled") : NULL;

	c->d->has.agent = conf_is_true(on);
	c->d->has.rng = rng != NULL;
	for (unsigned i = 0; i < GUEST_SERIALS_MAX; i++) {
		const char *port = conf_get(c, "serial%u", i);

		if (!port)
			continue;
		c->d->has.serials = i + 1;
		if (strcmp(port, "socket") != 0)
			description_note(c->d, "the serial port #%u was %.60s of its host: here it is a socket", i + 1, port);
	}
}

static void take_display(struct conf *c)
{
	static const char *const types[][2] = {
		{"std", "VGA"},		  {"cirrus", "cirrus-vga"},    {"vmware", "vmware-svga"}, {"qxl", "qxl-vga"},
		{"virtio", "virtio-vga"}, {"virtio-gl", "virtio-vga"}, {"none", "none"},	  {"serial", "none"},
	};
	const char *text = conf_get(c, "vga");
	AUTO_FREE char *type = text ? conf_main_property(text, "type") : NULL;
	size_t i, n = type ? strcspn(type, "0123456789") : 0; /* qxl2: two screens */

	for (i = 0; type && i < ARRAY_LEN(types); i++)
		if (strlen(types[i][0]) == n && !strncmp(type, types[i][0], n))
			c->d->has.video = xstrdup(types[i][1]);
	if (!type && c->d->system.old_windows)
		c->d->has.video = xstrdup("cirrus-vga");
	if (type && !c->d->has.video)
		description_note(c->d, "the display adapter '%.40s' is not known: it becomes a standard VGA", type);
}

/* ---- what is left ---- */

/* Settings without a number behind them, or with one. said: what becomes of it; NULL: nothing of the guest's hardware. */
static const struct {
	const char *key;
	bool numbered;
	const char *said;
} others[] = {
	{"args", false, "additional arguments of QEMU are left out: behind -- they come to the end of the line"},
	{"hostpci", true, "a device of its host is left out"},
	{"usb", true, "a USB device is left out"},
	{"parallel", true, "the parallel port is left out"},
	{"virtiofs", true, "a directory that it shared with its host is left out"},
	{"ivshmem", false, "memory that it shared with others is left out"},
	{"audio", true, "the sound card is left out"},
	{"watchdog", false, "the watchdog is left out"},
	{"hugepages", false, "the memory is of ordinary pages here"},
	{"numa", true, "the places of its memory and processors are not mapped"},
	{"amd-sev", false, "the memory is not encrypted here"},
	{"intel-tdx", false, "the memory is not encrypted here"},
	{"onboot", false, "nothing starts it with this host unless you see to it"},
	{"startdate", false, "the clock begins as this host's"},
	{"template", false, "the guest is a template there: a guest is imported"},
	{"hookscript", false, "that script is not run here"},
	{"freeze", false, "the guest does not wait for cont at its start"},
	{"unused", true, "a disk that the guest does not see is left out"},
	{"acpi", false, NULL},
	{"affinity", false, NULL},
	{"allow-ksm", false, NULL},
	{"autostart", false, NULL},
	{"bootdisk", false, NULL},
	{"cdrom", false, NULL},
	{"cicustom", false, NULL},
	{"cipassword", false, NULL},
	{"citype", false, NULL},
	{"ciupgrade", false, NULL},
	{"ciuser", false, NULL},
	{"cpulimit", false, NULL},
	{"cpuunits", false, NULL},
	{"description", false, NULL},
	{"digest", false, NULL},
	{"hotplug", false, NULL},
	{"ipconfig", true, NULL},
	{"keephugepages", false, NULL},
	{"keyboard", false, NULL},
	{"kvm", false, NULL},
	{"lock", false, NULL},
	{"meta", false, NULL},
	{"migrate_downtime", false, NULL},
	{"migrate_speed", false, NULL},
	{"nameserver", false, NULL},
	{"numa", false, NULL},
	{"parent", false, NULL},
	{"protection", false, NULL},
	{"reboot", false, NULL},
	{"runningcpu", false, NULL},
	{"runningmachine", false, NULL},
	{"searchdomain", false, NULL},
	{"shares", false, NULL},
	{"smp", false, NULL},
	{"snaptime", false, NULL},
	{"spice_enhancements", false, NULL},
	{"sshkeys", false, NULL},
	{"startup", false, NULL},
	{"tablet", false, NULL},
	{"tags", false, NULL},
	{"tdf", false, NULL},
	{"vmstatestorage", false, NULL},
};

static bool key_is(const char *key, const char *word, bool numbered)
{
	size_t n = strlen(word);

	if (strncmp(key, word, n) != 0 || !key[n] != !numbered)
		return false;
	return strspn(key + n, "0123456789") == strlen(key + n);
}

/* Off is what it is here. */
static bool is_off(const char *value)
{
	return !strcmp(value, "0") || !strcmp(value, "off");
}

static void say_line(struct conf *c, const struct conf_line *l)
{
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		if (!key_is(l->key, others[i].key, others[i].numbered))
			continue;
		if (others[i].said && !is_off(l->value))
			description_note(c->d, "%.40s (%.1000s): %s", l->key, l->value, others[i].said);
		else
			conf_idle(c, l->key);
		return;
	}
	description_note(c->d, "the setting %.60s: %.60s is not mapped", l->key, l->value);
}

void conf_idle(struct conf *c, const char *name)
{
	char *longer;

	if (c->idle_count++ >= 8 && !c->d->told.verbose)
		return;
	longer = xasprintf("%s%s%.40s", c->idle ? c->idle : "", c->idle ? ", " : "", name);
	free(c->idle);
	c->idle = longer;
}

static void say_the_rest(struct conf *c)
{
	for (size_t i = 0; i < c->n; i++)
		if (!c->lines[i].known)
			say_line(c, &c->lines[i]);
	if (c->snapshots)
		description_note(c->d, "the snapshots do not come along: %.240s", c->snapshots);
	if (c->pending)
		description_note(c->d, "what was to be changed at its next start there is left out");
	if (c->idle_count)
		description_note(c->d, "%zu setting%s of Proxmox VE's that say%s nothing of the hardware %s left out: %s%s", c->idle_count,
				 c->idle_count == 1 ? "" : "s", c->idle_count == 1 ? "s" : "", c->idle_count == 1 ? "is" : "are", c->idle,
				 c->idle_count > 8 && !c->d->told.verbose ? " … (--verbose)" : "");
}

static int read_guest(struct conf *c, struct err *e)
{
	if (conf_get(c, "rootfs"))
		return err_set(e, EINVAL, "a container (LXC), not a virtual machine");
	c->d->origin = xstrdup("Proxmox VE");
	c->d->system.of_qemu = true;
	take_system(c);
	if (take_machine(c, e) || take_memory(c, e) || take_cpus(c, e))
		return -EINVAL;
	take_processor(c);
	take_smbios(c);
	take_generation(c);
	if (conf_disks(c, e))
		return -EINVAL;
	conf_nics(c);
	conf_boot(c);
	take_ports(c);
	take_display(c);
	say_the_rest(c);
	return 0;
}

int read_proxmox(struct guest_description *d, const char *text, size_t n, struct err *e)
{
	struct conf c = {.d = d, .lines = xcalloc(CONF_LINES_MAX, sizeof(struct conf_line))};
	int r = split(&c, text, n, e) ?: read_guest(&c, e);

	for (size_t i = 0; i < c.n; i++) {
		free(c.lines[i].key);
		free(c.lines[i].value);
	}
	FREE_ALL(c.lines, c.snapshots, c.idle);
	return r;
}
