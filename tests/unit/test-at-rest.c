/* test-at-rest.c: a guest that is shut down, as it is known by its files: the script that starts it, headers of images, and their locks. */
#include "disk-io.h"
#include "guest-at-rest.h"
#include "image-lock.h"
#include "process.h"
#include "qcow2-header.h"
#include "script-read.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/vmferry-at-rest-XXXXXX", file[64];
static struct err e;

static void put(const void *bytes, size_t n)
{
	int fd = open(file, O_RDWR | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, bytes, n), n);
	close(fd);
}

/* ---- the script ---- */

static void parse(struct guest *g, const char *text)
{
	*g = (struct guest){.pid = 0};
	assert_int_equal(script_parse("x.sh", text, g, &e), 0);
}

static void refuse(const char *text, const char *why)
{
	struct guest g = {.pid = 0};

	assert_int_equal(script_parse("x.sh", text, &g, &e), -ENOTSUP);
	if (!strstr(e.msg, why))
		fail_msg("'%s' is not in '%s'", why, e.msg);
	guest_fini(&g);
}

static void a_script_is_read_as_sh_would(void **state)
{
	struct guest g;

	(void)state;
	parse(&g, "#!/bin/sh\n# a; b\ncd / || exit\n\nexport LD_LIBRARY_PATH='/a b'\nexport QEMU_MODULE_DIR=/m\nmkdir -p -- '/run/x y'\n"
		  "exec qemu \\\n    -name 'it'\\''s' \\\n\t-drive 'file=/x y,id=#1' \\\n    -append '' a#b\n");
	assert_int_equal(g.line.argc, 8);
	assert_string_equal(g.line.argv[0], "qemu");
	assert_string_equal(g.line.argv[2], "it's");
	assert_string_equal(g.line.argv[4], "file=/x y,id=#1");
	assert_string_equal(g.line.argv[6], "");
	assert_string_equal(g.line.argv[7], "a#b");
	assert_string_equal(g.env.ld_library_path, "/a b");
	assert_string_equal(g.env.module_dir, "/m");
	assert_string_equal(g.cwd, "/");
	guest_fini(&g);
	parse(&g, "exec qemu\n");
	assert_null(g.cwd);
	guest_fini(&g);
	parse(&g, "set -e\nexec qemu -name \"a b\"'c'\n");
	assert_string_equal(g.line.argv[2], "a bc");
	guest_fini(&g);
}

static void a_script_says_in_which_directory_it_runs(void **state)
{
	static const struct {
		const char *text, *cwd;
	} are[] = {{"cd /srv/vm || exit\nexec q", "/srv/vm"},
		   {"cd '/a b' || exit 1\nexec q", "/a b"},
		   {"cd \"/srv/vm\" && exec q", "/srv/vm"},
		   {"cd /tmp\nexec q", "/tmp"},
		   {"cd / || exit\ncd tmp || exit\nexec q", "/tmp"},
		   {"cd -- /srv || exit\nexec q", "/srv"},
		   {"cd \"$(dirname \"$0\")\" || exit\nexec q", "/of"},
		   {"cd \"${0%/*}\" || exit\ncd x || exit\nexec q", "/of/x"}};
	struct guest g;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(are); i++) {
		g = (struct guest){.pid = 0};
		if (script_parse("/of/x.sh", are[i].text, &g, &e))
			fail_msg("%s: %s", are[i].text, e.msg);
		assert_string_equal(g.cwd, are[i].cwd);
		assert_string_equal(g.line.argv[0], "q");
		guest_fini(&g);
	}
	refuse("cd vm || exit\nexec q", "its directory to vm, and does not say where that is");
	refuse("cd /nowhere/at/all\nexec q", "goes on even if there is no directory /nowhere/at/all");
	refuse("cd /srv || echo\nexec q", "does more than to change its directory to /srv");
	refuse("cd /srv; rm x\nexec q", "more than plain words");
	refuse("cd /srv x\nexec q", "does more than to change its directory to /srv");
	refuse("cd /srv/vm/.. || exit\nexec q",
	       "its directory to /srv/vm/.., and does not say where that is"); /* vm may be a link: sh cuts it off */
	refuse("cd /srv || exit\ncd .. || exit\nexec q", "its directory to .., and does not say where that is");
	refuse("cd /srv || exit\ncd - || exit\nexec q", "its directory to -, and does not say where that is");
	refuse("cd \"$HOME\" || exit\nexec q", "more than plain words");
	refuse("cd || exit\nexec q", "more than plain words"); /* home */
}

static void a_script_that_does_more_is_refused(void **state)
{
	static const char *const expanded[] = {"exec q $x",  "exec q `x`",    "exec q \"$x\"", "exec q \"x", "exec q \"a\\b\"",
					       "exec q a;b", "exec q a|b",    "exec q a&",     "exec q >x",  "exec q *",
					       "exec q ~",   "exec q a#b #c", "exec q 'x",     "exec q \\"};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(expanded); i++)
		refuse(expanded[i], "more than plain words");
	refuse("rm -rf x\nexec q", "it runs more than QEMU (rm)");
	refuse("export PATH=/x\nexec q", "it sets PATH");
	refuse("mkdir /x\nexec q", "it runs more than QEMU (mkdir)");
	refuse("exec q\nreboot\n", "something stands behind its exec");
	refuse("#!/bin/sh\n", "no line that begins with exec");
	refuse("exec\n", "it runs more than QEMU (exec)");
	refuse("export\nexec q", "it runs more than QEMU (export)");
}

/* ---- -readconfig ---- */

static void put_text(const char *path, const char *text)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static int find_at_rest(const char *script, struct guest *g)
{
	char *words[] = {"qemu-system-x86_64", "-readconfig", "vm.cfg"}, *path = NULL;
	int r = guest_at_rest(g, script, script ? NULL : words, ARRAY_LEN(words), &path, &e);

	free(path);
	return r;
}

static void a_config_file_is_read_as_it_is(void **state)
{
	AUTO_FREE char *script = xasprintf("%s/other.sh", dir);
	AUTO_FREE char *text = xasprintf("[name]\n  guest = \"cfg\"\n[drive \"d\"]\n  file = \"%s\"\n  format = \"raw\"\n", file);
	AUTO_CLOSE int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct guest g;

	(void)state;
	assert_int_equal(chdir(dir), 0);
	put("x", 1);
	put_text("vm.cfg", text);
	assert_int_equal(find_at_rest(NULL, &g), 0);
	assert_string_equal(g.name, "cfg");
	assert_int_equal(g.disk_count, 1);
	assert_string_equal(g.disks[0].file, file);
	assert_int_equal(g.line.config_count, 1);
	assert_string_equal(g.line.configs[0].text, text);
	guest_fini(&g);

	put_text(script, "exec qemu-system-x86_64 -readconfig vm.cfg\n"); /* in whatever directory it is started */
	assert_int_equal(find_at_rest(script, &g), -ENOTSUP);
	assert_non_null(strstr(e.msg, "-readconfig vm.cfg is a name without a directory"));
	guest_fini(&g);

	unlink("vm.cfg");
	assert_int_equal(find_at_rest(NULL, &g), -EINVAL);
	assert_non_null(strstr(e.msg, "-readconfig vm.cfg, whose contents are not known"));
	guest_fini(&g);
	unlink(script);
	assert_int_equal(fchdir(here), 0);
}

/* ---- -bios ---- */

static void firmware_beside_qemu_gets_its_whole_path(void **state)
{
	AUTO_FREE char *path = xasprintf("%s/fw.bin", dir);
	AUTO_FREE char *global = xasprintf("property=romfile,driver=e1000,value=%s", path);
	char *words[] = {"qemu-system-x86_64",
			 "-name",
			 "x",
			 "-bios",
			 "fw.bin",
			 "-bios",
			 "own.bin",
			 "-global",
			 "property=romfile,driver=e1000,value=fw.bin",
			 "-global",
			 "driver=isa-fdc,property=fallback,value=fw.bin",
			 "-boot",
			 "menu=on,splash=fw.bin"};
	char *script = NULL;
	AUTO_CLOSE int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	time_t later = time(NULL) + 3600;
	struct guest g;

	(void)state;
	assert_int_equal(chdir(dir), 0);
	put_text("fw.bin", "x");
	assert_int_equal(guest_at_rest(&g, NULL, words, ARRAY_LEN(words), &script, &e), 0);
	g.pid = getpid(); /* QEMU was started long ago: the file is newer, so QEMU has read another one */
	assert_int_equal(guest_write_in_own_files(&g, NULL, &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "which was changed since its QEMU read it, or one of QEMU's own"));
	/* libvirt gives such a file to another user when it starts a guest, which is no change */
	assert_int_equal(utimensat(AT_FDCWD, "fw.bin", (struct timespec[2]){{1000, 0}, {1000, 0}}, 0), 0);
	assert_non_null(guest_read_another(&g, "fw.bin"));
	g.owner_hint = xstrdup("libvirt");
	assert_non_null(guest_read_another(&g, "fw.bin")); /* which is a copy that was made since, as it was born later */
	assert_int_equal(process_start_time(getpid(), &g.start_time), 0);
	g.start_time += 600 * (uint64_t)sysconf(_SC_CLK_TCK); /* QEMU was started after the file was born */
	assert_null(guest_read_another(&g, "fw.bin"));
	assert_int_equal(utimensat(AT_FDCWD, "fw.bin", (struct timespec[2]){{later, 0}, {later, 0}}, 0), 0);
	assert_non_null(guest_read_another(&g, "fw.bin"));
	g.start_time = 0;
	assert_string_equal(g.line.argv[4], "fw.bin");
	g.pid = 0;
	assert_int_equal(guest_write_in_own_files(&g, NULL, &e), 0);
	assert_string_equal(g.line.argv[4], path);
	assert_string_equal(g.line.expanded[4], path);
	assert_string_equal(g.line.argv[6], "own.bin");
	assert_string_equal(g.line.argv[8], global);
	assert_string_equal(g.line.argv[10], words[10]);
	assert_string_equal(strrchr(g.line.argv[12], '=') + 1, path);
	guest_fini(&g);
	unlink("fw.bin");
	assert_int_equal(fchdir(here), 0);
}

/* QEMU itself says where it looks: the directories of -L first. What every QEMU has stays a name. */
static void firmware_among_qemu_s_own_gets_its_whole_path(void **state)
{
	AUTO_FREE char *exe = xasprintf("%s/qemu-system-x86_64", dir), *own = xasprintf("%s/own", dir),
		       *path = xasprintf("%s/OVMF.fd", own);
	char *words[] = {exe, "-name", "x", "-L", "more", "-bios", "OVMF.fd", "-bios", "bios-256k.bin", "-bios", "nowhere.fd"};
	AUTO_CLOSE int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char *script = NULL;
	struct guest g;

	(void)state;
	assert_int_equal(chdir(dir), 0);
	put_text("qemu-system-x86_64", "#!/bin/sh\n[ \"$*\" = \"-L more -L help\" ] && echo more && echo \"${0%/*}/own\"\n");
	assert_int_equal(chmod("qemu-system-x86_64", 0755), 0);
	assert_int_equal(mkdir("own", 0755), 0);
	put_text("own/OVMF.fd", "x");
	put_text("own/bios-256k.bin", "x");
	assert_int_equal(guest_at_rest(&g, NULL, words, ARRAY_LEN(words), &script, &e), 0);
	assert_int_equal(guest_write_in_own_files(&g, NULL, &e), 0);
	assert_string_equal(g.line.argv[6], path);
	assert_string_equal(g.line.expanded[6], path);
	assert_string_equal(g.line.argv[8], "bios-256k.bin");
	assert_string_equal(g.line.argv[10], "nowhere.fd");
	guest_fini(&g);
	unlink("own/OVMF.fd");
	unlink("own/bios-256k.bin");
	unlink("qemu-system-x86_64");
	rmdir("own");
	assert_int_equal(fchdir(here), 0);
}

/* The destination gets the line and its -readconfig unchanged, so files named in these cannot be given an absolute path. */
static void a_rom_that_a_config_file_names_is_refused(void **state)
{
	static const char *const said[] = {"[device \"n\"]\n  driver = \"e1000\"\n  romfile = \"fw.bin\"\n",
					   "[machine]\n  firmware = \"fw.bin\"\n",
					   "[global]\n  driver = \"e1000\"\n  property = \"romfile\"\n  value = \"fw.bin\"\n", ""};
	AUTO_CLOSE int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t i;

	(void)state;
	assert_int_equal(chdir(dir), 0);
	put_text("fw.bin", "x");
	for (i = 0; i < ARRAY_LEN(said); i++) {
		char *words[] = {"qemu-system-x86_64", "-name", "x",
				 "-readconfig",	       "c.cfg", "-device",
				 "e1000,id=m",	       "-set",	*said[i] ? "device.m.mac=52:54:00:01:02:03" : "device.m.romfile=fw.bin"};
		char *script = NULL;
		struct guest g;

		put_text("c.cfg", said[i]);
		assert_int_equal(guest_at_rest(&g, NULL, words, ARRAY_LEN(words), &script, &e), 0);
		if (guest_write_in_own_files(&g, NULL, &e) != -ENOTSUP)
			fail_msg("it is carried: %s", *said[i] ? said[i] : words[8]);
		assert_non_null(strstr(e.msg, "-readconfig or -set"));
		guest_fini(&g);
	}
	unlink("fw.bin");
	unlink("c.cfg");
	assert_int_equal(fchdir(here), 0);
}

/* A guest whose line has no name is called as its first disk, and has that name at the destination, too. A running guest is described as it
 * will be when it is shut down. */
static void a_guest_without_a_name_is_called_as_its_disk(void **state)
{
	AUTO_FREE char *disk = xasprintf("%s/web disk.raw", dir), *option = xasprintf("file=%s,format=raw", disk);
	char *words[] = {"qemu-system-x86_64", "-m", "64", "-drive", option};
	struct guest g, later;
	char *script = NULL;

	(void)state;
	put_text(disk, "x");
	assert_int_equal(guest_at_rest(&g, NULL, words, ARRAY_LEN(words), &script, &e), 0);
	assert_string_equal(g.name, "web disk");
	assert_string_equal(g.line.argv[g.line.argc - 2], "-name");
	assert_string_equal(g.line.expanded[g.line.expanded_count - 1], "web disk");
	g.pid = getpid();
	g.tpm = (struct swtpm){.socket = xstrdup("/run/t"), .state = xstrdup("/srv/t"), .tpm2 = true};
	assert_int_equal(guest_at_rest_of(&later, &g, &e), 0);
	assert_int_equal(later.pid, 0);
	assert_int_equal(later.line.argc, g.line.argc); /* the later guest has a name by now */
	assert_int_equal(later.disk_count, 1);
	assert_string_equal(later.disks[0].real_path, disk);
	assert_string_equal(later.tpm.state, "/srv/t");
	guest_fini(&later);
	guest_fini(&g);
	unlink(disk);
}

/* ---- headers of images ---- */

struct header {
	uint8_t b[512];
};

static struct header header(const char *backing)
{
	struct header h = {{0}};

	memcpy(h.b, "QFI\xfb\0\0\0\3", 8);
	h.b[103] = 104;
	if (backing) {
		h.b[14] = 1; /* at 256 */
		h.b[19] = (uint8_t)strlen(backing);
		memcpy(h.b + 256, backing, strlen(backing));
	}
	return h;
}

static int read_header(const struct header *h, struct qcow2_header *out)
{
	put(h, sizeof(*h));
	return qcow2_header_read(file, out, &e);
}

static void a_header_tells_what_the_image_needs(void **state)
{
	struct header h = header("base");
	struct qcow2_header q;

	(void)state;
	memcpy(h.b + 104, "\xe2\x79\x2a\xca\0\0\0\3raw\0\0\0\0\0DATA\0\0\0\1x", 25);
	h.b[79] = 4;
	assert_int_equal(read_header(&h, &q), 0);
	assert_true(q.is_qcow2);
	assert_string_equal(q.backing, "base");
	assert_string_equal(q.backing_format, "raw");
	assert_string_equal(q.data_file, "x");
	qcow2_header_fini(&q);

	h.b[79] = 0; /* the name of a data file that is not used */
	assert_int_equal(read_header(&h, &q), 0);
	assert_null(q.data_file);
	qcow2_header_fini(&q);

	put("anything", 8);
	assert_int_equal(qcow2_header_read(file, &q, &e), 0);
	assert_false(q.is_qcow2);
}

/* QEMU has written that into it where it read the base by the driver of its file alone. */
static void a_base_may_have_the_driver_of_its_file_for_a_format(void **state)
{
	AUTO_FREE char *base = xasprintf("%s/base", dir), *option = xasprintf("file=%s,format=qcow2", file);
	char *words[] = {"qemu-system-x86_64", "-name", "x", "-drive", option}, *script = NULL;
	struct header h = header("base");
	struct guest g;

	(void)state;
	memcpy(h.b + 104, "\xe2\x79\x2a\xca\0\0\0\4file", 12);
	put(&h, sizeof(h));
	put_text(base, "x");
	if (guest_at_rest(&g, NULL, words, ARRAY_LEN(words), &script, &e))
		fail_msg("%s", e.msg);
	assert_string_equal(g.disks[0].chain[0].format, "raw");
	guest_fini(&g);
	unlink(base);
}

static int look_at_image_on(const char *backing, struct guest *g)
{
	AUTO_FREE char *option = xasprintf("file=%s,format=qcow2", file);
	char *words[] = {"qemu-system-x86_64", "-name", "x", "-drive", option}, *script = NULL;
	struct header h = header(backing);

	put(&h, sizeof(h));
	return guest_at_rest(g, NULL, words, ARRAY_LEN(words), &script, &e);
}

static void a_base_named_as_no_path_is_one_or_refused(void **state)
{
	AUTO_FREE char *base = xasprintf("%s/base", dir), *named = xasprintf("file:%s", base);
	struct guest g;

	(void)state;
	put_text(base, "x");
	assert_int_equal(look_at_image_on(named, &g), 0);
	assert_string_equal(g.disks[0].chain[0].real_path, base);
	guest_fini(&g);
	assert_int_equal(look_at_image_on("file:base", &g), -ENOTSUP); /* the path depends on where QEMU is started */
	assert_non_null(strstr(e.msg, "qemu-img rebase -u"));
	guest_fini(&g);
	unlink(base);
}

static void a_bare_name_is_the_qemu_of_path(void **state)
{
	AUTO_FREE char *program = xasprintf("%s/qemu-system-bare", dir), *before = xstrdup(getenv("PATH") ?: "/usr/bin");
	AUTO_FREE char *path = xasprintf("%s:%s", dir, before), *option = xasprintf("file=%s,format=raw", file);
	char *words[] = {"qemu-system-bare", "-name", "x", "-drive", option}, *script = NULL;
	struct guest g;

	(void)state;
	put("anything", 8);
	put_text(program, "#!/bin/sh\n");
	chmod(program, 0700);
	setenv("PATH", path, 1);
	assert_int_equal(guest_at_rest(&g, NULL, words, ARRAY_LEN(words), &script, &e), 0);
	assert_string_equal(g.exe, program);
	setenv("PATH", before, 1);
	guest_fini(&g);
	unlink(program);
}

static void a_guest_that_was_saved_is_not_shut_down(void **state)
{
	static const struct {
		const char *option, *value;
		bool boots;
	} rows[] = {{"-incoming", "exec:gzip -dc state.gz", false},
		    {"-incoming", "file:/var/state", false},
		    {"-loadvm", "snap1", false},
		    {"-incoming", "defer", true},
		    {"-incoming", "tcp:0:4444", true},
		    {"-S", NULL, true}};
	AUTO_FREE char *option = xasprintf("file=%s,format=raw", file);
	size_t i;

	(void)state;
	put("anything", 8);
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		char *words[] = {"qemu-system-x86_64", "-name", "x", "-drive", option, (char *)rows[i].option, (char *)rows[i].value},
		     *script = NULL;
		struct guest g;

		assert_int_equal(guest_at_rest(&g, NULL, words, ARRAY_LEN(words) - !rows[i].value, &script, &e), 0);
		assert_int_equal(guest_boots_from_disks(&g, &e), rows[i].boots ? 0 : -ENOTSUP);
		if (!rows[i].boots)
			assert_non_null(strstr(e.msg, rows[i].value));
		guest_fini(&g);
	}
}

static void a_header_that_lies_is_refused(void **state)
{
	static const struct {
		unsigned at;
		uint8_t byte;
	} lies[] = {{7, 4}, {100, 1}, {103, 8}, {8, 1}, {18, 1}, {258, 0}, {111, 200}, {108, 1}, {79, 4}};
	struct qcow2_header q;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(lies); i++) {
		struct header h = header("base");

		memcpy(h.b + 104, "\xe2\x79\x2a\xca\0\0\0\3raw", 11);
		h.b[lies[i].at] = lies[i].byte;
		if (read_header(&h, &q) != -EBADMSG)
			fail_msg("byte %u as %u is taken", lies[i].at, lies[i].byte);
	}
	put("QFI\xfb\0\0\0\3xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 80);
	assert_int_equal(qcow2_header_read(file, &q, &e), -EBADMSG);
}

/* ---- locks ---- */

static bool is_free(enum image_use use)
{
	int fd, r = image_lock(file, use, &fd, &e);

	if (!r)
		close(fd);
	return !r;
}

/* Locks the file as a QEMU that has these permissions and denies those to others. */
static int qemu(int has, int forbids)
{
	int fd = open(file, O_RDWR), i;

	for (i = 0; i < 5; i++) {
		struct flock a = {.l_type = F_RDLCK, .l_start = 100 + i, .l_len = 1},
			     b = {.l_type = F_RDLCK, .l_start = 200 + i, .l_len = 1};

		if (has & 1 << i)
			assert_int_equal(fcntl(fd, F_OFD_SETLK, &a), 0);
		if (forbids & 1 << i)
			assert_int_equal(fcntl(fd, F_OFD_SETLK, &b), 0);
	}
	return fd;
}

static void an_image_in_use_is_not_ours(void **state)
{
	int fd;

	(void)state;
	put("x", 1);
	assert_true(is_free(IMAGE_READ) && is_free(IMAGE_OWN));

	fd = qemu(1, 0); /* reads, and lets others write */
	assert_true(is_free(IMAGE_READ));
	assert_false(is_free(IMAGE_OWN));
	close(fd);
	fd = qemu(1 | 2, 2 | 8); /* a guest's disk */
	assert_false(is_free(IMAGE_READ));
	assert_false(is_free(IMAGE_OWN));
	close(fd);
	fd = qemu(1, 1); /* other processes may not read */
	assert_false(is_free(IMAGE_READ));
	close(fd);

	assert_int_equal(image_lock(file, IMAGE_READ, &fd, &e), 0);
	assert_false(is_free(IMAGE_READ)); /* only one agent at a time */
	close(fd);
	assert_true(is_free(IMAGE_OWN));
}

static void an_image_stays_locked_when_the_qemu_that_is_held_has_ended(void **state)
{
	int fd, held;

	(void)state;
	put("x", 1);
	held = qemu(1 | 2, 2 | 8);
	assert_int_equal(image_lock(file, IMAGE_BESIDE, &fd, &e), 0);
	assert_true(image_is_locked_to_write(file));
	close(held);
	assert_true(image_is_forbidden_to_write(file) && !image_is_locked_to_write(file));
	assert_true(is_free(IMAGE_SHARE)); /* others may read */
	image_unlock(fd);
	assert_false(image_is_forbidden_to_write(file));
	close(fd);
}

/* ---- the last sector of a file ---- */

static int result;

static void done(struct disk_req *r, int res)
{
	(void)r;
	result = res;
}

static void a_file_ends_with_a_whole_sector_of_zeros(void **state)
{
	static uint8_t bytes[10000], back[10240] __attribute__((aligned(4096)));
	struct disk_at at = {.path = file, .pads = true};
	struct disk_req r = {.done = done};
	struct disk_map map;
	struct disk_io *d;
	struct loop *loop;

	(void)state;
	memset(bytes, 7, sizeof(bytes));
	put(bytes, sizeof(bytes));
	assert_int_equal(loop_new(&loop, 8, &e), 0);
	assert_int_equal(disk_io_open(&d, loop, &at, &e), 0);
	assert_int_equal(d->caps.size, 10240);
	assert_int_equal(disk_io_map(d, &map, &e), 0);
	assert_int_equal(map.count, 1);
	assert_int_equal(map.extent[0].length, 10240);
	assert_int_equal(map.extent[0].content, DISK_DATA);
	disk_map_free(&map);

	memset(back, 1, sizeof(back));
	result = 1;
	disk_io_read(d, &r, back, sizeof(back), 0);
	while (result == 1)
		assert_int_equal(loop_step(loop, 1000, &e), 0);
	assert_int_equal(result, 0);
	assert_memory_equal(back, bytes, sizeof(bytes));
	memset(bytes, 0, sizeof(bytes));
	assert_memory_equal(back + 10000, bytes, 240);

	assert_int_equal(truncate(file, 9000), 0); /* padding of a file that was cut off is not accepted */
	result = 1;
	disk_io_read(d, &r, back, sizeof(back), 0);
	while (result == 1)
		assert_int_equal(loop_step(loop, 1000, &e), 0);
	assert_int_equal(result, -EIO);
	disk_io_close(d);
	loop_free(loop);
}

static int begin(void **state)
{
	(void)state;
	snprintf(file, sizeof(file), "%s/image", mkdtemp(dir));
	return 0;
}

static int end(void **state)
{
	(void)state;
	unlink(file);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_script_is_read_as_sh_would),
		cmocka_unit_test(a_script_that_does_more_is_refused),
		cmocka_unit_test(a_script_says_in_which_directory_it_runs),
		cmocka_unit_test(a_header_tells_what_the_image_needs),
		cmocka_unit_test(a_base_may_have_the_driver_of_its_file_for_a_format),
		cmocka_unit_test(a_base_named_as_no_path_is_one_or_refused),
		cmocka_unit_test(a_bare_name_is_the_qemu_of_path),
		cmocka_unit_test(a_guest_that_was_saved_is_not_shut_down),
		cmocka_unit_test(a_header_that_lies_is_refused),
		cmocka_unit_test(a_config_file_is_read_as_it_is),
		cmocka_unit_test(firmware_beside_qemu_gets_its_whole_path),
		cmocka_unit_test(firmware_among_qemu_s_own_gets_its_whole_path),
		cmocka_unit_test(a_guest_without_a_name_is_called_as_its_disk),
		cmocka_unit_test(a_rom_that_a_config_file_names_is_refused),
		cmocka_unit_test(an_image_in_use_is_not_ours),
		cmocka_unit_test(an_image_stays_locked_when_the_qemu_that_is_held_has_ended),
		cmocka_unit_test(a_file_ends_with_a_whole_sector_of_zeros),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
