/* read-vmx.c: the configuration of a guest of VMware's: lines of KEY = "VALUE", keys in any case. */
#include "readers.h"
#include "util.h"
#include "words.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define VMX_BYTES_MAX (4u << 20)
#define LINES_MAX     4096

struct line {
	char *key, *value;
	bool known, is_long;
};

struct vmx {
	struct guest_description *d;
	struct line *lines;
	size_t n;
};

/* ---- lines ---- */

static int hex_value(char c)
{
	return isdigit((unsigned char)c) ? c - '0' : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10 : -1;
}

/* "|22" is a quote. In place. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (*s == '|' && hex_value(s[1]) >= 0 && hex_value(s[2]) >= 0 && hex_value(s[1]) + hex_value(s[2]) > 0) {
			*to++ = (char)(hex_value(s[1]) << 4 | hex_value(s[2]));
			s += 2;
		} else {
			*to++ = *s;
		}
	}
	*to = '\0';
}

static char *trimmed(const char *from, const char *to)
{
	while (from < to && isspace((unsigned char)*from))
		from++;
	while (from < to && isspace((unsigned char)to[-1]))
		to--;
	return xasprintf("%.*s", (int)(to - from), from);
}

/* A value that is longer than any that says something of the hardware is kept by its beginning alone. */
static int add_line(struct vmx *v, const char *from, const char *to, unsigned number, struct err *e)
{
	const char *equals = memchr(from, '=', (size_t)(to - from));
	struct line *l = &v->lines[v->n];
	size_t n;

	while (from < to && isspace((unsigned char)*from))
		from++;
	if (from == to || *from == '#')
		return 0;
	if (!equals || equals - from > GUEST_TEXT_MAX)
		return err_set(e, EINVAL, "line %u is not KEY = \"VALUE\"", number);
	if (v->n == LINES_MAX)
		return err_set(e, EINVAL, "the description has more than %d lines", LINES_MAX);
	l->key = trimmed(from, equals);
	l->is_long = to - equals > GUEST_TEXT_MAX;
	l->value = trimmed(equals + 1, l->is_long ? equals + GUEST_TEXT_MAX : to);
	v->n++;
	n = strlen(l->value);
	if (n >= 2 && l->value[0] == '"' && (l->value[n - 1] == '"' || l->is_long)) {
		memmove(l->value, l->value + 1, n - 2);
		l->value[n - 2] = '\0';
	}
	unescape(l->value);
	return 0;
}

/* The encoding that .encoding names, itself in ASCII; malloc'ed, NULL: none. */
static char *encoding_of(const char *text, size_t n)
{
	const char *end = text + n, *p = text, *next;

	for (; p < end; p = next) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));
		char word[64];
		AUTO_FREE char *line = NULL;

		next = stop ? stop + 1 : end;
		line = xasprintf("%.*s", (int)MIN(next - p, 200), p);
		if (strncasecmp(line + strspn(line, " \t"), ".encoding", 9) == 0 && sscanf(line, " %*[^=]= \"%63[^\"]", word) == 1)
			return xstrdup(word);
	}
	return NULL;
}

static int split(struct vmx *v, const char *text, size_t n, struct err *e)
{
	AUTO_FREE char *encoding = encoding_of(text, n), *utf8 = NULL;
	const char *end = text + n, *next;
	unsigned number = 1;
	int r = 0;

	if (n > VMX_BYTES_MAX || memchr(text, '\0', n))
		return err_set(e, EINVAL, "not a text of at most %u KiB", VMX_BYTES_MAX >> 10);
	if (n >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
		text += 3;
	utf8 = described_utf8(text, (size_t)(end - text), encoding, v->d);
	if (utf8) {
		text = utf8;
		end = text + strlen(text);
	}
	for (; !r && text < end; text = next, number++) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));

		next = stop ? stop + 1 : end;
		r = add_line(v, text, stop ? stop : end, number, e);
	}
	return r;
}

/* The value of a key that printf makes; NULL: there is none, or it is empty. */
__attribute__((format(printf, 2, 3))) static const char *get(struct vmx *v, const char *fmt, ...)
{
	char key[128];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(key, sizeof(key), fmt, ap);
	va_end(ap);
	for (size_t i = v->n; i-- > 0;)
		if (!strcasecmp(v->lines[i].key, key)) {
			v->lines[i].known = true;
			return *v->lines[i].value && !v->lines[i].is_long ? v->lines[i].value : NULL;
		}
	return NULL;
}

static bool is_true(const char *value)
{
	return value && (!strcasecmp(value, "TRUE") || !strcmp(value, "1") || !strcasecmp(value, "yes"));
}

/* ---- disks ---- */

static const struct {
	const char *prefix;
	unsigned controllers, units;
	enum disk_bus bus; /* without virtualDev */
} buses[] = {
	{"scsi", 4, 65, BUS_LSILOGIC},
	{"sata", 4, 30, BUS_SATA},
	{"ide", 2, 2, BUS_IDE},
	{"nvme", 4, 15, BUS_NVME},
};

static const struct {
	const char *word;
	enum disk_bus bus;
} scsi_kinds[] = {
	{"lsilogic", BUS_LSILOGIC},
	{"lsisas1068", BUS_LSISAS},
	{"pvscsi", BUS_PVSCSI},
};

static enum disk_bus scsi_bus(struct vmx *v, unsigned controller)
{
	const char *kind = get(v, "scsi%u.virtualDev", controller);
	__auto_type known = ROW_OF_ANY_CASE(scsi_kinds, word, kind ?: "lsilogic");

	if (known)
		return known->bus;
	description_note(v->d, "QEMU has no controller '%.40s' (scsi%u): its disks go to the usual one", kind, controller);
	return BUS_UNSAID;
}

static bool is_cdrom(const char *type)
{
	return type && (!strncasecmp(type, "cdrom", 5) || !strncasecmp(type, "atapi", 5));
}

static int add_drive(struct vmx *v, const char *prefix, unsigned c, unsigned u, enum disk_bus bus, struct err *e)
{
	const char *type = get(v, "%s%u:%u.deviceType", prefix, c, u), *file = get(v, "%s%u:%u.fileName", prefix, c, u);
	const char *mode = get(v, "%s%u:%u.mode", prefix, c, u);
	struct described_disk *disk;

	bool of_host = type && (!strcasecmp(type, "rawDisk") || !strncasecmp(type, "scsi-passthru", 13));

	if (!is_cdrom(type) && !file && !of_host)
		return err_set(e, EINVAL, "the disk %s%u:%u has no file", prefix, c, u);
	disk = description_add_disk(v->d);
	if (!disk)
		return 0;
	disk->label = xasprintf("%s%u:%u", prefix, c, u);
	disk->bus = bus;
	disk->controller = c;
	disk->unit = u;
	disk->cdrom = is_cdrom(type);
	if (disk->cdrom)
		return 0;
	if (of_host) /* the user may have an image of it, or do without it */
		disk->elsewhere = xasprintf("a disk of the host that it ran on (%.40s)", type);
	else
		disk->file = xstrdup(file);
	if (mode && strncasecmp(mode, "persistent", 10) && strcasecmp(mode, "independent-persistent"))
		description_note(v->d, "the disk %s%u:%u was in mode '%.40s': here all that is written stays", prefix, c, u, mode);
	return 0;
}

static int add_drives(struct vmx *v, struct err *e)
{
	unsigned c, u;

	for (size_t i = 0; i < ARRAY_LEN(buses); i++)
		for (c = 0; c < buses[i].controllers; c++) {
			const char *p = buses[i].prefix;
			bool on = is_true(get(v, "%s%u.present", p, c)) || buses[i].bus == BUS_IDE;
			enum disk_bus bus = on && buses[i].bus == BUS_LSILOGIC ? scsi_bus(v, c) : buses[i].bus;

			for (u = 0; on && u < buses[i].units; u++)
				if (is_true(get(v, "%s%u:%u.present", p, c, u)) && add_drive(v, p, c, u, bus, e))
					return -EINVAL;
		}
	return 0;
}

/* ---- the rest ---- */

static void add_network(struct vmx *v, struct described_nic *nic, unsigned i)
{
	const char *network = get(v, "ethernet%u.networkName", i), *kind = get(v, "ethernet%u.connectionType", i);
	const char *vnet = get(v, "ethernet%u.vnet", i), *slot = get(v, "ethernet%u.pciSlotNumber", i);
	const char *connected = get(v, "ethernet%u.startConnected", i);
	struct err ignored;
	uint64_t n;

	if (!network)
		network = vnet ? described_base(vnet) : NULL;
	nic->network = xstrdup(network);
	nic->kind = xstrdup(kind);
	nic->unplugged = connected && !is_true(connected);
	if (slot && !described_number(&n, slot, 1, 65535, "a slot", &ignored))
		nic->slot = (unsigned)n;
}

static void add_nics(struct vmx *v)
{
	for (unsigned i = 0; i < 10; i++) {
		const char *model, *mac;
		struct described_nic *nic;

		if (!is_true(get(v, "ethernet%u.present", i)))
			continue;
		nic = description_add_nic(v->d);
		if (!nic)
			return;
		model = get(v, "ethernet%u.virtualDev", i);
		described_nic_model(v->d, nic, model ? model : "vlance"); /* VMware takes vlance where nothing is said */
		mac = get(v, "ethernet%u.address", i);
		if (!mac)
			mac = get(v, "ethernet%u.generatedAddress", i);
		if (mac && !described_mac(nic, mac))
			description_note(v->d, "ethernet%u: '%.40s' is not the address of a network card: it gets a new one", i, mac);
		add_network(v, nic, i);
	}
}

static int add_cpus(struct vmx *v, struct err *e)
{
	const char *count = get(v, "numvcpus"), *per = get(v, "cpuid.coresPerSocket");
	uint64_t n = 1, cores;

	if (count && described_number(&n, count, 1, GUEST_CPUS_MAX, "numvcpus", e))
		return -EINVAL;
	v->d->cpu.count = (unsigned)n;
	if (!per)
		return 0;
	if (described_number(&cores, per, 1, GUEST_CPUS_MAX, "cpuid.coresPerSocket", e))
		return -EINVAL;
	if (n % cores)
		return 0;
	v->d->cpu.cores = (unsigned)cores;
	v->d->cpu.sockets = (unsigned)(n / cores);
	v->d->cpu.threads = 1;
	return 0;
}

static int add_system(struct vmx *v, struct err *e)
{
	const char *version = get(v, "virtualHW.version");
	const char *os = get(v, "guestOS"), *name = get(v, "displayName"), *firmware = get(v, "firmware");

	v->d->origin = xstrdup("VMware VMX");
	if (version && atoi(version) < 8) /* before PCI Express */
		v->d->machine = MACHINE_PC;
	v->d->name = xstrdup(name);
	if (described_system(v->d, os, e))
		return -EINVAL;
	v->d->firmware = firmware && !strcasecmp(firmware, "efi") ? FIRMWARE_UEFI : FIRMWARE_BIOS;
	v->d->uefi.secure_boot = is_true(get(v, "uefi.secureBoot.enabled"));
	v->d->uuid = described_uuid(get(v, "uuid.bios"));
	v->d->has.xhci = is_true(get(v, "usb_xhci.present"));
	get(v, "nvram"); /* told of with the firmware */
	if (get(v, "checkpoint.vmState"))
		description_note(
			v->d,
			"the suspended state does not come along: it starts as after a power failure, unless it is shut down there first");
	return 0;
}

static const char *const idle_prefixes[] = {
	".encoding",
	"config.version",
	"pciBridge",
	"vmci0.",
	"hpet0.",
	"extendedConfigFile",
	"tools.",
	"toolsInst",
	"powerType.",
	"uuid.",
	"vc.uuid",
	"sched.",
	"monitor.",
	"numa.",
	"migrate.",
	"vmotion.",
	"checkpoint.",
	"softPower",
	"gui.",
	"mks.",
	"virtualHW",
	"annotation",
	"guestInfo.detailed",
	"guestInfo.vmtools",
	"guestInfo.toolsInstall",
	"guestInfo.appInfo",
	"isolation.",
	"RemoteDisplay.",
	"vmxstats.",
	"cleanShut",
	"replay.",
	"policy.",
	"mem.",
	"svga",
	"usb.present",
	"usb.generic",
	"usb:",
	"usb_xhci",
	"ehci",
	"uhci",
	"log.",
	"logging",
	"guestOS",
	"hgfs",
	"messageBus",
	"ctkEnabled",
	"sound.virtualDev",
	"sound.fileName",
	"sound.auto",
	"sound.start",
	"sound.pciSlot",
	"deploymentPlatform",
	"vmx.",
	"snapshot.",
	"time.",
	"priority.",
	"unity.",
	"serial0.fileType",
	"floppy0.file",
	"floppy0.start",
	"floppy0.client",
	"vcpu.",
	"workingDir",
	"acpi.",
	"keyboard",
};
static const char *const idle_parts[] = {".addressType",
					 ".generatedAddressOffset",
					 ".startConnected",
					 ".autodetect",
					 ".clientDevice",
					 ".redo",
					 ".exclusive",
					 ".virtualSSD",
					 ".throughputCap",
					 ".shares",
					 ".linkStatePropagation",
					 ".wakeOnPcktRcv",
					 ".bsdName",
					 ".displayName",
					 ".uptCompat",
					 ".dvsId",
					 ".vnet",
					 ".writeThrough",
					 ".ctkEnabled",
					 ".sharedBus",
					 ".unitNumber",
					 ".pciSlot",
					 ".allowGuest"};

/* Settings of the source's own that say nothing of the guest's hardware. */
static bool is_idle(const struct line *l)
{
	for (size_t i = 0; i < ARRAY_LEN(idle_prefixes); i++)
		if (!strncasecmp(l->key, idle_prefixes[i], strlen(idle_prefixes[i])))
			return true;
	for (size_t i = 0; i < ARRAY_LEN(idle_parts); i++)
		if (strcasestr(l->key, idle_parts[i]))
			return true;
	return !*l->value || !strcasecmp(l->value, "FALSE");
}

/* A port that prints is an application's of the host. */
static void add_serials(struct vmx *v)
{
	for (unsigned i = 0; i < GUEST_SERIALS_MAX; i++) {
		const char *kind = get(v, "serial%u.fileType", i);

		get(v, "serial%u.fileName", i);
		get(v, "serial%u.yieldOnMsrRead", i);
		if (is_true(get(v, "serial%u.present", i)) && (!kind || strcasecmp(kind, "thinprint") != 0))
			v->d->has.serials++;
	}
}

/* Reads the generation ID: two signed numbers of 64 bits each, in the order of their bytes. */
static char *genid_of(struct vmx *v)
{
	const char *words[] = {get(v, "vm.genid"), get(v, "vm.genidX")};
	uint8_t b[16];
	size_t i, k;

	for (i = 0; i < ARRAY_LEN(words); i++) {
		unsigned long long n = words[i] ? (unsigned long long)strtoll(words[i], NULL, 10) : 0;

		if (!n)
			return NULL;
		for (k = 0; k < 8; k++)
			b[8 * i + k] = (uint8_t)(n >> 8 * k);
	}
	/* the first three parts of a GUID are numbers */
	return xasprintf("%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[3], b[2], b[1], b[0], b[5], b[4], b[7],
			 b[6], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

static bool begins_with_any(const char *key, const char *const *words)
{
	for (; *words; words++)
		if (!strncasecmp(key, *words, strlen(*words)))
			return true;
	return false;
}

/* Settings of what the guest sees of the machine, or is told by it, and does not find here; all others that are not mapped are counted. */
static bool is_seen(const struct line *l)
{
	static const char *const seen[] = {"sound.present",
					   "parallel",
					   "floppy",
					   "pciPassthru",
					   "sharedFolder",
					   "vtpm.present",
					   "managedVM.auto",
					   "disk.EnableUUID",
					   "bios.boot",
					   "guestinfo.userdata",
					   "guestinfo.metadata",
					   "guestinfo.vendordata",
					   "guestinfo.ovfEnv",
					   "smbios.",
					   "smc.",
					   "board-id",
					   "hw.model",
					   "serialNumber",
					   "firewire",
					   "ethernet",
					   "serial",
					   NULL};

	return begins_with_any(l->key, seen) && !strcasestr(l->key, "sasWWID");
}

static void note_the_rest(struct vmx *v)
{
	unsigned others = 0;

	for (size_t i = 0; i < v->n; i++) {
		if (v->lines[i].known || is_idle(&v->lines[i]))
			continue;
		if (v->d->told.verbose || is_seen(&v->lines[i]))
			description_note(v->d, "the setting %.60s = \"%.60s\" is not mapped", v->lines[i].key, v->lines[i].value);
		else
			others++;
	}
	if (others)
		description_note(v->d, "%u setting%s of VMware's own, which say%s nothing of the hardware, %s left out (-v lists them)",
				 others, others == 1 ? "" : "s", others == 1 ? "s" : "", others == 1 ? "is" : "are");
}

static int read_guest(struct vmx *v, struct err *e)
{
	const char *memory = get(v, "memsize");

	if (!get(v, "config.version") && !get(v, "virtualHW.version"))
		return err_set(e, EINVAL, "not a VMX file: it has no config.version");
	if (get(v, "encryption.keySafe") || get(v, "encryption.data"))
		return err_set(e, EINVAL, "the guest is encrypted: decrypt it there first");
	if (add_system(v, e))
		return -EINVAL;
	if (memory && described_memory(&v->d->memory_bytes, memory, MIB, e))
		return -EINVAL;
	if (add_cpus(v, e) || add_drives(v, e))
		return -EINVAL;
	add_nics(v);
	add_serials(v);
	v->d->genid = genid_of(v);
	note_the_rest(v);
	return 0;
}

int read_vmx(struct guest_description *d, const char *text, size_t n, struct err *e)
{
	struct vmx v = {.d = d, .lines = xcalloc(LINES_MAX, sizeof(struct line))};
	int r = split(&v, text, n, e) ?: read_guest(&v, e);

	for (size_t i = 0; i < v.n; i++) {
		free(v.lines[i].key);
		free(v.lines[i].value);
	}
	free(v.lines);
	return r;
}
