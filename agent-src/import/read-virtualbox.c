/*
 * read-virtualbox.c: a guest of VirtualBox's by its own settings (.vbox). See read-virtualbox.h. Media are in a registry, by their UUIDs, in
 * a tree: what lies in another one is a difference to it, of a snapshot.
 */
#include "read-virtualbox.h"
#include "readers.h"
#include "util.h"
#include "words.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define PORTS_MAX 256u

struct vbox {
	struct guest_description *d;
	const xmlNode *machine, *hardware;
};

/* ---- the machine ---- */

static bool is_on(const xmlNode *node)
{
	return xml_attr_is(node, "enabled", "true");
}

static void note_devices(struct guest_description *d, const xmlNode *hw)
{
	AUTO_FREE char *display = xml_attr_at(hw, "Display", "controller"), *tpm = xml_attr_at(hw, "TrustedPlatformModule", "type");

	if (!tpm)
		tpm = xml_attr_at(hw, "BIOS/TrustedPlatformModule", "type");
	if (display && strcasecmp(display, "VBoxVGA"))
		description_note(d, "the display adapter was %.40s: it becomes a standard VGA", display);
	if (tpm && strcasecmp(tpm, "none"))
		description_note(d, "the TPM (%.20s) is not mapped: what is sealed in it is not there", tpm);
	if (xml_at(hw, "SharedFolders/SharedFolder"))
		description_note(d, "the shared folders are not mapped");
}

static void take_serials(struct guest_description *d, const xmlNode *hw)
{
	const xmlNode *p;

	for (p = xml_child(xml_child(hw, "UART"), "Port"); p; p = xml_next(p, "Port"))
		if (is_on(p) && d->has.serials < GUEST_SERIALS_MAX)
			d->has.serials++;
}

static int take_system(struct guest_description *d, const xmlNode *machine, const xmlNode *platform, struct err *e)
{
	AUTO_FREE char *os = xml_attr(machine, "OSType"), *processor = xml_attr(platform, "architecture");

	if (processor && strcasecmp(processor, "x86"))
		return err_set(e, EINVAL, "the processor is %.40s; only guests of x86 can be imported", processor);
	return described_system(d, os, e);
}

int virtualbox_machine(struct guest_description *d, const xmlNode *machine, struct err *e)
{
	const xmlNode *hw = xml_child(machine, "Hardware"), *platform = xml_child(machine, "Platform"); /* since 7.1 */
	const xmlNode *board = platform ? platform : xml_child(hw, "Platform") ? (platform = xml_child(hw, "Platform")) : hw;
	AUTO_FREE char *firmware = xml_attr_at(hw, "Firmware", "type"), *uuid = xml_attr(machine, "uuid");
	AUTO_FREE char *chipset = xml_attr_at(board, "Chipset", "type"), *clock = xml_attr_at(board, "RTC", "localOrUTC");

	if (!machine)
		return 0;
	if (take_system(d, machine, platform, e))
		return -EINVAL;
	d->firmware = firmware && !strncasecmp(firmware, "EFI", 3) ? FIRMWARE_UEFI : FIRMWARE_BIOS;
	d->machine = chipset && !strcasecmp(chipset, "ICH9") ? MACHINE_Q35 : MACHINE_PC;
	d->uefi.secure_boot = is_on(xml_at(hw, "BIOS/SecureBoot"));
	d->system.local_time |= clock && !strcmp(clock, "local");
	d->system.utc |= clock && !strcmp(clock, "UTC");
	d->uuid = described_uuid(uuid);
	note_devices(d, hw);
	take_serials(d, hw);
	if (xml_child(machine, "Snapshot"))
		description_note(d, "the snapshots are not taken along: the disks are as they are in the file");
	return 0;
}

/* ---- network cards ---- */

const xmlNode *virtualbox_adapter(const xmlNode *machine, size_t number)
{
	const xmlNode *a = xml_child(xml_at(machine, "Hardware/Network"), "Adapter");

	for (; a; a = xml_next(a, "Adapter"))
		if (is_on(a) && !number--)
			return a;
	return NULL;
}

/* The name of the adapter's network, and what that is. */
static void take_network(struct described_nic *to, const xmlNode *adapter)
{
	static const char *const kinds[][2] = {{"NAT", "NAT"},
					       {"NATNetwork", "NAT network"},
					       {"BridgedInterface", "bridged"},
					       {"InternalNetwork", "internal network"},
					       {"HostOnlyInterface", "host-only"},
					       {"HostOnlyNetwork", "host-only"}};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const xmlNode *n = xml_child(adapter, kinds[i][0]);

		if (!n)
			continue;
		free(to->kind);
		to->kind = xstrdup(kinds[i][1]);
		to->network = xml_attr(n, "name");
		return;
	}
}

static bool take_forward(struct described_nic *to, const xmlNode *rule)
{
	AUTO_FREE char *udp_or_tcp = xml_attr(rule, "proto"), *from = xml_attr(rule, "hostip"), *at = xml_attr(rule, "guestip");
	AUTO_FREE char *port = xml_attr(rule, "hostport"), *guest_port = xml_attr(rule, "guestport");
	struct err ignored;
	uint64_t proto;

	return !described_number(&proto, udp_or_tcp ? udp_or_tcp : "1", 0, 1, "", &ignored) &&
	       described_forward(to, !proto, from, port, at, guest_port);
}

static void take_forwards(struct guest_description *d, struct described_nic *to, const xmlNode *nat)
{
	const xmlNode *rule = xml_child(nat, "Forwarding");

	for (; rule; rule = xml_next(rule, "Forwarding")) {
		AUTO_FREE char *name = xml_attr(rule, "name"), *from = xml_attr(rule, "hostip"), *port = xml_attr(rule, "hostport");

		if (!take_forward(to, rule))
			description_note(d, "the rule '%.40s' that led port %.20s of %.40s to the guest is not mapped", name ? name : "",
					 port ? port : "?", from && *from ? from : "its host");
	}
}

/* Places the card where VirtualBox has it on its PCI bus: the first is enp0s3. */
static void take_place(struct guest_description *d, struct described_nic *to, const xmlNode *adapter)
{
	static const unsigned slots[] = {3, 8, 9, 10, 16, 17, 18, 19};
	AUTO_FREE char *slot = xml_attr(adapter, "slot");
	struct err ignored;
	uint64_t n;

	if (described_number(&n, slot ? slot : "", 0, ARRAY_LEN(slots) - 1, "a slot", &ignored))
		return;
	d->pci.no_slots = to->has_pci = true;
	to->pci = (struct described_pci){.slot = slots[n]};
}

void virtualbox_nic(struct guest_description *d, struct described_nic *to, const xmlNode *adapter, const char *sub)
{
	AUTO_FREE char *model = xml_attr(adapter, "type"), *mac = xml_attr(adapter, "MACAddress");

	described_nic_model(d, to, model ? model : sub);
	if (mac && !to->has_mac && !described_mac(to, mac))
		description_note(d, "'%.40s' is not the address of a network card: it gets a new one", mac);
	to->unplugged |= xml_attr_is(adapter, "cable", "false");
	take_network(to, adapter);
	take_forwards(d, to, xml_child(adapter, "NAT"));
	take_place(d, to, adapter);
}

/* ---- disks ---- */

static const struct {
	const char *type;
	enum disk_bus bus;
} controllers[] = {{"AHCI", BUS_SATA},
		   {"IntelAhci", BUS_SATA},
		   {"PIIX3", BUS_IDE},
		   {"PIIX4", BUS_IDE},
		   {"ICH6", BUS_IDE},
		   {"LsiLogicSas", BUS_LSISAS},
		   {"LsiLogic", BUS_LSILOGIC},
		   {"USB", BUS_USB},
		   {"NVMe", BUS_NVME},
		   {"VirtioSCSI", BUS_VIRTIO_SCSI},
		   {"virtio-scsi", BUS_VIRTIO_SCSI}};

static enum disk_bus bus_called(const char *type)
{
	__auto_type known = ROW_OF_ANY_CASE(controllers, type, type);

	return known ? known->bus : BUS_UNSAID;
}

/* The medium of that UUID, wherever it is in the tree. */
static const xmlNode *medium(const xmlNode *above, const char *uuid)
{
	const xmlNode *n, *found = NULL;

	for (n = xml_child(above, "HardDisk"); n && !found; n = xml_next(n, "HardDisk")) {
		AUTO_FREE char *own = xml_attr(n, "uuid");

		found = own && !strcasecmp(own, uuid) ? n : medium(n, uuid); /* libxml2 has bounded the depth */
	}
	return found;
}

static bool is_encrypted(const xmlNode *disk)
{
	const xmlNode *p;

	for (p = xml_child(disk, "Property"); p; p = xml_next(p, "Property")) {
		AUTO_FREE char *name = xml_attr(p, "name");

		if (name && !strncasecmp(name, "CRYPT/", 6))
			return true;
	}
	return false;
}

static int take_medium(struct vbox *x, struct described_disk *to, const xmlNode *device, struct err *e)
{
	AUTO_FREE char *uuid = xml_attr_at(device, "Image", "uuid");
	const xmlNode *disk = uuid ? medium(xml_at(x->machine, "MediaRegistry/HardDisks"), uuid) : NULL;

	if (!disk) {
		to->elsewhere =
			xasprintf("the medium %.60s, which is not in its registry (VBoxManage showmediuminfo finds it)", uuid ? uuid : "?");
		return 0;
	}
	if (is_encrypted(disk))
		return err_set(e, EINVAL, "the disk %.60s is encrypted: decrypt it there first (VBoxManage encryptmedium)", to->label);
	if (xml_is(disk->parent, "HardDisk"))
		to->elsewhere = xasprintf(
			"a difference to another image, of a snapshot (VBoxManage clonemedium disk %.60s NEW.vdi makes one of both)", uuid);
	else
		to->file = xml_attr(disk, "location");
	return 0;
}

static int add_device(struct vbox *x, const char *name, enum disk_bus bus, unsigned controller, const xmlNode *device, struct err *e)
{
	AUTO_FREE char *port = xml_attr(device, "port"), *unit = xml_attr(device, "device"), *type = xml_attr(device, "type");
	struct described_disk *to;
	uint64_t p, u;

	if (type && !strcasecmp(type, "Floppy"))
		return 0;
	if (described_number(&p, port ? port : "0", 0, PORTS_MAX, "a port", e) ||
	    described_number(&u, unit ? unit : "0", 0, 1, "a device", e))
		return -EINVAL;
	to = description_add_disk(x->d);
	if (!to)
		return 0;
	to->cdrom = type && !strcasecmp(type, "DVD");
	to->label = xasprintf("%s:%u:%u", name, (unsigned)p, (unsigned)u);
	to->bus = bus;
	to->controller = bus == BUS_IDE ? (unsigned)p : controller;
	to->unit = bus == BUS_IDE ? (unsigned)u : (unsigned)p;
	return to->cdrom ? 0 : take_medium(x, to, device, e);
}

static bool has_disk(const xmlNode *controller)
{
	const xmlNode *n;

	for (n = xml_child(controller, "AttachedDevice"); n && !xml_attr_is(n, "type", "HardDisk"); n = xml_next(n, "AttachedDevice"))
		;
	return n != NULL;
}

static int add_controllers(struct vbox *x, struct err *e)
{
	const xmlNode *all = xml_child(x->hardware, "StorageControllers"), *c, *n;
	unsigned seen[BUS_COUNT] = {0};

	if (!all)
		all = xml_child(x->machine, "StorageControllers");
	for (c = xml_child(all, "StorageController"); c; c = xml_next(c, "StorageController")) {
		AUTO_FREE char *name = xml_attr(c, "name"), *type = xml_attr(c, "type");
		enum disk_bus bus = bus_called(type);

		if (bus == BUS_UNSAID && has_disk(c))
			description_note(x->d, "QEMU has no controller '%.40s': its disks go to the usual one", type ? type : "?");
		for (n = xml_child(c, "AttachedDevice"); n; n = xml_next(n, "AttachedDevice"))
			if (add_device(x, name ? name : "?", bus, seen[bus], n, e))
				return -EINVAL;
		seen[bus]++;
	}
	return 0;
}

/* ---- ---- */

static int take_numbers(struct vbox *x, struct err *e)
{
	const xmlNode *platform = xml_child(x->machine, "Platform") ?: xml_child(x->hardware, "Platform");
	AUTO_FREE char *memory = xml_attr_at(x->hardware, "Memory", "RAMSize"), *cpus = xml_attr_at(x->hardware, "CPU", "count");
	uint64_t n;

	if (!cpus)
		cpus = xml_attr_at(platform, "CPU", "count");
	if (memory && described_memory(&x->d->memory_bytes, memory, MIB, e))
		return -EINVAL;
	if (described_number(&n, cpus ? cpus : "1", 1, GUEST_CPUS_MAX, "the number of processors", e))
		return -EINVAL;
	x->d->cpu.count = (unsigned)n;
	return 0;
}

static void take_usb_and_sound(struct vbox *x)
{
	const xmlNode *c = xml_child(xml_at(x->hardware, "USB/Controllers"), "Controller");

	for (; c; c = xml_next(c, "Controller"))
		x->d->has.xhci |= xml_attr_is(c, "type", "XHCI");
	if (is_on(xml_child(x->hardware, "AudioAdapter")))
		description_note(x->d, "the sound card is not mapped");
}

static int read_machine(struct vbox *x, struct err *e)
{
	AUTO_FREE char *state = xml_attr(x->machine, "stateFile");
	const xmlNode *adapter;

	x->d->origin = xstrdup("VirtualBox");
	x->d->name = xml_attr(x->machine, "name");
	if (virtualbox_machine(x->d, x->machine, e) || take_numbers(x, e) || add_controllers(x, e))
		return -EINVAL;
	for (size_t i = 0; (adapter = virtualbox_adapter(x->machine, i)); i++) {
		struct described_nic *nic = description_add_nic(x->d);

		if (!nic)
			break;
		virtualbox_nic(x->d, nic, adapter, "Am79C973");
	}
	take_usb_and_sound(x);
	if (state)
		description_note(
			x->d,
			"the saved state does not come along: it starts as after a power failure, unless it is shut down there first");
	return 0;
}

int read_virtualbox(struct guest_description *d, const char *text, size_t n, struct err *e)
{
	struct vbox x = {.d = d};
	const xmlNode *root;
	xmlDoc *doc;
	int r = xml_read(&doc, text, n, e);

	if (r)
		return r;
	root = xmlDocGetRootElement(doc);
	x.machine = xml_child(root, "Machine");
	x.hardware = xml_child(x.machine, "Hardware");
	if (xml_child(root, "MachineEncrypted"))
		r = err_set(e, EINVAL, "the guest is encrypted: decrypt it there first (VBoxManage encryptvm)");
	else if (!x.hardware)
		r = err_set(e, EINVAL, "not a guest of VirtualBox: it has no <Machine> with <Hardware>");
	else
		r = read_machine(&x, e);
	xmlFreeDoc(doc);
	return r;
}
