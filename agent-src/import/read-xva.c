/*
 * read-xva.c: the description within an XVA (ova.xml), of XenServer and XCP-ng: the objects of their database as XML-RPC has them, which refer to
 * each other by "Ref:NUMBER". The guest is the only VM that is neither template nor snapshot.
 */
#include "readers.h"
#include "util.h"
#include "xml.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define OBJECTS_MAX  4096
#define XEN_IDE_MAX  4u
#define NAME_OF_DISK "xvd%c"

struct object {
	char *kind, *id;
	const xmlNode *values; /* a <struct> */
};

struct xva_text {
	struct guest_description *d;
	struct object *objects;
	size_t n;
	const struct object *vm;
};

/* ---- XML-RPC ---- */

/* The <value> of a member; NULL: there is none. */
static const xmlNode *value_of(const xmlNode *values, const char *name)
{
	const xmlNode *m;

	for (m = xml_child(values, "member"); m; m = xml_next(m, "member")) {
		AUTO_FREE char *is = xml_text_at(m, "name");

		if (is && !strcmp(is, name))
			return xml_child(m, "value");
	}
	return NULL;
}

static char *text_of(const xmlNode *values, const char *name)
{
	return xml_text(value_of(values, name));
}

static bool flag_of(const xmlNode *values, const char *name)
{
	AUTO_FREE char *text = text_of(values, name);

	return text && (!strcmp(text, "1") || !strcasecmp(text, "true"));
}

static const xmlNode *struct_of(const xmlNode *values, const char *name)
{
	return xml_child(value_of(values, name), "struct");
}

static int collect(struct xva_text *x, const xmlNode *root, struct err *e)
{
	const xmlNode *data = xml_at(value_of(xml_child(root, "struct"), "objects"), "array/data"), *v;

	for (v = xml_child(data, "value"); v; v = xml_next(v, "value")) {
		const xmlNode *o = xml_child(v, "struct");

		if (x->n == OBJECTS_MAX)
			return err_set(e, EINVAL, "the description has more than %d objects", OBJECTS_MAX);
		x->objects[x->n++] = (struct object){text_of(o, "class"), text_of(o, "id"), struct_of(o, "snapshot")};
	}
	return x->n ? 0 : err_set(e, EINVAL, "not a XenServer description (ova.xml): it has no objects");
}

static const struct object *object(const struct xva_text *x, const char *kind, const char *id)
{
	for (size_t i = 0; id && i < x->n; i++)
		if (x->objects[i].kind && x->objects[i].id && !strcmp(x->objects[i].kind, kind) && !strcmp(x->objects[i].id, id))
			return &x->objects[i];
	return NULL;
}

/* True if the object is one of those that the guest has. */
static bool is_of_guest(const struct xva_text *x, const struct object *o, const char *kind)
{
	AUTO_FREE char *vm = text_of(o->values, "VM");

	return o->kind && !strcmp(o->kind, kind) && vm && x->vm->id && !strcmp(vm, x->vm->id);
}

/* ---- the machine ---- */

static int find_guest(struct xva_text *x, struct err *e)
{
	for (size_t i = 0; i < x->n; i++) {
		const struct object *o = &x->objects[i];

		if (!o->kind || strcmp(o->kind, "VM") != 0 || flag_of(o->values, "is_a_template") || flag_of(o->values, "is_a_snapshot") ||
		    flag_of(o->values, "is_control_domain"))
			continue;
		if (x->vm)
			return err_set(e, EINVAL, "the description has several guests: export one alone");
		x->vm = o;
	}
	return x->vm ? 0 : err_set(e, EINVAL, "the description has no guest, but templates or snapshots alone");
}

static int take_numbers(struct xva_text *x, struct err *e)
{
	const xmlNode *v = x->vm->values;
	AUTO_FREE char *memory = text_of(v, "memory_static_max"), *cpus = text_of(v, "VCPUs_max"), *used = text_of(v, "VCPUs_at_startup");
	AUTO_FREE char *cores = text_of(struct_of(v, "platform"), "cores-per-socket");
	struct err ignored;
	uint64_t n, per;

	if (memory && described_memory(&x->d->memory_bytes, memory, 1, e))
		return -EINVAL;
	if (described_number(&n, cpus ? cpus : "1", 1, GUEST_CPUS_MAX, "VCPUs_max", e))
		return -EINVAL;
	x->d->cpu.count = (unsigned)n;
	if (used && cpus && strcmp(used, cpus) != 0)
		description_note(x->d, "%.20s of its %u processors were in use there: here all are (--cpus)", used, (unsigned)n);
	if (cores && !described_number(&per, cores, 1, n, "cores", &ignored) && n % per == 0) {
		x->d->cpu.cores = (unsigned)per;
		x->d->cpu.sockets = (unsigned)(n / per);
		x->d->cpu.threads = 1;
	}
	return 0;
}

/* The system is what the guest says of itself, or else the template that it was made from. */
static int take_system(struct xva_text *x, struct err *e)
{
	const xmlNode *v = x->vm->values;
	AUTO_FREE char *template = text_of(struct_of(v, "other_config"), "base_template_name"), *metrics = text_of(v, "guest_metrics");
	const struct object *m = object(x, "VM_guest_metrics", metrics);
	AUTO_FREE char *name = m ? text_of(struct_of(m->values, "os_version"), "name") : NULL;

	if (described_system(x->d, template, e) || described_system(x->d, name, e))
		return -EINVAL;
	x->d->system.windows |= flag_of(struct_of(v, "platform"), "viridian");
	return 0;
}

static void take_firmware(struct xva_text *x)
{
	const xmlNode *v = x->vm->values, *boot = struct_of(v, "HVM_boot_params"), *platform = struct_of(v, "platform");
	AUTO_FREE char *firmware = text_of(boot, "firmware"), *policy = text_of(v, "HVM_boot_policy"), *domain = text_of(v, "domain_type");

	x->d->firmware = firmware && !strcasecmp(firmware, "uefi") ? FIRMWARE_UEFI : FIRMWARE_BIOS;
	x->d->machine = x->d->firmware == FIRMWARE_UEFI ? MACHINE_Q35 : MACHINE_PC;
	x->d->uefi.secure_boot = flag_of(platform, "secureboot");
	if ((domain && !strncmp(domain, "pv", 2)) || (!domain && !policy)) {
		x->d->firmware = FIRMWARE_UNSAID;
		description_note(
			x->d, "the guest was paravirtual: Xen read its kernel itself, and its disk may have no boot loader that a firmware "
			      "starts (grub-install), and no driver but Xen's");
	}
	if (flag_of(platform, "vtpm") || xml_at(value_of(v, "VTPMs"), "array/data/value"))
		description_note(x->d, "the TPM is not mapped: what is sealed in it (BitLocker's keys, say) is not there");
}

/* ---- disks and cards ---- */

static void place_disk(struct xva_text *x, struct described_disk *k, unsigned position)
{
	bool on_ide = x->d->machine == MACHINE_PC && position < XEN_IDE_MAX;

	k->bus = on_ide ? BUS_IDE : BUS_SATA;
	k->controller = on_ide ? position / 2 : 0;
	k->unit = on_ide ? position % 2 : 0;
}

static int add_disk(struct xva_text *x, const struct object *vbd, unsigned position, struct err *e)
{
	AUTO_FREE char *type = text_of(vbd->values, "type"), *ref = text_of(vbd->values, "VDI"), *size = NULL;
	const struct object *vdi = object(x, "VDI", ref);
	struct described_disk *k;
	uint64_t n;

	if (!(type && !strcasecmp(type, "CD")) && !vdi)
		return err_set(e, EINVAL, "the disk " NAME_OF_DISK " refers to an image that is not described", (int)('a' + position % 26));
	k = description_add_disk(x->d);
	if (!k)
		return 0;
	k->label = xasprintf(NAME_OF_DISK, (int)('a' + position % 26));
	k->cdrom = type && !strcasecmp(type, "CD");
	place_disk(x, k, position);
	if (k->cdrom)
		return 0;
	size = text_of(vdi->values, "virtual_size");
	if (described_number(&n, size, 512, 64ULL << 40, "a disk's virtual_size", e))
		return -EINVAL;
	k->capacity = n;
	k->file = xstrdup(ref);
	k->format = "raw";
	return 0;
}

/* Disks in the order of their positions; those of the first 26 letters have names. */
static int add_disks(struct xva_text *x, struct err *e)
{
	for (unsigned position = 0; position < GUEST_DISKS_MAX; position++)
		for (size_t i = 0; i < x->n; i++) {
			AUTO_FREE char *at = NULL;
			char *end;

			if (!is_of_guest(x, &x->objects[i], "VBD"))
				continue;
			at = text_of(x->objects[i].values, "userdevice");
			if (!at || strtoul(at, &end, 10) != position || *end || end == at)
				continue;
			if (add_disk(x, &x->objects[i], position, e))
				return -EINVAL;
		}
	return 0;
}

static void add_nics(struct xva_text *x)
{
	for (unsigned number = 0; number < GUEST_NICS_MAX; number++)
		for (size_t i = 0; i < x->n; i++) {
			const struct object *o = &x->objects[i], *network;
			AUTO_FREE char *at = NULL, *mac = NULL, *ref = NULL;
			struct described_nic *nic;

			if (!is_of_guest(x, o, "VIF"))
				continue;
			at = text_of(o->values, "device");
			if (!at || strtoul(at, NULL, 10) != number)
				continue;
			nic = description_add_nic(x->d);
			if (!nic)
				return;
			mac = text_of(o->values, "MAC");
			if (mac && !described_mac(nic, mac))
				description_note(x->d, "'%.40s' is not the address of a network card: it gets a new one", mac);
			ref = text_of(o->values, "network");
			network = object(x, "network", ref);
			nic->network = network ? text_of(network->values, "name_label") : NULL;
			nic->name_there = xasprintf("eth%u or enX%u", number, number);
		}
	if (x->d->nic_count)
		description_note(x->d, "QEMU has no network card of Xen's: it becomes an e1000");
}

/* ---- ---- */

static int read_guest(struct xva_text *x, struct err *e)
{
	const xmlNode *v;
	AUTO_FREE char *uuid = NULL, *suspended = NULL;

	if (find_guest(x, e))
		return -EINVAL;
	v = x->vm->values;
	uuid = text_of(v, "uuid");
	suspended = text_of(v, "power_state");
	x->d->origin = xstrdup("XVA");
	x->d->name = text_of(v, "name_label");
	x->d->uuid = described_uuid(uuid);
	if (take_numbers(x, e) || take_system(x, e))
		return -EINVAL;
	take_firmware(x);
	if (add_disks(x, e))
		return -EINVAL;
	add_nics(x);
	if (suspended && !strcasecmp(suspended, "suspended"))
		description_note(
			x->d, "the suspended state does not come along: it starts as after a power failure, unless it is shut down there "
			      "first");
	return 0;
}

int read_xva(struct guest_description *d, const char *text, size_t n, struct err *e)
{
	struct xva_text x = {.d = d, .objects = xcalloc(OBJECTS_MAX, sizeof(struct object))};
	xmlDoc *doc = NULL;
	int r = xml_read(&doc, text, n, e) ?: collect(&x, xmlDocGetRootElement(doc), e) ?: read_guest(&x, e);

	for (size_t i = 0; i < x.n; i++) {
		free(x.objects[i].kind);
		free(x.objects[i].id);
	}
	free(x.objects);
	if (doc)
		xmlFreeDoc(doc);
	return r;
}
