/*
 * read-hyperv.c: the configuration of a guest that Hyper-V exported as XML (GUID.xml, up to Windows Server 2012 R2): an element
 * <_GUID_> for each device of the manifest. What is on a controller is in <controllerN><driveN>; what has a MAC address is a NIC.
 */
#include "readers.h"
#include "util.h"
#include "xml.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define IDE_GUID "83f8638b-8dca-4152-9eda-2ca8b33039b4"

/* "controller3" is 3; -1: it is none. */
static int numbered(const xmlNode *n, const char *word)
{
	size_t len = strlen(word);
	const char *name = (const char *)n->name;

	if (strncmp(name, word, len) || name[len] < '0' || name[len] > '9' || strlen(name + len) > 2)
		return -1;
	return atoi(name + len);
}

static void add_drive(struct guest_description *d, const xmlNode *drive, bool ide, unsigned controller, unsigned unit)
{
	AUTO_FREE char *type = xml_text_at(drive, "type"), *path = xml_text_at(drive, "pathname");
	bool disk = type && (!strcasecmp(type, "VHD") || !strcasecmp(type, "VHDX"));
	struct described_disk *to;

	if (!type || !strcasecmp(type, "NONE"))
		return;
	if (!disk && strcasecmp(type, "ISO") && strcasecmp(type, "ATAPI") && strcasecmp(type, "DVD")) {
		description_note(d, "the drive %u:%u of kind '%.40s' is left out", controller, unit, type);
		return;
	}
	to = description_add_disk(d);
	if (!to)
		return;
	to->cdrom = !disk;
	to->bus = ide ? BUS_IDE : BUS_SATA;
	to->controller = ide ? controller : 0;
	to->unit = ide ? unit : controller * 64 + unit;
	to->file = disk && path ? xstrdup(path) : NULL;
	if (disk && !ide)
		description_note(d, "QEMU has no SCSI controller of Hyper-V's: the disk %.100s is on SATA",
				 path ? described_base(path) : "?");
}

static void add_controllers(struct guest_description *d, const xmlNode *device, bool ide)
{
	const xmlNode *c, *u;

	for (c = xml_first(device); c; c = xml_after(c)) {
		int controller = numbered(c, "controller");

		for (u = xml_first(c); controller >= 0 && u; u = xml_after(u))
			if (numbered(u, "drive") >= 0)
				add_drive(d, u, ide, (unsigned)controller, (unsigned)numbered(u, "drive"));
	}
}

static void add_nic(struct guest_description *d, const xmlNode *device)
{
	AUTO_FREE char *mac = xml_text_at(device, "MacAddress");
	struct described_nic *nic = description_add_nic(d);

	if (!nic)
		return;
	if (!described_mac(nic, mac))
		description_note(d, "'%.40s' is not the address of a network card: it gets a new one", mac);
	description_note(d, "QEMU has no network card of Hyper-V's: it becomes an e1000");
}

static bool has_controllers(const xmlNode *device)
{
	const xmlNode *c;

	for (c = xml_first(device); c; c = xml_after(c))
		if (numbered(c, "controller") >= 0)
			return true;
	return false;
}

static bool is_ide(const xmlNode *device)
{
	return !strncasecmp((const char *)device->name + 1, IDE_GUID, strlen(IDE_GUID));
}

/* Devices on IDE come first: where there is IDE, nothing else boots. The elements are in any order. */
static void add_devices(struct guest_description *d, const xmlNode *root)
{
	unsigned others = 0;
	const xmlNode *n;

	for (n = xml_first(root); n; n = xml_after(n))
		if (*n->name == '_' && is_ide(n) && has_controllers(n))
			add_controllers(d, n, true);
	for (n = xml_first(root); n; n = xml_after(n)) {
		const char *name = (const char *)n->name;

		if (*name != '_')
			continue;
		if (xml_child(n, "MacAddress"))
			add_nic(d, n);
		else if (!has_controllers(n))
			others++;
		else if (!is_ide(n))
			add_controllers(d, n, false);
	}
	if (others)
		description_note(d, "%u device(s) of Hyper-V's own (its integration services, display and the like) are not mapped",
				 others);
}

static bool is_yes(char *text /* freed */)
{
	bool yes = text && (!strcasecmp(text, "true") || !strcmp(text, "1"));

	free(text);
	return yes;
}

static int read_configuration(struct guest_description *d, const xmlNode *root, struct err *e)
{
	const xmlNode *properties = xml_child(root, "properties"), *settings = xml_child(root, "settings");
	AUTO_FREE char *generation = xml_text_at(properties, "subtype"), *size = xml_text_at(settings, "memory/bank/size");
	AUTO_FREE char *count = xml_text_at(settings, "processors/count"), *guid = xml_text_at(root, "settings/global/bios_guid");
	AUTO_FREE char *own = xml_text_at(properties, "global_id");
	bool second = generation && !strcmp(generation, "1");
	uint64_t n;

	if (!properties || !settings)
		return err_set(e, EINVAL, "not a guest exported by Hyper-V: <properties> or <settings> is missing");
	d->origin = xasprintf("Hyper-V, generation %d", second ? 2 : 1);
	d->name = xml_text_at(properties, "name");
	d->machine = second ? MACHINE_Q35 : MACHINE_PC;
	d->firmware = second ? FIRMWARE_UEFI : FIRMWARE_BIOS;
	d->uefi.secure_boot = second && is_yes(xml_text_at(settings, "secure_boot_enabled"));
	d->uuid = described_uuid(guid ? guid : own);
	d->system.local_time = true; /* Hyper-V's clock is the host's local time for every guest */
	if (size && described_memory(&d->memory_bytes, size, MIB, e))
		return -EINVAL;
	if (count && described_number(&n, count, 1, GUEST_CPUS_MAX, "the number of processors", e))
		return -EINVAL;
	d->cpu.count = count ? (unsigned)n : 0;
	if (is_yes(xml_text_at(settings, "memory/bank/dynamic_memory_enabled")))
		description_note(d, "the memory was dynamic: here it is fixed, at what it began with");
	add_devices(d, root);
	for (size_t i = 0; i < d->disk_count; i++)
		if (!d->disks[i].cdrom && !d->disks[i].file)
			return err_set(e, EINVAL, "a disk has no file");
	return 0;
}

int read_hyperv(struct guest_description *d, const char *text, size_t n, struct err *e)
{
	xmlDoc *doc;
	const xmlNode *root;
	int r = xml_read(&doc, text, n, e);

	if (r)
		return r;
	root = xmlDocGetRootElement(doc);
	r = xml_is(root, "configuration")
		    ? read_configuration(d, root, e)
		    : err_set(e, EINVAL, "not a guest exported by Hyper-V: its outermost element is not <configuration>");
	xmlFreeDoc(doc);
	return r;
}
