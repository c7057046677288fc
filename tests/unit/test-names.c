/* test-names.c: which names the guest's sockets, pidfile and logs have at the destination. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../lib/sockets.h"

#include "../../agent-dst/parts/names.h"
#include "paths.h"
#include "systemd.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

static char dir[] = "/tmp/test-names.XXXXXX", memory[] = "/dev/shm/test-names.XXXXXX", state_dir[64];
static bool has_memory;
static struct err e;

static void write_text(const char *at, const char *text)
{
	FILE *f = fopen(at, "we");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* why: a part of the reason; NULL: it keeps its name. */
static void expect(enum args_role role, const char *in, const char *name, const char *why)
{
	AUTO_FREE char *path = xasprintf("%s/%s", in, name);
	AUTO_FREE char *not = names_why_not(state_dir, role, path);

	if (!why != !not || (why && !strstr(not, why)))
		fail_msg("%s: %s", path, not ?: "it keeps its name");
}

static void what_is_free_keeps_its_name(void **state)
{
	(void)state;
	expect(ARGS_LISTEN, dir, "a.qmp", NULL);
	expect(ARGS_PIDFILE, dir, "a.pid", NULL);
	expect(ARGS_LOG, dir, "a.log", NULL);
}

static void what_is_there_keeps_its_own(void **state)
{
	AUTO_FREE char *socket = xasprintf("%s/used", dir), *file = xasprintf("%s/file", dir), *link = xasprintf("%s/link", dir);
	int fd = unix_listening(socket);

	(void)state;
	write_text(file, "");
	assert_int_equal(symlink("nowhere", link), 0);
	expect(ARGS_LISTEN, dir, "used", "is there already");
	expect(ARGS_LOG, dir, "file", "is there already");
	expect(ARGS_LISTEN, dir, "link", "is there already");
	close(fd);
	expect(ARGS_LISTEN, dir, "file", "is there already");
	unlink(socket);
	unlink(file);
	unlink(link);
}

static void a_directory_is_no_log(void **state)
{
	struct args_file f = {.role = ARGS_LOG, .option = (char *)"serial", .to = xasprintf("%s/log", dir)};

	(void)state;
	assert_int_equal(names_check_unused(&f, &e), 0);
	assert_int_equal(mkdir(f.to, 0700), 0);
	assert_int_equal(names_check_unused(&f, &e), -EISDIR);
	assert_non_null(strstr(e.msg, "--disk-dir"));
	rmdir(f.to);
	free(f.to);
}

static void a_pipe_is_two_files_or_one(void **state)
{
	AUTO_FREE char *path = xasprintf("%s/com1", dir), *in = xasprintf("%s.in", path), *out = xasprintf("%s.out", path);
	struct args_file f = {.role = ARGS_FIFO, .option = (char *)"serial", .path = path};

	(void)state;
	assert_int_equal(names_check_fifo(&f, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "mkfifo "));
	assert_int_equal(mkfifo(in, 0600), 0);
	assert_int_equal(names_check_fifo(&f, &e), -ENOENT);
	assert_int_equal(mkfifo(out, 0600), 0);
	assert_int_equal(names_check_fifo(&f, &e), 0);
	unlink(in);
	unlink(out);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(names_check_fifo(&f, &e), 0);
	unlink(path);
}

static void a_program_can_be_run(void **state)
{
	AUTO_FREE char *path = xasprintf("%s/qemu-ifup", dir);
	const struct args_file f = {.role = ARGS_SCRIPT, .option = (char *)"netdev", .path = path};

	(void)state;
	write_text(path, "#!/bin/sh\n");
	assert_int_equal(names_check_program(&f, path, &e), -EACCES);
	assert_non_null(strstr(e.msg, "chmod +x "));
	assert_int_equal(chmod(path, 0700), 0);
	assert_int_equal(names_check_program(&f, path, &e), 0);
	unlink(path);
	assert_int_equal(names_check_program(&f, dir, &e), -EACCES);
	assert_non_null(strstr(e.msg, "is a directory"));
}

/* On a file system of this host alone. */
static void what_a_killed_qemu_left_is_in_nobody_s_way(void **state)
{
	AUTO_FREE char *socket = xasprintf("%s/socket", memory), *pidfile = xasprintf("%s/pid", memory), *log = xasprintf("%s/log", memory);
	int fd;

	(void)state;
	if (!has_memory)
		skip();
	fd = unix_listening(socket);
	expect(ARGS_LISTEN, memory, "socket", "is there already");
	close(fd);
	expect(ARGS_LISTEN, memory, "socket", NULL);
	expect(ARGS_PIDFILE, memory, "socket", "is there already");
	write_text(pidfile, "4194305\n");
	expect(ARGS_PIDFILE, memory, "pid", NULL);
	expect(ARGS_LOG, memory, "pid", "is there already");
	fd = open(pidfile, O_WRONLY | O_CLOEXEC);
	expect(ARGS_PIDFILE, memory, "pid", "is there already");
	close(fd);
	write_text(pidfile, "my diary\n");
	expect(ARGS_PIDFILE, memory, "pid", "is there already");
	write_text(log, "");
	expect(ARGS_LOG, memory, "log", "is there already");
	unlink(socket);
	unlink(pidfile);
	unlink(log);
}

static void a_directory_must_be_there_and_nobody_else_s(void **state)
{
	AUTO_FREE char *below = xasprintf("%s/below", dir), *file = xasprintf("%s/file", dir);

	(void)state;
	expect(ARGS_LISTEN, below, "a", "there is no directory");
	write_text(file, "");
	expect(ARGS_LISTEN, file, "a", "there is no directory");
	unlink(file);
	assert_int_equal(mkdir(below, 0700), 0);
	expect(ARGS_LISTEN, below, "a", NULL);
	chmod(below, 0770);
	expect(ARGS_LISTEN, below, "a", "others may write to");
	chmod(below, 0707);
	expect(ARGS_LISTEN, below, "a", "others may write to");
	chmod(below, 01777);
	expect(ARGS_LISTEN, below, "a", NULL);
	if (!geteuid()) {
		assert_int_equal(chown(below, 65534, 0), 0);
		expect(ARGS_LISTEN, below, "a", "others may write to");
	} else {
		chmod(below, 0500);
		expect(ARGS_LISTEN, below, "a", "cannot be written");
	}
	rmdir(below);
}

static void what_another_move_is_to_make_is_taken(void **state)
{
	static const uint8_t id[ATTEMPT_ID_LEN] = {7};
	AUTO_FREE char *path = xasprintf("%s/a.qmp", dir);
	json_t *begin = json_object(), *detail = json_pack("{s:s}", "path", path);
	struct journal *j;

	(void)state;
	assert_int_equal(journal_create(&j, state_dir, id, false, begin, &e), 0);
	expect(ARGS_LISTEN, dir, "a.qmp", NULL);
	assert_int_equal(journal_own(j, "name", detail, &e), 0);
	expect(ARGS_LISTEN, dir, "a.qmp", "another move that is not over has");
	expect(ARGS_LISTEN, dir, "b.qmp", NULL);
	assert_int_equal(journal_disown(j, "name", detail, &e), 0);
	expect(ARGS_LISTEN, dir, "a.qmp", NULL);
	assert_int_equal(journal_remove(j, false, &e), 0);
	json_decref(begin);
	json_decref(detail);
}

static void the_plan_says_once_why_others_are_made_elsewhere(void **state)
{
	struct args_file files[] = {
		{.role = ARGS_LISTEN, .option = (char *)"qmp", .path = (char *)"/nowhere/a.qmp", .to = (char *)"/srv/a.qmp"},
		{.role = ARGS_DISK, .option = (char *)"drive", .path = (char *)"/nowhere/a.raw", .to = (char *)"/srv/a.raw"},
		{.role = ARGS_LISTEN, .option = (char *)"serial", .path = (char *)"/srv/a.tty", .to = (char *)"/srv/a.tty"},
		{.role = ARGS_PIDFILE, .option = (char *)"pidfile", .path = (char *)"/nowhere/a.pid", .to = (char *)"/srv/a.pid"},
	};
	struct args_result line = {.files = files, .file_count = ARRAY_LEN(files)};
	json_t *said = json_array();

	(void)state;
	names_tell(state_dir, &line, said);
	assert_int_equal(json_array_size(said), 1);
	assert_string_equal(json_string_value(json_array_get(said, 0)), "made beside the disks, as there is no directory /nowhere: "
									"/srv/a.qmp (-qmp), /srv/a.pid (-pidfile)");
	json_decref(said);
}

static void the_plan_says_whose_listener_is_missing(void **state)
{
	struct args_file files[] = {
		{.role = ARGS_RECONNECT, .option = (char *)"netdev", .path = (char *)"/nowhere/passt"},
		{.role = ARGS_RECONNECT, .option = (char *)"chardev", .path = (char *)"/nowhere/b", .to = (char *)dir},
	};
	struct args_result line = {.files = files, .file_count = ARRAY_LEN(files)};
	json_t *said = json_array();

	(void)state;
	names_tell(state_dir, &line, said);
	assert_int_equal(json_array_size(said), 1);
	assert_string_equal(json_string_value(json_array_get(said, 0)),
			    "no process listens on /nowhere/passt there yet: QEMU retries until one does (-netdev)");
	json_decref(said);
}

static void the_plan_says_once_that_names_are_taken(void **state)
{
	AUTO_FREE char *a = xasprintf("%s/a.log", dir), *b = xasprintf("%s/b.log", dir);
	struct args_file files[] = {
		{.role = ARGS_LISTEN, .option = (char *)"serial", .path = a, .to = (char *)"/srv/a.log"},
		{.role = ARGS_LISTEN, .option = (char *)"chardev", .path = b, .to = (char *)"/srv/b.log"},
	};
	struct args_result line = {.files = files, .file_count = 1};
	AUTO_FREE char *one = xasprintf("made beside the disks, as %s is there already: /srv/a.log (-serial)", a);
	json_t *said = json_array();

	(void)state;
	assert_int_equal(creat(a, 0600) < 0 || creat(b, 0600) < 0, 0);
	names_tell(state_dir, &line, said);
	assert_string_equal(json_string_value(json_array_get(said, 0)), one);
	json_array_clear(said);
	line.file_count = ARRAY_LEN(files);
	names_tell(state_dir, &line, said);
	assert_int_equal(json_array_size(said), 1);
	assert_string_equal(json_string_value(json_array_get(said, 0)),
			    "made beside the disks, as other files have these names: /srv/a.log (-serial), /srv/b.log (-chardev)");
	json_decref(said);
	unlink(a);
	unlink(b);
}

static void directories_that_a_reboot_takes_are_known(void **state)
{
	AUTO_FREE char *a = xasprintf("%s/a", memory), *b = xasprintf("%s/b", memory);
	struct args_file files[] = {
		{.role = ARGS_LISTEN, .to = a},
		{.role = ARGS_PIDFILE, .to = b},
		{.role = ARGS_DISK, .to = (char *)"/dev/shm/x/disk"},
		{.role = ARGS_LISTEN, .to = (char *)"/dev/shm/c"},
		{.role = ARGS_LISTEN, .to = (char *)"/usr/c"},
	};
	struct args_result line = {.files = files, .file_count = ARRAY_LEN(files)};
	char **dirs;

	(void)state;
	if (!has_memory)
		skip();
	dirs = names_fleeting_dirs(&line, "/srv");
	assert_string_equal(dirs[0], memory);
	assert_null(dirs[1]);
	free_words(dirs);
	dirs = names_fleeting_dirs(&line, memory);
	assert_null(dirs[0]);
	free_words(dirs);
}

static int begin_all(void **state)
{
	struct statfs fs;

	(void)state;
	assert_non_null(mkdtemp(dir));
	has_memory = !statfs("/dev/shm", &fs) && fs.f_type == TMPFS_MAGIC && mkdtemp(memory);
	snprintf(state_dir, sizeof(state_dir), "%s/state", dir);
	return mkdir(state_dir, 0700);
}

static int end_all(void **state)
{
	(void)state;
	rmdir(state_dir);
	if (has_memory)
		rmdir(memory);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_free_keeps_its_name),
		cmocka_unit_test(what_is_there_keeps_its_own),
		cmocka_unit_test(a_directory_is_no_log),
		cmocka_unit_test(a_pipe_is_two_files_or_one),
		cmocka_unit_test(a_program_can_be_run),
		cmocka_unit_test(what_a_killed_qemu_left_is_in_nobody_s_way),
		cmocka_unit_test(a_directory_must_be_there_and_nobody_else_s),
		cmocka_unit_test(what_another_move_is_to_make_is_taken),
		cmocka_unit_test(the_plan_says_once_why_others_are_made_elsewhere),
		cmocka_unit_test(the_plan_says_whose_listener_is_missing),
		cmocka_unit_test(the_plan_says_once_that_names_are_taken),
		cmocka_unit_test(directories_that_a_reboot_takes_are_known),
	};

	return cmocka_run_group_tests(tests, begin_all, end_all);
}
