/*
 * test-import.c: descriptions of guests as their exporters write them, and what becomes of each: one test for each
 * tests/data/import/NAME.{ovf,vmx,libvirt.xml,hyperv.xml}. NAME….expect says it: the description, what is noted, and the command line, or
 * why it is refused.
 *
 * UPDATE=1 writes what is into those files: to be read before it is committed.
 */
#include "qemu-line.h"
#include "readers.h"
#include "util.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define DIRECTORY "tests/data/import"
#define CASES_MAX 128

static const struct {
	const char *ending;
	int (*read)(struct guest_description *d, const char *text, size_t n, struct err *e);
} readers[] = {
	{".ovf", read_ovf},
	{".vmx", read_vmx},
	{".libvirt.xml", read_libvirt},
	{".hyperv.xml", read_hyperv},
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

		fprintf(f, "disk %zu: %s, %llu bytes\n", i, k->cdrom ? "a drive" : k->file, (unsigned long long)k->capacity);
	}
	if (d->nvram)
		fprintf(f, "nvram: %s\n", d->nvram);
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
	static const struct firmware uefi = {(char *)"/fw/CODE.fd", (char *)"raw", (char *)"/fw/VARS.fd", (char *)"raw", true};
	static const struct line_wishes wishes = {.memory_bytes = 0};
	AUTO_FREE char *path = xasprintf(DIRECTORY "/%s", name), *source = NULL;
	char *disks[GUEST_DISKS_MAX] = {NULL};
	struct guest_description d = {.name = NULL};
	struct line line = {.argc = 0};
	struct line_host h = {.uefi = &uefi,
			      .vars = "/vm/it,-vars.fd",
			      .format = "qcow2",
			      .disks = disks,
			      .net = "user",
			      .qmp = "/vm/it.qmp",
			      .vnc = "/vm/it.vnc"};
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
		h.kvm = d.windows;
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
	assert_false(described_mac(&n, "01:00:5e:00:00:01")); /* of a group */
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

/* No text of a description becomes an option of QEMU, whatever is in it. */
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
		struct line_host h = {.machine = "pc", .format = "raw", .net = "none", .qmp = "/q", .vnc = "/v"};
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
		assert_true(d.note_count > 0);
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
	struct line_host h = {.machine = "pc", .format = "raw", .net = "none", .qmp = "/q", .vnc = "/v", .disks = files};
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

int main(void)
{
	static struct CMUnitTest tests[CASES_MAX] = {
		{"numbers_are_within_their_bounds", numbers_are_within_their_bounds, NULL, NULL, NULL},
		{"addresses_are_those_of_one_card", addresses_are_those_of_one_card, NULL, NULL, NULL},
		{"texts_cannot_leave_their_option", texts_cannot_leave_their_option, NULL, NULL, NULL},
		{"disks_that_do_not_fit_are_refused", disks_that_do_not_fit_are_refused, NULL, NULL, NULL},
	};
	size_t n = 4, fixed = n, i;
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
	failed = _cmocka_run_group_tests("import", tests, n, NULL, NULL);
	for (i = fixed; i < n; i++)
		free((char *)tests[i].name);
	return failed;
}
