/*
 * read-utm.c: a guest of UTM's: the config.plist of a .utm bundle, whose images lie in its folder Data. The format: UTM's own Configuration/UTMQemu*.swift,
 * version 4; a property list as XML (plist(5) of macOS): in a <dict> each <key> is followed by its value.
 */
#include "readers.h"
#include "util.h"
#include "words.h"
#include "xml.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define DATA	"Data/" /* where it has its files, below the bundle */
#define VERSION 4u

struct utm {
	struct guest_description *d;
	const xmlNode *root; /* the outermost <dict> */
	unsigned on_bus[BUS_COUNT], drives;
};

/* ---- a property list ---- */

static const xmlNode *value_of(const xmlNode *dict, const char *key)
{
	const xmlNode *k;

	for (k = xml_child(dict, "key"); k; k = xml_next(k, "key")) {
		AUTO_FREE char *name = xml_text(k);

		if (name && !strcasecmp(name, key)) /* a port's keys begin with a small or a capital letter, depending on UTM's version */
			return xml_after(k);
	}
	return NULL;
}

static char *text_in(const xmlNode *dict, const char *key)
{
	const xmlNode *value = value_of(dict, key);

	return xml_is(value, "string") || xml_is(value, "integer") ? xml_text(value) : NULL;
}

static bool is_on(const xmlNode *dict, const char *key)
{
	return xml_is(value_of(dict, key), "true");
}

/* The first element of an array, or NULL. */
static const xmlNode *first_in(const xmlNode *dict, const char *key)
{
	const xmlNode *array = value_of(dict, key);

	return xml_is(array, "array") ? xml_first(array) : NULL;
}

static const xmlNode *part(const struct utm *u, const char *key)
{
	const xmlNode *dict = value_of(u->root, key);

	return xml_is(dict, "dict") ? dict : NULL;
}

/* ---- the machine ---- */

static int take_target(struct utm *u, const xmlNode *system, struct err *e)
{
	AUTO_FREE char *arch = text_in(system, "Architecture"), *target = text_in(system, "Target");

	if (arch && strcmp(arch, "x86_64") && strcmp(arch, "i386"))
		return err_set(e, EINVAL, "the processor is %.40s; only guests of x86 can be imported", arch);
	if (target && strncmp(target, "pc", 2) && strcmp(target, "q35"))
		return err_set(e, EINVAL, "the machine is %.40s; only a PC (pc, q35) can be imported", target);
	u->d->machine = !target || strstr(target, "q35") ? MACHINE_Q35 : MACHINE_PC;
	if (target && described_is_word(target))
		described_machine_type(u->d, target);
	return 0;
}

static int take_numbers(struct utm *u, const xmlNode *system, struct err *e)
{
	AUTO_FREE char *cpus = text_in(system, "CPUCount"), *memory = text_in(system, "MemorySize");
	uint64_t n;

	if (cpus && described_number(&n, cpus, 0, GUEST_CPUS_MAX, "the number of processors", e))
		return -EINVAL;
	u->d->cpu.count = cpus ? (unsigned)n : 0; /* the host's number counts */
	return memory ? described_memory(&u->d->memory_bytes, memory, MIB, e) : 0;
}

static void take_cpu(struct utm *u, const xmlNode *system)
{
	AUTO_FREE char *cpu = text_in(system, "CPU");

	if (cpu && strcmp(cpu, "default") && strcmp(cpu, "host") && strcmp(cpu, "max") && described_is_word(cpu)) {
		u->d->cpu_model = cpu;
		cpu = NULL;
	}
	if (first_in(system, "CPUFlagsAdd") || first_in(system, "CPUFlagsRemove"))
		description_note(u->d, "flags that were added to its processor, or taken from it, are not mapped");
}

static void take_firmware(struct utm *u, const xmlNode *qemu)
{
	u->d->firmware = is_on(qemu, "UEFIBoot") ? FIRMWARE_UEFI : FIRMWARE_BIOS;
	if (is_on(qemu, "TPMDevice")) { /* UTM has secure boot with a TPM */
		u->d->uefi.secure_boot = u->d->firmware == FIRMWARE_UEFI;
		description_note(u->d, "the TPM does not come along: have the recovery key of a disk that is unlocked by it (BitLocker)");
	}
	if (u->d->firmware != FIRMWARE_UEFI)
		return;
	u->d->uefi.efi.label = xstrdup("efi_vars.fd");
	u->d->uefi.efi.file = xstrdup(DATA "efi_vars.fd");
	u->d->uefi.efi.format = "raw";
}

static void take_tweaks(struct utm *u, const xmlNode *qemu)
{
	AUTO_FREE char *machine = text_in(qemu, "MachinePropertyOverride");

	u->d->has.rng = is_on(qemu, "RNGDevice");
	u->d->has.balloon = is_on(qemu, "BalloonDevice");
	u->d->system.local_time = is_on(qemu, "RTCLocalTime");
	u->d->system.utc = !u->d->system.local_time;
	if (machine)
		description_note(u->d, "properties of its machine (%.100s) are left out", machine);
	if (first_in(qemu, "AdditionalArguments"))
		description_note(u->d, "additional arguments of QEMU are left out: behind -- they come to the end of the line");
}

static int take_machine(struct utm *u, struct err *e)
{
	const xmlNode *system = part(u, "System"), *qemu = part(u, "QEMU"), *info = part(u, "Information");
	AUTO_FREE char *usb = text_in(part(u, "Input"), "UsbBusSupport"), *share = text_in(part(u, "Sharing"), "DirectoryShareMode");
	AUTO_FREE char *icon = text_in(info, "Icon"), *uuid = text_in(info, "UUID");

	if (!system)
		return err_set(e, EINVAL, "the description does not say what machine the guest is (System)");
	if (take_target(u, system, e) || take_numbers(u, system, e))
		return -EINVAL;
	if (icon && !strncasecmp(icon, "windows", 7) && described_system(u->d, icon, e))
		return -EINVAL;
	take_cpu(u, system);
	take_firmware(u, qemu);
	take_tweaks(u, qemu);
	u->d->name = text_in(info, "Name");
	u->d->uuid = described_uuid(uuid);
	u->d->has.xhci = usb && !strcmp(usb, "3.0");
	u->d->has.agent = true; /* every PC of UTM's has that port */
	if (share && strcmp(share, "None") != 0)
		description_note(u->d, "the directory that it shares with its host (%.20s) is not mapped", share);
	return 0;
}

/* ---- drives ---- */

static enum disk_bus bus_called(const struct utm *u, const char *interface)
{
	static const struct {
		const char *word;
		enum disk_bus bus;
	} buses[] = {{"SCSI", BUS_LSILOGIC}, {"VirtIO", BUS_VIRTIO}, {"NVMe", BUS_NVME}, {"USB", BUS_USB}};
	__auto_type known = ROW_OF(buses, word, interface);

	if (!strcmp(interface, "IDE"))
		return u->d->machine == MACHINE_Q35 ? BUS_SATA : BUS_IDE;
	return known ? known->bus : BUS_UNSAID;
}

/* Places: each of the two IDE buses of a PC has one disk; on another bus the next disk is the next unit. */
static void take_place(struct utm *u, struct described_disk *to)
{
	unsigned n = u->on_bus[to->bus]++;

	to->controller = to->bus == BUS_IDE ? n : 0;
	to->unit = to->bus == BUS_IDE ? 0 : n;
	to->boot_order = ++u->drives;
}

/* The serial number of a disk on NVMe is its name there. */
static void take_identity(struct described_disk *to, const xmlNode *drive)
{
	char *id = text_in(drive, "Identifier");

	if (to->bus == BUS_NVME && id && described_is_serial(id))
		to->serial = id;
	else
		free(id);
}

static void add_disk(struct utm *u, const xmlNode *drive, const char *interface, bool is_cd)
{
	AUTO_FREE char *image = text_in(drive, "ImageName");
	struct described_disk *to = description_add_disk(u->d);

	if (!to)
		return;
	to->cdrom = is_cd;
	to->label = image ? xstrdup(image) : xasprintf("drive%u", u->drives);
	to->bus = bus_called(u, interface);
	if (to->bus == BUS_UNSAID && !is_cd)
		description_note(u->d, "the disk %.60s is on '%.20s', which is not mapped: it goes to the usual controller", to->label,
				 interface);
	take_place(u, to);
	take_identity(to, drive);
	if (is_cd)
		return;
	if (is_on(drive, "ReadOnly"))
		description_note(u->d, "the disk %.60s could only be read there, and can be written to here", to->label);
	if (image)
		to->file = xasprintf(DATA "%s", image);
	else
		to->elsewhere = xstrdup("a removable one, whose image lies outside of the bundle");
}

static void add_drive(struct utm *u, const xmlNode *drive)
{
	AUTO_FREE char *type = text_in(drive, "ImageType"), *interface = text_in(drive, "Interface"), *image = text_in(drive, "ImageName");
	char **boot = type && !strcmp(type, "LinuxKernel")   ? &u->d->direct.kernel
		      : type && !strcmp(type, "LinuxInitrd") ? &u->d->direct.initrd
							     : NULL;
	bool is_cd = type && !strcmp(type, "CD");

	if (boot && image && !*boot)
		*boot = xasprintf(DATA "%s", image);
	else if (interface && (!strcmp(interface, "Floppy") || !strcmp(interface, "PFlash")))
		description_note(u->d, "%s is left out", *interface == 'F' ? "the floppy disk" : "a firmware of its own");
	else if (is_cd || (type && !strcmp(type, "Disk")))
		add_disk(u, drive, interface ? interface : "None", is_cd);
	else if (image)
		description_note(u->d, "the file %.60s (%.20s) is left out", image, type ? type : "?");
}

/* ---- network cards ---- */

static void take_forwards(struct utm *u, struct described_nic *to, const xmlNode *card)
{
	const xmlNode *rule;

	for (rule = first_in(card, "PortForward"); rule; rule = xml_after(rule)) {
		AUTO_FREE char *protocol = text_in(rule, "Protocol"), *from = text_in(rule, "HostAddress"),
			       *port = text_in(rule, "HostPort");
		AUTO_FREE char *at = text_in(rule, "GuestAddress"), *guest_port = text_in(rule, "GuestPort");

		if (!described_forward(to, protocol && !strcasecmp(protocol, "UDP"), from, port, at, guest_port))
			description_note(u->d, "that port %.20s of %.40s led to the guest is not mapped", port ? port : "?",
					 from ? from : "its host");
	}
}

static void take_network(struct utm *u, struct described_nic *to, const xmlNode *card)
{
	AUTO_FREE char *mode = text_in(card, "Mode"), *net = text_in(card, "VlanGuestAddress");

	if (is_on(card, "IsolateFromHost"))
		description_note(u->d, "network card #%zu was kept from its host there, and is not here", u->d->nic_count);
	if (!mode || !strcmp(mode, "Emulated")) {
		to->kind = xstrdup("NAT");
		take_forwards(u, to, card);
	} else {
		to->kind = !strcmp(mode, "Shared") ? xstrdup("NAT of the host")
			   : !strcmp(mode, "Host") ? xstrdup("host-only")
						   : xstrdup("bridged");
		to->network = text_in(card, "BridgeInterface");
	}
	if (net)
		description_note(u->d, "network card #%zu was on %.40s there: QEMU's NAT has 10.0.2.0/24", u->d->nic_count, net);
}

static void add_nic(struct utm *u, const xmlNode *card)
{
	AUTO_FREE char *model = text_in(card, "Hardware"), *mac = text_in(card, "MacAddress");
	struct described_nic *to = description_add_nic(u->d);

	if (!to)
		return;
	described_nic_model(u->d, to, model);
	if (mac && !described_mac(to, mac))
		description_note(u->d, "'%.40s' is not the address of a network card: it gets a new one", mac);
	take_network(u, to, card);
}

/* ---- other devices ---- */

/* Displays that draw with the graphics of UTM's host (-gl) become the same ones without. */
static void take_display(struct utm *u)
{
	static const char *const known[][2] = {
		{"VGA", "VGA"},
		{"virtio-vga", "virtio-vga"},
		{"virtio-vga-gl", "virtio-vga"},
		{"virtio-gpu-pci", "virtio-gpu-pci"},
		{"virtio-gpu-gl-pci", "virtio-gpu-pci"},
		{"qxl-vga", "qxl-vga"},
		{"qxl", "qxl-vga"},
		{"vmware-svga", "vmware-svga"},
		{"cirrus-vga", "cirrus-vga"},
		{"bochs-display", "bochs-display"},
	};
	const xmlNode *first = first_in(u->root, "Display");
	AUTO_FREE char *model = text_in(first, "Hardware");

	if (!first)
		u->d->has.video = xstrdup("none");
	if (PAIR_OF(known, model))
		u->d->has.video = xstrdup(PAIR_OF(known, model));
	if (!u->d->has.video)
		description_note(u->d, "the display adapter '%.40s' is not known: it becomes a standard VGA", model ? model : "?");
	if (first && xml_after(first))
		description_note(u->d, "the guest has several displays, of which the first is mapped");
}

static void take_serials(struct utm *u)
{
	const xmlNode *port;

	for (port = first_in(u->root, "Serial"); port; port = xml_after(port)) {
		AUTO_FREE char *target = text_in(port, "Target");

		if ((!target || !strcmp(target, "Auto")) && u->d->has.serials < GUEST_SERIALS_MAX)
			u->d->has.serials++;
		else
			description_note(u->d, "a serial port (%.20s) is not mapped", target ? target : "Auto");
	}
}

/* ---- ---- */

static int check_version(const struct utm *u, struct err *e)
{
	AUTO_FREE char *backend = text_in(u->root, "Backend"), *version = text_in(u->root, "ConfigurationVersion");
	uint64_t n;

	if (described_number(&n, version, 0, UINT32_MAX, "the version of its configuration", e))
		return -EINVAL;
	if (n < VERSION)
		return err_set(e, EINVAL, "the configuration is of version %u: open it once in UTM 4, which makes one of version %u of it",
			       (unsigned)n, VERSION);
	if (n > VERSION)
		return err_set(e, EINVAL, "the configuration is of version %u, and %u is the newest that is known: name its image alone",
			       (unsigned)n, VERSION);
	if (backend && strcasecmp(backend, "QEMU"))
		return err_set(e, EINVAL,
			       "the guest runs by %.20s's virtualization, whose machine QEMU does not have: name its image alone", backend);
	return 0;
}

static int read_guest(struct utm *u, struct err *e)
{
	const xmlNode *n;
	int r = check_version(u, e) ?: take_machine(u, e);

	if (r)
		return r;
	u->d->origin = xstrdup("UTM");
	u->d->system.of_qemu = true;
	for (n = first_in(u->root, "Drive"); n; n = xml_after(n))
		add_drive(u, n);
	for (n = first_in(u->root, "Network"); n; n = xml_after(n))
		add_nic(u, n);
	take_display(u);
	take_serials(u);
	if (first_in(u->root, "Sound"))
		description_note(u->d, "the sound card is not mapped");
	return 0;
}

/* The document type of every property list, which has nothing in it, becomes blanks. One with something in it stays, and is refused. */
static char *without_type(const char *text, size_t n)
{
	char *copy = xmalloc(n + 1), *p, *end;

	memcpy(copy, text, n);
	copy[n] = '\0';
	p = strstr(copy, "<!DOCTYPE plist ");
	end = p ? p + strcspn(p, "[>") : NULL;
	if (end && *end == '>')
		memset(p, ' ', (size_t)(end - p) + 1);
	return copy;
}

bool is_utm(const char *text, size_t n)
{
	static const char key[] = "<key>ConfigurationVersion</key>";

	return memmem(text, n, key, sizeof(key) - 1);
}

int read_utm(struct guest_description *d, const char *text, size_t n, struct err *e)
{
	AUTO_FREE char *plain = without_type(text, n);
	struct utm u = {.d = d};
	xmlDoc *doc;
	int r = xml_read(&doc, plain, n, e);

	if (r)
		return r;
	u.root = xml_child(xmlDocGetRootElement(doc), "dict");
	r = u.root ? read_guest(&u, e) : err_set(e, EINVAL, "not a guest of UTM's: it is a property list without a dictionary");
	xmlFreeDoc(doc);
	return r;
}
