/*
 * read-ovf.c: an OVF envelope (DSP0243), as VMware, VirtualBox and others write it, with what their extensions say that the standard
 * cannot: firmware, clock, MAC addresses.
 */
#include "read-ovirt.h"
#include "read-virtualbox.h"
#include "readers.h"
#include "util.h"
#include "words.h"
#include "xml.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* CIM_ResourceAllocationSettingData.ResourceType */
enum resource {
	RES_CPU = 3,
	RES_MEMORY = 4,
	RES_IDE = 5,
	RES_SCSI = 6,
	RES_NIC = 10,
	RES_FLOPPY = 14,
	RES_CD = 15,
	RES_DVD = 16,
	RES_DISK = 17,
	RES_STORAGE = 20,
	RES_SERIAL = 21,
	RES_PARALLEL = 22,
	RES_USB = 23,
	RES_GRAPHICS = 24,
	RES_SOUND = 35,
};

struct item {
	const xmlNode *node;
	unsigned type;
	char *id, *parent, *sub, *name;
};

#define ITEMS_MAX   256
#define SYSTEMS_MAX 64

struct ovf {
	struct guest_description *d;
	const xmlNode *envelope, *system, *vbox;
	const xmlNode *systems[SYSTEMS_MAX];
	size_t system_count;
	bool is_ovirt;
	struct item items[ITEMS_MAX];
	size_t n;
};

static const struct {
	unsigned type;
	const char *sub; /* the beginning of a word, in any case */
	enum disk_bus bus;
} controllers[] = {
	{RES_SCSI, "lsilogicsas", BUS_LSISAS},
	{RES_SCSI, "lsilogic", BUS_LSILOGIC},
	{RES_SCSI, "virtualscsi", BUS_PVSCSI},
	{RES_SCSI, "pvscsi", BUS_PVSCSI},
	{RES_SCSI, "virtio", BUS_VIRTIO_SCSI},
	{RES_STORAGE, "ahci", BUS_SATA},
	{RES_STORAGE, "vmware.sata", BUS_SATA},
	{RES_STORAGE, "vmware.nvme", BUS_NVME},
	{RES_STORAGE, "nvme", BUS_NVME},
	{RES_STORAGE, "lsilogicsas", BUS_LSISAS},
	{RES_STORAGE, "virtualscsi", BUS_PVSCSI},
	{RES_STORAGE, "pvscsi", BUS_PVSCSI},
	{RES_STORAGE, "virtio-blk", BUS_VIRTIO},
	{RES_STORAGE, "virtioblk", BUS_VIRTIO},
	{RES_STORAGE, "virtio", BUS_VIRTIO_SCSI},
	{RES_STORAGE, "sata", BUS_SATA},
	{RES_STORAGE, "usb", BUS_USB},
};

static bool is_controller(const struct item *it)
{
	return it->type == RES_IDE || it->type == RES_SCSI || it->type == RES_STORAGE;
}

static enum disk_bus bus_called(unsigned type, const char *word, size_t n)
{
	for (size_t i = 0; i < ARRAY_LEN(controllers); i++)
		if (controllers[i].type == type && strlen(controllers[i].sub) <= n &&
		    !strncasecmp(word, controllers[i].sub, strlen(controllers[i].sub)))
			return controllers[i].bus;
	return BUS_UNSAID;
}

/* A ResourceSubType can be a list, of which the consumer takes the first that it has (DSP0243). Returns how many are known. */
static size_t buses_of(const struct item *it, enum disk_bus *out, size_t max)
{
	const char *p = it->sub ? it->sub : "", *word;
	size_t n = 0, len;

	if (it->type == RES_IDE) {
		out[0] = BUS_IDE;
		return 1;
	}
	while (n < max && (word = described_word(&p, &len))) {
		out[n] = bus_called(it->type, word, len);
		n += out[n] != BUS_UNSAID;
	}
	return n;
}

static enum disk_bus bus_of(const struct item *it)
{
	enum disk_bus bus = BUS_UNSAID;

	return buses_of(it, &bus, 1) ? bus : BUS_UNSAID;
}

/* ---- items ---- */

/* The default configuration: if there are several (DeploymentOptionSection) items of the others are left out. */
static char *default_configuration(const xmlNode *envelope)
{
	const xmlNode *section = xml_child(envelope, "DeploymentOptionSection"), *c, *chosen = xml_child(section, "Configuration");

	for (c = chosen; c; c = xml_next(c, "Configuration"))
		if (xml_attr_is(c, "default", "true"))
			chosen = c;
	return xml_attr(chosen, "id");
}

static bool among(const char *list, const char *word)
{
	size_t n = strlen(word);
	const char *p;

	for (p = list; *p; p += strcspn(p, " "), p += strspn(p, " "))
		if (strcspn(p, " ") == n && !strncmp(p, word, n))
			return true;
	return false;
}

static bool is_item(const xmlNode *n)
{
	return xml_is(n, "Item") || xml_is(n, "StorageItem") || xml_is(n, "EthernetPortItem");
}

static int collect_items(struct ovf *o, struct err *e)
{
	AUTO_FREE char *chosen = default_configuration(o->envelope);
	const xmlNode *hw = xml_child(o->system, "VirtualHardwareSection"), *n;

	if (!hw)
		return err_set(e, EINVAL, "the description has no hardware (no VirtualHardwareSection)");
	if (xml_next(hw, "VirtualHardwareSection"))
		description_note(o->d, "of several descriptions of the hardware the first is taken");
	for (n = xml_first(hw); n; n = xml_after(n)) {
		AUTO_FREE char *type = NULL, *bound = NULL, *config = NULL;
		struct item *it = &o->items[o->n];
		uint64_t number;

		if (!is_item(n))
			continue;
		bound = xml_attr(n, "bound");
		config = xml_attr(n, "configuration");
		if (bound || (config && (!chosen || !among(config, chosen))))
			continue; /* a range, or another configuration */
		type = xml_text_at(n, "ResourceType");
		if (described_number(&number, type, 0, 65535, "a ResourceType", e))
			return -EINVAL;
		if (o->n == ITEMS_MAX)
			return err_set(e, EINVAL, "the description has more than %d items of hardware", ITEMS_MAX);
		o->n++;
		it->node = n;
		it->type = (unsigned)number;
		it->id = xml_text_at(n, "InstanceID");
		if (!it->id)
			it->id = xml_text_at(n, "InstanceId");
		it->parent = xml_text_at(n, "Parent");
		it->sub = xml_text_at(n, "ResourceSubType");
		it->name = xml_text_at(n, "ElementName");
		if (!it->name)
			it->name = xml_text_at(n, "Caption");
	}
	return 0;
}

static const struct item *item_of(const struct ovf *o, const char *id)
{
	for (size_t i = 0; id && i < o->n; i++)
		if (o->items[i].id && !strcmp(o->items[i].id, id))
			return &o->items[i];
	return NULL;
}

/* ---- disks ---- */

/* The element of that id in a section. */
static const xmlNode *by_id(const xmlNode *section, const char *element, const char *attr, const char *id)
{
	const xmlNode *n;

	for (n = xml_child(section, element); n && !xml_attr_is(n, attr, id); n = xml_next(n, element))
		;
	return n;
}

static int file_of(struct ovf *o, struct described_disk *disk, const char *id, struct err *e)
{
	const xmlNode *references = xml_child(o->envelope, "References"), *file = by_id(references, "File", "id", id);
	AUTO_FREE char *compression = NULL, *chunk = NULL;

	if (!file && o->is_ovirt) /* GROUP/VOLUME */
		file = by_id(references, "File", "href", id);
	compression = xml_attr(file, "compression");
	chunk = xml_attr(file, "chunkSize");
	if (!file)
		return err_set(e, EINVAL, "a disk refers to the file '%.60s', which is not in its References", id);
	if (compression && strcasecmp(compression, "identity") && strcasecmp(compression, "gzip") && strcasecmp(compression, "zstd"))
		return err_set(e, EINVAL, "the file of the disk '%.60s' is compressed (%.20s): unpack it, and take that from the OVF", id,
			       compression);
	if (chunk)
		return err_set(e, EINVAL, "the file of the disk '%.60s' is in chunks: put them together first", id);
	disk->file = xml_attr(file, "href");
	return disk->file ? 0 : err_set(e, EINVAL, "the file '%.60s' has no name", id);
}

static int capacity_of(struct described_disk *disk, const xmlNode *node, struct err *e)
{
	AUTO_FREE char *capacity = xml_attr(node, "capacity"), *unit = xml_attr(node, "capacityAllocationUnits");
	uint64_t n, factor = unit ? described_unit(unit) : 1;

	if (!capacity)
		return 0;
	if (!factor)
		return err_set(e, EINVAL, "a disk's capacity is in '%.40s', which is not a unit", unit);
	if (described_number(&n, capacity, 0, DISK_BYTES_MAX / factor, "a disk's capacity", e))
		return -EINVAL;
	disk->capacity = n * factor;
	return 0;
}

/* "ovf:/disk/ID", "/disk/ID", "ovf://disk/ID"; what is behind. */
static const char *behind(const char *resource, const char *kind)
{
	const char *p = strncmp(resource, "ovf:", 4) ? resource : resource + 4;
	size_t n = strlen(kind);

	while (*p == '/')
		p++;
	return !strncmp(p, kind, n) && p[n] == '/' && p[n + 1] ? p + n + 1 : NULL;
}

static int find_file(struct ovf *o, struct described_disk *disk, const struct item *it, struct err *e)
{
	AUTO_FREE char *resource = xml_text_at(it->node, "HostResource"), *ref = NULL, *parent = NULL;
	const char *id = resource ? behind(resource, "disk") : NULL;
	const xmlNode *node;

	if (resource && behind(resource, "file"))
		return file_of(o, disk, behind(resource, "file"), e);
	if (!id && !(o->is_ovirt && resource))
		return err_set(e, EINVAL, "the disk '%.60s' does not say which it is", it->name ? it->name : "?");
	node = by_id(xml_child(o->envelope, "DiskSection"), "Disk", id ? "diskId" : "fileRef", id ? id : resource);
	if (!id)
		id = resource;
	if (!node)
		return err_set(e, EINVAL, "there is no disk '%.60s' in its DiskSection", id);
	parent = xml_attr(node, "parentRef");
	if (parent)
		return err_set(e, EINVAL, "the disk '%.60s' is a difference to another one: export the guest without snapshots", id);
	disk->label = xstrdup(id);
	ref = xml_attr(node, "fileRef");
	if (!ref && xmlHasProp(node, BAD_CAST "fileRef")) /* the disk has a file, so it is not blank */
		return err_set(e, EINVAL, "the disk '%.60s' has a file whose name cannot be read", id);
	if (capacity_of(disk, node, e))
		return -EINVAL;
	if (o->is_ovirt)
		ovirt_disk(disk, node, it->node);
	if (ref)
		return file_of(o, disk, ref, e);
	if (!disk->capacity)
		return err_set(e, EINVAL, "the disk '%.60s' has neither a file nor a capacity: there is no telling what it is", id);
	return 0;
}

/* Number of a controller among those of its kind, in the order of the items. */
static unsigned controller_number(const struct ovf *o, const struct item *it)
{
	AUTO_FREE char *address = xml_text_at(it->node, "Address");
	unsigned n = 0;

	/* IDE: each item is a channel of the one controller, and says which */
	if (it->type == RES_IDE && address && (!strcmp(address, "0") || !strcmp(address, "1")))
		return (unsigned)(*address - '0');
	for (size_t i = 0; &o->items[i] != it; i++)
		n += is_controller(&o->items[i]) && bus_of(&o->items[i]) == bus_of(it);
	return n;
}

static int add_drive(struct ovf *o, const struct item *it, struct err *e)
{
	AUTO_FREE char *address = xml_text_at(it->node, "AddressOnParent");
	const struct item *on = item_of(o, it->parent);
	struct described_disk *disk = description_add_disk(o->d);
	uint64_t unit = 0;

	if (!disk)
		return 0;
	disk->cdrom = it->type != RES_DISK;
	if (address && described_number(&unit, address, 0, 4095, "a disk's AddressOnParent", e))
		return -EINVAL;
	disk->unit = (unsigned)unit;
	if (on && is_controller(on)) {
		enum disk_bus all[1 + BUS_CHOICES_MAX] = {BUS_UNSAID};

		buses_of(on, all, ARRAY_LEN(all));
		disk->bus = all[0];
		memcpy(disk->others, all + 1, sizeof(disk->others));
		disk->controller = controller_number(o, on);
	}
	if (disk->bus == BUS_UNSAID && !disk->cdrom && !o->is_ovirt)
		description_note(o->d, "the disk '%.60s' is on a controller that is not known (%.40s): it goes to the usual one",
				 it->name ? it->name : "?", on && on->sub ? on->sub : "none");
	return disk->cdrom ? 0 : find_file(o, disk, it, e);
}

/* ---- the rest ---- */

static int add_memory(struct ovf *o, const struct item *it, struct err *e)
{
	AUTO_FREE char *unit = xml_text_at(it->node, "AllocationUnits"), *quantity = xml_text_at(it->node, "VirtualQuantity");
	uint64_t factor = unit ? described_unit(unit) : MIB;

	if (!factor)
		return err_set(e, EINVAL, "the memory is in '%.40s', which is not a unit", unit);
	return described_memory(&o->d->memory_bytes, quantity, factor, e);
}

static int add_cpus(struct ovf *o, const struct item *it, struct err *e)
{
	AUTO_FREE char *quantity = xml_text_at(it->node, "VirtualQuantity"), *per = xml_text_at(it->node, "CoresPerSocket");
	uint64_t n, cores;

	if (described_number(&n, quantity, 1, GUEST_CPUS_MAX, "the number of processors", e))
		return -EINVAL;
	o->d->cpu.count = (unsigned)n;
	if (!per)
		return 0;
	if (described_number(&cores, per, 1, GUEST_CPUS_MAX, "CoresPerSocket", e))
		return -EINVAL;
	if (n % cores == 0) {
		o->d->cpu.cores = (unsigned)cores;
		o->d->cpu.sockets = (unsigned)(n / cores);
		o->d->cpu.threads = 1;
	}
	return 0;
}

/* <vmw:Config vmw:key="slotInfo.pciSlotNumber" vmw:value="160"/>; 0: it is not said. */
static unsigned vmware_slot(const xmlNode *item)
{
	const xmlNode *c;

	for (c = xml_child(item, "Config"); c; c = xml_next(c, "Config")) {
		AUTO_FREE char *value = xml_attr_is(c, "key", "slotInfo.pciSlotNumber") ? xml_attr(c, "value") : NULL;
		struct err ignored;
		uint64_t n;

		if (value && !described_number(&n, value, 1, 65535, "a slot", &ignored))
			return (unsigned)n;
	}
	return 0;
}

/* VirtualBox keeps addresses, models and networks to itself: the item has only the kind of network. */
static void add_nic(struct ovf *o, const struct item *it)
{
	AUTO_FREE char *mac = xml_text_at(it->node, "Address"), *automatic = xml_text_at(it->node, "AutomaticAllocation");
	struct described_nic *nic = description_add_nic(o->d);

	if (!nic)
		return;
	nic->network = xml_text_at(it->node, "Connection");
	if (o->is_ovirt) {
		ovirt_nic(o->d, nic, it->node);
		return;
	}
	if (mac && !described_mac(nic, mac))
		description_note(o->d, "'%.40s' is not the address of a network card: it gets a new one", mac);
	if (o->vbox) {
		nic->kind = nic->network;
		nic->network = NULL;
		virtualbox_nic(o->d, nic, virtualbox_adapter(o->vbox, o->d->nic_count - 1), it->sub);
		if (!nic->network) {
			nic->network = nic->kind;
			nic->kind = NULL;
		}
	} else {
		described_nic_model(o->d, nic, it->sub);
	}
	nic->unplugged |= automatic && !strcasecmp(automatic, "false");
	nic->slot = vmware_slot(it->node);
}

static void add_video(struct ovf *o)
{
	if (!o->d->has.video)
		o->d->has.video = xstrdup("VGA");
}

static void leave_out(struct ovf *o, const struct item *it)
{
	description_note(o->d, "'%.60s' (resource type %u%s%.40s) is not mapped", it->name ? it->name : "?", it->type, it->sub ? ", " : "",
			 it->sub ? it->sub : "");
}

static bool is_device_of_ovirt(const struct item *it)
{
	static const enum resource others[] = {RES_CPU, RES_MEMORY, RES_DISK, RES_CD, RES_NIC};
	size_t i;

	for (i = 0; i < ARRAY_LEN(others) && it->type != others[i]; i++)
		;
	return i == ARRAY_LEN(others);
}

static int add_item(struct ovf *o, const struct item *it, struct err *e)
{
	if (o->is_ovirt && is_device_of_ovirt(it)) {
		ovirt_device(o->d, it->node);
		return 0;
	}
	switch (it->type) {
	case RES_CPU:
		return o->is_ovirt ? ovirt_cpus(o->d, it->node, e) : add_cpus(o, it, e);
	case RES_MEMORY:
		return add_memory(o, it, e);
	case RES_CD:
	case RES_DVD:
	case RES_DISK:
		return add_drive(o, it, e);
	case RES_NIC:
		add_nic(o, it);
		return 0;
	case RES_GRAPHICS:
		add_video(o);
		return 0;
	case RES_IDE:
	case RES_SCSI:
	case RES_STORAGE:
		return 0; /* with what is on it */
	case RES_USB:
		o->d->has.xhci |= it->sub && strcasestr(it->sub, "xhci");
		return 0;
	default:
		leave_out(o, it);
		return 0;
	}
}

/* <vmw:Config vmw:key="firmware" vmw:value="efi"/> */
static void vmware_extras(struct ovf *o)
{
	static const char *const expected[] = {"firmware", "bootOptions.efiSecureBootEnabled"};
	const xmlNode *hw = xml_child(o->system, "VirtualHardwareSection"), *c;

	for (c = xml_first(hw); c; c = xml_after(c)) {
		AUTO_FREE char *key = xml_attr(c, "key"), *value = xml_attr(c, "value");

		if ((!xml_is(c, "Config") && !xml_is(c, "ExtraConfig")) || !key || !value)
			continue;
		if (!strcmp(key, expected[0]))
			o->d->firmware = strcmp(value, "efi") ? FIRMWARE_BIOS : FIRMWARE_UEFI;
		else if (!strcmp(key, expected[1]))
			o->d->uefi.secure_boot = !strcmp(value, "true");
		else if (strcasecmp(value, "false"))
			description_note(o->d, "the setting %.60s=%.60s is not mapped", key, value);
	}
}

/* CIM_OperatingSystem.OSType */
static void system_by_number(struct ovf *o, const char *id)
{
	static const unsigned old[] = {15, 16, 17, 18, 58, 63, 67, 69, 70, 71, 72}, windows[] = {73, 74, 76, 77, 103, 105};
	unsigned n = id ? (unsigned)atoi(id) : 0;

	for (size_t i = 0; i < ARRAY_LEN(old); i++)
		o->d->system.old_windows |= n == old[i];
	for (size_t i = 0; i < ARRAY_LEN(windows); i++)
		o->d->system.windows |= n == windows[i];
	o->d->system.windows |= o->d->system.old_windows;
}

static int name_and_system(struct ovf *o, struct err *e)
{
	const xmlNode *os = xml_child(o->system, "OperatingSystemSection");
	AUTO_FREE char *type = xml_attr(os, "osType"), *words = xml_text_at(os, "Description"), *id = xml_attr(os, "id");
	AUTO_FREE char *vbox_type = xml_text_at(os, "OSType");
	AUTO_FREE char *virtual = xml_text_at(o->system, "VirtualHardwareSection/System/VirtualSystemType");

	o->d->name = xml_text_at(o->system, "Name");
	if (!o->d->name)
		o->d->name = xml_text_at(o->system, "VirtualHardwareSection/System/VirtualSystemIdentifier");
	if (!o->d->name)
		o->d->name = xml_attr(o->system, "id");
	o->d->origin = o->is_ovirt ? xstrdup("OVF of oVirt") : virtual ? xasprintf("OVF, %.40s", virtual) : xstrdup("OVF");
	if (described_system(o->d, type, e) || described_system(o->d, vbox_type, e) || described_system(o->d, words, e))
		return -EINVAL;
	if (!type && !vbox_type && id && strlen(id) < 6) /* oVirt's id may be the guest's UUID */
		system_by_number(o, id);
	if (virtual && !strncmp(virtual, "vmx-", 4) && atoi(virtual + 4) < 8) /* before PCI Express */
		o->d->machine = MACHINE_PC;
	return 0;
}

static void say_sections(struct ovf *o)
{
	static const char *const known[] =
		{"Info", "Name", "OperatingSystemSection", "VirtualHardwareSection", "Machine", "AnnotationSection", "EulaSection", NULL};
	const xmlNode *n;

	/* oVirt's file has each setting of the engine's, and a ProductSection for each program in the guest */
	for (n = o->is_ovirt ? NULL : xml_first(o->system); n; n = xml_after(n))
		if (xml_is(n, "ProductSection"))
			description_note(o->d, "the properties (ProductSection) are not given to the guest");
		else if (word_index(known, (const char *)n->name) < 0)
			description_note(o->d, "<%.60s> is not mapped", (const char *)n->name);
	if (xml_child(o->envelope, "DeploymentOptionSection"))
		description_note(o->d, "of its configurations the default one is taken");
}

/* Items come in any order, and a machine boots from the first disk of a controller by its address. */
static void by_address(struct guest_description *d)
{
	size_t i, k;

	for (i = 0; i < d->disk_count; i++)
		for (k = i + 1; k < d->disk_count; k++) {
			struct described_disk *a = &d->disks[i], *b = &d->disks[k], first = *a;

			if (a->cdrom || b->cdrom || a->bus != b->bus || a->controller != b->controller || a->unit <= b->unit)
				continue;
			*a = *b;
			*b = first;
		}
}

static int read_system(struct ovf *o, struct err *e)
{
	int r = name_and_system(o, e) ?: collect_items(o, e);

	for (size_t i = 0; !r && i < o->n; i++)
		r = add_item(o, &o->items[i], e);
	if (r)
		return r;
	if (o->is_ovirt)
		ovirt_machine(o->d, o->system);
	else
		by_address(o->d);
	vmware_extras(o);
	r = virtualbox_machine(o->d, o->vbox, e); /* VirtualBox itself ignores the standard's sections then */
	say_sections(o);
	return r;
}

/* ---- which guest ---- */

/* Collects all guests below parent, also those of collections within collections. */
static void collect_systems(struct ovf *o, const xmlNode *parent)
{
	const xmlNode *n;

	for (n = xml_first(parent); n; n = xml_after(n)) {
		if (xml_is(n, "VirtualSystem") && o->system_count < SYSTEMS_MAX)
			o->systems[o->system_count++] = n;
		else if (xml_is(n, "VirtualSystemCollection"))
			collect_systems(o, n); /* libxml2 has bounded the depth */
	}
}

static bool is_called(const xmlNode *system, const char *name)
{
	AUTO_FREE char *own = xml_text_at(system, "Name"), *id = xml_attr(system, "id");

	return (own && !strcmp(own, name)) || (id && !strcmp(id, name));
}

static int which_guest(const struct ovf *o, const char *why, struct err *e)
{
	char *list = xstrdup(""), *longer;

	for (size_t i = 0; i < o->system_count; i++) {
		AUTO_FREE char *name = xml_text_at(o->systems[i], "Name"), *id = xml_attr(o->systems[i], "id");

		longer = xasprintf("%s%s%.60s", list, i ? ", " : "", name ? name : id ? id : "?");
		free(list);
		list = longer;
	}
	err_set(e, EINVAL, "%s: it has %.400s (--guest NAME takes one)", why, list);
	free(list);
	return -EINVAL;
}

static int choose_system(struct ovf *o, const char *wish, struct err *e)
{
	size_t i, n = 0;

	collect_systems(o, o->envelope);
	if (!o->system_count)
		return err_set(e, EINVAL, "the description has no guest (no VirtualSystem)");
	for (i = 0; i < o->system_count; i++)
		if (!wish || is_called(o->systems[i], wish)) {
			o->system = o->systems[i];
			n++;
		}
	if (n > 1)
		return which_guest(o, wish ? "several of its guests are called so" : "the description has several guests", e);
	return n ? 0 : which_guest(o, "the description has no guest of that name", e);
}

int read_ovf(struct guest_description *d, const char *text, size_t n, struct err *e)
{
	struct ovf o = {.d = d};
	xmlNode *envelope;
	xmlDoc *doc;
	int r = xml_read(&doc, text, n, e);

	if (r)
		return r;
	envelope = xmlDocGetRootElement(doc);
	o.envelope = envelope;
	o.is_ovirt = ovirt_normalize(envelope);
	if (!xml_is(o.envelope, "Envelope"))
		r = err_set(e, EINVAL, "not an OVF: its outermost element is not <Envelope>");
	else
		r = choose_system(&o, d->told.wish, e);
	o.vbox = xml_child(o.system, "Machine");
	r = r ?: read_system(&o, e);
	for (size_t i = 0; i < o.n; i++) {
		FREE_ALL(o.items[i].id, o.items[i].parent, o.items[i].sub, o.items[i].name);
	}
	xmlFreeDoc(doc);
	return r;
}
