/* read-libvirt.c: a domain of libvirt's (virsh dumpxml; https://libvirt.org/formatdomain.html), of an x86 machine. */
#include "libvirt-walk.h"
#include "readers.h"
#include "shell-quote.h"
#include "util.h"
#include "words.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct domain {
	struct guest_description *d;
	const xmlNode *root, *devices;
	bool is_xen;
};

/* ---- disks ---- */

static const struct {
	const char *model;
	enum disk_bus bus;
} scsi_models[] = {
	{"lsilogic", BUS_LSILOGIC},
	{"lsisas1068", BUS_LSISAS},
	{"vmpvscsi", BUS_PVSCSI},
	{"virtio-scsi", BUS_VIRTIO_SCSI},
	{"virtio-transitional", BUS_VIRTIO_SCSI},
	{"virtio-non-transitional", BUS_VIRTIO_SCSI},
	{"lsisas1078", BUS_MEGASAS},
};

static enum disk_bus scsi_bus(struct domain *x, const char *index)
{
	const xmlNode *c;

	for (c = xml_child(x->devices, "controller"); c; c = xml_next(c, "controller")) {
		AUTO_FREE char *model = xml_attr(c, "model");
		__auto_type known = ROW_OF(scsi_models, model, model);

		if (!xml_attr_is(c, "type", "scsi") || !xml_attr_is(c, "index", index))
			continue;
		if (known)
			return known->bus;
		if (model && strcmp(model, "auto"))
			description_note(x->d, "the SCSI controller '%.40s' is not known: its disks go to the usual one", model);
		return model && strcmp(model, "auto") ? BUS_UNSAID : BUS_LSILOGIC; /* libvirt's own default on x86 */
	}
	return BUS_LSILOGIC;
}

/* Xen's firmware boots from the first four disks, which it finds on IDE; QEMU does not have Xen's own bus. */
static bool place_of_xen(struct domain *x, struct described_disk *disk, const char *target)
{
	size_t n = target ? strlen(target) : 0;
	unsigned i = n ? (unsigned)(target[n - 1] - 'a') : 0;

	if (!x->is_xen)
		return false;
	disk->bus = n == 3 + (*target == 'x') && i < 4 ? BUS_IDE : BUS_SATA;
	disk->controller = disk->bus == BUS_IDE ? i / 2 : 0;
	disk->unit = disk->bus == BUS_IDE ? i % 2 : 0;
	if (!disk->cdrom)
		description_note(x->d, "the disk %.40s was on Xen's bus, which QEMU has not: it is on %s", target ? target : "?",
				 disk->bus == BUS_IDE ? "IDE, from which Xen's firmware starts" : "SATA");
	return true;
}

static enum disk_bus bus_of(struct domain *x, const char *bus, const char *controller)
{
	static const struct {
		const char *word;
		enum disk_bus bus;
	} words[] = {{"ide", BUS_IDE}, {"sata", BUS_SATA}, {"virtio", BUS_VIRTIO}, {"usb", BUS_USB}, {"nvme", BUS_NVME}};
	__auto_type known = ROW_OF(words, word, bus);

	return known ? known->bus : bus && !strcmp(bus, "scsi") ? scsi_bus(x, controller) : BUS_UNSAID;
}

static int small_number(unsigned *out, const xmlNode *node, const char *attr, const char *what, struct err *e)
{
	AUTO_FREE char *text = xml_attr(node, attr);
	uint64_t n;

	if (!text)
		return 0;
	if (described_number(&n, text, 0, 65535, what, e))
		return -EINVAL;
	*out = (unsigned)n;
	return 0;
}

/* IDE: the controller of libvirt is always the one, its bus is a channel. SCSI: the target, as libvirt's luns have each one. */
static int place(struct described_disk *disk, const xmlNode *node, struct err *e)
{
	const xmlNode *address = xml_child(node, "address");
	unsigned controller = 0, bus = 0, target = 0, unit = 0;

	if (!xml_attr_is(address, "type", "drive"))
		return 0;
	if (small_number(&controller, address, "controller", "an address", e) || small_number(&bus, address, "bus", "an address", e) ||
	    small_number(&target, address, "target", "an address", e) || small_number(&unit, address, "unit", "an address", e))
		return -EINVAL;
	disk->controller = disk->bus == BUS_IDE ? bus : controller;
	/* a bus of the parallel kind has one disk a target */
	disk->unit = disk->bus == BUS_IDE || disk->bus == BUS_SATA || !target ? unit : target;
	return 0;
}

static char *move_text(char **from)
{
	char *text = *from;

	*from = NULL;
	return text;
}

/* Bases of a disk that was copied out of what it is there are of no interest: the copy is what it is. */
static void take_bases(struct described_disk *disk, const struct libvirt_disk *k)
{
	disk->says_bases = k->says_backing && !disk->elsewhere;
	if (!disk->says_bases)
		return;
	disk->bases = xcalloc(k->backing_count + 1, sizeof(*disk->bases));
	for (size_t i = 0; i < k->backing_count; i++)
		disk->bases[disk->base_count++] = xstrdup(k->backing[i]);
}

static int find_file(struct described_disk *disk, struct libvirt_disk *k, const char *target, struct err *e)
{
	if (k->encrypted)
		return err_set(e, EINVAL, "the disk %.40s is encrypted: decrypt it there first", target);
	if (k->source == LIBVIRT_NONE)
		return err_set(e, EINVAL, "the disk %.40s has no source", target);
	if (!strcmp(k->format, "raw"))
		disk->format = "raw";
	disk->file = move_text(k->path ? &k->path : k->volume ? &k->volume : &k->remote);
	disk->elsewhere = move_text(&k->elsewhere);
	disk->absolute = !disk->elsewhere;
	take_bases(disk, k);
	return 0;
}

/* Takes the serial, by which the guest may know the disk (/dev/disk/by-id). */
static void take_serial(struct described_disk *disk, const xmlNode *node)
{
	AUTO_FREE char *text = xml_text_at(node, "serial");

	if (text && described_is_serial(text))
		disk->serial = xstrdup(text);
}

static bool is_block_size(unsigned n)
{
	return !n || (n >= 512 && n <= 32768 && !(n & (n - 1)));
}

static int take_sectors(struct described_disk *disk, const xmlNode *node, const char *target, struct err *e)
{
	const xmlNode *blockio = xml_child(node, "blockio");

	if (small_number(&disk->sector, blockio, "logical_block_size", "a size of sectors", e) ||
	    small_number(&disk->physical, blockio, "physical_block_size", "a size of sectors", e))
		return -EINVAL;
	if (!is_block_size(disk->sector) || !is_block_size(disk->physical))
		return err_set(e, EINVAL, "the disk %.40s has sectors of %u bytes, which QEMU has not", target, disk->sector);
	return 0;
}

static void note_disk(struct domain *x, const struct described_disk *disk, const xmlNode *node, const char *target)
{
	static const char *const known[] = {"driver", "source",	      "target",	    "address", "boot",
					    "alias",  "backingStore", "encryption", "blockio"};
	const xmlNode *n;
	size_t i;

	for (n = xml_first(node); n; n = xml_after(n)) {
		for (i = 0; i < ARRAY_LEN(known) && !xml_is(n, known[i]); i++)
			;
		if (i == ARRAY_LEN(known) && !(xml_is(n, "serial") && disk->serial) && !(xml_is(n, "readonly") && disk->cdrom))
			description_note(x->d, "<%.40s> of the disk %.40s is not mapped", (const char *)n->name, target);
	}
}

/* Attributes of the disk's driver that are not QEMU's defaults. */
static void note_cache(struct domain *x, const xmlNode *node, const char *target)
{
	static const char *const names[] = {"cache", "io", "discard", "detect_zeroes", "error_policy", "iothread", "queues"};
	static const char *const usual[] = {"default", "writeback", "unmap", "threads", "report", NULL};
	const xmlNode *driver = xml_child(node, "driver");

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		AUTO_FREE char *value = xml_attr(driver, names[i]);

		if (value && word_index(usual, value) < 0)
			description_note(x->d, "the disk %.40s had %s=%.40s there: here it is as QEMU has it by default", target, names[i],
					 value);
	}
}

static int take_disk(struct domain *x, const xmlNode *node, struct libvirt_disk *k, struct err *e)
{
	AUTO_FREE char *bus = xml_attr_at(node, "target", "bus"), *index = xml_attr_at(node, "address", "controller");
	const char *target = k->target ? k->target : "?";
	struct described_disk *disk;

	if (strcmp(k->device, "disk") && strcmp(k->device, "cdrom")) {
		description_note(x->d, "the drive %.40s (%.20s) is left out", target, k->device);
		return 0;
	}
	disk = description_add_disk(x->d);
	if (!disk)
		return 0;
	disk->label = k->target ? xstrdup(k->target) : NULL;
	disk->cdrom = !strcmp(k->device, "cdrom");
	disk->bus = bus_of(x, bus, index ? index : "0");
	if (small_number(&disk->boot_order, xml_child(node, "boot"), "order", "a boot order", e) ||
	    (!place_of_xen(x, disk, k->target) && place(disk, node, e)))
		return -EINVAL;
	if (!disk->cdrom && take_sectors(disk, node, target, e))
		return -EINVAL;
	take_serial(disk, node);
	note_disk(x, disk, node, target);
	if (!disk->cdrom)
		note_cache(x, node, target);
	return disk->cdrom ? 0 : find_file(disk, k, target, e);
}

static int add_disk(struct domain *x, const xmlNode *node, struct err *e)
{
	struct libvirt_disk k;
	int r;

	libvirt_disk_read(&k, node);
	r = take_disk(x, node, &k, e);
	libvirt_disk_fini(&k);
	return r;
}

/* ---- NICs ---- */

static bool hex_number(unsigned *out, const xmlNode *node, const char *attr, unsigned max)
{
	AUTO_FREE char *text = xml_attr(node, attr);
	char *end;
	unsigned long n;

	*out = 0;
	if (!text)
		return true;
	n = strtoul(text, &end, 0);
	*out = (unsigned)n;
	return isdigit((unsigned char)*text) && !*end && n <= max;
}

/* <address type='pci' domain='0x0000' bus='0x01' slot='0x00' function='0x0'/> */
static bool read_pci(struct described_pci *to, const xmlNode *address)
{
	return xml_attr_is(address, "type", "pci") && hex_number(&to->domain, address, "domain", 0xffff) &&
	       hex_number(&to->bus, address, "bus", 0xff) && hex_number(&to->slot, address, "slot", 0x1f) &&
	       hex_number(&to->function, address, "function", 7);
}

/* Controllers with a PCI bus behind them. Firmware numbers buses in the order in which it finds them. */
static void add_pci_controller(struct domain *x, const xmlNode *node)
{
	const xmlNode *address = xml_child(node, "address"), *target = xml_child(node, "target");
	struct described_port port = {.multifunction = xml_attr_is(address, "multifunction", "on")};

	if (!xml_attr_is(node, "type", "pci") || xml_attr_is(node, "model", "pcie-root") || xml_attr_is(node, "model", "pci-root") ||
	    !hex_number(&port.bus, node, "index", 0xff) || !port.bus)
		return;
	if (xml_attr_is(node, "model", "pcie-root-port") && read_pci(&port.pci, address) && !port.pci.domain && !port.pci.bus &&
	    hex_number(&port.chassis, target, "chassis", 0xff) && hex_number(&port.port, target, "port", 0xff) &&
	    x->d->port_count < GUEST_PORTS_MAX)
		x->d->ports[x->d->port_count++] = port;
	else if (!x->d->pci.odd_bus || port.bus < x->d->pci.odd_bus)
		x->d->pci.odd_bus = port.bus;
}

/* Elements of a card that are not mapped; the known ones are mapped, or are the host's side of it. */
static void note_nic(struct domain *x, const xmlNode *node)
{
	static const char *const known[] = {"mac", "source", "model", "address", "alias", "boot", "target", "link", NULL};
	AUTO_FREE char *tag = xml_attr_at(node, "vlan/tag", "id");
	const xmlNode *n;

	for (n = xml_first(node); n; n = xml_after(n))
		if (xml_is(n, "vlan"))
			description_note(x->d, "network card #%zu was in VLAN %.20s there: here it is in that of its bridge",
					 x->d->nic_count, tag ? tag : "?");
		else if (word_index(known, (const char *)n->name) < 0)
			description_note(x->d, "<%.40s> of network card #%zu is not mapped", (const char *)n->name, x->d->nic_count);
}

static int take_nic(struct domain *x, const xmlNode *node, struct libvirt_nic *n, struct err *e)
{
	AUTO_FREE char *model = xml_attr_at(node, "model", "type");
	struct described_nic *nic;

	if (n->kind && !strcmp(n->kind, "hostdev")) {
		description_note(x->d, "a network card of its host (hostdev) is left out");
		return 0;
	}
	nic = description_add_nic(x->d);
	if (!nic)
		return 0;
	described_nic_model(x->d, nic, model ? model : "rtl8139"); /* libvirt's own default */
	if (n->mac && !described_mac(nic, n->mac))
		description_note(x->d, "'%.40s' is not the address of a network card: it gets a new one", n->mac);
	nic->network = move_text(&n->source);
	nic->kind = move_text(&n->kind);
	nic->unplugged = xml_attr_is(xml_child(node, "link"), "state", "down");
	nic->has_pci = read_pci(&nic->pci, xml_child(node, "address"));
	note_nic(x, node);
	return small_number(&nic->boot_order, xml_child(node, "boot"), "order", "a boot order", e);
}

static int add_nic(struct domain *x, const xmlNode *node, struct err *e)
{
	struct libvirt_nic n;
	int r;

	libvirt_nic_read(&n, node);
	r = take_nic(x, node, &n, e);
	libvirt_nic_fini(&n);
	return r;
}

/* ---- other devices ---- */

static void add_video(struct domain *x, const xmlNode *node)
{
	static const char *const models[][2] = {
		{"vga", "VGA"},		  {"cirrus", "cirrus-vga"},   {"vmvga", "vmware-svga"}, {"qxl", "qxl-vga"},
		{"virtio", "virtio-vga"}, {"bochs", "bochs-display"}, {"none", "none"},
	};
	AUTO_FREE char *model = xml_attr_at(node, "model", "type");

	if (!x->d->has.video)
		x->d->has.video = xstrdup(PAIR_OF(models, model));
	if (!x->d->has.video)
		description_note(x->d, "the display adapter '%.40s' is not known: it becomes a standard VGA", model ? model : "?");
}

/* Elements that need no note: they exist anyway, belong to something else, or concern only the host. */
static bool is_idle(const xmlNode *n)
{
	static const char *const names[] = {"emulator", "graphics", "memballoon", "input"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (xml_is(n, names[i]))
			return true;
	if (xml_is(n, "channel")) /* this channel leads to a viewer, which is not here */
		return xml_attr_is(n, "type", "spicevmc") || xml_attr_is(n, "type", "spiceport");
	return (xml_is(n, "audio") && xml_attr_is(n, "type", "none")) || xml_is(n, "redirdev") ||
	       (xml_is(n, "watchdog") && xml_attr_is(n, "model", "itco")); /* a part of q35 */
}

/* <serial>, and <console>, which stands for the first of them where there is none. */
static void add_serial(struct domain *x, const xmlNode *n)
{
	AUTO_FREE char *kind = xml_attr_at(n, "target", "type");
	bool is_first = xml_is(n, "console") && !xml_child(x->devices, "serial") && !x->d->has.serials;

	if (xml_is(n, "console") && kind && strcmp(kind, "serial") != 0)
		description_note(x->d, "its console of kind %.40s is not mapped", kind);
	else if (xml_is(n, "serial") && kind && strncmp(kind, "isa", 3) != 0)
		description_note(x->d, "its serial port of kind %.40s is not mapped", kind);
	else if (xml_is(n, "console") && !is_first)
		return;
	else if (x->d->has.serials < GUEST_SERIALS_MAX)
		x->d->has.serials++;
	else
		description_note(x->d, "a PC has %d serial ports: a further one is left out", GUEST_SERIALS_MAX);
}

static void note_device(struct domain *x, const xmlNode *n)
{
	AUTO_FREE char *type = xml_attr(n, "type"), *model = xml_attr(n, "model"), *name = xml_attr_at(n, "target", "name");

	description_note(x->d, "the device <%.40s%s%.40s%s%.40s%s%.60s> is not mapped", (const char *)n->name, type ? " type=" : "",
			 type ? type : "", model ? " model=" : "", model ? model : "", name ? " name=" : "", name ? name : "");
}

static int add_device(struct domain *x, const xmlNode *n, struct err *e)
{
	AUTO_FREE char *model = xml_attr(n, "model");

	if (xml_is(n, "disk"))
		return add_disk(x, n, e);
	if (xml_is(n, "interface"))
		return add_nic(x, n, e);
	if (xml_is(n, "video")) {
		add_video(x, n);
	} else if (xml_is(n, "controller")) {
		x->d->has.xhci |= model && strstr(model, "xhci");
		add_pci_controller(x, n);
	} else if (xml_is(n, "serial") || xml_is(n, "console")) {
		add_serial(x, n);
	} else if (xml_is(n, "channel") && xml_attr_is(xml_child(n, "target"), "name", "org.qemu.guest_agent.0")) {
		x->d->has.agent = true;
	} else if (xml_is(n, "rng")) {
		x->d->has.rng = true;
	} else if (xml_is(n, "tpm") && x->d->told.goes_on) {
		x->d->has.tpm = xstrdup(model && !strcmp(model, "tpm-crb") ? "tpm-crb" : "tpm-tis");
	} else if (xml_is(n, "tpm")) {
		description_note(x->d, "its TPM is not mapped: what is sealed in it (BitLocker's keys, say) is not there");
	} else if (!is_idle(n)) {
		note_device(x, n);
	}
	if (xml_is(n, "memballoon"))
		x->d->has.balloon = model && !strncmp(model, "virtio", 6);
	return 0;
}

/* ---- the machine ---- */

static int memory_of(struct domain *x, struct err *e)
{
	const xmlNode *node = xml_child(x->root, "memory");
	AUTO_FREE char *text = xml_text(node), *unit = xml_attr(node, "unit");
	/* libvirt's "KB" is 1000 bytes; no virsh writes it */
	uint64_t factor = unit ? described_unit(unit) : KIB;

	if (!node)
		return err_set(e, EINVAL, "it does not say how much memory it has");
	if (!factor)
		return err_set(e, EINVAL, "the memory is in '%.40s', which is not a unit", unit);
	return described_memory(&x->d->memory_bytes, text, factor, e);
}

static int cpus_of(struct domain *x, struct err *e)
{
	static const char *const names[] = {"sockets", "cores", "threads"};
	AUTO_FREE char *text = xml_text_at(x->root, "vcpu"), *current = xml_attr_at(x->root, "vcpu", "current"),
		       *dies = xml_attr_at(x->root, "cpu/topology", "dies");
	const xmlNode *topology = xml_at(x->root, "cpu/topology");
	unsigned *to[] = {&x->d->cpu.sockets, &x->d->cpu.cores, &x->d->cpu.threads};
	uint64_t n = 1, each[3], product = 1;

	if (text && described_number(&n, text, 1, GUEST_CPUS_MAX, "the number of processors", e))
		return -EINVAL;
	x->d->cpu.count = (unsigned)n;
	if (current && strcmp(current, text ? text : "1") != 0)
		description_note(x->d, "%.20s of its %u processors were in use there: here all are%s", current, (unsigned)n,
				 x->d->told.goes_on ? "" : " (--cpus)");
	for (size_t i = 0; topology && i < ARRAY_LEN(names); i++) {
		AUTO_FREE char *value = xml_attr(topology, names[i]);

		if (described_number(&each[i], value ? value : "1", 1, GUEST_CPUS_MAX, names[i], e))
			return -EINVAL;
		product *= each[i];
	}
	if (topology && product == n && (!dies || !strcmp(dies, "1")))
		for (size_t i = 0; i < ARRAY_LEN(names); i++)
			*to[i] = (unsigned)each[i];
	else if (topology)
		description_note(x->d, "the topology of its processors is not mapped");
	return 0;
}

/* "Skylake-Client,+vmx,-hle", as QEMU has the same names. */
static void cpu_model(struct domain *x)
{
	const xmlNode *cpu = xml_child(x->root, "cpu"), *f;
	AUTO_FREE char *mode = xml_attr(cpu, "mode"), *name = xml_text_at(cpu, "model");
	char *model;

	if (!cpu || !name || (mode && strcmp(mode, "custom")))
		return;
	if (!described_is_word(name)) {
		description_note(x->d, "the processor '%.60s' is not a name: it becomes this host's", name);
		return;
	}
	model = xstrdup(name);
	for (f = xml_child(cpu, "feature"); f; f = xml_next(f, "feature")) {
		AUTO_FREE char *feature = xml_attr(f, "name"), *policy = xml_attr(f, "policy");
		bool off = policy && (!strcmp(policy, "disable") || !strcmp(policy, "forbid"));
		char *longer;

		if (!feature || !described_is_word(feature) || strlen(model) > GUEST_TEXT_MAX)
			continue;
		longer = xasprintf("%s,%s=%s", model, feature, off ? "off" : "on");
		free(model);
		model = longer;
	}
	x->d->cpu_model = model;
}

static int machine_of(struct domain *x, struct err *e)
{
	const xmlNode *os = xml_child(x->root, "os"), *loader = xml_child(os, "loader"), *type = xml_child(os, "type");
	AUTO_FREE char *machine = xml_attr(type, "machine"), *arch = xml_attr(type, "arch"), *kind = xml_text(type);
	AUTO_FREE char *firmware = xml_attr(os, "firmware"), *path = xml_text(loader);

	if (kind && strcmp(kind, "hvm"))
		return err_set(e, EINVAL, "it is a guest of kind '%.40s'; only 'hvm' can be imported", kind);
	if (arch && strcmp(arch, "x86_64") && strcmp(arch, "i686"))
		return err_set(e, EINVAL, "its processor is %.40s; only x86_64 and i686 can be imported", arch);
	if (machine && strstr(machine, "q35"))
		x->d->machine = MACHINE_Q35;
	else if (!machine || !strcmp(machine, "pc") || !strncmp(machine, "pc-", 3) || strstr(machine, "i440fx") || x->is_xen)
		x->d->machine = MACHINE_PC;
	else
		description_note(x->d, "the machine '%.60s' is not known", machine);
	if (machine && x->d->system.of_qemu)
		described_machine_type(x->d, machine);
	x->d->firmware = (firmware && !strcmp(firmware, "efi")) || xml_attr_is(loader, "type", "pflash") ||
					 (path && (strcasestr(path, "OVMF") || strcasestr(path, "edk2")))
				 ? FIRMWARE_UEFI
				 : FIRMWARE_BIOS;
	x->d->uefi.secure_boot = xml_attr_is(loader, "secure", "yes");
	if (x->d->firmware == FIRMWARE_UEFI)
		x->d->uefi.nvram = libvirt_nvram_name(xml_child(os, "nvram"));
	x->d->direct.kernel = xml_text_at(os, "kernel");
	x->d->direct.initrd = xml_text_at(os, "initrd");
	x->d->direct.append = xml_text_at(os, "cmdline");
	return 0;
}

/* <boot dev='cdrom'/>: the first of that kind. */
static void boot_devices(struct domain *x)
{
	const xmlNode *b;
	unsigned order = 1;

	for (b = xml_child(xml_child(x->root, "os"), "boot"); b; b = xml_next(b, "boot")) {
		bool cdrom = xml_attr_is(b, "dev", "cdrom"), disk = xml_attr_is(b, "dev", "hd");

		for (size_t i = 0; (cdrom || disk) && i < x->d->disk_count; i++)
			if (x->d->disks[i].cdrom == cdrom && !x->d->disks[i].boot_order) {
				x->d->disks[i].boot_order = order;
				break;
			}
		if (xml_attr_is(b, "dev", "network") && x->d->nic_count && !x->d->nics[0].boot_order)
			x->d->nics[0].boot_order = order;
		order++;
	}
}

static void say_unknown(struct domain *x, const char *path, const char *const *known)
{
	const xmlNode *n;

	for (n = xml_first(xml_at(x->root, path)); n; n = xml_after(n))
		if (word_index(known, (const char *)n->name) < 0)
			description_note(x->d, "<%s%s%.60s> is not mapped", path, *path ? "/" : "", (const char *)n->name);
}

/* Arguments of the description's own could have QEMU do anything: they are shown, and taken if the user gives them. */
static void note_arguments(struct domain *x)
{
	const xmlNode *line = xml_child(x->root, "commandline"), *n;
	char *words = xstrdup(""), *longer;

	for (n = xml_first(line); n; n = xml_after(n)) {
		AUTO_FREE char *value = xml_attr(n, "value"), *name = xml_attr(n, "name"), *quoted = shell_quote(value ? value : "");

		if (xml_is(n, "env"))
			description_note(x->d, "its QEMU had %.60s=%.100s in its environment there, and has not here", name ? name : "?",
					 value ? value : "");
		if (!xml_is(n, "arg") || strlen(words) > GUEST_TEXT_MAX)
			continue;
		longer = xasprintf("%s %s", words, quoted);
		free(words);
		words = longer;
	}
	if (*words)
		description_note(x->d, "its QEMU had arguments of its own there, which go behind -- if they are to be here:%s", words);
	free(words);
}

/* Notes unknown elements. Listed ones are no loss: QEMU has them anyway, or they only concern how libvirt treats the guest. */
static void say_the_rest(struct domain *x)
{
	static const char *const top[] = {"name",	   "uuid",	  "title",	 "description", "metadata", "memory",
					  "currentMemory", "vcpu",	  "os",		 "cpu",		"clock",    "features",
					  "devices",	   "on_poweroff", "on_reboot",	 "on_crash",	"pm",	    "resource",
					  "seclabel",	   "genid",	  "commandline", NULL};
	static const char *const os[] = {"type",    "loader",	"nvram",    "boot", "kernel", "initrd",
					 "cmdline", "firmware", "bootmenu", "bios", NULL};
	static const char *const features[] = {"acpi", "apic", "pae", "hyperv", "smm", "vmport", NULL};
	static const char *const cpu[] = {"model", "topology", "feature", "vendor", NULL};

	say_unknown(x, "", top);
	say_unknown(x, "os", os);
	say_unknown(x, "features", features);
	say_unknown(x, "cpu", cpu);
}

static int read_domain(struct domain *x, struct err *e)
{
	AUTO_FREE char *genid = xml_text_at(x->root, "genid");
	AUTO_FREE char *uuid = xml_text_at(x->root, "uuid"), *os = NULL, *type = xml_attr(x->root, "type");
	const xmlNode *n, *info = xml_below(xml_child(x->root, "metadata"), "os");

	os = xml_attr(info, "id");
	x->d->origin = xstrdup("libvirt domain");
	x->d->name = xml_text_at(x->root, "name");
	x->d->uuid = described_uuid(uuid);
	if (xml_child(x->root, "genid"))
		x->d->genid = described_uuid(genid) ?: xstrdup("");
	x->is_xen = xml_attr_is(x->root, "type", "xen");
	x->d->system.of_qemu = !type || !strcmp(type, "kvm") || !strcmp(type, "qemu") || !strcmp(type, "hvf");
	x->d->system.windows = xml_at(x->root, "features/hyperv") != NULL;
	x->d->system.local_time = xml_attr_is(xml_child(x->root, "clock"), "offset", "localtime");
	x->d->system.utc = xml_attr_is(xml_child(x->root, "clock"), "offset", "utc");
	if (xml_child(x->root, "clock") && !x->d->system.local_time && !x->d->system.utc)
		description_note(x->d, "its clock, which is neither UTC nor local time there, is %s here",
				 x->d->system.windows ? "local time" : "UTC");
	if (described_system(x->d, os, e) || machine_of(x, e) || memory_of(x, e) || cpus_of(x, e))
		return -EINVAL;
	cpu_model(x);
	for (n = xml_first(x->devices); n; n = xml_after(n))
		if (add_device(x, n, e))
			return -EINVAL;
	boot_devices(x);
	note_arguments(x);
	say_the_rest(x);
	return 0;
}

int read_libvirt(struct guest_description *d, const char *text, size_t n, struct err *e)
{
	struct domain x = {.d = d};
	xmlDoc *doc;
	int r = xml_read(&doc, text, n, e);

	if (r)
		return r;
	x.root = xmlDocGetRootElement(doc);
	x.devices = xml_child(x.root, "devices");
	r = xml_is(x.root, "domain") ? read_domain(&x, e)
				     : err_set(e, EINVAL, "it is not a domain of libvirt: its outermost element is not <domain>");
	xmlFreeDoc(doc);
	return r;
}
