/* read-ovirt.c: see read-ovirt.h. */
#include "read-ovirt.h"
#include "util.h"
#include "words.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* "ovf:DiskSection_Type" is DiskSection; malloc'ed, NULL: it is no type of OVF. */
static char *name_of_type(const char *type)
{
	const char *name = strchr(type, ':') ? strchr(type, ':') + 1 : type, *end = strstr(name, "_Type");

	return end && !end[5] && end > name ? xasprintf("%.*s", (int)(end - name), name) : NULL;
}

static bool rename_typed(xmlNode *parent)
{
	bool any = false;
	xmlNode *n;

	for (n = xml_first(parent); n; n = xml_after(n)) {
		AUTO_FREE char *type = xml_is(n, "Section") || xml_is(n, "Content") ? xml_attr(n, "type") : NULL;
		AUTO_FREE char *name = type ? name_of_type(type) : NULL;

		if (name)
			xmlNodeSetName(n, (const xmlChar *)name);
		any |= name != NULL;
	}
	return any;
}

bool ovirt_normalize(xmlNode *envelope)
{
	bool any = rename_typed(envelope);
	const xmlNode *disk;
	xmlNode *system = xml_child(envelope, "VirtualSystem");
	AUTO_FREE char *interface = NULL;

	if (system)
		any |= rename_typed(system);
	disk = xml_child(xml_child(envelope, "DiskSection"), "Disk");
	interface = xml_attr(disk, "disk-interface");
	return any || interface || xml_child(system, "BiosType");
}

/* ---- the machine ---- */

void ovirt_machine(struct guest_description *d, const xmlNode *system)
{
	/* values of the engine's BiosType; 0 is the cluster's */
	static const struct {
		enum guest_machine machine;
		enum guest_firmware firmware;
	} types[] = {{MACHINE_UNSAID, FIRMWARE_UNSAID},
		     {MACHINE_PC, FIRMWARE_BIOS},
		     {MACHINE_Q35, FIRMWARE_BIOS},
		     {MACHINE_Q35, FIRMWARE_UEFI},
		     {MACHINE_Q35, FIRMWARE_UEFI}};
	AUTO_FREE char *type = xml_text_at(system, "BiosType"), *machine = xml_text_at(system, "CustomEmulatedMachine");
	AUTO_FREE char *own = xml_attr(system, "id"), *of_os = xml_attr_at(system, "OperatingSystemSection", "id");
	struct err ignored;
	uint64_t n = 0;

	d->system.of_qemu = true;
	if (type && !described_number(&n, type, 0, ARRAY_LEN(types) - 1, "BiosType", &ignored)) {
		d->machine = types[n].machine;
		d->firmware = types[n].firmware;
		d->uefi.secure_boot = n == 4;
	}
	if (machine) {
		d->machine = strstr(machine, "q35") ? MACHINE_Q35 : MACHINE_PC;
		described_machine_type(d, machine);
	}
	d->uuid = described_uuid(own) ?: described_uuid(of_os);
}

int ovirt_cpus(struct guest_description *d, const xmlNode *item, struct err *e)
{
	static const char *const names[] = {"num_of_sockets", "cpu_per_socket", "threads_per_cpu"};
	unsigned *to[] = {&d->cpu.sockets, &d->cpu.cores, &d->cpu.threads};
	uint64_t product = 1, n;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		AUTO_FREE char *text = xml_text_at(item, names[i]);

		if (described_number(&n, text ? text : "1", 1, GUEST_CPUS_MAX, names[i], e))
			return -EINVAL;
		*to[i] = (unsigned)n;
		product *= n;
	}
	if (product > GUEST_CPUS_MAX)
		return err_set(e, EINVAL, "the description has more than %d processors", GUEST_CPUS_MAX);
	d->cpu.count = (unsigned)product;
	return 0;
}

/* ---- disks and cards ---- */

static void take_order(unsigned *to, const xmlNode *item)
{
	AUTO_FREE char *order = xml_text_at(item, "BootOrder");
	struct err ignored;
	uint64_t n;

	if (order && !described_number(&n, order, 1, 1000, "an order", &ignored))
		*to = (unsigned)n;
}

void ovirt_disk(struct described_disk *to, const xmlNode *disk, const xmlNode *item)
{
	static const struct {
		const char *word;
		enum disk_bus bus;
	} words[] = {{"IDE", BUS_IDE}, {"SATA", BUS_SATA}, {"VirtIO", BUS_VIRTIO}, {"VirtIO_SCSI", BUS_VIRTIO_SCSI},
		     {"0", BUS_IDE},   {"2", BUS_VIRTIO}};
	AUTO_FREE char *interface = xml_attr(disk, "disk-interface"), *boot = xml_attr(disk, "boot");
	__auto_type known = ROW_OF_ANY_CASE(words, word, interface);

	if (known)
		to->bus = known->bus;
	take_order(&to->boot_order, item);
	if (boot && !strcasecmp(boot, "true") && !to->boot_order)
		to->boot_order = 1;
	to->capacity = 0; /* the capacity is rounded up to GiB */
}

/* "{type=pci, slot=0x06, bus=0x00, domain=0x0000, function=0x0}" */
static bool read_address(struct described_pci *to, const char *text)
{
	static const char *const names[] = {"domain=", "bus=", "slot=", "function="};
	static const unsigned max[] = {0xffff, 0xff, 0x1f, 7};
	unsigned *parts[] = {&to->domain, &to->bus, &to->slot, &to->function};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *p = strstr(text, names[i]);
		unsigned long n = p ? strtoul(p + strlen(names[i]), NULL, 0) : max[i] + 1ul;

		if (n > max[i])
			return false;
		*parts[i] = (unsigned)n;
	}
	return strstr(text, "type=pci") != NULL;
}

void ovirt_nic(struct guest_description *d, struct described_nic *to, const xmlNode *item)
{
	static const char *const models[] = {"virtio rtl8139", "rtl8139", "e1000", "virtio", NULL, NULL, "e1000e"};
	AUTO_FREE char *type = xml_text_at(item, "ResourceSubType"), *mac = xml_text_at(item, "MACAddress"),
		       *linked = xml_text_at(item, "Linked");
	AUTO_FREE char *address = xml_text_at(item, "Address");
	struct err ignored;
	uint64_t n;

	if (type && !described_number(&n, type, 0, ARRAY_LEN(models) - 1, "a type", &ignored) && models[n])
		described_nic_model(d, to, models[n]);
	else if (type)
		description_note(d, "the network card of type %.40s becomes an e1000", type);
	if (mac && !described_mac(to, mac))
		description_note(d, "'%.40s' is not the address of a network card: it gets a new one", mac);
	to->unplugged = linked && !strcasecmp(linked, "false");
	to->has_pci = address && read_address(&to->pci, address);
	take_order(&to->boot_order, item);
}

/* ---- other devices ---- */

static void take_video(struct guest_description *d, const char *device)
{
	static const char *const models[][2] = {{"qxl", "qxl-vga"},
						{"cirrus", "cirrus-vga"},
						{"vga", "VGA"},
						{"bochs", "bochs-display"},
						{"virtio", "virtio-vga"}};

	for (size_t i = 0; !d->has.video && i < ARRAY_LEN(models); i++)
		if (!strcasecmp(device, models[i][0]))
			d->has.video = xstrdup(models[i][1]);
}

/* Devices that come with something else, or are the host's side of it. */
static bool is_idle(const char *type)
{
	static const char *const words[] = {"controller", "graphics", "balloon", "disk", "interface", "spicevmc"};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (!strcasecmp(type, words[i]))
			return true;
	return false;
}

void ovirt_device(struct guest_description *d, const xmlNode *item)
{
	AUTO_FREE char *type = xml_text_at(item, "Type"), *device = xml_text_at(item, "Device"), *name = xml_text_at(item, "Caption");
	const char *is = device ? device : "?";

	if (!type)
		return;
	if (!strcasecmp(type, "video"))
		take_video(d, is);
	else if (!strcasecmp(type, "rng"))
		d->has.rng = true;
	else if (!strcasecmp(type, "console"))
		d->has.serials = MAX(d->has.serials, 1u);
	else if (!strcasecmp(type, "channel") && !strcasecmp(is, "unix"))
		d->has.agent = true; /* the engine gives every guest this one, and its own agent's */
	else if (!strcasecmp(type, "tpm"))
		description_note(d, "the TPM is not mapped: what is sealed in it (BitLocker's keys, say) is not there");
	else if (!is_idle(type) && strcasecmp(is, "spicevmc") != 0)
		description_note(d, "'%.60s' (%.40s %.40s) is not mapped", name ? name : "?", type, is);
	d->has.balloon |= !strcasecmp(type, "balloon");
	d->has.xhci |= !strcasecmp(type, "controller") && strcasestr(is, "xhci");
}
