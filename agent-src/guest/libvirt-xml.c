/* libvirt-xml.c: the reader of libvirt-xml.h. */
#include "libvirt-xml.h"
#include "libvirt-notes.h"
#include "libvirt-walk.h"
#include "qemu-args.h"
#include "util.h"
#include "words.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- checks ---- */

/* 8-4-4-4-12 hexadecimal digits, as libvirt writes it. */
static bool is_uuid(const char *s)
{
	for (size_t i = 0; i < 36; i++)
		if (i == 8 || i == 13 || i == 18 || i == 23 ? s[i] != '-' : !isxdigit((unsigned char)s[i]))
			return false;
	return !s[36];
}

static int take_number(uint64_t *out, const char *text, uint64_t max, const char *what, struct err *e)
{
	const char *p = text ? text : "";
	unsigned long long n;
	char *end;

	while (isspace((unsigned char)*p))
		p++;
	errno = 0;
	n = strtoull(p, &end, 10);
	while (isspace((unsigned char)*end))
		end++;
	if (!isdigit((unsigned char)*p) || *end || errno || !n || n > max)
		return err_set(e, EINVAL, "%s is '%.40s', not a number from 1 to %llu", what, p, (unsigned long long)max);
	*out = n;
	return 0;
}

/* ---- the machine ---- */

static int read_memory(struct libvirt_definition *d, const xmlNode *domain, struct err *e)
{
	static const struct {
		const char *unit;
		uint64_t bytes;
	} units[] = {{"b", 1},		{"bytes", 1},	    {"KB", 1000},	{"k", KIB}, {"KiB", KIB}, {"MB", 1000000},
		     {"M", MIB},	{"MiB", MIB},	    {"GB", 1000000000}, {"G", GIB}, {"GiB", GIB}, {"TB", 1000000000000},
		     {"T", GIB * 1024}, {"TiB", GIB * 1024}};
	const xmlNode *node = libvirt_child(domain, "memory");
	AUTO_FREE char *text = libvirt_text(node), *unit = libvirt_attr(node, "unit");
	__auto_type known = ROW_OF_ANY_CASE(units, unit, unit ?: "KiB");
	uint64_t n;

	if (!known)
		return err_set(e, EINVAL, "its memory is in '%.40s', which is not a unit", unit);
	if (take_number(&n, text, (1ULL << 50) / known->bytes, "its memory", e))
		return -EINVAL;
	d->ram_bytes = n * known->bytes;
	return 0;
}

static char *element_text(const xmlNode *node)
{
	xmlBuffer *b = node ? xmlBufferCreate() : NULL;
	char *out = NULL;

	if (b && xmlNodeDump(b, node->doc, (xmlNode *)node, 0, 0) >= 0)
		out = xstrdup((const char *)xmlBufferContent(b));
	xmlBufferFree(b);
	return out;
}

static int read_machine(struct libvirt_definition *d, const xmlNode *domain, struct err *e)
{
	AUTO_FREE char *vcpus = libvirt_text(libvirt_child(domain, "vcpu"));
	uint64_t n = 1;

	d->name = libvirt_text(libvirt_child(domain, "name"));
	d->uuid = libvirt_text(libvirt_child(domain, "uuid"));
	d->virttype = libvirt_attr(domain, "type");
	d->emulator = libvirt_text(libvirt_at(domain, "devices/emulator"));
	d->arch = libvirt_attr_at(domain, "os/type", "arch");
	d->machine = libvirt_attr_at(domain, "os/type", "machine");
	d->cpu = element_text(libvirt_child(domain, "cpu"));
	if (libvirt_name_check(d->name, e))
		return -EINVAL;
	if (!d->uuid || !is_uuid(d->uuid))
		return err_set(e, EINVAL, "its UUID is '%.60s', which is none", d->uuid ? d->uuid : "");
	if (!d->virttype)
		return err_set(e, EINVAL, "it does not say what kind of guest it is (<domain type=…>)");
	if (libvirt_path_check(d->emulator, "its emulator", e) || read_memory(d, domain, e) ||
	    (vcpus && take_number(&n, vcpus, LIBVIRT_CPUS_MAX, "the number of its processors", e)))
		return -EINVAL;
	d->vcpus = (unsigned)n;
	return 0;
}

/* ---- firmware and kernel ---- */

static void read_nvram(struct libvirt_definition *d, const xmlNode *os)
{
	const xmlNode *nvram = libvirt_child(os, "nvram");
	enum libvirt_source kind = libvirt_source_of(nvram);

	d->firmware.nvram = libvirt_nvram_name(nvram);
	d->firmware.nvram_is_elsewhere = kind != LIBVIRT_NONE && kind != LIBVIRT_FILE;
	d->firmware.nvram_template = libvirt_attr(nvram, "template");
	d->firmware.nvram_format = libvirt_attr(nvram, "format");
}

static int read_firmware(struct libvirt_definition *d, const xmlNode *domain, struct err *e)
{
	const xmlNode *os = libvirt_child(domain, "os");
	AUTO_FREE char *firmware = libvirt_attr(os, "firmware"), *type = libvirt_attr_at(os, "loader", "type"),
		       *secure = libvirt_attr_at(os, "loader", "secure");

	d->firmware.loader = libvirt_text(libvirt_child(os, "loader"));
	d->firmware.loader_format = libvirt_attr_at(os, "loader", "format");
	d->firmware.loader_is_flash = type && !strcmp(type, "pflash");
	d->firmware.loader_is_secure = secure && !strcmp(secure, "yes");
	read_nvram(d, os);
	d->firmware.is_uefi = (firmware && !strcmp(firmware, "efi")) || (type && !strcmp(type, "pflash")) || libvirt_child(os, "nvram");
	d->boot.kernel = libvirt_text(libvirt_child(os, "kernel"));
	d->boot.initrd = libvirt_text(libvirt_child(os, "initrd"));
	d->boot.dtb = libvirt_text(libvirt_child(os, "dtb"));
	d->boot.acpi_table = libvirt_text(libvirt_at(os, "acpi/table"));
	if (libvirt_path_check(d->firmware.loader, "its loader", e) || libvirt_path_check(d->firmware.nvram, "its nvram", e) ||
	    libvirt_path_check(d->firmware.nvram_template, "its nvram's template", e) ||
	    libvirt_path_check(d->boot.kernel, "its kernel", e) || libvirt_path_check(d->boot.initrd, "its initrd", e) ||
	    libvirt_path_check(d->boot.dtb, "its device tree", e) || libvirt_path_check(d->boot.acpi_table, "its ACPI table", e))
		return -EINVAL;
	return 0;
}

static void read_tpm(struct libvirt_definition *d, const xmlNode *domain)
{
	const xmlNode *tpm = libvirt_at(domain, "devices/tpm"), *backend = libvirt_child(tpm, "backend");
	AUTO_FREE char *type = libvirt_attr(backend, "type");

	d->tpm.is_there = tpm;
	d->tpm.is_emulator = type && !strcmp(type, "emulator");
	d->tpm.is_encrypted = libvirt_child(backend, "encryption");
	d->tpm.version = libvirt_attr(backend, "version");
	d->tpm.path = libvirt_attr_at(backend, "source", "path");
}

/* ---- devices ---- */

static int check_disk(const struct libvirt_disk *k, struct err *e)
{
	AUTO_FREE char *what = xasprintf("the disk %.40s", k->target ? k->target : "?");

	if (!k->target)
		return err_set(e, EINVAL, "a disk has no <target dev=…>");
	if (k->source == LIBVIRT_VOLUME && (!k->pool || !k->volume))
		return err_set(e, EINVAL, "%s: its source has no pool or no volume", what);
	if (k->backing_count > LIBVIRT_BACKING_MAX)
		return err_set(e, EINVAL, "%s has more than %d backing files", what, LIBVIRT_BACKING_MAX);
	for (size_t i = 0; i < k->backing_count; i++)
		if (!strchr(k->backing[i], '/'))
			return err_set(e, EINVAL, "%s: its backing file '%.200s' is no absolute path", what, k->backing[i]);
	return libvirt_path_check(k->path, what, e);
}

static int read_disks(struct libvirt_definition *d, const xmlNode *devices, struct err *e)
{
	const xmlNode *n;

	for (n = libvirt_child(devices, "disk"); n; n = libvirt_next(n, "disk")) {
		if (d->disk_count == LIBVIRT_DISKS_MAX)
			return err_set(e, EINVAL, "it has more than %d disks", LIBVIRT_DISKS_MAX);
		d->disks = xrealloc(d->disks, (d->disk_count + 1) * sizeof(*d->disks));
		libvirt_disk_read(&d->disks[d->disk_count++], n);
		if (check_disk(&d->disks[d->disk_count - 1], e))
			return -EINVAL;
	}
	return 0;
}

static int read_nics(struct libvirt_definition *d, const xmlNode *devices, struct err *e)
{
	const xmlNode *n;

	for (n = libvirt_child(devices, "interface"); n; n = libvirt_next(n, "interface")) {
		if (d->nic_count == LIBVIRT_NICS_MAX)
			return err_set(e, EINVAL, "it has more than %d network cards", LIBVIRT_NICS_MAX);
		d->nics = xrealloc(d->nics, (d->nic_count + 1) * sizeof(*d->nics));
		libvirt_nic_read(&d->nics[d->nic_count++], n);
		if (!d->nics[d->nic_count - 1].kind)
			return err_set(e, EINVAL, "network card #%zu does not say of which type it is", d->nic_count);
	}
	return 0;
}

static int read_domain(struct libvirt_definition *d, const xmlNode *domain, struct err *e)
{
	const xmlNode *devices = libvirt_child(domain, "devices");

	if (!libvirt_is(domain, "domain"))
		return err_set(e, EINVAL, "it is not a domain of libvirt: its outermost element is not <domain>");
	read_tpm(d, domain);
	if (read_machine(d, domain, e) || read_firmware(d, domain, e) || read_disks(d, devices, e) || read_nics(d, devices, e))
		return -EINVAL;
	return libvirt_notes_read(d, domain, e);
}

int libvirt_definition_read(struct libvirt_definition *out, const char *xml, size_t n, struct err *e)
{
	struct libvirt_definition d = {.name = NULL};
	xmlDoc *doc;
	int r;

	*out = d;
	if (n > LIBVIRT_XML_MAX)
		return err_set(e, EINVAL, "it is longer than %u KiB, which no definition is", LIBVIRT_XML_MAX >> 10);
	r = xml_read(&doc, xml, n, e);
	if (r)
		return r;
	r = read_domain(&d, xmlDocGetRootElement(doc), e);
	xmlFreeDoc(doc);
	if (r)
		libvirt_definition_fini(&d);
	else
		*out = d;
	return r;
}

void libvirt_definition_fini(struct libvirt_definition *d)
{
	char *texts[] = {d->name,
			 d->uuid,
			 d->emulator,
			 d->arch,
			 d->machine,
			 d->virttype,
			 d->cpu,
			 d->firmware.loader,
			 d->firmware.nvram,
			 d->firmware.nvram_template,
			 d->firmware.nvram_format,
			 d->boot.kernel,
			 d->boot.initrd,
			 d->boot.dtb,
			 d->boot.acpi_table,
			 d->tpm.version,
			 d->tpm.path,
			 d->firmware.loader_format};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		free(texts[i]);
	for (size_t i = 0; i < d->disk_count; i++)
		libvirt_disk_fini(&d->disks[i]);
	for (size_t i = 0; i < d->nic_count; i++)
		libvirt_nic_fini(&d->nics[i]);
	free(d->disks);
	free(d->nics);
	args_free_strings(d->secrets.names, d->secrets.count);
	args_free_strings(d->secrets.types, d->secrets.count);
	args_free_strings(d->listens, d->listen_count);
	args_free_strings(d->files, d->file_count);
	args_free_strings(d->blocks_live, d->block_count);
	*d = (struct libvirt_definition){.name = NULL};
}

void libvirt_plain_fini(struct libvirt_plain *p)
{
	args_free_strings(p->argv, p->argc);
	args_free_strings(p->notes, p->note_count);
	*p = (struct libvirt_plain){.argv = NULL};
}

/* ---- its TPM ---- */

char *libvirt_tpm_state(const struct libvirt_definition *d)
{
	bool is_1_2 = d->tpm.version && !strcmp(d->tpm.version, "1.2");

	return xasprintf(LIBVIRT_SWTPM_DIR "/%s/%s", d->uuid, is_1_2 ? "tpm1.2" : "tpm2");
}

char *libvirt_tpm_socket(const struct libvirt_definition *d)
{
	AUTO_FREE char *state = libvirt_tpm_state(d);

	return xasprintf("%s/socket", state);
}
