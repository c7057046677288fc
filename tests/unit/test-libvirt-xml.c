/*
 * test-libvirt-xml.c: definitions of libvirt's guests, one test for each tests/data/libvirt/NAME.xml (a snapshot: NAME.snapshot.xml): what
 * is read of it, that it is the same when nothing is changed, and, element by element, how it differs when all is changed. NAME.xml.expect
 * says it.
 *
 * UPDATE=1 writes what is into those files: to be read before it is committed.
 */
#include "libvirt-xml.h"
#include "util.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "guarded.h"
#include "xml-differences.h"

#define DIRECTORY   "tests/data/libvirt"
#define CASES_MAX   64
#define CHANGES_MAX 32

static char *read_file(const char *name)
{
	AUTO_FREE char *path = xasprintf(DIRECTORY "/%s", name);
	FILE *f = fopen(path, "re");
	char *text = xcalloc(1, 1 << 16);

	if (f) {
		assert_true(fread(text, 1, (1 << 16) - 1, f) < (1 << 16) - 1);
		fclose(f);
	}
	return text;
}

/* ---- what is read ---- */

static void say(FILE *out, const char *what, const char *text)
{
	if (text)
		fprintf(out, "%s: %s\n", what, text);
}

static void say_list(FILE *out, const char *what, char *const *list, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		say(out, what, list[i]);
}

static void describe_disk(FILE *out, const struct libvirt_disk *k)
{
	static const char *const sources[] = {"file", "block", "volume", "network", "none", "other"};

	fprintf(out, "disk %s: %s %s %s", k->target, k->device, sources[k->source], k->format);
	fprintf(out, "%s%s%s%s%s%s", k->path ? " " : "", k->path ? k->path : "", k->volume ? " " : "", k->volume ? k->pool : "",
		k->volume ? "/" : "", k->volume ? k->volume : "");
	fprintf(out, "%s%s%s%s%s\n", k->read_only ? " read-only" : "", k->shareable ? " shareable" : "", k->transient ? " transient" : "",
		k->encrypted ? " encrypted" : "",
		!k->says_backing   ? ""
		: k->backing_count ? " on named files"
				   : " on none");
	say(out, "  elsewhere", k->elsewhere);
	say(out, "  remote", k->remote);
	say_list(out, "  backing", k->backing, k->backing_count);
}

static void describe(FILE *out, const struct libvirt_definition *d)
{
	size_t i;

	fprintf(out, "%s '%s' %s %s %s, %llu MiB, %u processors%s\n", d->virttype, d->name, d->uuid, d->arch, d->machine,
		(unsigned long long)(d->ram_bytes >> 20), d->vcpus, d->firmware.is_uefi ? ", UEFI" : "");
	say(out, "emulator", d->emulator);
	say(out, "cpu", d->cpu);
	say(out, "loader", d->firmware.loader);
	say(out, "nvram", d->firmware.nvram);
	say(out, "nvram's template", d->firmware.nvram_template);
	say(out, "nvram's format", d->firmware.nvram_format);
	if (d->firmware.nvram_is_elsewhere)
		fprintf(out, "nvram is elsewhere\n");
	say(out, "kernel", d->boot.kernel);
	say(out, "initrd", d->boot.initrd);
	say(out, "dtb", d->boot.dtb);
	say(out, "ACPI table", d->boot.acpi_table);
	for (i = 0; i < d->disk_count; i++)
		describe_disk(out, &d->disks[i]);
	for (i = 0; i < d->nic_count; i++)
		fprintf(out, "nic %s: %s %s%s%s\n", d->nics[i].mac, d->nics[i].kind, d->nics[i].source ? d->nics[i].source : "-",
			d->nics[i].target ? " as " : "", d->nics[i].target ? d->nics[i].target : "");
	if (d->tpm.is_there)
		fprintf(out, "TPM%s%s\n", d->tpm.is_emulator ? " emulator" : "", d->tpm.is_encrypted ? " encrypted" : "");
	say(out, "TPM's version", d->tpm.version);
	say(out, "TPM's path", d->tpm.path);
	for (i = 0; i < d->secrets.count; i++)
		fprintf(out, "secret %s: %s\n", d->secrets.types[i], d->secrets.names[i]);
	say_list(out, "listens", d->listens, d->listen_count);
	say_list(out, "names", d->files, d->file_count);
	say_list(out, "not live", d->blocks_live, d->block_count);
	if (d->has_qemu_words)
		fprintf(out, "words for QEMU\n");
}

/* ---- all changed ---- */

struct plan {
	struct libvirt_change paths[CHANGES_MAX], nets[CHANGES_MAX];
	char *made[4 * CHANGES_MAX];
	size_t made_count;
	struct libvirt_changes c;
};

static const char *keep(struct plan *p, char *text)
{
	assert_true(p->made_count < ARRAY_LEN(p->made));
	p->made[p->made_count++] = text;
	return text;
}

static void add_path(struct plan *p, const char *from)
{
	size_t i;

	for (i = 0; i < p->c.path_count; i++)
		if (!strcmp(p->paths[i].from, from))
			return;
	assert_true(p->c.path_count < CHANGES_MAX);
	p->paths[p->c.path_count++] = (struct libvirt_change){.from = keep(p, xstrdup(from)),
							      .to = keep(p, xasprintf("/there%s%s", *from == '/' ? "" : "/", from))};
}

static void plan_all(struct plan *p, const struct libvirt_definition *d)
{
	size_t i, k;

	p->c = (struct libvirt_changes){.paths = p->paths,
					.nets = p->nets,
					.name = "elsewhere",
					.emulator = "/there/qemu",
					.drop_tpm = d->tpm.is_there};
	for (i = 0; i < d->disk_count; i++) {
		const struct libvirt_disk *disk = &d->disks[i];

		if (disk->source == LIBVIRT_VOLUME)
			add_path(p, keep(p, xasprintf("%s/%s", disk->pool, disk->volume)));
		else if (disk->path && strcmp(disk->device, "lun"))
			add_path(p, disk->path);
		for (k = 0; k < disk->backing_count; k++)
			add_path(p, disk->backing[k]);
	}
	if (d->firmware.nvram)
		add_path(p, d->firmware.nvram);
	for (i = 0; i < d->nic_count; i++) {
		const struct libvirt_nic *n = &d->nics[i];

		if (!strcmp(n->kind, "network") || !strcmp(n->kind, "bridge") || !strcmp(n->kind, "user"))
			p->nets[p->c.net_count++] =
				(struct libvirt_change){.from = keep(p, xstrdup(n->mac)),
							.to = strcmp(n->kind, "network") ? "network:there" : "bridge:br-there"};
	}
	for (i = 0; i < d->listen_count; i++)
		if (!strncmp(d->listens[i], "192.168.1.", 10))
			p->c.listen = "10.0.0.7";
}

static void plan_fini(struct plan *p)
{
	while (p->made_count)
		free(p->made[--p->made_count]);
}

static void must_be_the_same(const char *text, int (*rewriter)(const char *, size_t, const struct libvirt_changes *, char **, struct err *))
{
	static const struct libvirt_changes none;
	AUTO_FREE char *again = NULL, *differs = NULL;
	struct err e;

	if (rewriter(text, strlen(text), &none, &again, &e))
		fail_msg("it is not written again: %s", e.msg);
	differs = differences(text, again);
	assert_string_equal(differs, "");
}

static void rewrite_all(FILE *out, const char *text, const struct libvirt_changes *c,
			int (*rewriter)(const char *, size_t, const struct libvirt_changes *, char **, struct err *))
{
	AUTO_FREE char *again = NULL, *differs = NULL;
	struct err e;

	if (rewriter(text, strlen(text), c, &again, &e)) {
		fprintf(out, "--- not changed: %s\n", e.msg);
		return;
	}
	differs = differences(text, again);
	fprintf(out, "--- all changed\n%s", differs);
}

static void of_domain(FILE *out, const char *text)
{
	struct libvirt_definition d;
	struct plan p = {.made_count = 0};
	struct err e;

	if (libvirt_definition_read(&d, text, strlen(text), &e)) {
		fprintf(out, "refused: %s\n", e.msg);
		return;
	}
	describe(out, &d);
	must_be_the_same(text, libvirt_xml_rewrite);
	plan_all(&p, &d);
	rewrite_all(out, text, &p.c, libvirt_xml_rewrite);
	plan_fini(&p);
	libvirt_definition_fini(&d);
}

static void of_snapshot(FILE *out, const char *text)
{
	static const struct libvirt_change paths[] = {{.from = "/srv/images/web.qcow2", .to = "/there/web.qcow2"},
						      {.from = "/srv/images/web.before-upgrade", .to = "/there/web.before-upgrade"},
						      {.from = "/srv/images/web.mem", .to = "/there/web.mem"},
						      {.from = "/srv/images/data.raw", .to = "/dev/vg1/data", .type = "block"},
						      {.from = "/added/later", .to = "/there/later"}};
	static const struct libvirt_change nets[] = {{.from = "default", .to = "bridge:br0"}};
	const struct libvirt_changes c = {.paths = paths, .path_count = ARRAY_LEN(paths), .nets = nets, .net_count = 1, .name = "web2"};

	must_be_the_same(text, libvirt_snapshot_rewrite);
	rewrite_all(out, text, &c, libvirt_snapshot_rewrite);
}

static void is_as_expected(void **state)
{
	const char *name = *state;
	AUTO_FREE char *text = read_file(name), *file = xasprintf("%s.expect", name), *expected = read_file(file), *is = NULL;
	size_t n;
	FILE *out = open_memstream(&is, &n);

	if (strstr(name, ".snapshot."))
		of_snapshot(out, text);
	else
		of_domain(out, text);
	fclose(out);
	if (getenv("UPDATE")) {
		AUTO_FREE char *path = xasprintf(DIRECTORY "/%s", file);

		out = fopen(path, "we");
		assert_non_null(out);
		fputs(is, out);
		fclose(out);
		return;
	}
	assert_string_equal(is, expected);
}

/* ---- one change, or one odd text ---- */

#define HEAD                                                                                                                               \
	"<domain type='kvm'><name>a</name><uuid>7b1b2f80-5f02-4b6c-8cf6-0d3ad0a4a001</uuid><memory>65536</memory>"                         \
	"<os><type arch='x86_64' machine='q35'>hvm</type>%s</os><devices>%s</devices></domain>"
#define DISK(type, source) "<disk type='" type "'><driver type='qcow2'/>" source "<target dev='vda'/></disk>"

static void refused_to_read(const char *text, size_t n, const char *why)
{
	struct guarded g = guarded_copy(text, n);
	struct libvirt_definition d;
	struct err e;

	if (libvirt_definition_read(&d, (const char *)g.p, g.n, &e) != -EINVAL)
		fail_msg("taken: %.300s", text);
	if (!strstr(e.msg, why))
		fail_msg("'%s' is not why: %s", why, e.msg);
	assert_null(d.name);
	guarded_free(&g);
}

static void refuses(const char *os, const char *devices, const char *why)
{
	AUTO_FREE char *text = xasprintf(HEAD, os, devices);

	refused_to_read(text, strlen(text), why);
}

static char *many(const char *text, size_t n)
{
	size_t i, len = strlen(text);
	char *all = xcalloc(n, len + 1);

	for (i = 0; i < n; i++)
		memcpy(all + i * len, text, len);
	return all;
}

static void odd_definitions_are_refused(void **state)
{
	static const char *const texts[][2] = {
		{"", "no well-formed XML"},
		{"<domain", "no well-formed XML"},
		{"<x/>", "not a domain"},
		{"<domain xmlns='urn:x' type='kvm'/>", "not a domain"},
		{"<domain type='kvm'/>", "guest's name"},
		{"<domain type='kvm'><name>a/b</name></domain>", "guest's name"},
		{"<domain type='kvm'><name>a&#10;b</name></domain>", "guest's name"},
		{"<domain type='kvm'><name>a</name></domain>", "UUID"},
		{"<domain type='kvm'><name>a</name><uuid>7b1b2f80-5f02-4b6c-8cf6-0d3ad0a4a00g</uuid></domain>", "UUID"},
		{"<domain type='kvm'><name>a</name><uuid>7b1b2f80-5f02-4b6c-8cf6-0d3ad0a4a0011</uuid></domain>", "UUID"},
		{"<domain><name>a</name><uuid>7b1b2f80-5f02-4b6c-8cf6-0d3ad0a4a001</uuid></domain>", "what kind of guest"},
		{"<domain type='kvm'><name>a</name><uuid>7b1b2f80-5f02-4b6c-8cf6-0d3ad0a4a001</uuid></domain>", "its memory is ''"},
		{"<domain type='kvm'><name>a</name><uuid>7b1b2f80-5f02-4b6c-8cf6-0d3ad0a4a001</uuid><memory unit='TiB'>18014398509481985</memory>"
		 "</domain>",
		 "its memory is"},
		{"<domain type='kvm'><name>a</name><uuid>7b1b2f80-5f02-4b6c-8cf6-0d3ad0a4a001</uuid><memory unit='x'>1</memory></domain>",
		 "not a unit"},
		{"<!DOCTYPE domain [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><domain type='kvm'><name>&x;</name></domain>",
		 "document type"},
		{"<domain type='kvm'><name>&x;</name></domain>", "no well-formed XML"},
	};
	AUTO_FREE char *disks = many(DISK("file", "<source file='/a'/>"), LIBVIRT_DISKS_MAX + 1), *nics = NULL, *logs = NULL,
		       *long_one = NULL;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(texts); i++)
		refused_to_read(texts[i][0], strlen(texts[i][0]), texts[i][1]);
	refuses("", disks, "more than 256 disks");
	nics = many("<interface type='user'/>", LIBVIRT_NICS_MAX + 1);
	refuses("", nics, "more than 64 network cards");
	logs = many("<a>", 300);
	refuses("", logs, "no well-formed XML");
	long_one = many("<a/> <!--                    -->", LIBVIRT_XML_MAX / 32 + 1);
	refuses("", long_one, "longer than 1024 KiB");
	free(logs);
	logs = xcalloc(LIBVIRT_WORDS_MAX + 1, 16);
	for (i = 0; i <= LIBVIRT_WORDS_MAX; i++)
		sprintf(logs + strlen(logs), "<a b='/%zu'/>", i);
	refuses("", logs, "more than 256 files");
	refuses("", DISK("file", "<source file='relative'/>"), "the disk vda: 'relative' is no absolute path");
	refuses("", DISK("file", "<source file='/a&#10;b'/>"), "no absolute path");
	refuses("", DISK("file", "<backingStore type='file'><source file='relative'/></backingStore>"), "backing file 'relative'");
	refuses("", DISK("volume", "<source pool='a'/>"), "no pool or no volume");
	refuses("", "<disk/>", "no <target");
	refuses("", "<interface/>", "does not say of which type");
	refuses("<nvram>relative</nvram>", "", "its nvram: 'relative'");
	refuses("<loader>relative</loader>", "", "its loader: 'relative'");
}

/* The largest permitted number is read, and one more is refused. */
static void as_much_as_may_be_is_read(void **state)
{
	AUTO_FREE char *disks = many(DISK("file", "<source file='/a'/>"), LIBVIRT_DISKS_MAX),
		       *nics = many("<interface type='user'/>", LIBVIRT_NICS_MAX);
	AUTO_FREE char *devices = xasprintf("%s%s", disks, nics), *text = xasprintf(HEAD, "", devices);
	struct libvirt_definition d;
	struct err e;
	size_t i;

	(void)state;
	assert_int_equal(libvirt_definition_read(&d, text, strlen(text), &e), 0);
	assert_int_equal(d.disk_count, LIBVIRT_DISKS_MAX);
	assert_int_equal(d.nic_count, LIBVIRT_NICS_MAX);
	assert_int_equal(d.vcpus, 1);
	assert_int_equal(d.ram_bytes, 64 << 20);
	libvirt_definition_fini(&d);
	/* every prefix of a text is well-formed or refused */
	for (i = 0; i < 600; i++)
		refused_to_read(text, i, "");
}

struct one {
	const char *os, *devices;
	struct libvirt_change path, net;
	const char *listen, *emulator, *name;
	int code;
	const char *so; /* the differences, or why it is refused */
};

static void one_change(const struct one *o)
{
	AUTO_FREE char *text = xasprintf(HEAD, o->os ? o->os : "", o->devices ? o->devices : ""), *again = NULL, *differs = NULL;
	struct libvirt_changes c = {.listen = o->listen, .emulator = o->emulator, .name = o->name};
	struct err e;
	int r;

	c.paths = &o->path;
	c.path_count = o->path.from != NULL;
	c.nets = &o->net;
	c.net_count = o->net.from != NULL;
	r = libvirt_xml_rewrite(text, strlen(text), &c, &again, &e);
	if (r != o->code)
		fail_msg("%s: %d, %s", text, r, r ? e.msg : again);
	differs = r ? xstrdup(e.msg) : differences(text, again);
	if (r ? !strstr(differs, o->so) : strcmp(differs, o->so))
		fail_msg("%s\nis not: %s\n%s", o->so, differs, text);
}

static void a_source_is_changed_with_its_type(void **state)
{
	static const struct one cases[] = {
		{.devices = DISK("block", "<source dev='/dev/a'/>"),
		 .path = {.from = "/dev/a", .to = "/b", .type = "file", .format = "raw"},
		 .so = "/domain/devices/disk: type='block' is 'file'\n/domain/devices/disk/driver: type='qcow2' is 'raw'\n"
		       "/domain/devices/disk/source: dev='/dev/a' is gone\n/domain/devices/disk/source: file='/b' is new\n"},
		{.devices = DISK("volume", "<source pool='p' volume='v/w' mode='host'/>"),
		 .path = {.from = "p/v/w", .to = "q/x"},
		 .so = "/domain/devices/disk/source: pool='p' is 'q'\n/domain/devices/disk/source: volume='v/w' is 'x'\n"},
		{.devices = DISK("volume", "<source pool='p' volume='v' mode='host'/>"),
		 .path = {.from = "p/v", .to = "/dev/b", .type = "block"},
		 .so = "/domain/devices/disk: type='volume' is 'block'\n/domain/devices/disk/source: pool='p' is gone\n"
		       "/domain/devices/disk/source: volume='v' is gone\n/domain/devices/disk/source: mode='host' is gone\n"
		       "/domain/devices/disk/source: dev='/dev/b' is new\n"},
		{.devices = DISK("file", "<source file='/a'/>"),
		 .path = {.from = "/a", .to = "p/v"},
		 .so = "/domain/devices/disk: type='file' is 'volume'\n/domain/devices/disk/source: file='/a' is gone\n"
		       "/domain/devices/disk/source: pool='p' is new\n/domain/devices/disk/source: volume='v' is new\n"},
		{.devices = DISK("file",
				 "<source file='/a'/><backingStore type='file'><format type='raw'/><source file='/b'/></backingStore>"),
		 .path = {.from = "/a", .to = "/c", .is_alone = true},
		 .so = "/domain/devices/disk/source: file='/a' is '/c'\n/domain/devices/disk/backingStore is gone\n"},
		{.devices = DISK("file",
				 "<source file='/a'/><backingStore type='file'><format type='raw'/><source file='/b'/></backingStore>"),
		 .path = {.from = "/b", .to = "/c", .format = "qcow2"},
		 .so = "/domain/devices/disk/backingStore/format: type='raw' is 'qcow2'\n"
		       "/domain/devices/disk/backingStore/source: file='/b' is '/c'\n"},
		{.devices = DISK("file",
				 "<source file='/a'><dataStore type='file'><format type='raw'/><source file='/b'/></dataStore></source>"),
		 .path = {.from = "/b", .to = "/c"},
		 .so = "/domain/devices/disk/source/dataStore/source: file='/b' is '/c'\n"},
		{.devices = "<disk><source file='/a&amp;&quot;&lt;'/><target dev='vda'/></disk>",
		 .path = {.from = "/a&\"<", .to = "/\xc3\xa4&'\"<>"},
		 .so = "/domain/devices/disk/source: file='/a&\"<' is '/\xc3\xa4&'\"<>'\n"},
		{.os = "<nvram template='/t'>/a<!-- here --></nvram>",
		 .path = {.from = "/a", .to = "/&b", .format = "qcow2"},
		 .so = "/domain/os/nvram: format='qcow2' is new\n/domain/os/nvram/text is gone\n/domain/os/nvram/text is new\n"},
		{.os = "<loader type='pflash'>/a</loader>",
		 .path = {.from = "/a", .to = "/b"},
		 .so = "/domain/os/loader/text: '/a' is '/b'\n"},
		{.os = "<kernel>/k</kernel><initrd>/a</initrd>",
		 .path = {.from = "/a", .to = "/b"},
		 .so = "/domain/os/initrd/text: '/a' is '/b'\n"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++)
		one_change(&cases[i]);
}

static void a_change_that_finds_no_place_is_named(void **state)
{
	static const struct one cases[] = {
		{.devices = DISK("file", "<source file='/a'/>"),
		 .path = {.from = "/b", .to = "/c"},
		 .so = "no disk, backing file, firmware or kernel of it is '/b'"},
		{.devices = DISK("file", "<source file='/a'/>"), .path = {.from = "/", .to = "/c"}, .so = "'/'"},
		{.devices = DISK("network", "<source protocol='rbd' name='/a'/>"), .path = {.from = "/a", .to = "/c"}, .so = "'/a'"},
		{.devices = "<serial type='file'><source path='/a'/></serial>", .path = {.from = "/a", .to = "/c"}, .so = "'/a'"},
		{.os = "<cmdline>/a</cmdline>", .path = {.from = "/a", .to = "/c"}, .so = "'/a'"},
		{.devices = "<interface type='user'/>", .net = {.from = "default", .to = "bridge:b"}, .so = "network 'default'"},
		{.devices = "<graphics type='vnc' listen='127.0.0.1'/>", .listen = "10.0.0.1", .so = "no graphics"},
		{.emulator = "/q", .so = "no <emulator>"},
	};
	static const struct libvirt_changes no_tpm = {.drop_tpm = true};
	AUTO_FREE char *text = xasprintf(HEAD, "", ""), *again = NULL;
	struct err e;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		struct one o = cases[i];

		o.code = -ENOENT;
		one_change(&o);
	}
	assert_int_equal(libvirt_xml_rewrite(text, strlen(text), &no_tpm, &again, &e), -ENOENT);
	assert_string_equal(e.msg, "it has no TPM");
}

static void a_change_that_is_more_than_a_source_is_refused(void **state)
{
	static const struct one cases[] = {
		{.devices = "<disk type='block' device='lun'><source dev='/a'/><target dev='sda'/></disk>",
		 .path = {.from = "/a", .to = "/b", .type = "file"},
		 .code = -ENOTSUP,
		 .so = "LUN"},
		{.devices = DISK("file", "<source file='/a'><slices><slice type='storage' offset='0' size='1'/></slices></source>"),
		 .path = {.from = "/a", .to = "/b"},
		 .code = -ENOTSUP,
		 .so = "<slices>"},
		{.devices = DISK("file", "<source file='/a'/><mirror type='file'/>"),
		 .path = {.from = "/a", .to = "/b"},
		 .code = -ENOTSUP,
		 .so = "block job"},
		{.devices = DISK("file", "<source file='/a'/><backingStore type='file'><source file='/b'/></backingStore>"),
		 .path = {.from = "/b", .to = "p/v"},
		 .code = -ENOTSUP,
		 .so = "only a disk can be on a volume"},
		{.devices = "<disk type='file'><source file='/a'/><target dev='vda'/></disk>",
		 .path = {.from = "/a", .to = "/b", .format = "qcow2"},
		 .code = -ENOTSUP,
		 .so = "does not say of which format"},
		{.os = "<nvram>/a</nvram>", .path = {.from = "/a", .to = "p/v"}, .code = -ENOTSUP, .so = "only a disk"},
		{.os = "<nvram>/a</nvram>",
		 .path = {.from = "/a", .to = "/dev/b", .type = "block"},
		 .code = -ENOTSUP,
		 .so = "block device"},
		{.devices = DISK("file", "<source file='/a'/>"), .path = {.from = "/a", .to = "b"}, .code = -EINVAL, .so = "neither"},
		{.devices = DISK("file", "<source file='/a'/>"), .path = {.from = "/a", .to = "b/"}, .code = -EINVAL, .so = "neither"},
		{.devices = DISK("file", "<source file='/a'/>"), .path = {.from = "/a", .to = ""}, .code = -EINVAL, .so = "neither"},
		{.devices = DISK("file", "<source file='/a'/>"),
		 .path = {.from = "/a", .to = "/b\n"},
		 .code = -EINVAL,
		 .so = "no absolute path"},
		{.devices = DISK("file", "<source file='/a'/>"),
		 .path = {.from = "/a", .to = "/b", .type = "dir"},
		 .code = -EINVAL,
		 .so = "no type"},
		{.devices = "<interface type='hostdev'><mac address='a'/></interface>",
		 .net = {.from = "a", .to = "bridge:b"},
		 .code = -ENOTSUP,
		 .so = "of type 'hostdev'"},
		{.devices = "<interface type='user'><mac address='a'/><ip address='10.0.2.3'/></interface>",
		 .net = {.from = "a", .to = "bridge:b"},
		 .code = -ENOTSUP,
		 .so = "has <ip>"},
		{.devices = "<interface type='user'><mac address='a'/><backend type='passt'/></interface>",
		 .net = {.from = "a", .to = "bridge:b"},
		 .code = -ENOTSUP,
		 .so = "has <backend>"},
		{.devices = "<interface type='direct'><mac address='a'/><source dev='e'/><virtualport type='802.1Qbh'/></interface>",
		 .net = {.from = "a", .to = "bridge:b"},
		 .code = -ENOTSUP,
		 .so = "<virtualport>"},
		{.net = {.from = "a", .to = "b"}, .code = -EINVAL, .so = "neither network:NAME"},
		{.net = {.from = "a", .to = "bridge:"}, .code = -EINVAL, .so = "neither network:NAME"},
		{.name = "a/b", .code = -EINVAL, .so = "cannot be a guest's name"},
		{.emulator = "qemu", .code = -EINVAL, .so = "no absolute path"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++)
		one_change(&cases[i]);
}

/* Each is looked up by what the source was. */
static void paths_may_change_places(void **state)
{
	static const char two[] = DISK("file", "<source file='/a'/>") DISK("file", "<source file='/b'/>");
	static const struct libvirt_change swap[] = {{.from = "/a", .to = "/b"}, {.from = "/b", .to = "/a"}},
					   both[] = {{.from = "/a", .to = "/b"}, {.from = "/a", .to = "/c"}};
	static const struct libvirt_changes swapped = {.paths = swap, .path_count = 2}, unclear = {.paths = both, .path_count = 2};
	AUTO_FREE char *text = xasprintf(HEAD, "", two), *again = NULL, *differs = NULL;
	struct err e;

	(void)state;
	assert_int_equal(libvirt_xml_rewrite(text, strlen(text), &swapped, &again, &e), 0);
	differs = differences(text, again);
	assert_string_equal(differs, "/domain/devices/disk/source: file='/a' is '/b'\n/domain/devices/disk/source: file='/b' is '/a'\n");
	free(again);
	again = NULL;
	assert_int_equal(libvirt_xml_rewrite(text, strlen(text), &unclear, &again, &e), -ENOTSUP);
	assert_string_equal(e.msg, "'/a' cannot become both '/b' and '/c'");
}

/* By its address a card is meant alone; others of its network go where that goes. */
static void a_card_goes_where_its_nearest_word_says(void **state)
{
	static const char nics[] = "<interface type='network'><mac address='52:54:00:00:00:0A'/><source network='lan'/></interface>"
				   "<interface type='network'><mac address='52:54:00:00:00:0b'/><source network='lan'/></interface>"
				   "<interface type='bridge'><source bridge='br9'/><target dev='tap7'/></interface>";
	static const struct libvirt_change to[] = {{.from = "lan", .to = "network:other"},
						   {.from = "52:54:00:00:00:0a", .to = "bridge:br0"},
						   {.from = "br9", .to = "bridge:br1"},
						   {.from = "tap7", .to = "bridge:br2"}};
	static const struct libvirt_changes c = {.nets = to, .net_count = ARRAY_LEN(to)};
	AUTO_FREE char *text = xasprintf(HEAD, "", nics), *again = NULL, *differs = NULL;
	struct err e;

	(void)state;
	assert_int_equal(libvirt_xml_rewrite(text, strlen(text), &c, &again, &e), 0);
	differs = differences(text, again);
	assert_string_equal(differs, "/domain/devices/interface: type='network' is 'bridge'\n"
				     "/domain/devices/interface/source: network='lan' is gone\n"
				     "/domain/devices/interface/source: bridge='br0' is new\n"
				     "/domain/devices/interface/source: network='lan' is 'other'\n"
				     "/domain/devices/interface/source: bridge='br9' is 'br2'\n");
}

/* A definition in another encoding is written in UTF-8, the encoding of a text without a declaration. */
static void another_encoding_becomes_utf8(void **state)
{
	static const char text[] = "<?xml version='1.0' encoding='ISO-8859-1'?><domain type='kvm'><title>B\xfcro</title></domain>";
	static const struct libvirt_changes none;
	AUTO_FREE char *again = NULL;
	struct err e;

	(void)state;
	assert_int_equal(libvirt_xml_rewrite(text, strlen(text), &none, &again, &e), 0);
	assert_string_equal(again, "<domain type=\"kvm\"><title>B\xc3\xbcro</title></domain>\n");
}

int main(void)
{
	static const struct CMUnitTest single[] = {
		cmocka_unit_test(odd_definitions_are_refused),
		cmocka_unit_test(as_much_as_may_be_is_read),
		cmocka_unit_test(a_source_is_changed_with_its_type),
		cmocka_unit_test(a_change_that_finds_no_place_is_named),
		cmocka_unit_test(a_change_that_is_more_than_a_source_is_refused),
		cmocka_unit_test(paths_may_change_places),
		cmocka_unit_test(a_card_goes_where_its_nearest_word_says),
		cmocka_unit_test(another_encoding_becomes_utf8),
	};
	static struct CMUnitTest tests[CASES_MAX];
	static char names[CASES_MAX][64];
	struct dirent **found = NULL;
	size_t count = 0;
	int i, n = scandir(DIRECTORY, &found, NULL, alphasort);

	for (i = 0; i < n; i++) {
		size_t len = strlen(found[i]->d_name);

		if (len > 4 && len < sizeof(names[0]) && !strcmp(found[i]->d_name + len - 4, ".xml") && count < CASES_MAX) {
			strcpy(names[count], found[i]->d_name);
			tests[count] =
				(struct CMUnitTest){.name = names[count], .test_func = is_as_expected, .initial_state = names[count]};
			count++;
		}
		free(found[i]);
	}
	free(found);
	if (!count)
		return 1;
	return cmocka_run_group_tests(single, NULL, NULL) + _cmocka_run_group_tests("libvirt-xml", tests, count, NULL, NULL);
}
