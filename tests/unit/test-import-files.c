/* test-import-files.c: what strangers' files may be: archives, manifests, and images that name other files. */
#include "box.h"
#include "firmware.h"
#include "foreign-image.h"
#include "narrow.h"
#include "ova.h"
#include "sources.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "be.h"
#include "bundle-tar.h"
#include "guarded.h"
#include "qcow2-end.h"
#include "qcow2-header.h"

static char dir[] = "/tmp/test-import-files-XXXXXX";

static char *path_of(const char *name)
{
	return xasprintf("%s/%s", dir, name);
}

static char *write_file(const char *name, const void *p, size_t n)
{
	char *path = path_of(name);
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_int_equal(fwrite(p, 1, n, f), n);
	fclose(f);
	return path;
}

/* ---- archives ---- */

struct header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100], magic[6], version[2], user[32],
		group[32], major[8], minor[8], prefix[155], rest[12];
};

static void close_header(struct header *h)
{
	const uint8_t *p = (const uint8_t *)h;
	unsigned sum = 0;
	size_t i;

	memset(h->checksum, ' ', sizeof(h->checksum));
	for (i = 0; i < sizeof(*h); i++)
		sum += p[i];
	snprintf(h->checksum, sizeof(h->checksum), "%06o", sum);
}

static struct header header(const char *name, uint64_t size, char type)
{
	struct header h = {.type = type};

	_Static_assert(sizeof(h) == 512, "a block");
	memcpy(h.name, name, strlen(name));
	snprintf(h.size, sizeof(h.size), "%011o", (unsigned)MIN(size, 077777777777ull & UINT32_MAX));
	memcpy(h.magic, "ustar", 6);
	memcpy(h.version, "00", 2);
	close_header(&h);
	return h;
}

struct archive {
	uint8_t bytes[32 * 512];
	size_t n;
};

static void put(struct archive *a, const void *p, size_t n)
{
	memcpy(a->bytes + a->n, p, n);
	a->n += (n + 511) / 512 * 512;
}

static void member(struct archive *a, const char *name, const char *text, char type)
{
	struct header h = header(name, strlen(text), type);

	put(a, &h, sizeof(h));
	put(a, text, strlen(text));
}

static int read_archive(struct ova *o, struct archive *a, bool ends, struct err *e)
{
	AUTO_FREE char *path = write_file("a.tar", a->bytes, a->n + (ends ? 1024 : 0));
	AUTO_CLOSE int fd = open(path, O_RDONLY);

	return ova_read(o, fd, e);
}

static void members_are_where_they_are(void **state)
{
	struct archive a = {.n = 0};
	const struct ova_member *m;
	struct ova o;
	struct err e;

	(void)state;
	member(&a, "./a.ovf", "<Envelope/>", '0');
	member(&a, "pax", "25 path=a long name.vmdk\n", 'x');
	member(&a, "ignored", "disk", '0');
	member(&a, "b", "", '\0');
	assert_int_equal(read_archive(&o, &a, true, &e), 0);
	assert_int_equal(o.n, 3);
	m = ova_find(&o, "a.ovf");
	assert_non_null(m);
	assert_int_equal(m->offset, 512);
	assert_int_equal(m->size, 11);
	m = ova_find(&o, "a long name.vmdk");
	assert_non_null(m);
	assert_memory_equal(a.bytes + m->offset, "disk", 4);
	assert_non_null(ova_find(&o, "b"));
	ova_fini(&o);
}

static void refused_archive(struct archive *a, bool ends, const char *why)
{
	struct ova o;
	struct err e;

	assert_int_equal(read_archive(&o, a, ends, &e), -EINVAL);
	if (!strstr(e.msg, why))
		fail_msg("'%s' is not why: %s", why, e.msg);
	ova_fini(&o);
}

static void archives_that_no_ova_is_are_refused(void **state)
{
	static const struct {
		const char *name;
		char type;
		const char *why;
	} cases[] = {
		{"../a", '0', "not the name of a file"},  {"/etc/passwd", '0', "not the name of a file"},
		{"a/b", '0', "not the name of a file"},	  {"..", '0', "not the name of a file"},
		{"", '0', "not the name of a file"},	  {"a\nb", '0', "not the name of a file"},
		{"nbd:x", '0', "not the name of a file"}, {"a\\b", '0', "not the name of a file"},
		{"a", '1', "not a regular file"},	  {"a", '2', "not a regular file"},
		{"a", '3', "not a regular file"},	  {"a", '5', "not a regular file"},
		{"a", '6', "not a regular file"},	  {"a", 'L', "not a regular file"},
		{"a", 'S', "not a regular file"},	  {"a", 'g', "not a regular file"},
		{"a\xff", '0', "not the name of a file"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		struct archive a = {.n = 0};

		member(&a, cases[i].name, "x", cases[i].type);
		refused_archive(&a, true, cases[i].why);
	}
}

static void damaged_archives_are_refused(void **state)
{
	static const char *const pax[] = {"x",
					  "9 path=a",
					  "99 path=a\n",
					  "4 p\n",
					  "8 path a\n",
					  "10 size=x\n",
					  "29 size=99999999999999999999\n",
					  "-5 path=a\n",
					  "22 GNU.sparse.major=1\n",
					  NULL};
	struct archive a = {.n = 0};
	struct header h;
	size_t i;

	(void)state;
	member(&a, "a", "x", '0');
	member(&a, "a", "y", '0');
	refused_archive(&a, true, "two members 'a'");

	a = (struct archive){.n = 0};
	member(&a, "a", "x", '0');
	refused_archive(&a, false, "cut off");
	a.n = 700;
	refused_archive(&a, false, "cut off");
	a.bytes[0] ^= 1; /* the checksum */
	refused_archive(&a, true, "not a tar archive, or is damaged at byte 0");

	a = (struct archive){.n = 0};
	h = header("a", 1u << 31, '0');
	put(&a, &h, sizeof(h));
	refused_archive(&a, true, "longer than what is left");
	/* GNU's sizes: the highest bit, and a number that would wrap around */
	memset(h.size, 0xff, sizeof(h.size));
	close_header(&h);
	a = (struct archive){.n = 0};
	put(&a, &h, sizeof(h));
	refused_archive(&a, true, "damaged");
	memcpy(h.size, "9999999999 ", 12);
	close_header(&h);
	a = (struct archive){.n = 0};
	put(&a, &h, sizeof(h));
	refused_archive(&a, true, "damaged");
	for (i = 0; i < ARRAY_LEN(pax) && pax[i]; i++) {
		a = (struct archive){.n = 0};
		member(&a, "pax", pax[i], 'x');
		member(&a, "a", "x", '0');
		refused_archive(&a, true, strstr(pax[i], "sparse") ? "sparse" : "extended header");
	}
	a = (struct archive){.n = 0};
	member(&a, "pax", "18 size=999999999\n", 'x');
	member(&a, "a", "x", '0');
	refused_archive(&a, true, "longer than what is left");
}

static void what_cannot_be_unpacked_is_told_why(void **state)
{
	struct sources s = {.description = write_file("a.tar", "", 0)};
	enum file_kind kind = KIND_OVA;
	struct archive a = {.n = 0};
	struct err e;

	(void)state;
	member(&a, "a.vmx", "x", '0');
	member(&a, ".vmferry-spool", "x", '0');
	free(write_file("a.tar", a.bytes, a.n + 1024));
	assert_int_equal(box_open(&s, &kind, dir, &e), -EEXIST);
	assert_non_null(strstr(e.msg, "/.vmferry-spool: File exists"));
	sources_fini(&s);
}

/* ---- manifests ---- */

static const char good[] = "SHA256(a.ovf)= ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\r\n\n"
			   "SHA1 (a b.vmdk) = a9993e364706816aba3e25717850c26c9cd0d89d\n";

static void digests_are_compared(void **state)
{
	AUTO_FREE char *path = write_file("abc", "abcd", 4);
	AUTO_CLOSE int fd = open(path, O_RDONLY);
	struct manifest m;
	struct err e;

	(void)state;
	assert_int_equal(manifest_parse(&m, good, strlen(good), &e), 0);
	assert_int_equal(m.n, 2);
	assert_string_equal(m.lines[1].name, "a b.vmdk");
	assert_int_equal(manifest_check(&m.lines[0], fd, 0, 3, NULL, NULL, &e), 0);
	assert_int_equal(manifest_check(&m.lines[1], fd, 0, 3, NULL, NULL, &e), 0);
	assert_int_equal(manifest_check(&m.lines[0], fd, 0, 4, NULL, NULL, &e), -EBADMSG);
	assert_int_equal(manifest_check(&m.lines[0], fd, 1, 3, NULL, NULL, &e), -EBADMSG);
	assert_int_equal(manifest_check(&m.lines[0], fd, 0, 5, NULL, NULL, &e), -EIO);
	manifest_fini(&m);
}

static void manifests_that_are_none_are_refused(void **state)
{
	static const char *const bad[] = {
		"nonsense",
		"SHA256(a)= 00",
		"SHA256(a) ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		"MD5(a)= d41d8cd98f00b204e9800998ecf8427e",
		"SHA1(../a)= a9993e364706816aba3e25717850c26c9cd0d89d",
		"SHA1(/a)= a9993e364706816aba3e25717850c26c9cd0d89d",
		"SHA1()= a9993e364706816aba3e25717850c26c9cd0d89d",
		"SHA1(a)= a9993e364706816aba3e25717850c26c9cd0d89dff",
		"SHA1(a)= a9993e364706816aba3e25717850c26c9cd0d89g",
		")SHA1(",
	};
	struct manifest m;
	struct err e;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		if (!manifest_parse(&m, bad[i], strlen(bad[i]), &e))
			fail_msg("taken: %s", bad[i]);
		manifest_fini(&m);
	}
	assert_int_not_equal(manifest_parse(&m, "SHA1(a)\0= ", 10, &e), 0);
	manifest_fini(&m);
}

/* ---- images ---- */

static int examine(const char *name, const void *p, size_t n, const char *format, const char **driver, struct err *e)
{
	struct image_source s = {.path = write_file(name, p, n)};
	int r = image_examine(&s, format, e);

	*driver = s.driver;
	image_source_fini(&s);
	return r;
}

/* Virtual PC's own, and qemu-img's by default, have as many sectors as their geometry makes; all others as many as they say. */
static void a_vhd_is_as_large_as_its_maker_means(void **state)
{
	static const struct {
		const char *creator;
		bool by_size;
	} cases[] = {{"vpc ", false}, {"qemu", false}, {"vbox", true}, {"win ", true}, {"wa\0\0", true}, {"qem2", true}};
	struct err e;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		uint8_t bytes[1024] = "conectix";
		struct image_source s = {.path = NULL};
		AUTO_FREE char *name = NULL;

		bytes[63] = 3; /* type 3: an image that grows */
		memcpy(bytes + 28, cases[i].creator, 4);
		s.path = write_file("v.vhd", bytes, sizeof(bytes));
		assert_int_equal(image_examine(&s, NULL, &e), 0);
		name = image_source_name(&s);
		assert_int_equal(strstr(name, "\"force_size_calc\":\"current_size\"") != NULL, cases[i].by_size);
		image_source_fini(&s);
	}
}

static void formats_are_told_by_their_headers(void **state)
{
	static const struct {
		size_t at;
		const char *magic;
		size_t n;
		const char *driver, *why; /* why NULL: it is taken */
	} cases[] = {
		{0, "QFI\xfb\0\0\0\3", 8, "qcow2", NULL},
		{0, "QFI\xfb\0\0\0\1", 8, "qcow2", "version 1"},
		{0, "vhdxfile", 8, "vhdx", NULL},
		{0x40, "\x7f\x10\xda\xbe", 4, "vdi", NULL},
		{0, "conectix", 8, "vpc", "of type 0"},
		{0, "\x1f\x8b", 2, NULL, "gzip"},
		{0, "PK\3\4", 4, NULL, "a zip archive: unpack it first (unzip FILE)"},
		{0, "7z\xbc\xaf\x27\x1c\0\4", 8, NULL, "a 7z archive: unpack it first (7z x FILE)"},
		{0, "Rar!\x1a\7\1\0", 8, NULL, "a RAR archive"},
		{0, "\4\x22M\x18", 4, NULL, "lz4"},
		{0, "QED\0", 4, NULL, "qed"},
		{0, "COWD", 4, NULL, "part of a disk"},
		{0, "", 0, "raw", NULL},
	};
	const char *driver;
	struct err e;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		uint8_t bytes[1024] = {0};
		int r;

		memcpy(bytes + cases[i].at, cases[i].magic, cases[i].n);
		r = examine("image", bytes, sizeof(bytes), NULL, &driver, &e);
		assert_int_equal(r, cases[i].why ? -EINVAL : 0);
		if (cases[i].why && !strstr(e.msg, cases[i].why))
			fail_msg("'%s' is not why: %s", cases[i].why, e.msg);
		if (!r)
			assert_string_equal(driver, cases[i].driver);
		/* a guest may write what it likes on its raw disk */
		assert_int_equal(examine("image", bytes, sizeof(bytes), "raw", &driver, &e), 0);
		assert_string_equal(driver, "raw");
	}
	assert_int_equal(examine("image", "", 0, NULL, &driver, &e), -EINVAL);
}

/* An image without a header must consist of whole sectors. */
static void a_raw_image_that_ends_within_a_sector_is_refused(void **state)
{
	uint8_t bytes[1025] = {[510] = 0x55, [511] = 0xaa, [512] = 1};
	const char *driver;
	struct err e;

	(void)state;
	assert_int_equal(examine("image", bytes, 1024, NULL, &driver, &e), 0);
	assert_int_equal(examine("image", bytes, 1025, NULL, &driver, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "cut off: the 1025 bytes end within a sector"));
	assert_int_equal(examine("image", bytes, 1025, "raw", &driver, &e), -EINVAL);
	assert_int_equal(examine("image", "x", 1, NULL, &driver, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "it is a text"));
	assert_int_equal(examine("image", "\1", 1, NULL, &driver, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "not a disk image, or cut off"));
}

static void qcow2_that_names_files_is_refused(void **state)
{
	static const struct {
		size_t at;
		const char *why;
	} cases[] = {{15, "backing file"}, {8, "backing file"}, {35, "encrypted"}, {79, "another file"}};
	const char *driver;
	struct err e;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		uint8_t bytes[1024] = "QFI\xfb\0\0\0\3";

		bytes[cases[i].at] = 4;
		assert_int_equal(examine("q", bytes, sizeof(bytes), "qcow2", &driver, &e), -EINVAL);
		if (!strstr(e.msg, cases[i].why))
			fail_msg("'%s' is not why: %s", cases[i].why, e.msg);
	}
}

/* How an image is named to QEMU that is on one called so, which has so many bytes; or why it is refused; malloc'ed. */
static char *on(const char *name, const struct base_wish *w, size_t bytes)
{
	AUTO_FREE char *folder = path_of(""), *below = NULL;
	uint8_t top[1024] = "QFI\xfb\0\0\0\3", base[1024] = "QFI\xfb\0\0\0\3";
	struct base_wish wish = *w;
	struct image_source s = {.may = &wish};
	char *said;
	struct err e;

	top[14] = 2; /* the name is at byte 512 */
	top[19] = (uint8_t)strlen(name);
	memcpy(top + 512, name, strlen(name));
	wish.folder = w->folder ? folder : NULL;
	s.path = write_file("top", top, sizeof(top));
	below = write_file(name, base, bytes);
	said = image_examine(&s, NULL, &e) ? xstrdup(e.msg) : image_source_name(&s);
	image_source_fini(&s);
	unlink(below);
	return said ? said : xstrdup("not UTF-8");
}

static void is_on(const char *name, const struct base_wish *w, size_t bytes, const char *what)
{
	AUTO_FREE char *said = on(name, w, bytes);

	if (!strstr(said, what))
		fail_msg("'%s' is not in: %s", what, said);
}

/* Beside an image alone may lie another guest's. */
static void a_base_is_a_description_s_or_named(void **state)
{
	(void)state;
	is_on("base", &(struct base_wish){.count = 0}, 1024, "may be another guest's");
	is_on("base", &(struct base_wish){.folder = "own"}, 1024, "/base\"},\"backing\":null}}");
	is_on("base", &(struct base_wish){.all = true}, 1024, "\"backing\":null}}");
	is_on("base", &(struct base_wish){.all = true}, 103, "cannot tell whether it has a backing file");
	is_on("b\xff", &(struct base_wish){.all = true}, 1024, "not UTF-8");
}

#define VMDK "# Disk DescriptorFile\nCID=1\nparentCID=ffffffff\n"

static void vmdk_extents_lie_beside_it(void **state)
{
	static const struct {
		const char *extent, *why; /* why NULL: it is taken */
	} cases[] = {
		{"RW 1 FLAT \"flat\" 0\n", NULL},
		{"RW 1 FLAT \"flat\" 0\nRW 8 ZERO\nRW 1 SPARSE \"sparse\"\n", NULL},
		{"  RW 1 FLAT \"/etc/passwd\" 0\n", "not the name of a file beside it"},
		{"RW 2 FLAT \"flat\" 0\n", "is cut off: it has 512 bytes of 1024"},
		{"RW 1 FLAT \"flat\" 1\n", "is cut off: it has 512 bytes of 1024"},
		{"RW 2 VMFS \"flat\"\n", "is cut off"},
		{"RW 36028797018963968 FLAT \"flat\" 0\n", "more than 64 TiB"}, /* 2^64 bytes */
		{"RW 137438953473 ZERO\n", "more than 64 TiB"},
		{"RW 1 FLAT \"../flat\" 0\n", "not the name of a file beside it"},
		{"RW 1 FLAT \"nbd:localhost:1\" 0\n", "not the name of a file beside it"},
		{"RW 1 FLAT \"linked\" 0\n", "cannot open its extent"},
		{"RW 1 FLAT \"absent\" 0\n", "cannot open its extent"},
		{"RW 1 FLAT \".\" 0\n", "not the name of a file beside it"},
		{"RW 1 FLAT \"pipe\" 0\n", "not a regular file"},
		{"RW 1 FLAT flat 0\n", "not the name of a file beside it"},
		{"RW 1 SPARSE \"nested\"\n", "has extents of its own"},
		{"RW 1 VMFSRDM \"flat\"\n", "a disk of the host"},
		{"createType=\"vmfsRawDeviceMap\"\nRW 1 SPARSE \"sparse\"\n", "a disk of the host that it comes from (vmfsRawDeviceMap)"},
		{"createType = \"vmfsPassthroughRawDeviceMap\"\nRW 1 VMFSRDM \"absent\"\n", "a disk of the host"},
		{"createType=\"fullDevice\"\nRW 1 FLAT \"\\\\.\\PhysicalDrive1\" 0\n", "a disk of the host"},
		{"createType=\"monolithicFlat\"\nRW 1 FLAT \"flat\" 0\n", NULL},
		{"RW 1 ZERO\nRW\n2 FLAT \"/etc/passwd\" 0\n", "cut off"}, /* QEMU reads it as one line */
		{"RW 1 ZERO\nRW 2\nFLAT \"/etc/passwd\" 0\n", "cut off"},
		{"RW 1 ZERO\n\n RW\t2 FLAT\n\"/etc/passwd\" 0\n", "not the name of a file beside it"},
		{"", "no extents"},
		{"parentFileNameHint=\"/etc/passwd\"\nRW 1 FLAT \"flat\" 0\n", "names a parent"},
		{"RW 1 FLAT \"flat\" 0\nRW 1 FLAT \"/etc/passwd\" 0\n", "not the name of a file beside it"},
	};
	AUTO_FREE char *linked = path_of("linked"), *pipe_path = path_of("pipe"), *sparse = NULL, *nested = NULL;
	static const uint8_t blank[512];
	uint8_t head[512] = "KDMV";
	const char *driver;
	struct err e;
	size_t i;

	(void)state;
	free(write_file("flat", blank, sizeof(blank)));
	nested = write_file("nested", head, sizeof(head)); /* a capacity of 0 */
	head[12] = 8;
	sparse = write_file("sparse", head, sizeof(head));
	assert_int_equal(symlink("/etc/passwd", linked), 0);
	assert_int_equal(mkfifo(pipe_path, 0600), 0);
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_FREE char *text = xasprintf(VMDK "%s", cases[i].extent);
		int r = examine("d.vmdk", text, strlen(text), NULL, &driver, &e);

		if (r != (cases[i].why ? -EINVAL : 0) && !(cases[i].why && r < 0))
			fail_msg("%s: %d %s", cases[i].extent, r, e.msg);
		if (cases[i].why && !strstr(e.msg, cases[i].why))
			fail_msg("%s: '%s' is not why: %s", cases[i].extent, cases[i].why, e.msg);
	}
}

#define TEN "#........."
#define FILLED                                                                                                                             \
	"RW 8 ZERO\n" TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN  \
		TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

/* The descriptor inside a sparse image counts, too, at both places where QEMU looks. */
static void embedded_descriptors_are_read(void **state)
{
	static const struct {
		size_t at; /* place of the text, in sectors */
		uint8_t capacity, desc, sectors;
		const char *text, *why;
	} cases[] = {
		{1, 8, 1, 2, VMDK "RW 8 SPARSE \"/elsewhere\"\n", NULL}, /* QEMU does not follow the text then */
		{1, 8, 0, 0, "", NULL},
		{1, 0, 1, 2, VMDK "RW 8 FLAT \"/etc/passwd\" 0\n", "not the name of a file beside it"},
		{1, 0, 1, 1, VMDK FILLED "\nRW 8 FLAT \"/etc/passwd\" 0\n", "not the name of a file beside it"}, /* behind its length */
		{1, 0, 1, 2, VMDK "RW 8 FLAT \"whole\" 0\n", "consists of other files"},
		{1, 0, 0, 0, VMDK, "not where it says"},
		{1, 8, 1, 2, "parentCID=00000001\n", "a difference"},
		{1, 8, 3, 1, "parentFileNameHint=\"/etc/passwd\"\n", "names a parent"},
		{3, 8, 3, 1, "parentFileNameHint=\"/etc/passwd\"\n", "names a parent"},
		{1, 8, 200, 1, "", "not where it says"},
	};
	static const uint8_t blank[8 * 512];
	const char *driver;
	struct err e;
	size_t i;

	(void)state;
	free(write_file("whole", blank, sizeof(blank)));
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		uint8_t bytes[4096] = "KDMV";
		int r;

		bytes[12] = cases[i].capacity;
		bytes[28] = cases[i].desc;
		bytes[36] = cases[i].sectors;
		memcpy(bytes + cases[i].at * 512, cases[i].text, strlen(cases[i].text));
		r = examine("e.vmdk", bytes, sizeof(bytes), NULL, &driver, &e);
		if ((r != 0) != (cases[i].why != NULL) || (r && !strstr(e.msg, cases[i].why)))
			fail_msg("case %zu: %d %s", i, r, r ? e.msg : "taken");
	}
}

static void a_program_has_no_more_than_its_directory(void **state)
{
	AUTO_FREE char *home = xstrdup(getenv("HOME") ?: "/");

	(void)state;
	assert_true(narrow_may_have(dir));
	assert_false(narrow_may_have("/"));
	assert_false(narrow_may_have("/proc/"));
	assert_false(narrow_may_have("/no-such-one"));
	setenv("HOME", dir, 1);
	assert_false(narrow_may_have(dir));
	setenv("HOME", home, 1);
}

static void nothing_is_left_to_guess(void **state)
{
	struct image_source whole = {.path = (char *)"/a \"b\",c", .driver = "raw"};
	struct image_source slice = {.path = (char *)"/x.ova", .is_slice = true, .offset = 1024, .size = 500, .driver = "vmdk"};
	AUTO_FREE char *one = image_source_name(&whole), *other = image_source_name(&slice);

	(void)state;
	assert_string_equal(one, "json:{\"driver\":\"raw\",\"file\":{\"driver\":\"file\",\"filename\":\"/a \\\"b\\\",c\"}}");
	assert_string_equal(other, "json:{\"driver\":\"vmdk\",\"file\":{\"driver\":\"raw\",\"offset\":1024,\"size\":512,\"file\":"
				   "{\"driver\":\"file\",\"filename\":\"/x.ova\"}}}");
}

/* ---- where compressed clusters end ---- */

#define CLUSTER 65536u

/* An image of clusters of 64 KiB: header, L1 table of two entries, two L2 tables. */
struct qcow2 {
	uint8_t bytes[5 * CLUSTER];
	size_t n;
	unsigned reads;
};

static int read_image(void *ctx, void *to, size_t n, uint64_t at, struct err *e)
{
	struct qcow2 *q = ctx;

	(void)e;
	q->reads++;
	assert_true(at <= q->n && n <= q->n - at);
	memcpy(to, q->bytes + at, n);
	return 0;
}

static uint64_t end_of(struct qcow2 *q)
{
	uint64_t end = 1;
	struct err e;

	q->reads = 0;
	assert_int_equal(qcow2_compressed_end(read_image, q, q->n, &end, &e), 0);
	return end;
}

static uint64_t compressed(uint64_t at, unsigned more_sectors)
{
	return 1ULL << 62 | (uint64_t)more_sectors << (62 - 8) | at;
}

static void compressed_clusters_reach_as_far_as_the_last_does(void **state)
{
	static struct qcow2 q = {.n = sizeof(q.bytes)};
	unsigned i;

	(void)state;
	memcpy(q.bytes, "QFI\xfb\0\0\0\3", 8);
	put32(q.bytes + 20, 16);
	put32(q.bytes + 36, 2);
	put64(q.bytes + 40, CLUSTER);
	put64(q.bytes + CLUSTER, 1ULL << 63 | 2 * CLUSTER);
	put64(q.bytes + CLUSTER + 8, 1ULL << 63 | 3 * CLUSTER);
	assert_int_equal(end_of(&q), 0);
	put64(q.bytes + 2 * CLUSTER, 1ULL << 63 | 4 * CLUSTER); /* a cluster that is not compressed */
	assert_int_equal(end_of(&q), 0);
	put64(q.bytes + 2 * CLUSTER + 8, compressed(4 * CLUSTER + 100, 0));
	assert_int_equal(end_of(&q), 4 * CLUSTER);
	put64(q.bytes + 4 * CLUSTER - 8, compressed(5 * CLUSTER - 600, 1)); /* the last of all; of its two sectors the second begins so */
	assert_int_equal(end_of(&q), 5 * CLUSTER - 512);
	put64(q.bytes + 2 * CLUSTER + 16, compressed(4 * CLUSTER, 3)); /* a cluster that ends before */
	assert_int_equal(end_of(&q), 5 * CLUSTER - 512);
	/* entries of 16 bytes, whose second half says something else */
	put64(q.bytes + 72, 16);
	put64(q.bytes + 3 * CLUSTER + 8, UINT64_MAX);
	put64(q.bytes + 4 * CLUSTER - 8, 0);
	put64(q.bytes + 4 * CLUSTER - 16, compressed(5 * CLUSTER - 600, 0));
	assert_int_equal(end_of(&q), 5 * CLUSTER - 1024);
	put64(q.bytes + 72, 0);
	/* tables behind the end, and the same one again and again */
	put64(q.bytes + CLUSTER + 8, 1ULL << 63 | 5 * CLUSTER);
	assert_int_equal(end_of(&q), 4 * CLUSTER + 3 * 512);
	put32(q.bytes + 36, CLUSTER / 8);
	for (i = 0; i < CLUSTER / 8; i++)
		put64(q.bytes + CLUSTER + 8 * i, 2 * CLUSTER);
	end_of(&q);
	assert_true(q.reads < 20);
	/* no numbers of a stranger's lead anywhere */
	for (i = 0; i < 104; i++) {
		uint8_t was = q.bytes[i];

		q.bytes[i] = 0xff;
		end_of(&q);
		q.bytes[i] = was;
	}
	for (q.n = 0; q.n < 2 * CLUSTER; q.n += 101)
		end_of(&q);
}

/* ---- bytes ---- */

static void read_manifest(const uint8_t *p, size_t n)
{
	struct manifest m;
	struct err e;

	manifest_parse(&m, (const char *)p, n, &e);
	manifest_fini(&m);
}

static void read_qcow2(const uint8_t *p, size_t n)
{
	struct qcow2_header h;
	struct err e;

	if (!qcow2_header_parse("x", p, n, &h, &e))
		qcow2_header_fini(&h);
}

static void read_number(const uint8_t *p, size_t n)
{
	uint64_t v;

	if (n)
		tar_number(p, n, &v);
}

static void read_member(const uint8_t *p, size_t n)
{
	struct tar_member m;
	struct err e;

	if (n == TAR_BLOCK)
		tar_header_parse(p, &m, &e);
}

static void nothing_is_read_behind_the_end(void **state)
{
	static const char manifest[] = "SHA1(a b.vmdk)= a9993e364706816aba3e25717850c26c9cd0d89d\nSHA256(c)= ";
	static uint8_t image[120] = "QFI\xfb\0\0\0\3", name[120] = "QFI\xfb\0\0\0\3", member[TAR_BLOCK];
	static const struct {
		void (*read)(const uint8_t *p, size_t n);
		const void *p;
		size_t n;
	} cases[] = {{read_manifest, manifest, sizeof(manifest) - 1},
		     {read_qcow2, image, sizeof(image)},
		     {read_qcow2, name, sizeof(name)},
		     {read_number, "00000001750 ", 12},
		     {read_number, "77777777777", 11},
		     {read_number, "            ", 12},
		     {read_member, member, sizeof(member)}};
	size_t i, n;

	(void)state;
	image[103] = 104; /* an extension of 8 bytes, the last one */
	memcpy(image + 104, "\xe2\x79\x2a\xca\0\0\0\x08qcow2...", 16);
	name[103] = 104;
	name[15] = 110; /* a backing file's name of 10 bytes */
	name[19] = 10;
	memset(name + 104, 'n', 16);
	memset(member, '7', sizeof(member));
	memcpy(member + 257, "ustar", 5);
	for (i = 0; i < ARRAY_LEN(cases); i++)
		for (n = 0; n <= cases[i].n; n++) {
			struct guarded g = guarded_copy(cases[i].p, n);

			cases[i].read(g.p, n);
			guarded_free(&g);
		}
}

/* ---- firmware ---- */

static void describe(const char *name, const char *features, const char *machines, const char *code)
{
	AUTO_FREE char *relative = xasprintf("qemu/firmware/%s", name);
	AUTO_FREE char *text =
		xasprintf("{\"interface-types\":[\"uefi\"],\"features\":[%s],\"mapping\":{\"device\":\"flash\",\"executable\":"
			  "{\"filename\":\"%s\",\"format\":\"raw\"},\"nvram-template\":{\"filename\":\"%s\",\"format\":\"raw\"}},"
			  "\"targets\":[{\"architecture\":\"x86_64\",\"machines\":[\"%s\"]}]}",
			  features, code, code, machines);

	free(write_file(relative, text, strlen(text)));
}

static void firmware_is_what_the_descriptors_say(void **state)
{
	AUTO_FREE char *a = path_of("qemu"), *b = path_of("qemu/firmware"), *one = write_file("one.fd", "x", 1);
	AUTO_FREE char *two = write_file("two.fd", "x", 1);
	struct firmware f;
	struct err e;

	(void)state;
	assert_int_equal(mkdir(a, 0700), 0);
	assert_int_equal(mkdir(b, 0700), 0);
	setenv("XDG_CONFIG_HOME", dir, 1);
	free(write_file("qemu/firmware/000-nonsense.json", "{", 1));
	describe("001-not-there.json", "", "pc-q35-*", "/nonexistent");
	describe("002-sev.json", "\"amd-sev-es\"", "pc-q35-*", two);
	describe("003-secure.json", "\"secure-boot\",\"enrolled-keys\",\"requires-smm\"", "pc-q35-*", two);
	describe("004-plain.json", "\"acpi-s3\"", "pc-q35-*", one);
	assert_int_equal(firmware_find(&f, "pc-q35-10.0", false, &e), 0);
	assert_string_equal(f.code, one);
	assert_false(f.smm);
	firmware_fini(&f);
	assert_int_equal(firmware_find(&f, "pc-q35-10.0", true, &e), 0);
	assert_string_equal(f.code, two);
	assert_true(f.smm);
	firmware_fini(&f);
	assert_int_equal(firmware_find(&f, "some-machine-1", false, &e), -ENOENT);
}

/* In whatever order the directory has them. */
static void however_many_descriptors_there_are_all_count(void **state)
{
	AUTO_FREE char *one = write_file("one.fd", "x", 1);
	struct firmware f;
	struct err e;
	unsigned i;

	(void)state;
	setenv("XDG_CONFIG_HOME", dir, 1);
	for (i = 0; i < 270; i++) {
		AUTO_FREE char *name = xasprintf("many-%03u.json", i), *machine = xasprintf("machine-%u", i);

		describe(name, "", machine, one);
	}
	for (i = 0; i < 270; i++) {
		AUTO_FREE char *machine = xasprintf("machine-%u", i);

		if (firmware_find(&f, machine, false, &e))
			fail_msg("%s: %s", machine, e.msg);
		firmware_fini(&f);
	}
}

static int make_dir(void **state)
{
	(void)state;
	return !mkdtemp(dir);
}

static int remove_dir(void **state)
{
	AUTO_FREE char *command = xasprintf("rm -rf %s", dir);

	(void)state;
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_are_where_they_are),
		cmocka_unit_test(archives_that_no_ova_is_are_refused),
		cmocka_unit_test(damaged_archives_are_refused),
		cmocka_unit_test(what_cannot_be_unpacked_is_told_why),
		cmocka_unit_test(digests_are_compared),
		cmocka_unit_test(manifests_that_are_none_are_refused),
		cmocka_unit_test(formats_are_told_by_their_headers),
		cmocka_unit_test(a_raw_image_that_ends_within_a_sector_is_refused),
		cmocka_unit_test(a_vhd_is_as_large_as_its_maker_means),
		cmocka_unit_test(qcow2_that_names_files_is_refused),
		cmocka_unit_test(a_base_is_a_description_s_or_named),
		cmocka_unit_test(vmdk_extents_lie_beside_it),
		cmocka_unit_test(embedded_descriptors_are_read),
		cmocka_unit_test(nothing_is_left_to_guess),
		cmocka_unit_test(a_program_has_no_more_than_its_directory),
		cmocka_unit_test(compressed_clusters_reach_as_far_as_the_last_does),
		cmocka_unit_test(nothing_is_read_behind_the_end),
		cmocka_unit_test(firmware_is_what_the_descriptors_say),
		cmocka_unit_test(however_many_descriptors_there_are_all_count),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
