/* test-bundle.c: bundles: the manifest, the stream, identity on a command line, and which files of a guest go into one. */
#include "bundle-at-rest.h"
#include "bundle-receive.h"
#include "bundle-tar.h"
#include "export-plan.h"
#include "export-stream.h"
#include "identity.h"
#include "qemu-opts.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cmocka.h>

#define SUM "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" /* SHA-256 of "abc" (FIPS 180-2) */

static char dir[] = "/tmp/test-bundle-XXXXXX";

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

/* ---- the manifest ---- */

static const char manifest[] =
	"{\"format\": \"vmferry-bundle\", \"version\": 1, \"needs\": [\"memory\"], \"made\": \"now\", \"name\": \"vm \\u00e9\", \"state\": \"running\","
	" \"frozen\": true, \"qemu\": {\"program\": \"qemu-system-x86_64\", \"version\": \"10.0.2\"}, \"cwd\": \"/srv\","
	" \"argv\": [\"qemu\", \"-drive\", \"file=a.raw,format=raw\", \"-kernel\", \"/k\", \"-cdrom\", \"/m.iso\"],"
	" \"disks\": [{\"file\": \"disk0.qcow2\", \"bytes\": 3, \"sha256\": \"" SUM "\", \"path\": \"/srv/a.raw\", \"format\": \"raw\","
	" \"virtual_bytes\": 1048576}],"
	" \"memory\": {\"file\": \"memory\", \"bytes\": 3, \"sha256\": \"" SUM
	"\"}, \"files\": [{\"file\": \"file0-k\", \"bytes\": 3, \"sha256\": \"" SUM
	"\", \"path\": \"/k\", \"real_path\": \"/boot/k\", \"role\":"
	" \"kernel\"}, {\"bytes\": 0, \"sha256\": \"\", \"path\": \"/m.iso\", \"role\": \"media\"}]}";

static void check_good(const struct bundle *b)
{
	assert_string_equal(b->name, "vm \xc3\xa9");
	assert_true(b->frozen);
	assert_string_equal(b->program, "qemu-system-x86_64");
	assert_null(b->machine);
	assert_int_equal(b->argc, 7);
	assert_string_equal(b->argv[6], "/m.iso");
	assert_int_equal(b->disk_count, 1);
	assert_int_equal(b->disks[0].virtual_bytes, 1048576);
	assert_string_equal(b->disks[0].format, "raw");
	assert_int_equal(b->file_count, 2);
	assert_int_equal(b->files[0].role, ARGS_KERNEL);
	assert_string_equal(b->files[0].real_path, "/boot/k");
	assert_null(b->files[1].file);
	assert_string_equal(b->memory.file, "memory");
	assert_int_equal(b->memory.bytes, 3);
	assert_ptr_equal(bundle_find(b, "memory"), &b->memory);
	assert_ptr_equal(bundle_find(b, "file0-k"), &b->files[0]);
	assert_null(bundle_find(b, "file1"));
}

static void what_is_written_is_read(void **state)
{
	struct bundle b, again;
	struct err e;
	char *text;

	(void)state;
	assert_int_equal(bundle_parse(&b, manifest, strlen(manifest), &e), 0);
	check_good(&b);
	text = bundle_print(&b);
	assert_non_null(text);
	assert_int_equal(bundle_parse(&again, text, strlen(text), &e), 0);
	check_good(&again);
	free(text);
	free(b.argv[0]);
	b.argv[0] = xstrdup("\xff");
	assert_null(bundle_print(&b));
	bundle_fini(&b);
	bundle_fini(&again);
}

/* The manifest with one text in place of another. */
static char *with(const char *old, const char *new)
{
	const char *at = strstr(manifest, old);

	assert_non_null(at);
	return xasprintf("%.*s%s%s", (int)(at - manifest), manifest, new, at + strlen(old));
}

static void what_is_wrong_is_refused(void **state)
{
	static const struct {
		const char *old, *new, *why;
	} cases[] = {
		{"vmferry-bundle", "other", "no manifest"},
		{"\"version\": 1", "\"version\": 2", "version 2"},
		{"\"version\": 1", "\"version\": \"1\"", "no manifest"},
		{"[\"memory\"]", "[\"memory\", \"more\"]", "needs 'more'"},
		{"[\"memory\"]", "[1]", "needs '?'"},
		{"[\"memory\"]", "{}", "no list"},
		{"\"memory\": {", "\"other\": {", "needs 'memory'"},
		{"\"memory\": {", "\"memory\": 1, \"x\": {", "memory: it is no object"},
		{"\"file\": \"memory\", ", "", "memory: 'file'"},
		{"\"file\": \"memory\"", "\"file\": \"../memory\"", "memory: '../memory' is not the name"},
		{"\"file\": \"memory\"", "\"file\": \"file0-k\"", "memory: two are called"},
		{"\"name\": \"vm \\u00e9\"", "\"name\": 1", "'name' is no text"},
		{"vm \\u00e9", "vm\\u0000", "not allowed"},
		{"qemu-system-x86_64", "../qemu-system-x86_64", "no QEMU"},
		{"qemu-system-x86_64", "qemu-system-x/y", "no QEMU"},
		{"\"cwd\": \"/srv\"", "\"cwd\": \"srv\"", "no absolute path"},
		{"[\"qemu\",", "[1,", "argv[0]"},
		{"\"argv\": [", "\"argv\": [], \"x\": [", "'argv'"},
		{"\"bytes\": 3", "\"bytes\": -1", "disks[0]: 'bytes'"},
		{"\"bytes\": 3", "\"bytes\": 144115188075855873", "disks[0]: 'bytes'"},
		{"\"bytes\": 3", "\"bytes\": 3.0", "disks[0]: 'bytes'"},
		{SUM, "BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "'sha256'"},
		{SUM, "ba", "'sha256'"},
		{"disk0.qcow2", "../disk0.qcow2", "not the name"},
		{"disk0.qcow2", "a/b", "not the name"},
		{"disk0.qcow2", ".hidden", "not the name"},
		{"disk0.qcow2", "-rf", "not the name"},
		{"disk0.qcow2", "", "not the name"},
		{"disk0.qcow2", "a b", "not the name"},
		{"disk0.qcow2", "README", "not the name"},
		{"disk0.qcow2", BUNDLE_MANIFEST, "not the name"},
		{"disk0.qcow2", "file0-k", "two are called"},
		{"\"file\": \"disk0.qcow2\", ", "", "'file' is missing"},
		{"\"file\": \"file0-k\", ", "", "'file' is missing"},
		{"\"format\": \"raw\"", "\"format\": \"vmdk\"", "'format'"},
		{"\"virtual_bytes\": 1048576", "\"virtual_bytes\": \"1\"", "'virtual_bytes'"},
		{"\"role\": \"kernel\"", "\"role\": \"secret\"", "'role'"},
		{"\"role\": \"kernel\"", "\"role\": \"unheard\"", "'role'"},
		{"\"role\": \"kernel\"", "\"r\": \"kernel\"", "'role'"},
		{"\"disks\": [", "\"disks\": 1, \"x\": [", "'disks'"},
		{"\"made\"", "\"name\": \"twice\", \"made\"", "line 1"},
	};
	struct bundle b;
	struct err e;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_FREE char *text = with(cases[i].old, cases[i].new);

		assert_true(bundle_parse(&b, text, strlen(text), &e) < 0);
		if (!strstr(e.msg, cases[i].why))
			fail_msg("'%s' for '%s': '%s', and not '%s'", cases[i].new, cases[i].old, e.msg, cases[i].why);
		assert_null(b.name);
		assert_int_equal(b.disk_count, 0);
	}
}

static void as_many_as_there_may_be(void **state)
{
	json_t *all = json_loads(manifest, 0, NULL), *disks = json_object_get(all, "disks");
	AUTO_FREE char *text = NULL;
	struct bundle b;
	struct err e;
	size_t i;

	(void)state;
	for (i = 1; i <= BUNDLE_DISKS_MAX; i++) {
		json_t *d = json_copy(json_array_get(disks, 0));
		AUTO_FREE char *name = xasprintf("d%zu", i);

		free(text);
		text = json_dumps(all, 0);
		assert_int_equal(bundle_parse(&b, text, strlen(text), &e), 0);
		bundle_fini(&b);
		json_object_set_new(d, "file", json_string(name));
		json_array_append_new(disks, d);
	}
	free(text);
	text = json_dumps(all, 0);
	assert_true(bundle_parse(&b, text, strlen(text), &e) < 0);
	json_decref(all);
}

static void readme_starts_it_by_hand(void **state)
{
	struct bundle b;
	struct err e;
	char *text;

	(void)state;
	assert_int_equal(bundle_parse(&b, manifest, strlen(manifest), &e), 0);
	text = bundle_readme(&b);
	assert_non_null(strstr(text, "echo '" SUM "  file0-k' | sha256sum -c"));
	assert_non_null(strstr(text, "qemu-img convert -f qcow2 -O raw THERE/disk0.qcow2 HERE/disk0.qcow2.raw"));
	assert_non_null(strstr(text, "-drive file=HERE/disk0.qcow2.raw,format=raw"));
	assert_non_null(strstr(text, "-kernel HERE/file0-k"));
	assert_null(strstr(text, "m.iso"));
	free(text);
	bundle_fini(&b);
}

/* ---- tar ---- */

static void headers_say_what_they_are(void **state)
{
	static const uint64_t sizes[] = {0, 1, 511, 8ULL << 30, (8ULL << 30) - 1, BUNDLE_BYTES_MAX};
	uint8_t h[TAR_BLOCK], was[TAR_BLOCK] = {0};
	struct tar_member m;
	struct err e;
	size_t i;

	(void)state;
	assert_int_equal(tar_header_parse(was, &m, &e), 0);
	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		tar_header(h, "disk0.qcow2", sizes[i], 1700000000);
		assert_int_equal(tar_header_parse(h, &m, &e), 1);
		assert_string_equal(m.name, "disk0.qcow2");
		assert_int_equal(m.size, sizes[i]);
		assert_int_equal((sizes[i] + tar_padding(sizes[i])) % TAR_BLOCK, 0);
	}
	memcpy(was, h, sizeof(h));
	for (i = 0; i < TAR_BLOCK; i++) { /* the checksum is over all of it */
		memcpy(h, was, sizeof(h));
		h[i] ^= 1;
		if (tar_header_parse(h, &m, &e) == 1) /* the blank or zero behind its own digits */
			assert_in_range(i, 154, 155);
	}
	tar_header(h, "a", BUNDLE_BYTES_MAX + 1, 0);
	assert_int_equal(tar_header_parse(h, &m, &e), -EINVAL);
	tar_header(h, "../a", 1, 0);
	assert_int_equal(tar_header_parse(h, &m, &e), -EINVAL);
	tar_header(h, "", 1, 0);
	assert_int_equal(tar_header_parse(h, &m, &e), -EINVAL);
}

static int stop_at_once(void *ctx, uint64_t bytes)
{
	(void)ctx;
	(void)bytes;
	return -1;
}

static void a_stream_is_received_as_it_was_sent(void **state)
{
	AUTO_FREE char *a = write_file(BUNDLE_MANIFEST, manifest, strlen(manifest)), *c = write_file("disk0.qcow2", "abc", 3),
		       *d = write_file("file0-k", "abc", 3), *r = write_file(BUNDLE_README, "read", 4), *m = write_file("memory", "abc", 3),
		       *to = path_of("to"), *got = path_of("to/disk0.qcow2"), *other = path_of("to/file0-k"),
		       *readme = path_of("to/README"), *memory = path_of("to/memory");
	AUTO_CLOSE int fd = memfd_create("stream", MFD_CLOEXEC);
	struct bundle b, received;
	struct stat st;
	struct err e;
	off_t end;

	(void)state;
	assert_int_equal(bundle_parse(&b, manifest, strlen(manifest), &e), 0);
	assert_int_equal(export_send(fd, dir, &b, &e), 0);
	end = lseek(fd, 0, SEEK_CUR);
	assert_int_equal(end % TAR_BLOCK, 0);
	assert_int_equal(mkdir(to, 0700), 0);
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(bundle_receive_manifest(fd, &received, NULL, NULL, &e), 0);
	assert_int_equal(bundle_receive_files(fd, &received, to, NULL, NULL, &e), 0);
	assert_int_equal(stat(got, &st), 0);
	assert_int_equal(st.st_size, 3);
	assert_int_equal(stat(other, &st), 0);
	assert_int_equal(stat(memory, &st), 0);
	assert_int_equal(stat(readme, &st), -1);
	bundle_fini(&received);

	/* again: what is there is not written over */
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(bundle_receive_manifest(fd, &received, NULL, NULL, &e), 0);
	assert_int_equal(bundle_receive_files(fd, &received, to, NULL, NULL, &e), -EINVAL);
	unlink(got);
	unlink(other);
	unlink(memory);
	assert_int_equal(bundle_receive_files(fd, &received, to, stop_at_once, NULL, &e), -ECANCELED);
	bundle_fini(&received);

	/* cut off anywhere: the end is part of it */
	assert_int_equal(ftruncate(fd, end - 2 * TAR_BLOCK), 0);
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(bundle_receive_manifest(fd, &received, NULL, NULL, &e), 0);
	assert_int_equal(bundle_receive_files(fd, &received, to, NULL, NULL, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "cut off"));
	bundle_fini(&received);
	assert_int_equal(ftruncate(fd, 700), 0);
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(bundle_receive_manifest(fd, &received, NULL, NULL, &e), -EINVAL);
	assert_int_equal(unlink(a) | unlink(c) | unlink(d) | unlink(r) | unlink(m), 0);
	unlink(got);
	unlink(other);
	unlink(memory);
	rmdir(to);
	bundle_fini(&b);
}

/* ---- identity ---- */

static struct args_result line_of(const char *const *words)
{
	struct args_result r = {.argc = 0};

	while (words[r.argc])
		r.argc++;
	r.argv = xcalloc(r.argc + 1, sizeof(*r.argv));
	for (r.argc = 0; words[r.argc]; r.argc++)
		r.argv[r.argc] = xstrdup(words[r.argc]);
	return r;
}

static void a_name_is_all_that_a_new_name_changes(void **state)
{
	static const struct {
		const char *words[6], *want;
	} cases[] = {
		{{"q", "-name", "old", "-m", "1"}, "new,,1"},
		{{"q", "-name", "old,debug-threads=on"}, "new,,1,debug-threads=on"},
		{{"q", "-name", "guest=old,process=x"}, "guest=new,,1,process=x"},
		{{"q", "-name", "debug-threads=on"}, "debug-threads=on,guest=new,,1"},
		{{"q", "-m", "1"}, "guest=new,,1"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		struct args_result r = line_of(cases[i].words);
		AUTO_FREE char *name = NULL;
		size_t at;

		identity_set_name(&r, "new,1");
		for (at = 0; at < r.argc && strcmp(r.argv[at], "-name"); at++)
			;
		assert_true(at + 1 < r.argc);
		assert_string_equal(r.argv[at + 1], cases[i].want);
		assert_null(r.argv[r.argc]);
		name = qemu_args_name(r.argv, r.argc);
		assert_string_equal(name, "new,1");
		args_result_fini(&r);
	}
}

static void a_clone_has_another_identity(void **state)
{
	static const char *const words[] = {"q",
					    "-uuid",
					    "U",
					    "-device",
					    "e1000",
					    "-device",
					    "virtio-blk-pci,drive=d",
					    "-nic",
					    "user,mac=M",
					    "-net",
					    "nic,macaddr=M",
					    "-net",
					    "user",
					    "-smbios",
					    "type=1,uuid=U",
					    "-device",
					    "vmgenid,guid=U",
					    "-netdev",
					    "user,id=n",
					    "-nic",
					    "none",
					    "-device",
					    "{\"driver\":\"rtl8139\",\"mac\":\"M\"}",
					    NULL};
	struct args_result r = line_of(words);
	char uuid[UUID_CHARS + 1], again[UUID_CHARS + 1];
	AUTO_FREE char *smbios = NULL;
	size_t i, macs = 0;

	(void)state;
	identity_renew(&r);
	assert_int_equal(strlen(r.argv[2]), UUID_CHARS);
	smbios = xasprintf("type=1,uuid=%s", r.argv[2]);
	assert_string_equal(r.argv[14], smbios);
	for (i = 1; i < r.argc; i++) {
		macs += strstr(r.argv[i], "52:54:00:") != NULL;
		assert_null(strstr(r.argv[i], "=M"));
		assert_null(strstr(r.argv[i], "=U"));
		assert_null(strstr(r.argv[i], "\"M\""));
	}
	assert_int_equal(macs, 4);
	assert_string_equal(r.argv[6], "virtio-blk-pci,drive=d");
	assert_string_equal(r.argv[12], "user");
	assert_string_equal(r.argv[20], "none");
	args_result_fini(&r);

	identity_uuid(uuid);
	identity_uuid(again);
	assert_string_not_equal(uuid, again);
	assert_int_equal(uuid[14], '4'); /* RFC 4122 */
	assert_non_null(strchr("89ab", uuid[19]));
	assert_true(uuid[8] == '-' && uuid[13] == '-' && uuid[18] == '-' && uuid[23] == '-');
}

/* ---- what goes into one ---- */

static int plan(struct export_plan *p, struct bundle *b, const char *const *words, const char *disk, bool no_media, struct err *e)
{
	struct guest_disk disks[1] = {{.node = (char *)"n", .file = (char *)disk, .real_path = (char *)disk, .format = (char *)"raw"}};
	struct guest g = {.name = (char *)"vm", .exe = (char *)"/usr/bin/qemu-system-x86_64", .cwd = dir, .disks = disks, .disk_count = 1};
	struct args_result line = line_of(words);
	int r;

	*b = (struct bundle){.argc = 0};
	g.line.argv = line.argv;
	g.line.argc = line.argc;
	r = export_plan(p, b, &g, no_media, e);
	args_result_fini(&line);
	return r;
}

static void every_file_that_the_guest_reads_goes_along(void **state)
{
	AUTO_FREE char *disk = write_file("d.raw", "abc", 3), *iso = write_file("m x.iso", "abc", 3), *kernel = write_file("k", "abc", 3);
	AUTO_FREE char *drive = xasprintf("file=%s,format=raw,if=virtio", disk);
	const char *const words[] = {"q", "-drive", drive, "-kernel", "k", "-cdrom", iso, "-qmp", "unix:q.sock,server=on", NULL};
	const char *const based[] = {"q", "-blockdev", "driver=qcow2,node-name=n,file=f,backing=b", NULL};
	const char *const missing[] = {"q", "-kernel", "/no/such/kernel", NULL};
	const char *const unknown[] = {"q", "-drive", drive, "-drive", "file=k,format=raw,if=virtio", NULL};
	struct export_plan p;
	struct bundle b;
	struct err e;

	(void)state;
	assert_int_equal(plan(&p, &b, words, disk, false, &e), 0);
	assert_int_equal(b.disk_count, 1);
	assert_string_equal(b.disks[0].file, "disk0.qcow2");
	assert_string_equal(b.disks[0].path, disk);
	assert_int_equal(b.file_count, 2);
	assert_string_equal(b.files[0].file, "file0-k");
	assert_string_equal(b.files[0].path, kernel);
	assert_string_equal(b.files[1].file, "file1-m_x.iso");
	assert_string_equal(p.files[1], iso);
	export_plan_fini(&p);
	bundle_fini(&b);

	assert_int_equal(plan(&p, &b, words, disk, true, &e), 0);
	assert_null(b.files[1].file);
	assert_null(p.files[1]);
	assert_int_equal(p.note_count, 1);
	export_plan_fini(&p);
	bundle_fini(&b);

	assert_int_equal(plan(&p, &b, based, disk, false, &e), -ENOTSUP);
	export_plan_fini(&p);
	bundle_fini(&b);
	assert_int_equal(plan(&p, &b, missing, disk, false, &e), -ENOENT);
	export_plan_fini(&p);
	bundle_fini(&b);
	assert_int_equal(plan(&p, &b, unknown, disk, false, &e), -ENOTSUP); /* QEMU no longer has the disk that is on its line */
	export_plan_fini(&p);
	bundle_fini(&b);
}

/* ---- ---- */

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	AUTO_FREE char *command = xasprintf("rm -rf %s", dir);

	(void)state;
	return system(command);
}

/* ---- at rest ---- */

static void put_member(FILE *f, const char *name, const char *text)
{
	static const uint8_t zeros[TAR_BLOCK];
	uint8_t h[TAR_BLOCK];

	tar_header(h, name, strlen(text), 0);
	fwrite(h, 1, sizeof(h), f);
	fwrite(text, 1, strlen(text), f);
	fwrite(zeros, 1, tar_padding(strlen(text)), f);
}

static void check_found(const char *from, const char *what, uint64_t at)
{
	struct bundle b;
	struct err e;
	char *path;
	uint64_t offset;

	assert_int_equal(bundle_read(&b, from, &e), 0);
	check_good(&b);
	assert_int_equal(bundle_locate(from, &b.disks[0], &path, &offset, &e), 0);
	assert_string_equal(path, what);
	assert_int_equal(offset, at);
	free(path);
	bundle_fini(&b);
}

static void one_at_rest_is_found_in_a_file_or_a_directory(void **state)
{
	static const char disk[] = "abc";
	char *in_dir = write_file(BUNDLE_MANIFEST, manifest, strlen(manifest)), *image = write_file("disk0.qcow2", disk, 3),
	     *tar = path_of("tar"), *path;
	FILE *f = fopen(tar, "we");
	uint64_t at = 2 * TAR_BLOCK + strlen(manifest) + tar_padding(strlen(manifest)) + 2 * TAR_BLOCK, offset;
	struct bundle b;
	struct err e;

	(void)state;
	put_member(f, BUNDLE_MANIFEST, manifest);
	put_member(f, "memory", "abc");
	put_member(f, "disk0.qcow2", disk);
	fclose(f);
	check_found(dir, image, 0);
	check_found(tar, tar, at);
	assert_int_equal(truncate(tar, (off_t)at + 2), 0); /* within the disk */
	assert_int_equal(bundle_read(&b, tar, &e), 0);
	assert_int_equal(bundle_locate(tar, &b.disks[0], &path, &offset, &e), -EINVAL);
	assert_null(path);
	assert_int_equal(truncate(tar, (off_t)at - TAR_BLOCK - 1), 0); /* before it */
	assert_int_equal(bundle_locate(tar, &b.disks[0], &path, &offset, &e), -EINVAL);
	bundle_fini(&b);
	assert_int_equal(truncate(tar, TAR_BLOCK + 20), 0); /* within the manifest */
	assert_int_equal(bundle_read(&b, tar, &e), -EINVAL);
	assert_int_equal(bundle_read(&b, image, &e), -EINVAL);
	assert_int_equal(unlink(in_dir), 0);
	assert_int_equal(bundle_read(&b, dir, &e), -ENOENT);
	unlink(image);
	unlink(tar);
	free(in_dir);
	free(image);
	free(tar);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(what_is_wrong_is_refused),
		cmocka_unit_test(as_many_as_there_may_be),
		cmocka_unit_test(readme_starts_it_by_hand),
		cmocka_unit_test(headers_say_what_they_are),
		cmocka_unit_test(a_stream_is_received_as_it_was_sent),
		cmocka_unit_test(one_at_rest_is_found_in_a_file_or_a_directory),
		cmocka_unit_test(a_name_is_all_that_a_new_name_changes),
		cmocka_unit_test(a_clone_has_another_identity),
		cmocka_unit_test(every_file_that_the_guest_reads_goes_along),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
