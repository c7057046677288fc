/* line-decide.c: see qemu-line.h: which machine, firmware, bus and network card a description becomes. */
#include "qemu-line-private.h"
#include "util.h"

#include <stdlib.h>
#include <errno.h>
#include <string.h>

/* ---- firmware ---- */

/* The disk that the guest starts from, as far as one begins with something that a firmware starts; NULL. */
static const struct described_disk *boot_disk(const struct guest_description *d)
{
	const struct described_disk *best = NULL;

	for (size_t i = 0; i < d->disk_count; i++) {
		const struct described_disk *k = &d->disks[i];

		if (k->cdrom || (!k->content.bios_boots && !k->content.uefi_boots))
			continue;
		if (!best || (k->boot_order && (!best->boot_order || k->boot_order < best->boot_order)))
			best = k;
	}
	return best;
}

static const char *disk_name(const struct described_disk *k)
{
	return k->file ? described_base(k->file) : "?";
}

static void decide_firmware(struct guest_description *d, enum guest_firmware wish)
{
	const struct described_disk *k = boot_disk(d);
	bool uefi_alone = k && k->content.uefi_boots && !k->content.bios_boots;
	bool bios_alone = k && k->content.bios_boots && !k->content.uefi_could_boot;

	if (wish != FIRMWARE_UNSAID) {
		d->firmware = wish;
	} else if (d->firmware == FIRMWARE_UNSAID) {
		d->firmware = uefi_alone ? FIRMWARE_UEFI : FIRMWARE_BIOS;
		if (uefi_alone)
			description_note(
				d,
				"the disk %.100s has an EFI system partition, and nothing that a BIOS starts: the firmware is UEFI "
				"(--firmware bios says otherwise)",
				disk_name(k));
	} else if (!d->direct.kernel && d->firmware == FIRMWARE_BIOS && uefi_alone) {
		description_note(
			d,
			"the guest is described with a BIOS, but the disk %.100s has an EFI system partition, and nothing that a BIOS "
			"starts: if it does not boot, import it with --firmware uefi",
			disk_name(k));
	} else if (!d->direct.kernel && d->firmware == FIRMWARE_UEFI && bios_alone) {
		description_note(
			d,
			"the guest is described with UEFI, but the disk %.100s has no EFI system partition: if it does not boot, import it "
			"with --firmware bios",
			disk_name(k));
	}
	if (d->firmware == FIRMWARE_BIOS)
		d->uefi.secure_boot = false;
	else if (!d->uefi.nvram && !d->uefi.efi.file)
		description_note(
			d,
			"the UEFI begins with new variables: it finds the boot loader where removable media have theirs, or by its menu");
}

/* ---- disks ---- */

static bool any_disk_on(const struct guest_description *d, enum disk_bus bus)
{
	for (size_t i = 0; i < d->disk_count; i++)
		if (!d->disks[i].cdrom && d->disks[i].bus == bus)
			return true;
	return false;
}

static void wish_bus(struct described_disk *k, enum disk_bus bus)
{
	k->bus = bus;
	k->controller = k->unit = 0;
	memset(k->others, 0, sizeof(k->others));
}

/* VMware's and VirtualBox's LSI Logic is a 53c1030, and QEMU's a 53c895a, whose driver such a Windows does not start. */
static void decide_windows_bus(struct guest_description *d, struct described_disk *k)
{
	if (k->cdrom || d->system.of_qemu || !d->system.windows)
		return;
	if (d->system.old_windows && (k->bus == BUS_LSILOGIC || k->bus == BUS_UNSAID)) {
		wish_bus(k, BUS_IDE);
		description_note(
			d,
			"the disk %.100s is on IDE, for which this Windows has a driver: QEMU's lsilogic is another chip, and SATA is "
			"newer (--bus says otherwise)",
			disk_name(k));
	} else if (k->bus == BUS_LSILOGIC) {
		k->bus = BUS_SATA;
		description_note(d,
				 "the disk %.100s is on SATA, for which Windows has a driver: QEMU's lsilogic is another chip (--bus says "
				 "otherwise)",
				 disk_name(k));
	}
}

static bool all_there(const struct line_bus *b, line_has_fn has, const void *ctx)
{
	return (!b->controller || has(ctx, b->controller)) && has(ctx, b->disk);
}

static bool firmware_knows(const struct guest_description *d, enum disk_bus bus)
{
	return d->firmware != FIRMWARE_UEFI || !line_buses[bus].without_uefi_driver || d->told.goes_on;
}

/* The first of those that the description allows that QEMU and the firmware have. */
static void choose_bus(struct guest_description *d, struct described_disk *k, line_has_fn has, const void *ctx)
{
	enum disk_bus was = k->bus;

	for (size_t i = 0; i <= BUS_CHOICES_MAX; i++) {
		enum disk_bus bus = i ? k->others[i - 1] : was;

		if (bus != BUS_UNSAID && all_there(&line_buses[bus], has, ctx) && firmware_knows(d, bus)) {
			k->bus = bus;
			return;
		}
	}
	k->bus = BUS_SATA;
	if (k->cdrom || was == BUS_UNSAID)
		return;
	if (all_there(&line_buses[was], has, ctx))
		description_note(d,
				 "the disk %.100s is on SATA: UEFI firmware has no driver for %s, on which it was, and would not find it "
				 "(--bus says otherwise)",
				 disk_name(k), line_buses[was].name);
	else
		description_note(d, "this QEMU has no %s: a disk that was on it is on SATA",
				 line_buses[was].controller ? line_buses[was].controller : line_buses[was].disk);
}

static void decide_bus(struct guest_description *d, struct described_disk *k, bool is_wish, line_has_fn has, const void *ctx)
{
	if (k->cdrom && (k->bus == BUS_UNSAID || !line_buses[k->bus].cdrom))
		k->bus = d->machine == MACHINE_PC ? BUS_IDE : BUS_SATA;
	else if (!is_wish || k->cdrom || !all_there(&line_buses[k->bus], has, ctx))
		choose_bus(d, k, has, ctx);
	if (k->bus == BUS_IDE && d->machine == MACHINE_Q35) {
		k->unit += 2 * k->controller;
		k->controller = 0;
		k->bus = BUS_SATA; /* q35 has no other */
	}
}

/* Decides the size of a disk's sectors: with another size the guest would not find its partitions. */
static void decide_sectors(struct guest_description *d, struct described_disk *k)
{
	if (k->content.sector <= 512 || k->sector)
		return;
	k->sector = k->physical = k->content.sector;
	description_note(d, "the GPT of the disk %.100s counts in sectors of %u bytes: it has such ones", disk_name(k), k->sector);
}

static void decide_disks(struct guest_description *d, enum disk_bus wish, line_has_fn has, const void *ctx)
{
	for (size_t i = 0; i < d->disk_count; i++) {
		if (wish != BUS_UNSAID && !d->disks[i].cdrom)
			wish_bus(&d->disks[i], wish);
		else
			decide_windows_bus(d, &d->disks[i]);
		decide_sectors(d, &d->disks[i]);
	}
	/* a guest that boots from IDE may know no AHCI */
	if (d->machine == MACHINE_UNSAID || ((wish == BUS_IDE || d->system.old_windows) && d->machine == MACHINE_Q35))
		d->machine = any_disk_on(d, BUS_IDE) ? MACHINE_PC : MACHINE_Q35;
	if (d->uefi.secure_boot && d->machine == MACHINE_PC) {
		description_note(d, "secure boot needs q35: the machine is one");
		d->machine = MACHINE_Q35;
	}
	for (size_t i = 0; i < d->disk_count; i++)
		decide_bus(d, &d->disks[i], wish != BUS_UNSAID, has, ctx);
	if (any_disk_on(d, BUS_LSILOGIC) && !d->system.of_qemu)
		description_note(d,
				 "QEMU's lsi53c895a is an older chip of that family: if the guest does not find its disk, import it with "
				 "--bus sata");
}

/* ---- other devices ---- */

/* The first of several models that this QEMU has; NULL: none. */
static char *nic_model(const char *models, line_has_fn has, const void *ctx)
{
	const char *p = models, *word;
	size_t n;

	while ((word = described_word(&p, &n))) {
		char *model = xasprintf("%.*s", (int)n, word);

		if (has(ctx, model))
			return model;
		free(model);
	}
	return NULL;
}

static void decide_nics(struct guest_description *d, line_has_fn has, const void *ctx)
{
	for (size_t i = 0; i < d->nic_count; i++) {
		struct described_nic *n = &d->nics[i];
		char *model = n->model ? nic_model(n->model, has, ctx) : NULL;

		if (n->model && !model)
			description_note(d, "this QEMU has no network card %s: it becomes an e1000", n->model);
		free(n->model);
		n->model = model ? model : xstrdup("e1000");
	}
}

/* ---- addresses of network cards ---- */

static bool same_place(const struct described_pci *a, const struct described_pci *b)
{
	return a->bus == b->bus && a->slot == b->slot && a->function == b->function;
}

/* True if all ports can be made anew where they were: the number of a bus depends on how many are found before it. */
static bool ports_fit(const struct guest_description *d)
{
	size_t i, k;

	for (i = 0; i < d->port_count; i++) {
		const struct described_port *p = &d->ports[i];
		bool has_first = !p->pci.function;

		if (p->pci.slot == 0 || p->pci.slot >= 0x1f || !p->chassis)
			return false;
		for (k = 0; k < d->port_count; k++) {
			const struct described_port *q = &d->ports[k];

			if (k != i && (q->bus == p->bus || q->chassis == p->chassis || same_place(&q->pci, &p->pci)))
				return false;
			has_first |= q->pci.slot == p->pci.slot && !q->pci.function && q->multifunction;
		}
		if (!has_first)
			return false;
	}
	return true;
}

static bool is_port(const struct guest_description *d, unsigned bus)
{
	size_t i;

	for (i = 0; i < d->port_count && d->ports[i].bus != bus; i++)
		;
	return i < d->port_count;
}

static bool is_taken(const struct guest_description *d, size_t nic)
{
	for (size_t i = 0; i < nic; i++)
		if (d->nics[i].keeps_pci && same_place(&d->nics[i].pci, &d->nics[nic].pci))
			return true;
	for (size_t i = 0; i < d->port_count; i++)
		if (!d->nics[nic].pci.bus && d->ports[i].pci.slot == d->nics[nic].pci.slot)
			return true;
	return false;
}

static bool keeps_pci(const struct guest_description *d, size_t i)
{
	const struct described_pci *a = &d->nics[i].pci;

	if (!d->nics[i].has_pci || a->domain || a->function || is_taken(d, i))
		return false;
	if (!a->bus) /* behind what the machine has itself, and before ICH9 */
		return a->slot > 1 && a->slot < (d->machine == MACHINE_Q35 ? 0x1d : 0x20);
	if (d->pci.bridges_of_proxmox)
		return d->machine == MACHINE_Q35 && (a->bus == 6 || a->bus == 7) && a->slot && a->slot < 0x20;
	return d->system.of_qemu && d->machine == MACHINE_Q35 && !a->slot && is_port(d, a->bus) && ports_fit(d) &&
	       (!d->pci.odd_bus || a->bus < d->pci.odd_bus);
}

/* A port of PCI Express has the number of its slot in 13 bits. */
static bool keeps_slot(const struct guest_description *d, size_t i)
{
	unsigned slot = d->nics[i].slot;
	size_t k;

	for (k = 0; k < i && d->nics[k].slot != slot; k++)
		;
	return slot && slot < 1u << 13 && k == i && d->machine == MACHINE_Q35;
}

/* Makes ports for cards of a description without ports: as libvirt does, from the third slot on. */
static void make_ports(struct guest_description *d)
{
	unsigned last = 0, i;

	for (i = 0; i < d->nic_count; i++)
		if (d->nics[i].has_pci && !d->nics[i].pci.domain && !d->nics[i].pci.slot)
			last = MAX(last, d->nics[i].pci.bus);
	if (!d->system.of_qemu || d->machine != MACHINE_Q35 || d->port_count || d->pci.odd_bus || last > GUEST_PORTS_MAX)
		return;
	for (i = 0; i < last; i++)
		d->ports[d->port_count++] = (struct described_port){.bus = i + 1,
								    .chassis = i + 1,
								    .port = 0x10 + i,
								    .multifunction = i % 8 == 0,
								    .pci = {.slot = 2 + i / 8, .function = i % 8}};
}

static char *name_there(const struct described_nic *n)
{
	const struct described_pci *a = &n->pci;

	return n->name_there ? xasprintf(": %s there", n->name_there)
	       : n->slot     ? xasprintf(": ens%u there", n->slot)
	       : n->has_pci  ? xasprintf(": %02x:%02x.%u there", a->bus, a->slot, a->function)
			     : xstrdup("");
}

/* Linux names a card by its PCI address (enp1s0) or slot (ens160), and Windows keeps a card's settings by its place. */
static void decide_addresses(struct guest_description *d)
{
	char *cards = xstrdup("");
	size_t i, count = 0;

	make_ports(d);
	for (i = 0; i < d->nic_count; i++) {
		struct described_nic *n = &d->nics[i];
		AUTO_FREE char *there = name_there(n);
		char *longer;

		n->keeps_pci = keeps_pci(d, i);
		n->keeps_slot = !n->keeps_pci && keeps_slot(d, i);
		if (n->keeps_pci || n->keeps_slot ||
		    (!n->has_pci && (d->system.of_qemu || (!n->model && !n->has_mac && !n->network && !n->kind))))
			continue;
		longer = xasprintf("%s%s#%zu%s", cards, count++ ? ", " : "", i + 1, there);
		free(cards);
		cards = longer;
	}
	if (count)
		description_note(
			d,
			"the network cards are at other PCI addresses here (%s): a guest that configures them by name (ens160, enp1s0) does not find them",
			cards);
	free(cards);
}

static void note_unplugged(struct guest_description *d)
{
	for (size_t i = 0; i < d->nic_count; i++)
		if (d->nics[i].unplugged && !d->told.goes_on)
			description_note(
				d, "network card #%zu was not plugged in there (link down), and is here: --net '#%zu=none' leaves it so",
				i + 1, i + 1);
}

static void decide_video(struct guest_description *d, line_has_fn has, const void *ctx)
{
	if (d->has.video && strcmp(d->has.video, "none") && !has(ctx, d->has.video)) {
		description_note(d, "this QEMU has no display adapter %s: it becomes a standard VGA", d->has.video);
		free(d->has.video);
		d->has.video = NULL;
	}
	if (!d->has.video)
		d->has.video = xstrdup("VGA");
}

void line_decide(struct guest_description *d, const struct line_wishes *w, line_has_fn has, const void *ctx)
{
	if (w->memory_bytes || !d->memory_bytes)
		d->memory_bytes = w->memory_bytes ? w->memory_bytes : LINE_MEMORY;
	if (w->cpus) {
		d->cpu.sockets = d->cpu.cores = d->cpu.threads = 0;
		d->cpu.count = w->cpus;
	}
	if (!d->cpu.count)
		d->cpu.count = LINE_CPUS;
	decide_firmware(d, w->firmware);
	decide_disks(d, w->bus, has, ctx);
	decide_addresses(d);
	decide_nics(d, has, ctx);
	note_unplugged(d);
	decide_video(d, has, ctx);
	if (d->genid && !has(ctx, "vmgenid")) {
		free(d->genid);
		d->genid = NULL;
	}
}

/* ---- its processor, as this QEMU knows it ---- */

#define FLAGS_HEADING "Recognized CPUID flags"

/* "sse4_1", "sse4-1" and "sse4.1" are one. */
static bool is_same_word(const char *a, const char *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (a[i] != b[i] && !(strchr("_-.", a[i]) && strchr("_-.", b[i])))
			return false;
	return true;
}

static bool has_word(const char *p, const char *end, const char *word, size_t n)
{
	for (; p < end; p += strspn(p, " \n\r\t")) {
		size_t bytes = strcspn(p, " \n\r\t");

		if (bytes == n && is_same_word(p, word, n))
			return true;
		p += bytes;
	}
	return false;
}

/* "Haswell    (alias of …)" at the beginning of a line; before QEMU 9 behind "x86". */
static bool is_model(const char *help, const char *end, const char *model, size_t n)
{
	for (; help < end; help += strcspn(help, "\n") + 1) {
		const char *word = help + strspn(help, " ");

		if (!strncmp(word, "x86 ", 4))
			word += 4;
		if (word != help && strcspn(word, " \n") == n && !strncmp(word, model, n))
			return true;
	}
	return false;
}

/* Flags that are QEMU's own, of Hyper-V's and KVM's, are not in the list. */
static bool is_flag(const char *flags, const char *word, size_t n)
{
	const char *name = word + (*word == '+' || *word == '-');
	size_t bytes = strcspn(name, "=,");

	if (bytes > n || !strncmp(name, "hv", 2) || !strncmp(name, "kvm", 3))
		return bytes <= n;
	return has_word(flags, flags + strlen(flags), name, bytes);
}

void line_check_cpu(struct guest_description *d, const char *help)
{
	const char *flags = help ? strstr(help, FLAGS_HEADING) : NULL, *p = d->cpu_model;
	size_t n = p ? strcspn(p, ",") : 0;
	char *known;

	if (!p || !flags)
		return;
	if (!is_model(help, flags, p, n)) {
		description_note(d, "the processor %.*s is not known to this QEMU: it becomes this host's", (int)MIN(n, 60), p);
		free(d->cpu_model);
		d->cpu_model = NULL;
		return;
	}
	known = xasprintf("%.*s", (int)n, p);
	for (p += n; *p; p += n) {
		n = strcspn(++p, ",");
		if (is_flag(flags, p, n)) {
			char *longer = xasprintf("%s,%.*s", known, (int)n, p);

			free(known);
			known = longer;
		} else {
			description_note(d, "the flag %.*s of its processor is not known to this QEMU: it is left out", (int)MIN(n, 60), p);
		}
	}
	free(d->cpu_model);
	d->cpu_model = known;
}

/* ---- sectors ---- */

int line_check_sectors(const struct guest_description *d, struct err *e)
{
	for (size_t i = 0; i < d->disk_count; i++)
		if (d->disks[i].sector > 512 && (d->disks[i].bus == BUS_IDE || d->disks[i].bus == BUS_SATA))
			return err_set(e, EINVAL, "the disk %.40s has sectors of %u bytes, which QEMU has not on %s (--bus)",
				       described_base(d->disks[i].file ?: d->disks[i].label ?: "?"), d->disks[i].sector, disk_bus_name(d->disks[i].bus));
	return 0;
}
