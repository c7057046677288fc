/* read-proxmox-devices.c: disks, network cards, and the order of boot of a guest of Proxmox VE's. */
#include "read-proxmox.h"
#include "util.h"
#include "words.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- disks ---- */

static const struct {
	const char *prefix;
	unsigned count;
	enum disk_bus bus; /* BUS_UNSAID: as scsihw says */
} buses[] = {
	{"ide", 4, BUS_IDE},
	{"scsi", 31, BUS_UNSAID},
	{"virtio", 16, BUS_VIRTIO},
	{"sata", 6, BUS_SATA},
};

static const struct {
	const char *word;
	enum disk_bus bus;
	unsigned units; /* units of a controller */
} scsi_kinds[] = {
	{"lsi", BUS_LSILOGIC, 7},
	{"lsi53c810", BUS_LSILOGIC, 7},
	{"virtio-scsi-pci", BUS_VIRTIO_SCSI, 256},
	{"virtio-scsi-single", BUS_VIRTIO_SCSI, 1},
	{"megasas", BUS_MEGASAS, 256},
	{"pvscsi", BUS_PVSCSI, 256},
};

static void place_on_scsi(struct conf *c, struct described_disk *k, unsigned number)
{
	const char *kind = conf_get(c, "scsihw");
	__auto_type known = ROW_OF(scsi_kinds, word, kind ?: "lsi");

	if (!known) {
		description_note(c->d, "the SCSI controller '%.40s' is not known: its disks go to the usual one", kind);
		return;
	}
	k->bus = known->bus;
	k->controller = number / known->units;
	k->unit = number % known->units;
}

static void place(struct conf *c, struct described_disk *k, enum disk_bus bus, unsigned number)
{
	k->bus = bus;
	if (bus == BUS_UNSAID) {
		place_on_scsi(c, k, number);
		return;
	}
	k->controller = bus == BUS_IDE ? number / 2 : 0;
	k->unit = bus == BUS_IDE ? number % 2 : bus == BUS_SATA ? number : 0;
}

/* "32G", and bytes. 0: it says nothing. */
static uint64_t size_of(const char *text)
{
	static const char units[] = "KMGT";
	char *end;
	double n = text ? strtod(text, &end) : 0;
	const char *unit = text && *end ? strchr(units, toupper((unsigned char)*end)) : NULL;

	if (!text || (*end && (!unit || end[1])))
		return 0;
	if (unit)
		n *= (double)(1ULL << (10 * (unit - units + 1)));
	return n >= 512 && n <= (double)DISK_BYTES_MAX ? (uint64_t)n : 0; /* nor is what is no number */
}

/* The name by which a guest finds its disk: /dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_drive-scsi0. */
static void name_device(struct described_disk *k, const char *value)
{
	AUTO_FREE char *serial = conf_property(value, "serial");

	if (serial && described_is_serial(serial))
		k->serial = xstrdup(serial);
	if (k->bus != BUS_IDE && k->bus != BUS_SATA && k->bus != BUS_VIRTIO && !k->serial)
		k->device_id = xasprintf("drive-%s", k->label);
}

/* Caches and threads are this host's; what the guest sees of a disk is not. */
static void note_disk(struct conf *c, const struct described_disk *k, const char *value)
{
	static const char *const lost[] = {"wwn", "snapshot", "ro", "model", "product", "vendor", NULL};
	static const char *const idle[] = {"cache",    "aio",	   "iothread", "backup",  "replicate", "ssd",	  "detect_zeroes",
					   "shared",   "mbps",	   "mbps_rd",  "mbps_wr", "iops",      "iops_rd", "iops_wr",
					   "mbps_max", "iops_max", "queues",   "rerror",  "werror",    NULL};

	for (size_t i = 0; lost[i]; i++) {
		AUTO_FREE char *text = conf_property(value, lost[i]);

		if (text)
			description_note(c->d, "%s=%.40s of the disk %s is not mapped", lost[i], text, k->label);
	}
	for (size_t i = 0; idle[i]; i++) {
		AUTO_FREE char *text = conf_property(value, idle[i]), *name = xasprintf("%s of %s", idle[i], k->label);

		if (text)
			conf_idle(c, name);
	}
}

/* "local:100/vm-100-disk-0.qcow2", "local-lvm:vm-100-disk-0", "local:100/base-100-disk-0.qcow2/101/vm-101-disk-0.qcow2", "/dev/sdb" */
static void name_file(struct described_disk *k, char *volume /* stolen */, const char *value)
{
	AUTO_FREE char *format = conf_property(value, "format");
	const char *colon = strchr(volume, ':');

	k->absolute = *volume == '/';
	if (!k->absolute && colon) {
		k->volume = volume;
		k->file = xstrdup(described_base(colon + 1));
		if (!strchr(k->file, '.'))
			k->elsewhere = xasprintf("the volume %.100s", volume);
	} else {
		k->file = volume;
		k->elsewhere = xasprintf("%.100s of the host that it ran on", volume);
	}
	if ((format && !strcmp(format, "raw")) || !strncmp(k->file, "/dev/", 5) || described_ends_with(k->file, ".raw"))
		k->format = "raw";
}

static void take_drive(struct conf *c, struct described_disk *k, const char *volume)
{
	k->cdrom = true;
	if (strstr(volume, "cloudinit"))
		description_note(
			c->d,
			"the drive of cloud-init (%s) does not come along: a guest that takes its network and users from it begins "
			"without",
			k->label);
}

static int take_disk(struct conf *c, enum disk_bus bus, const char *prefix, unsigned number, const char *value, struct err *e)
{
	char *volume = conf_main_property(value, "file");
	AUTO_FREE char *media = conf_property(value, "media"), *size = conf_property(value, "size");
	struct described_disk *k;

	if (!volume)
		return err_set(e, EINVAL, "the disk %s%u has no volume", prefix, number);
	k = description_add_disk(c->d);
	if (!k) {
		free(volume);
		return 0;
	}
	k->label = xasprintf("%s%u", prefix, number);
	place(c, k, bus, number);
	if (media && !strcmp(media, "cdrom")) {
		take_drive(c, k, volume);
		free(volume);
		return 0;
	}
	k->capacity = size_of(size);
	name_file(k, volume, value);
	name_device(k, value);
	note_disk(c, k, value);
	return 0;
}

/* Images beside the disks: what the firmware remembers is taken where it is found, the TPM's state never. */
static void take_states(struct conf *c)
{
	const char *efi = conf_get(c, "efidisk0"), *tpm = conf_get(c, "tpmstate0");
	AUTO_FREE char *keys = efi ? conf_property(efi, "pre-enrolled-keys") : NULL;
	char *volume = efi ? conf_main_property(efi, "file") : NULL;

	if (tpm)
		description_note(c->d, "the TPM does not come along: have the recovery key of a disk that is unlocked by it (BitLocker)");
	if (volume && c->d->firmware == FIRMWARE_UEFI) {
		c->d->uefi.efi.label = xstrdup("efidisk0");
		name_file(&c->d->uefi.efi, volume, efi);
		volume = NULL;
	}
	free(volume);
	c->d->uefi.secure_boot = c->d->firmware == FIRMWARE_UEFI && conf_is_true(keys) && c->d->machine == MACHINE_Q35;
	if (conf_is_true(keys) && c->d->firmware == FIRMWARE_UEFI && !c->d->uefi.secure_boot)
		description_note(c->d, "secure boot, which needs q35, is off: its machine is a pc");
}

int conf_disks(struct conf *c, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(buses); i++)
		for (unsigned n = 0; n < buses[i].count; n++) {
			const char *value = conf_get(c, "%s%u", buses[i].prefix, n);

			if (value && take_disk(c, buses[i].bus, buses[i].prefix, n, value, e))
				return -EINVAL;
		}
	take_states(c);
	return 0;
}

/* ---- network cards ---- */

/* True if a device of the host, from the fifth on, gets a port before the bridges, which changes the numbers of their buses. */
static bool has_further_ports(struct conf *c)
{
	for (unsigned i = 4; i < 16; i++)
		if (conf_get(c, "hostpci%u", i))
			return true;
	return false;
}

/* Places the card where Proxmox VE has it: on a q35 machine on a bus behind two bridges, by which the guest calls the first one enp6s18. */
static void place_nic(struct conf *c, struct described_nic *nic, unsigned number)
{
	bool is_first = number < 6, is_q35 = c->d->machine == MACHINE_Q35;

	if (is_q35 && has_further_ports(c)) {
		description_note(
			c->d,
			"network card #%zu is behind ports of more than four devices of its host there, and by that has another name here",
			c->d->nic_count);
		return;
	}
	c->d->pci.bridges_of_proxmox = is_q35;
	nic->has_pci = true;
	nic->pci.bus = (is_first ? 0 : 1) + (is_q35 ? 6 : 0);
	nic->pci.slot = is_first ? 18 + number : number - 5;
	if (is_q35)
		nic->name_there = xasprintf("enp%us%u", nic->pci.bus, nic->pci.slot);
}

/* "virtio=BC:24:11:00:00:01", "model=virtio,macaddr=…", or "virtio", which has a new address at each start. */
static void take_model(struct conf *c, struct described_nic *nic, const char *value)
{
	AUTO_FREE char *model = conf_property(value, "model"), *mac = conf_property(value, "macaddr");
	size_t n = strcspn(value, ",="), end = strcspn(value, ",");

	if (!model) {
		model = xasprintf("%.*s", (int)n, value);
		if (n < end && !mac)
			mac = xasprintf("%.*s", (int)(end - n - 1), value + n + 1);
	}
	described_nic_model(c->d, nic, model);
	if (mac && !described_mac(nic, mac))
		description_note(c->d, "'%.40s' is not the address of a network card: it gets a new one", mac);
}

static void note_nic(struct conf *c, const char *value)
{
	static const char *const idle[] = {"firewall", "rate", "queues", "mtu", NULL};
	AUTO_FREE char *tag = conf_property(value, "tag"), *trunks = conf_property(value, "trunks");
	size_t i, number = c->d->nic_count;

	if (tag)
		description_note(c->d, "network card #%zu was in VLAN %.20s there: here it is in that of its bridge", number, tag);
	if (trunks)
		description_note(c->d, "network card #%zu had VLANs %.60s passed to it there: here it has what its bridge gives", number,
				 trunks);
	for (i = 0; idle[i]; i++) {
		AUTO_FREE char *text = conf_property(value, idle[i]), *name = xasprintf("%s of #%zu", idle[i], number);

		if (text && strcmp(text, "0") != 0)
			conf_idle(c, name);
	}
}

void conf_nics(struct conf *c)
{
	for (unsigned n = 0; n < GUEST_NICS_MAX; n++) {
		const char *value = conf_get(c, "net%u", n);
		AUTO_FREE char *down = value ? conf_property(value, "link_down") : NULL;
		struct described_nic *nic = value ? description_add_nic(c->d) : NULL;

		if (!nic)
			continue;
		c->net_numbers[c->d->nic_count - 1] = n;
		take_model(c, nic, value);
		nic->network = conf_property(value, "bridge");
		nic->kind = nic->network ? xstrdup("bridge") : NULL;
		nic->unplugged = conf_is_true(down);
		place_nic(c, nic, n);
		note_nic(c, value);
	}
}

/* ---- boot ---- */

/* "scsi0", "net0". What is not there has no order. */
static bool boots_from(struct conf *c, const char *key, size_t n, unsigned order)
{
	for (size_t i = 0; i < c->d->disk_count; i++)
		if (strlen(c->d->disks[i].label) == n && !strncmp(c->d->disks[i].label, key, n)) {
			c->d->disks[i].boot_order = order;
			return !c->d->disks[i].cdrom;
		}
	for (size_t i = 0; i < c->d->nic_count; i++) {
		AUTO_FREE char *own = xasprintf("net%u", c->net_numbers[i]);

		if (strlen(own) == n && !strncmp(own, key, n))
			c->d->nics[i].boot_order = order;
	}
	return false;
}

static struct described_disk *first_of(struct conf *c, bool cdrom)
{
	for (size_t i = 0; i < c->d->disk_count; i++)
		if (c->d->disks[i].cdrom == cdrom && !c->d->disks[i].boot_order)
			return &c->d->disks[i];
	return NULL;
}

/* Sets the boot order from letters: each of "cdn" is a kind: the disk that bootdisk names, a drive, the network. */
static void boots_from_kinds(struct conf *c, const char *letters)
{
	const char *named = conf_get(c, "bootdisk");
	unsigned order = 1;

	for (; *letters; letters++) {
		struct described_disk *k = *letters == 'c' || *letters == 'd' ? first_of(c, *letters == 'd') : NULL;

		if (*letters == 'c' && named && boots_from(c, named, strlen(named), order++))
			continue;
		if (k)
			k->boot_order = order++;
		if (*letters == 'n' && c->d->nic_count)
			c->d->nics[0].boot_order = order++;
	}
}

void conf_boot(struct conf *c)
{
	const char *text = conf_get(c, "boot"), *p;
	AUTO_FREE char *list = text ? conf_property(text, "order") : NULL, *letters = text ? conf_main_property(text, "legacy") : NULL;
	bool any_disk = false;
	unsigned order = 1;

	if (!list) {
		boots_from_kinds(c, letters ? letters : "cdn");
		return;
	}
	for (p = list; *p; p += strcspn(p, ";"), p += *p == ';')
		any_disk |= boots_from(c, p, strcspn(p, ";"), order++);
	/* a firmware starts from nothing that has no number as soon as something has one */
	if (!any_disk && first_of(c, false))
		first_of(c, false)->boot_order = order;
}
