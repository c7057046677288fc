/* qemu-line.c: see qemu-line.h: the line of what line-decide.c decided. */
#include "qemu-line-private.h"
#include "qemu-opts.h"
#include "util.h"
#include "words.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CONTROLLERS_MAX 16

const struct line_bus line_buses[BUS_COUNT] = {
	[BUS_UNSAID] = {.name = "?"},
	[BUS_IDE] = {"IDE", NULL, "ide", 2, "ide-hd", "ide-cd", "unit", false},
	[BUS_SATA] = {"SATA", "ich9-ahci", "ahci", 6, "ide-hd", "ide-cd", NULL, false},
	[BUS_VIRTIO] = {"virtio", NULL, NULL, 1, "virtio-blk-pci", NULL, NULL, false},
	[BUS_NVME] = {"NVMe", NULL, NULL, 1, "nvme", NULL, NULL, false},
	[BUS_LSILOGIC] = {"lsi53c895a", "lsi53c895a", "lsi", 7, "scsi-hd", "scsi-cd", "scsi-id", true},
	[BUS_LSISAS] = {"mptsas1068", "mptsas1068", "sas", 8, "scsi-hd", "scsi-cd", "scsi-id", true},
	[BUS_PVSCSI] = {"pvscsi", "pvscsi", "pvscsi", 64, "scsi-hd", "scsi-cd", "scsi-id", true},
	[BUS_VIRTIO_SCSI] = {"virtio-scsi", "virtio-scsi-pci", "scsi", 256, "scsi-hd", "scsi-cd", "scsi-id", false},
	[BUS_MEGASAS] = {"megasas", "megasas", "megasas", 16, "scsi-hd", "scsi-cd", "scsi-id", true},
	[BUS_USB] = {"USB", NULL, NULL, 1, "usb-storage", NULL, NULL, false},
};

const char *const disk_bus_words[] = {"ide",	"sata",	       "virtio",  "nvme", "lsilogic", "lsisas",
				      "pvscsi", "virtio-scsi", "megasas", "usb",  NULL};

const char *disk_bus_name(enum disk_bus bus)
{
	return line_buses[bus].name;
}

bool line_net_known(const char *net)
{
	const char *br = !strncmp(net, "bridge=", 7) ? net + 7 : NULL;

	return !strcmp(net, "user") || !strcmp(net, "none") || (br && *br && strlen(br) < 16 && !strpbrk(br, "/,= \t\n"));
}

/* ---- the line ---- */

__attribute__((format(printf, 3, 4))) static void option(struct line *l, const char *name, const char *fmt, ...)
{
	char *value;
	va_list ap;

	va_start(ap, fmt);
	value = xvasprintf(fmt, ap);
	va_end(ap);
	words_add(&l->argv, &l->argc, xasprintf("-%s", name));
	words_add(&l->argv, &l->argc, value);
}

/* Quotes a value for use in an option: doubles commas. malloc'ed. */
static char *quoted(const char *text)
{
	struct kv part = {NULL, (char *)text};
	struct kv_list l = {&part, 1};

	return kv_print(&l);
}

/* True if QEMU must be able to run programs: a bridge needs a helper, and the user's own options may need one. */
static bool needs_programs(const struct line_host *h, const struct guest_description *d)
{
	static const char *const options[] = {"-netdev", "-nic", "-net", "-sandbox", NULL};

	for (size_t i = 0; i < h->more_count; i++)
		if (word_index(options, h->more[i]) >= 0)
			return true;
	for (size_t i = 0; i < d->nic_count; i++)
		if (strcmp(h->nets[i], "user") && strcmp(h->nets[i], "none"))
			return true;
	return false;
}

static void add_smbios(struct line *l, const struct guest_description *d)
{
	char *value = xstrdup("type=1"), *longer;
	size_t i, n = 0;

	for (i = 0; i < SMBIOS_COUNT; i++) {
		AUTO_FREE char *part = d->smbios[i] ? quoted(d->smbios[i]) : NULL;

		if (!part)
			continue;
		longer = xasprintf("%s,%s=%s", value, described_smbios[i], part);
		free(value);
		value = longer;
		n++;
	}
	if (n)
		option(l, "smbios", "%s", value);
	free(value);
}

/* ACPI numbers slots in another way than the ports themselves, and than hypervisors in which none has a number. */
static void add_slots(struct line *l, const struct guest_description *d)
{
	bool numbered = false, placed = false;

	for (size_t i = 0; i < d->nic_count; i++) {
		numbered |= d->nics[i].keeps_slot;
		placed |= d->nics[i].keeps_pci;
	}
	if (numbered)
		option(l, "global", "driver=ICH9-LPC,property=acpi-pci-hotplug-with-bridge-support,value=off");
	else if (placed && d->pci.no_slots && d->machine == MACHINE_PC)
		option(l, "global", "driver=PIIX4_PM,property=acpi-root-pci-hotplug,value=off");
}

static void add_machine(struct line *l, const struct guest_description *d, const struct line_host *h)
{
	bool smm = d->firmware == FIRMWARE_UEFI && h->uefi->smm;
	const char *hyperv = d->system.windows ? ",hv-relaxed=on,hv-vapic=on,hv-spinlocks=0x1fff,hv-time=on" : "";
	AUTO_FREE char *name = quoted(d->name);

	option(l, "name", "guest=%s", name);
	option(l, "machine", "%s%s", h->machine, smm ? ",smm=on" : "");
	if (smm)
		option(l, "global", "driver=cfi.pflash01,property=secure,value=on");
	add_slots(l, d);
	option(l, "accel", "%s", h->kvm ? "kvm" : "tcg");
	if (d->cpu_model)
		option(l, "cpu", "%s%s", d->cpu_model, h->kvm ? hyperv : "");
	else if (h->kvm)
		option(l, "cpu", "host%s", hyperv);
	else
		option(l, "cpu", "max");
	option(l, "m", "%lluM", (unsigned long long)((d->memory_bytes + MIB - 1) / MIB));
	if (d->cpu.sockets)
		option(l, "smp", "cpus=%u,sockets=%u,cores=%u,threads=%u", d->cpu.count, d->cpu.sockets, d->cpu.cores, d->cpu.threads);
	else
		option(l, "smp", "cpus=%u", d->cpu.count);
	if (d->uuid)
		option(l, "uuid", "%s", d->uuid);
	add_smbios(l, d);
	option(l, "rtc", "base=%s", d->system.local_time || (d->system.windows && !d->system.utc) ? "localtime" : "utc");
	words_add(&l->argv, &l->argc, xstrdup("-nodefaults"));
	words_add(&l->argv, &l->argc, xstrdup("-no-user-config"));
	if (h->sandbox && !needs_programs(h, d)) /* libvirt does the same */
		option(l, "sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
	option(l, "display", "none");
}

static void add_firmware(struct line *l, const struct guest_description *d, const struct line_host *h)
{
	AUTO_FREE char *code = NULL, *vars = NULL;

	if (d->firmware != FIRMWARE_UEFI)
		return;
	code = quoted(h->uefi->code);
	vars = quoted(h->vars);
	option(l, "drive", "if=pflash,unit=0,format=%s,readonly=on,file=%s", h->uefi->code_format ? h->uefi->code_format : "raw", code);
	option(l, "drive", "if=pflash,unit=1,format=%s,file=%s", h->vars_format ?: "raw", vars);
}

/* Places in use on each controller. */
struct layout {
	bool made[BUS_COUNT][CONTROLLERS_MAX];
	bool taken[BUS_COUNT][CONTROLLERS_MAX][256];
	unsigned boot; /* the last bootindex */
};

/* The place that the disk had, or the next free one. */
static int place(struct layout *y, const struct guest_description *d, const struct described_disk *k, unsigned *controller, unsigned *unit,
		 struct err *e)
{
	const struct line_bus *b = &line_buses[k->bus];
	unsigned controllers = k->bus == BUS_IDE ? 2 : CONTROLLERS_MAX;

	*controller = k->controller;
	*unit = k->unit;
	if (*controller < controllers && *unit < b->units && !y->taken[k->bus][*controller][*unit])
		goto found;
	for (*controller = k->controller < controllers ? k->controller : 0; *controller < controllers; (*controller)++)
		for (*unit = 0; *unit < b->units; (*unit)++)
			if (!y->taken[k->bus][*controller][*unit])
				goto found;
	for (*controller = 0; *controller < controllers; (*controller)++)
		for (*unit = 0; *unit < b->units; (*unit)++)
			if (!y->taken[k->bus][*controller][*unit])
				goto found;
	return err_set(e, EINVAL, "%s: it has more disks on %s than there is room for; choose another with --bus", d->name, b->name);
found:
	y->taken[k->bus][*controller][*unit] = true;
	return 0;
}

/* q35 and pc have the first of one kind themselves. */
static bool is_built_in(const struct guest_description *d, enum disk_bus bus, unsigned controller)
{
	return bus == BUS_IDE || (bus == BUS_SATA && d->machine == MACHINE_Q35 && !controller);
}

static char *bus_property(const struct guest_description *d, enum disk_bus bus, unsigned controller, unsigned unit)
{
	const struct line_bus *b = &line_buses[bus];

	if (bus == BUS_USB)
		return xstrdup(",bus=usb.0");
	if (!b->id)
		return xstrdup("");
	if (bus == BUS_IDE)
		return xasprintf(",bus=ide.%u,unit=%u", controller, unit);
	if (!b->unit && is_built_in(d, bus, controller))
		return xasprintf(",bus=ide.%u", unit);
	if (!b->unit)
		return xasprintf(",bus=%s%u.%u", b->id, controller, unit);
	return xasprintf(",bus=%s%u.0,%s=%u", b->id, controller, b->unit, unit);
}

static int add_disk(struct line *l, struct layout *y, const struct guest_description *d, const struct line_host *h, size_t i, unsigned boot,
		    struct err *e)
{
	const struct described_disk *k = &d->disks[i];
	const struct line_bus *b = &line_buses[k->bus];
	AUTO_FREE char *file = h->disks[i] ? quoted(h->disks[i]) : NULL, *bus = NULL;
	const char *format = h->formats ? h->formats[i] : h->format;
	AUTO_FREE char *boots = boot ? xasprintf(",bootindex=%u", boot) : xstrdup(""), *serial = NULL, *sectors = NULL;
	AUTO_FREE char *name =
		k->device_id && b->unit && !strcmp(b->disk, "scsi-hd") ? xasprintf(",device_id=%s", k->device_id) : xstrdup("");
	unsigned controller = 0, unit = 0;
	int r = b->id ? place(y, d, k, &controller, &unit, e) : 0;

	if (r)
		return r;
	if (b->controller && !is_built_in(d, k->bus, controller) && !y->made[k->bus][controller]) {
		option(l, "device", "%s,id=%s%u", b->controller, b->id, controller);
		y->made[k->bus][controller] = true;
	}
	bus = bus_property(d, k->bus, controller, unit);
	if (k->cdrom && file)
		option(l, "drive", "if=none,id=drive%zu,media=cdrom,readonly=on,format=%s,file=%s", i, format, file);
	else if (k->cdrom)
		option(l, "drive", "if=none,id=drive%zu,media=cdrom,readonly=on", i);
	else
		option(l, "drive", "if=none,id=drive%zu,format=%s,discard=unmap,file=%s", i, format, file);
	/* Linux refuses a second controller of the same serial number */
	serial = k->serial ? xasprintf(",serial=%s", k->serial) : k->bus == BUS_NVME ? xasprintf(",serial=vmferry%zu", i) : xstrdup("");
	sectors = xasprintf("%s%.0u%s%.0u", k->sector ? ",logical_block_size=" : "", k->sector, k->physical ? ",physical_block_size=" : "",
			    k->physical);
	option(l, "device", "%s,id=disk%zu,drive=drive%zu%s%s%s%s%s", k->cdrom ? b->cdrom : b->disk, i, i, bus, name, serial, sectors,
	       boots);
	return 0;
}

static bool any_order(const struct guest_description *d)
{
	for (size_t i = 0; i < d->disk_count; i++)
		if (d->disks[i].boot_order)
			return true;
	for (size_t i = 0; i < d->nic_count; i++)
		if (d->nics[i].boot_order)
			return true;
	return false;
}

static bool order_is_used(const struct guest_description *d, size_t disk, unsigned order)
{
	for (size_t i = 0; i < disk; i++)
		if (d->disks[i].boot_order == order)
			return true;
	return false;
}

/* bootindex as described; else disks are numbered in order, because firmware boots from none without a number as soon as one has a
 * number. */
static unsigned boot_index(const struct guest_description *d, size_t i, unsigned *last)
{
	const struct described_disk *k = &d->disks[i];

	if (any_order(d))
		return order_is_used(d, i, k->boot_order) ? 0 : k->boot_order;
	return k->cdrom ? 0 : ++*last;
}

static int add_disks(struct line *l, const struct guest_description *d, const struct line_host *h, struct err *e)
{
	AUTO_FREE struct layout *y = xcalloc(1, sizeof(*y));
	int r = 0;

	for (size_t i = 0; !r && i < d->disk_count; i++)
		if (!d->disks[i].cdrom)
			r = add_disk(l, y, d, h, i, boot_index(d, i, &y->boot), e);
	/* drives take what the disks have left */
	for (size_t i = 0; !r && i < d->disk_count; i++)
		if (d->disks[i].cdrom)
			r = add_disk(l, y, d, h, i, boot_index(d, i, &y->boot), e);
	return r;
}

/* ",hostfwd=tcp:127.0.0.1:2222-:22", for each; malloc'ed. */
static char *forwards_of(const struct described_nic *n)
{
	char *all = xstrdup(""), *longer;

	for (size_t i = 0; i < n->forward_count; i++) {
		const struct described_forward *f = &n->forwards[i];

		longer = xasprintf("%s,hostfwd=%s:%s:%u-%s:%u", all, f->udp ? "udp" : "tcp", f->from, f->port, f->to, f->guest_port);
		free(all);
		all = longer;
	}
	return all;
}

static void add_nic(struct line *l, const struct guest_description *d, const struct line_host *h, size_t i)
{
	const struct described_nic *n = &d->nics[i];
	const char *net = h->nets[i];
	const uint8_t *m = n->mac;
	AUTO_FREE char *boots =
		n->boot_order && !order_is_used(d, d->disk_count, n->boot_order) ? xasprintf(",bootindex=%u", n->boot_order) : xstrdup("");
	AUTO_FREE char *at = n->keeps_slot   ? xasprintf(",bus=slot%u", n->slot)
			     : !n->keeps_pci ? xstrdup("")
			     : n->pci.bus    ? xasprintf(",bus=pci.%u,addr=0x%x", n->pci.bus, n->pci.slot)
					     : xasprintf(",bus=%s,addr=0x%x", d->machine == MACHINE_Q35 ? "pcie.0" : "pci.0", n->pci.slot);
	AUTO_FREE char *forwards = forwards_of(n);

	if (n->keeps_slot)
		option(l, "device", "pcie-root-port,id=slot%u,bus=pcie.0,chassis=%zu,slot=%u", n->slot, i + 1, n->slot);
	if (!strncmp(net, "bridge=", 7))
		option(l, "netdev", "bridge,id=net%zu,br=%s", i, net + 7);
	else if (!strcmp(net, "none"))
		option(l, "netdev", "hubport,id=net%zu,hubid=%zu", i, i);
	else
		option(l, "netdev", "user,id=net%zu%s", i, forwards);
	option(l, "device", "%s,id=nic%zu,netdev=net%zu,mac=%02x:%02x:%02x:%02x:%02x:%02x%s%s", n->model, i, i, m[0], m[1], m[2], m[3],
	       m[4], m[5], at, boots);
}

static void add_nics(struct line *l, const struct guest_description *d, const struct line_host *h, bool at_their_address)
{
	for (size_t i = 0; i < d->nic_count; i++)
		if (d->nics[i].keeps_pci == at_their_address)
			add_nic(l, d, h, i);
}

/* Ports are made all or none, as the number of a bus depends on those before it. */
static void add_ports(struct line *l, const struct guest_description *d)
{
	bool used = false;

	for (size_t i = 0; i < d->nic_count; i++)
		used |= d->nics[i].keeps_pci && d->nics[i].pci.bus;
	for (size_t i = 0; used && i < d->port_count; i++) {
		const struct described_port *p = &d->ports[i];

		option(l, "device", "pcie-root-port,id=pci.%u,bus=pcie.0,addr=0x%x.0x%x%s,chassis=%u,port=0x%x", p->bus, p->pci.slot,
		       p->pci.function, p->multifunction ? ",multifunction=on" : "", p->chassis, p->port);
	}
}

/* Bridges as Proxmox VE adds them to q35 (pve-q35-4.0.cfg): firmware numbers buses as it finds them, so those that nothing is on come along. */
static void add_bridges(struct line *l, const struct guest_description *d)
{
	unsigned last = 0, i;

	for (i = 0; d->pci.bridges_of_proxmox && i < d->nic_count; i++)
		if (d->nics[i].keeps_pci)
			last = MAX(last, d->nics[i].pci.bus);
	if (last < 6)
		return;
	for (i = 1; i <= 4; i++)
		option(l, "device", "pcie-root-port,id=pci.%u,bus=pcie.0,addr=0x1c.0x%x%s,chassis=%u,port=0x%x", i, i - 1,
		       i == 1 ? ",multifunction=on" : "", i, i);
	option(l, "device", "i82801b11-bridge,id=pci.5,bus=pcie.0,addr=0x1e");
	for (i = 6; i <= last; i++)
		option(l, "device", "pci-bridge,id=pci.%u,bus=pci.5,addr=0x%x,chassis_nr=%u", i, i - 5, i);
}

static bool needs_usb2(const struct guest_description *d)
{
	for (size_t i = 0; i < d->disk_count; i++)
		if (!d->disks[i].cdrom && d->disks[i].bus == BUS_USB)
			return true;
	return d->has.xhci;
}

/* Channels as libvirt and Proxmox give them to their guests; each has its socket beside the others. */
static void add_channels(struct line *l, const struct guest_description *d, const struct line_host *h)
{
	for (size_t i = 0; i < d->has.serials; i++) {
		AUTO_FREE char *path = quoted(h->serials[i]);

		option(l, "chardev", "socket,id=serial%zu,path=%s,server=on,wait=off", i, path);
		option(l, "serial", "chardev:serial%zu", i);
	}
	if (d->has.agent) {
		AUTO_FREE char *path = quoted(h->agent);

		option(l, "chardev", "socket,id=agent0,path=%s,server=on,wait=off", path);
		option(l, "device", "virtio-serial-pci,id=ports0");
		option(l, "device", "virtserialport,id=agent0-port,bus=ports0.0,chardev=agent0,name=org.qemu.guest_agent.0");
	}
	if (d->genid)
		option(l, "device", "vmgenid,id=genid0,guid=%s", d->genid);
}

static void add_tpm(struct line *l, const struct guest_description *d, const struct line_host *h)
{
	AUTO_FREE char *path = d->has.tpm && h->tpm ? quoted(h->tpm) : NULL;

	if (!path)
		return;
	option(l, "chardev", "socket,id=chrtpm,path=%s", path);
	option(l, "tpmdev", "emulator,id=tpm0,chardev=chrtpm");
	option(l, "device", "%s,tpmdev=tpm0", d->has.tpm);
}

static void add_rest(struct line *l, const struct guest_description *d, const struct line_host *h)
{
	AUTO_FREE char *qmp = quoted(h->qmp), *vnc = quoted(h->vnc);

	if (strcmp(d->has.video, "none"))
		option(l, "device", "%s,id=video0", d->has.video);
	option(l, "device", "usb-tablet,id=tablet0,bus=usb.0"); /* the pointer is where the viewer's is */
	add_channels(l, d, h);
	add_tpm(l, d, h);
	if (d->has.balloon)
		option(l, "device", "virtio-balloon-pci,id=balloon0");
	if (d->has.rng) {
		option(l, "object", "rng-builtin,id=rng0-source");
		option(l, "device", "virtio-rng-pci,id=rng0,rng=rng0-source");
	}
	if (d->direct.kernel)
		option(l, "kernel", "%s", d->direct.kernel);
	if (d->direct.kernel && d->direct.initrd)
		option(l, "initrd", "%s", d->direct.initrd);
	if (d->direct.kernel && d->direct.append)
		option(l, "append", "%s", d->direct.append);
	option(l, "vnc", "unix:%s", vnc);
	option(l, "qmp", "unix:%s,server=on,wait=off", qmp);
	for (size_t i = 0; i < h->more_count; i++)
		words_add(&l->argv, &l->argc, xstrdup(h->more[i]));
}

int line_make(struct line *out, struct guest_description *d, const struct line_host *h, struct err *e)
{
	int r;

	*out = (struct line){.argc = 0};
	words_add(&out->argv, &out->argc, xstrdup("qemu-system-x86_64"));
	words_add(&out->argv, &out->argc, xstrdup("-S"));
	add_machine(out, d, h);
	add_firmware(out, d, h);
	/* devices with an address come before those that take the next free one */
	add_ports(out, d);
	add_bridges(out, d);
	add_nics(out, d, h, true);
	/* the controller comes before the disks, which may be on it */
	option(out, "device", "%s,id=usb", needs_usb2(d) ? "qemu-xhci" : "piix3-usb-uhci");
	r = add_disks(out, d, h, e);
	if (r)
		return r;
	add_nics(out, d, h, false);
	add_rest(out, d, h);
	return 0;
}

void line_fini(struct line *l)
{
	for (size_t i = 0; i < l->argc; i++)
		free(l->argv[i]);
	free(l->argv);
	*l = (struct line){.argc = 0};
}
