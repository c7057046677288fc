/*
 * test-import.c: descriptions of guests as their exporters write them, and what becomes of each: one test for each
 * tests/data/import/NAME.{ovf,vmx,libvirt.xml,hyperv.xml,hyperv.json,proxmox.conf,quickemu.conf,box.json,vbox,plist,ova.xml}. NAME….expect
 * says it: the description, what is noted, and the command line, or why it is refused.
 *
 * UPDATE=1 writes what is into those files: to be read before it is committed.
 */
#include "networks.h"
#include "qemu-line.h"
#include "readers.h"
#include "qemu-args.h"
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

#define DIRECTORY "tests/data/import"
#define CASES_MAX 128
#define PARTS	  50

static const struct {
	const char *ending;
	int (*read)(struct guest_description *d, const char *text, size_t n, struct err *e);
} readers[] = {
	{".ovf", read_ovf},
	{".vmx", read_vmx},
	{".libvirt.xml", read_libvirt},
	{".hyperv.xml", read_hyperv},
	{".proxmox.conf", read_proxmox},
	{".quickemu.conf", read_quickemu},
	{".box.json", read_box},
	{".vbox", read_virtualbox},
	{".plist", read_utm},
	{".hyperv.json", read_hyperv_json},
	{".ova.xml", read_xva},
};

static bool ends_with(const char *s, const char *ending)
{
	size_t n = strlen(s), m = strlen(ending);

	return n > m && !strcmp(s + n - m, ending);
}

static char *read_file(const char *path, size_t *n)
{
	FILE *f = fopen(path, "re");
	char *text = xcalloc(1, 1 << 20);

	*n = f ? fread(text, 1, (1 << 20) - 1, f) : 0;
	if (f)
		fclose(f);
	return text;
}

static const char *nets[GUEST_NICS_MAX];

static int all_on_nat(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < GUEST_NICS_MAX; i++)
		nets[i] = "user";
	return 0;
}

/* A QEMU of a distribution that leaves some out. */
static bool has(const void *ctx, const char *device)
{
	(void)ctx;
	return strcmp(device, "virtio-vga") != 0;
}

static void print_description(FILE *f, const struct guest_description *d)
{
	size_t i;

	fprintf(f, "%s: %s\n", d->origin, d->name ? d->name : "-");
	for (i = 0; i < d->disk_count; i++) {
		const struct described_disk *k = &d->disks[i];

		fprintf(f, "disk %zu: %s, %llu bytes\n", i,
			k->cdrom      ? "a drive"
			: k->file     ? k->file
			: k->capacity ? "blank"
				      : k->elsewhere,
			(unsigned long long)k->capacity);
	}
	for (i = 0; i < d->nic_count; i++) {
		AUTO_FREE char *there = network_there(&d->nics[i]);

		fprintf(f, "nic %zu: on %s\n", i, there ? there : "-");
	}
	if (d->machine_type)
		fprintf(f, "machine: %s\n", d->machine_type);
	if (d->uefi.nvram)
		fprintf(f, "nvram: %s\n", d->uefi.nvram);
}

static void print_line(FILE *f, const struct line *l)
{
	size_t i;

	for (i = 0; i < l->argc; i++)
		fprintf(f, "%s%s", !i ? "" : l->argv[i][0] == '-' ? " \\\n    " : " ", l->argv[i]);
	fputc('\n', f);
}

static char *become(const char *name, size_t reader)
{
	static const struct firmware uefi = {(char *)"/fw/CODE.fd", (char *)"raw", (char *)"/fw/VARS.fd", true};
	static const struct line_wishes wishes = {.memory_bytes = 0};
	AUTO_FREE char *path = xasprintf(DIRECTORY "/%s", name), *source = NULL;
	char *disks[GUEST_DISKS_MAX] = {NULL};
	char *const serials[GUEST_SERIALS_MAX] = {(char *)"/vm/it.serial", (char *)"/vm/it.serial2"};
	struct guest_description d = {.name = NULL};
	struct line line = {.argc = 0};
	struct line_host h = {.uefi = &uefi,
			      .vars = "/vm/it,-vars.fd",
			      .format = "qcow2",
			      .disks = disks,
			      .nets = nets,
			      .qmp = "/vm/it.qmp",
			      .vnc = "/vm/it.vnc",
			      .agent = "/vm/it.agent",
			      .serials = serials};
	struct err e;
	char *text;
	size_t n, size, i;
	FILE *f = open_memstream(&text, &size);
	int r;

	source = read_file(path, &n);
	r = readers[reader].read(&d, source, n, &e);
	if (!r) {
		print_description(f, &d);
		if (!d.name)
			d.name = xstrdup("nameless");
		line_decide(&d, &wishes, has, NULL);
		for (i = 0; i < d.disk_count; i++)
			disks[i] = d.disks[i].cdrom ? NULL : xasprintf("/vm/it,%zu.qcow2", i);
		h.machine = d.machine == MACHINE_PC ? "pc-i440fx-10.0" : "pc-q35-10.0";
		h.kvm = d.system.windows;
		r = line_make(&line, &d, &h, &e);
		for (i = 0; i < d.note_count; i++)
			fprintf(f, "note: %s\n", d.notes[i]);
		if (!r) {
			assert_string_equal(line.argv[0], "qemu-system-x86_64");
			assert_string_equal(line.argv[1], "-S");
			print_line(f, &line);
		}
	}
	if (r)
		fprintf(f, "refused: %s\n", e.msg);
	fclose(f);
	line_fini(&line);
	description_fini(&d);
	for (i = 0; i < GUEST_DISKS_MAX; i++)
		free(disks[i]);
	return text;
}

/* Reads each prefix of the file, too: no reader may read beyond its end. */
static void read_parts(const char *name, size_t reader)
{
	AUTO_FREE char *path = xasprintf(DIRECTORY "/%s", name);
	size_t n, size, i;
	AUTO_FREE char *source = read_file(path, &size);

	for (i = 0; i <= PARTS; i++) {
		struct guest_description d = {.name = NULL};
		struct guarded g;
		struct err e;

		n = size * i / PARTS;
		g = guarded_copy(source, n);
		readers[reader].read(&d, (const char *)g.p, n, &e);
		description_fini(&d);
		guarded_free(&g);
	}
}

static void a_description_becomes_what_is_expected(void **state)
{
	const char *name = *state;
	AUTO_FREE char *path = xasprintf(DIRECTORY "/%s.expect", name), *expected = NULL, *is = NULL;
	size_t i, n;
	FILE *f;

	for (i = 0; !ends_with(name, readers[i].ending); i++)
		;
	is = become(name, i);
	if (getenv("UPDATE")) {
		f = fopen(path, "we");
		assert_non_null(f);
		fputs(is, f);
		fclose(f);
		return;
	}
	expected = read_file(path, &n);
	assert_string_equal(is, expected);
	read_parts(name, i);
}

/* ---- values, and what no exporter writes ---- */

static void numbers_are_within_their_bounds(void **state)
{
	static const char *const wrong[] = {"", " ", "-1", "1x", "0x10", "18446744073709551616", "5", "0", "1 2", NULL};
	struct err e;
	uint64_t n;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(wrong); i++)
		assert_int_not_equal(described_number(&n, wrong[i], 1, 4, "it", &e), 0);
	assert_int_equal(described_number(&n, " 4 ", 1, 4, "it", &e), 0);
	assert_int_equal(n, 4);
	assert_int_not_equal(described_memory(&n, "18014398509481984", 1024, &e), 0); /* 2^64 bytes */
	assert_int_not_equal(described_memory(&n, "1023", 1024, &e), 0);
	assert_int_equal(described_unit("byte * 2^20"), 1 << 20);
	assert_int_equal(described_unit("byte*2^20"), 1 << 20);
	assert_int_equal(described_unit("byte * 2^64"), 0);
	assert_int_equal(described_unit("byte * 10^3"), 0);
	assert_int_equal(described_unit("byte * 2^20x"), 0);
}

static void addresses_are_those_of_one_card(void **state)
{
	struct described_nic n = {.has_mac = false};
	char *uuid;

	(void)state;
	assert_false(described_mac(&n, "01:00:5e:00:00:01")); /* a multicast address */
	assert_false(described_mac(&n, "00:00:00:00:00:00"));
	assert_false(described_mac(&n, "00:11:22:33:44"));
	assert_false(described_mac(&n, "00:11:22:33:44:55:66"));
	assert_false(described_mac(&n, "52:54:00:12:34:5g"));
	assert_false(described_mac(&n, "52:54:00:12:34:56,netdev=x"));
	assert_false(n.has_mac);
	assert_true(described_mac(&n, "52-54-00-12-34-5A"));
	assert_int_equal(n.mac[5], 0x5a);
	uuid = described_uuid("{56 4d 8c 1a 10 5f 0a 2b-97 f0 24 7d 90 0e 0d 66}");
	assert_string_equal(uuid, "564d8c1a-105f-0a2b-97f0-247d900e0d66");
	free(uuid);
	assert_null(described_uuid("564d8c1a-105f-0a2b-97f0-247d900e0d6"));
}

/* Texts of a description never become options of QEMU, whatever is in them. */
static void texts_cannot_leave_their_option(void **state)
{
	static const char vmx[] = "config.version = \"8\"\ndisplayName = \"a,process=b -S|0Ac\"\nethernet0.present = \"TRUE\"\n"
				  "ethernet0.virtualDev = \"e1000,romfile=/etc/passwd\"\nmemsize = \"64\"\n";
	static const char xml[] = "<domain><name>x</name><memory>262144</memory><os><type>hvm</type></os>"
				  "<cpu mode='custom'><model>host,x=y</model></cpu><devices><video><model type='VGA,romfile=/x'/></video>"
				  "<interface><model type='-S'/></interface></devices></domain>";
	const char *texts[] = {vmx, xml};
	struct err e;
	size_t t, i;

	(void)state;
	for (t = 0; t < 2; t++) {
		struct guest_description d = {.name = NULL};
		const struct line_wishes w = {.memory_bytes = 0};
		struct line_host h = {.machine = "pc", .format = "raw", .nets = nets, .qmp = "/q", .vnc = "/v"};
		struct line l;

		assert_int_equal(readers[t ? 2 : 1].read(&d, texts[t], strlen(texts[t]), &e), 0);
		line_decide(&d, &w, has, NULL);
		assert_int_equal(line_make(&l, &d, &h, &e), 0);
		for (i = 2; i < l.argc; i++) {
			assert_null(strstr(l.argv[i], "romfile"));
			assert_null(strstr(l.argv[i], "x=y"));
			assert_null(strstr(l.argv[i], "a,process"));
			assert_string_not_equal(l.argv[i], "-S");
		}
		assert_true(d.note_count > 0 || !t); /* the model is a list, of which the first word is known */
		line_fini(&l);
		description_fini(&d);
	}
}

static char *many_disks(const char *bus, unsigned count)
{
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	unsigned i;

	fprintf(f, "<domain><name>x</name><memory>262144</memory><os><type machine='pc'>hvm</type></os><devices>");
	for (i = 0; i < count; i++)
		fprintf(f, "<disk type='file'><source file='/%u'/><target dev='%u' bus='%s'/></disk>", i, i, bus);
	fprintf(f, "</devices></domain>");
	fclose(f);
	return text;
}

static int place_disks(const char *bus, unsigned count, struct line *l, size_t *disks, struct err *e)
{
	AUTO_FREE char *text = many_disks(bus, count);
	static char *files[GUEST_DISKS_MAX];
	struct guest_description d = {.name = NULL};
	const struct line_wishes w = {.memory_bytes = 0};
	struct line_host h = {.machine = "pc", .format = "raw", .nets = nets, .qmp = "/q", .vnc = "/v", .disks = files};
	size_t i;
	int r;

	for (i = 0; i < GUEST_DISKS_MAX; i++)
		files[i] = (char *)"/f";
	assert_int_equal(read_libvirt(&d, text, strlen(text), e), 0);
	*disks = d.disk_count;
	line_decide(&d, &w, has, NULL);
	r = line_make(l, &d, &h, e);
	description_fini(&d);
	return r;
}

static void disks_that_do_not_fit_are_refused(void **state)
{
	size_t disks, i, k, at[64], n;
	struct line l;
	struct err e;

	(void)state;
	assert_int_equal(place_disks("ide", 4, &l, &disks, &e), 0);
	line_fini(&l);
	assert_int_not_equal(place_disks("ide", 5, &l, &disks, &e), 0);
	line_fini(&l);
	assert_int_equal(place_disks("scsi", 20, &l, &disks, &e), 0);
	/* no two in one place */
	for (n = i = 0; i < l.argc; i++)
		if (strstr(l.argv[i], "scsi-hd,"))
			at[n++] = i;
	assert_int_equal(n, 20);
	for (i = 0; i < n; i++)
		for (k = 0; k < i; k++)
			assert_string_not_equal(strstr(l.argv[at[i]], "bus="), strstr(l.argv[at[k]], "bus="));
	line_fini(&l);
	assert_int_equal(place_disks("virtio", 1000, &l, &disks, &e), 0);
	assert_int_equal(disks, GUEST_DISKS_MAX);
	line_fini(&l);
}

/* ---- firmware and bus, by what the disks begin with ---- */

static struct guest_description described(enum disk_bus bus, struct disk_content content)
{
	struct guest_description d = {.name = xstrdup("x"), .disk_count = 1};

	d.disks[0] = (struct described_disk){.bus = bus, .file = xstrdup("there/a.raw"), .content = content};
	return d;
}

static bool is_noted(const struct guest_description *d, const char *part)
{
	size_t i;

	for (i = 0; i < d->note_count; i++)
		if (strstr(d->notes[i], part))
			return true;
	return false;
}

static const struct disk_content by_uefi = {.is_disk = true, .uefi_boots = true, .uefi_could_boot = true};
static const struct disk_content by_bios = {.is_disk = true, .bios_boots = true};
static const struct disk_content by_both = {.is_disk = true, .uefi_boots = true, .uefi_could_boot = true, .bios_boots = true};
static const struct disk_content by_none = {.is_disk = true};

static void firmware_is_what_the_disk_boots_by(void **state)
{
	static const struct {
		const struct disk_content *content;
		enum guest_firmware said, wish, is;
		const char *note;
	} cases[] = {
		{&by_uefi, FIRMWARE_UNSAID, FIRMWARE_UNSAID, FIRMWARE_UEFI, "the firmware is UEFI (--firmware bios says otherwise)"},
		{&by_uefi, FIRMWARE_UNSAID, FIRMWARE_BIOS, FIRMWARE_BIOS, NULL},
		{&by_uefi, FIRMWARE_BIOS, FIRMWARE_UNSAID, FIRMWARE_BIOS, "import it with --firmware uefi"},
		{&by_uefi, FIRMWARE_BIOS, FIRMWARE_BIOS, FIRMWARE_BIOS, NULL},
		{&by_both, FIRMWARE_UNSAID, FIRMWARE_UNSAID, FIRMWARE_BIOS, NULL},
		{&by_both, FIRMWARE_BIOS, FIRMWARE_UNSAID, FIRMWARE_BIOS, NULL},
		{&by_bios, FIRMWARE_UEFI, FIRMWARE_UNSAID, FIRMWARE_UEFI, "import it with --firmware bios"},
		{&by_both, FIRMWARE_UEFI, FIRMWARE_UNSAID, FIRMWARE_UEFI, NULL},
		{&by_none, FIRMWARE_UNSAID, FIRMWARE_UNSAID, FIRMWARE_BIOS, NULL},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		const struct line_wishes w = {.firmware = cases[i].wish};
		struct guest_description d = described(BUS_SATA, *cases[i].content);

		d.firmware = cases[i].said;
		line_decide(&d, &w, has, NULL);
		assert_int_equal(d.firmware, cases[i].is);
		if (cases[i].note)
			assert_true(is_noted(&d, cases[i].note) && is_noted(&d, "the disk a.raw"));
		else
			assert_false(is_noted(&d, "the disk a.raw"));
		description_fini(&d);
	}
}

/* The first disk may be one of data; an order says which one it is. */
static void the_disk_that_boots_is_the_one_that_counts(void **state)
{
	const struct line_wishes w = {.firmware = FIRMWARE_UNSAID};
	struct guest_description d = described(BUS_SATA, by_none);

	(void)state;
	d.disks[1] = (struct described_disk){.file = xstrdup("b"), .content = by_uefi};
	d.disks[2] = (struct described_disk){.file = xstrdup("c"), .content = by_bios};
	d.disk_count = 3;
	line_decide(&d, &w, has, NULL);
	assert_int_equal(d.firmware, FIRMWARE_UEFI);
	d.firmware = FIRMWARE_UNSAID;
	d.disks[2].boot_order = 1;
	line_decide(&d, &w, has, NULL);
	assert_int_equal(d.firmware, FIRMWARE_BIOS);
	description_fini(&d);
}

static void uefi_finds_the_bus_of_its_disk(void **state)
{
	static const enum disk_bus unknown[] = {BUS_LSILOGIC, BUS_LSISAS, BUS_PVSCSI, BUS_MEGASAS};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(unknown); i++) {
		struct line_wishes w = {.firmware = FIRMWARE_UEFI};
		struct guest_description d = described(unknown[i], by_uefi), e = described(unknown[i], by_uefi);
		struct guest_description f = described(unknown[i], by_uefi), g = described(BUS_SATA, by_uefi);

		line_decide(&d, &w, has, NULL);
		assert_int_equal(d.disks[0].bus, BUS_SATA);
		assert_true(is_noted(&d, "UEFI firmware has no driver for"));
		/* another that the description allows, too */
		e.disks[0].others[0] = BUS_VIRTIO_SCSI;
		line_decide(&e, &w, has, NULL);
		assert_int_equal(e.disks[0].bus, BUS_VIRTIO_SCSI);
		/* a BIOS has one for each */
		w.firmware = FIRMWARE_BIOS;
		line_decide(&f, &w, has, NULL);
		assert_int_equal(f.disks[0].bus, unknown[i]);
		/* the user's wish wins */
		w = (struct line_wishes){.firmware = FIRMWARE_UEFI, .bus = unknown[i]};
		line_decide(&g, &w, has, NULL);
		assert_int_equal(g.disks[0].bus, unknown[i]);
		description_fini(&d);
		description_fini(&e);
		description_fini(&f);
		description_fini(&g);
	}
}

static void windows_finds_the_bus_of_its_disk(void **state)
{
	static const struct {
		const char *system;
		enum disk_bus bus;
		bool of_qemu;
		enum disk_bus is;
		enum guest_machine machine;
	} cases[] = {
		{"winXPPro", BUS_LSILOGIC, false, BUS_IDE, MACHINE_PC},
		{"winNetEnterprise-64", BUS_LSILOGIC, false, BUS_IDE, MACHINE_PC},
		{"Windows2003_64", BUS_LSILOGIC, false, BUS_IDE, MACHINE_PC},
		{"Microsoft Windows Server 2003 (32-bit)", BUS_UNSAID, false, BUS_IDE, MACHINE_PC},
		{"http://microsoft.com/win/2k3r2", BUS_LSILOGIC, false, BUS_IDE, MACHINE_PC},
		{"http://microsoft.com/win/2k", BUS_LSILOGIC, false, BUS_IDE, MACHINE_PC},
		{"http://microsoft.com/win/2k8", BUS_LSILOGIC, false, BUS_SATA, MACHINE_Q35},
		{"windows7-64", BUS_LSILOGIC, false, BUS_SATA, MACHINE_Q35},
		{"winLonghorn", BUS_LSILOGIC, false, BUS_SATA, MACHINE_Q35},
		{"windows2019srvNext-64", BUS_LSILOGIC, false, BUS_SATA, MACHINE_Q35},
		{"windows7-64", BUS_LSISAS, false, BUS_LSISAS, MACHINE_Q35},
		{"winXPPro", BUS_LSILOGIC, true, BUS_LSILOGIC, MACHINE_Q35},
		{"winXPPro", BUS_SATA, false, BUS_SATA, MACHINE_Q35},
		{"debian12-64", BUS_LSILOGIC, false, BUS_LSILOGIC, MACHINE_Q35},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		const struct line_wishes w = {.firmware = FIRMWARE_BIOS};
		struct guest_description d = described(cases[i].bus, by_bios);
		struct err e;

		assert_int_equal(described_system(&d, cases[i].system, &e), 0);
		d.system.of_qemu = cases[i].of_qemu;
		line_decide(&d, &w, has, NULL);
		if (d.disks[0].bus != cases[i].is || d.machine != cases[i].machine)
			fail_msg("%s is on %s", cases[i].system, disk_bus_name(d.disks[0].bus));
		if (cases[i].bus == BUS_LSILOGIC && cases[i].is != BUS_LSILOGIC)
			assert_true(is_noted(&d, "--bus says otherwise"));
		description_fini(&d);
	}
}

static void other_processors_are_refused(void **state)
{
	static const char *const arm[] = {"arm-ubuntu-64",   "ARM-other5xlinux-64", "Ubuntu_arm64",
					  "Windows11_arm64", "Ubuntu (ARM 64-bit)", "aarch64"};
	static const char *const x86[] = {"ubuntu-64", "Charm Linux", "alarm", "other", "Fedora_64", "debian12-64"};
	struct guest_description d = {.name = NULL};
	struct err e;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(arm); i++)
		assert_int_equal(described_system(&d, arm[i], &e), -EINVAL);
	assert_non_null(strstr(e.msg, "the processor is ARM"));
	for (i = 0; i < ARRAY_LEN(x86); i++)
		assert_int_equal(described_system(&d, x86[i], &e), 0);
	assert_int_equal(described_system(&d, NULL, &e), 0);
}

static bool has_no_vmxnet3(const void *ctx, const char *device)
{
	return has(ctx, device) && strcmp(device, "vmxnet3") != 0;
}

static void of_several_models_the_first_is_taken_that_is_there(void **state)
{
	const struct line_wishes w = {.firmware = FIRMWARE_BIOS};
	struct guest_description d = {.name = xstrdup("x")};

	(void)state;
	described_nic_model(&d, description_add_nic(&d), "E1000E,VmxNet3 virtio");
	described_nic_model(&d, description_add_nic(&d), "Unheard Of VMXNET3 virtio");
	described_nic_model(&d, description_add_nic(&d), "VMXNET3");
	described_nic_model(&d, description_add_nic(&d), "Unheard Of");
	assert_string_equal(d.nics[0].model, "e1000e vmxnet3 virtio-net-pci");
	assert_true(is_noted(&d, "no network card 'Unheard Of'"));
	line_decide(&d, &w, has_no_vmxnet3, NULL);
	assert_string_equal(d.nics[0].model, "e1000e");
	assert_string_equal(d.nics[1].model, "virtio-net-pci");
	assert_string_equal(d.nics[2].model, "e1000");
	assert_true(is_noted(&d, "this QEMU has no network card vmxnet3"));
	description_fini(&d);
}

/* A GPT of sectors of 4096 bytes. */
static void a_disk_has_the_sectors_that_its_partitions_count_in(void **state)
{
	const struct line_wishes w = {.firmware = FIRMWARE_BIOS};
	struct guest_description d = described(BUS_VIRTIO, by_uefi);

	(void)state;
	d.disks[0].content.sector = 4096;
	line_decide(&d, &w, has, NULL);
	assert_int_equal(d.disks[0].sector, 4096);
	assert_true(is_noted(&d, "sectors of 4096 bytes"));
	description_fini(&d);
}

static void a_machine_that_needs_no_programs_is_kept_from_them(void **state)
{
	static char *const more[] = {"-netdev", "tap,id=n"};
	static const struct {
		const char *net;
		size_t more;
		bool sandbox, has;
	} cases[] = {{"user", 0, true, true},
		     {"none", 0, true, true},
		     {"bridge=br0", 0, true, false},
		     {"user", 2, true, false},
		     {"user", 0, false, false}};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		const struct line_wishes w = {.memory_bytes = 0};
		struct guest_description d = {.name = xstrdup("x"), .memory_bytes = MIB, .cpu.count = 1};
		struct line_host h = {.machine = "pc",
				      .format = "raw",
				      .nets = &cases[i].net,
				      .qmp = "/q",
				      .vnc = "/v",
				      .sandbox = cases[i].sandbox,
				      .more = more,
				      .more_count = cases[i].more};
		struct line l;
		struct err e;

		description_add_nic(&d);
		line_decide(&d, &w, has, NULL);
		assert_int_equal(line_make(&l, &d, &h, &e), 0);
		assert_int_equal(qemu_args_has(l.argv, l.argc, "sandbox"), cases[i].has);
		line_fini(&l);
		description_fini(&d);
	}
}

/* A processor or flag that QEMU does not know would keep it from starting. */
static void a_processor_is_one_that_qemu_knows(void **state)
{
	static const char help[] =
		"Available CPUs:\n  486                   (alias configured by machine type)\nx86 Haswell (alias of Haswell-v1)\n"
		"  host\n\nRecognized CPUID flags:\n  aes sse4.1 spec-ctrl\n  vmx\n";
	static const struct {
		const char *model, *is;
		size_t notes;
	} cases[] = {
		{"486", "486", 0},
		{"Haswell,+aes,-vmx", "Haswell,+aes,-vmx", 0},
		{"host,sse4_1=on,hv-tlbflush=on", "host,sse4_1=on,hv-tlbflush=on", 0},
		{"host,+no-such,+spec-ctrl,migratable=off", "host,+spec-ctrl", 2},
		{"help", NULL, 1},
		{"alias", NULL, 1},
		{"Available", NULL, 1},
		{"aes", NULL, 1},
		{"Haswel", NULL, 1},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		struct guest_description d = {.cpu_model = xstrdup(cases[i].model)};

		line_check_cpu(&d, help);
		if (!d.cpu_model != !cases[i].is || (d.cpu_model && strcmp(d.cpu_model, cases[i].is) != 0))
			fail_msg("%s is %s", cases[i].model, d.cpu_model ? d.cpu_model : "dropped");
		assert_int_equal(d.note_count, cases[i].notes);
		description_fini(&d);
	}
}

static void encodings_are_those_that_vmware_writes(void **state)
{
	static const char *const known[] = {"windows-1252", "ISO-8859-15", "Shift_JIS", "GBK", "Big5", "EUC-KR"};
	static const char *const others[] = {"UTF-7",	  "UTF-16",	 "GBK//TRANSLIT", "windows-1252//IGNORE",
					     "ISO-8859-", "ISO-2022-KR", "../x"};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(known) + ARRAY_LEN(others); i++) {
		bool is_known = i < ARRAY_LEN(known);
		struct guest_description d = {.origin = NULL};
		AUTO_FREE char *text = described_utf8("\xa1\xa1", 2, is_known ? known[i] : others[i - ARRAY_LEN(known)], &d);

		assert_int_equal(text != NULL, is_known);
		assert_int_equal(d.note_count, !is_known);
		description_fini(&d);
	}
}

static void a_configuration_may_have_been_on_windows(void **state)
{
	static const char text[] = "cores: 1\r\n\r\nmemory: 512\r\nscsi0: local:1/a.raw\r\nostype: l26\r\n";

	(void)state;
	assert_true(is_proxmox(text, strlen(text)));
}

static void a_size_is_one_that_a_disk_may_have(void **state)
{
	static const struct {
		const char *size;
		uint64_t bytes;
	} cases[] = {{"1M", 1 << 20}, {"1.5K", 1536}, {"64T", 64ULL << 40}, {"65T", 0},	   {"nan", 0},
		     {"nanG", 0},     {"inf", 0},     {"-1G", 0},	    {"1e300T", 0}, {"511", 0}};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		struct guest_description d = {.origin = NULL};
		AUTO_FREE char *text =
			xasprintf("cores: 1\nmemory: 512\nname: x\nostype: l26\nscsi0: local:1/a.raw,size=%s\n", cases[i].size);
		struct err e;

		if (read_proxmox(&d, text, strlen(text), &e))
			fail_msg("%s", e.msg);
		if (d.disks[0].capacity != cases[i].bytes)
			fail_msg("%s is %llu", cases[i].size, (unsigned long long)d.disks[0].capacity);
		description_fini(&d);
	}
}

int main(void)
{
	static struct CMUnitTest tests[CASES_MAX] = {
		{"a_processor_is_one_that_qemu_knows", a_processor_is_one_that_qemu_knows, NULL, NULL, NULL},
		{"encodings_are_those_that_vmware_writes", encodings_are_those_that_vmware_writes, NULL, NULL, NULL},
		{"a_configuration_may_have_been_on_windows", a_configuration_may_have_been_on_windows, NULL, NULL, NULL},
		{"a_size_is_one_that_a_disk_may_have", a_size_is_one_that_a_disk_may_have, NULL, NULL, NULL},
		{"numbers_are_within_their_bounds", numbers_are_within_their_bounds, NULL, NULL, NULL},
		{"addresses_are_those_of_one_card", addresses_are_those_of_one_card, NULL, NULL, NULL},
		{"texts_cannot_leave_their_option", texts_cannot_leave_their_option, NULL, NULL, NULL},
		{"disks_that_do_not_fit_are_refused", disks_that_do_not_fit_are_refused, NULL, NULL, NULL},
		{"firmware_is_what_the_disk_boots_by", firmware_is_what_the_disk_boots_by, NULL, NULL, NULL},
		{"the_disk_that_boots_is_the_one_that_counts", the_disk_that_boots_is_the_one_that_counts, NULL, NULL, NULL},
		{"uefi_finds_the_bus_of_its_disk", uefi_finds_the_bus_of_its_disk, NULL, NULL, NULL},
		{"windows_finds_the_bus_of_its_disk", windows_finds_the_bus_of_its_disk, NULL, NULL, NULL},
		{"other_processors_are_refused", other_processors_are_refused, NULL, NULL, NULL},
		{"of_several_models_the_first_is_taken_that_is_there", of_several_models_the_first_is_taken_that_is_there, NULL, NULL,
		 NULL},
		{"a_disk_has_the_sectors_that_its_partitions_count_in", a_disk_has_the_sectors_that_its_partitions_count_in, NULL, NULL,
		 NULL},
		{"a_machine_that_needs_no_programs_is_kept_from_them", a_machine_that_needs_no_programs_is_kept_from_them, NULL, NULL,
		 NULL},
	};
	size_t n = 16, fixed = n, i;
	DIR *dir = opendir(DIRECTORY);
	struct dirent *x;
	int failed;

	while (dir && (x = readdir(dir)))
		for (i = 0; i < ARRAY_LEN(readers) && n < CASES_MAX; i++)
			if (ends_with(x->d_name, readers[i].ending)) {
				char *name = xstrdup(x->d_name);

				tests[n++] = (struct CMUnitTest){name, a_description_becomes_what_is_expected, NULL, NULL, name};
			}
	if (dir)
		closedir(dir);
	if (n == fixed) {
		fprintf(stderr, "no descriptions in " DIRECTORY "\n");
		return 1;
	}
	failed = _cmocka_run_group_tests("import", tests, n, all_on_nat, NULL);
	for (i = fixed; i < n; i++)
		free((char *)tests[i].name);
	return failed;
}
