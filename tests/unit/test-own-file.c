/*
 * test-own-file.c: which file is removed, and which is not. Inodes that are used again need a file system of our own (ext4 in a file),
 * and so root; without it those cases are skipped.
 */
#include "own-file.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "../lib/sockets.h"

static char dir[] = "/tmp/vmferry-own-file-XXXXXX";
static bool mounts; /* we may */
static struct err e;

static const char *at(const char *name)
{
	static char path[4][96];
	static unsigned n;
	char *p = path[n++ % 4];

	snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

static int run(const char *command, ...)
{
	AUTO_FREE char *line = NULL;
	va_list ap;
	int r;

	va_start(ap, command);
	r = vasprintf(&line, command, ap);
	va_end(ap);
	return r < 0 ? r : system(line);
}

static int group_setup(void **state)
{
	(void)state;
	setenv("PATH", "/usr/sbin:/sbin:/usr/bin:/bin", 1);
	mounts = !unshare(CLONE_NEWNS) && !mount("", "/", "", MS_REC | MS_PRIVATE, NULL);
	return mkdtemp(dir) ? 0 : -1;
}

static int group_teardown(void **state)
{
	(void)state;
	return run("rm -rf %s", dir);
}

static void make(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static json_t *know(const char *path)
{
	json_t *known;

	assert_int_equal(own_file_know(path, path, &known, &e), 0);
	assert_string_equal(json_string_value(json_object_get(known, "path")), path);
	return known;
}

static bool is_there(const char *path)
{
	struct stat st;

	return !lstat(path, &st);
}

static void assert_stays(const json_t *known, const char *path, int result)
{
	assert_int_equal(own_file_remove(known, false, &e), result);
	assert_true(is_there(path));
}

static void assert_goes(json_t *known /* stolen */, const char *path)
{
	assert_int_equal(own_file_remove(known, false, &e), 0);
	assert_false(is_there(path));
	assert_int_equal(own_file_remove(known, false, &e), 0); /* a second removal */
	json_decref(known);
}

static ino_t inode_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_ino;
}

static void the_same_file_goes(void **state)
{
	const char *path = at("a");
	json_t *known;

	(void)state;
	make(path);
	known = know(path);
	assert_int_equal(chmod(path, 0640), 0); /* a change of mode or contents does not change a file's identity */
	assert_int_equal(truncate(path, 4096), 0);
	assert_goes(known, path);
	path = at("a.raw.vmferry-deadbeef"); /* a name that is ours alone */
	make(path);
	assert_goes(json_pack("{s:s}", "path", path), path);
}

static void a_file_that_took_its_name_stays(void **state)
{
	const char *path = at("a"), *other = at("b");
	json_t *known;

	(void)state;
	make(path);
	make(other);
	known = know(path);
	assert_int_equal(rename(other, path), 0);
	assert_stays(known, path, 0);
	json_decref(known);
	unlink(path);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	known = know(at("")); /* a directory's */
	json_object_set_new(known, "path", json_string(path));
	assert_stays(known, path, 0);
	json_decref(known);
	unlink(path);
}

static void a_file_whose_directory_was_renamed_is_told(void **state)
{
	const char *path = at("d/a"), *from = at("d"), *to = at("e"), *there = at("e/a");
	json_t *known;

	(void)state;
	assert_int_equal(mkdir(from, 0700), 0);
	make(path);
	known = know(path);
	assert_int_equal(rename(from, to), 0);
	assert_int_equal(own_file_remove(known, false, &e), 0);
	assert_true(own_file_has_lost_its_directory(known, &e));
	assert_non_null(strstr(e.msg, "if it was renamed"));
	assert_true(is_there(there));
	unlink(there);
	assert_int_equal(rename(to, from), 0);
	assert_false(own_file_has_lost_its_directory(known, &e));
	json_decref(known);
	rmdir(from);
}

static void what_somebody_has_open_stays(void **state)
{
	const char *path = at("a");
	json_t *known;
	int ready[2], fd;
	pid_t pid;
	char c;

	(void)state;
	make(path);
	known = know(path);
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		fd = open(path, O_RDONLY);
		if (fd < 0 || write(ready[1], "", 1) != 1)
			_exit(1);
		pause();
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_stays(known, path, 1);
	{
		AUTO_FREE char *who = xasprintf("is open in process %d,", (int)pid);

		assert_non_null(strstr(e.msg, who));
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	fd = open(path, O_RDWR); /* the search in /proc leaves out this process, so no process has it open */
	assert_stays(known, path, 1);
	assert_non_null(strstr(e.msg, "a process that cannot be seen"));
	close(fd);
	close(ready[0]);
	close(ready[1]);
	assert_goes(known, path);
}

static void a_socket_is_known_too(void **state)
{
	const char *path = at("s");
	int fd = unix_bound(path);
	json_t *known = know(path);

	(void)state;
	close(fd);
	assert_goes(json_incref(known), path);
	fd = unix_bound(path);
	assert_stays(known, path, 0);
	json_decref(known);
	close(fd);
	unlink(path);
}

static void what_cannot_be_told_apart_stays(void **state)
{
	const char *path = at("a");
	json_t *known;

	(void)state;
	make(path);
	known = know(path);
	json_object_del(known, "btime");
	json_object_del(known, "handle");
	assert_stays(known, path, -EUCLEAN);
	assert_non_null(strstr(e.msg, "if it is, and is not needed, delete it"));
	json_object_del(known, "inode");
	json_object_del(known, "device");
	assert_stays(known, path, -EUCLEAN);
	json_decref(known);
	unlink(path);
}

/* A later file with the same inode number stays: only the time of birth, or the handle, tells them apart. */
static void a_later_file_with_its_inode_stays(void **state)
{
	static const char *const told_by[] = {"btime", "handle"};
	const char *path = at("a");
	json_t *known;
	unsigned i;

	(void)state;
	for (i = 0; i < 2; i++) {
		make(path);
		known = know(path);
		if (json_object_get(known, told_by[i])) { /* only on some file systems */
			json_object_del(known, told_by[!i]);
			json_object_set_new(known, told_by[i], i ? json_string("1:00") : json_integer(1));
			assert_stays(known, path, 0);
		}
		json_decref(known);
		unlink(path);
	}
}

static void a_device_may_have_another_number_after_a_reboot_only(void **state)
{
	const char *path = at("a");
	json_t *known;

	(void)state;
	make(path);
	known = know(path);
	json_object_set_new(known, "device", json_integer(json_integer_value(json_object_get(known, "device")) + 1));
	assert_stays(known, path, 0);
	assert_int_equal(own_file_remove(known, true, &e), 0);
	assert_false(is_there(path));
	json_decref(known);
}

static void what_cannot_be_removed_is_an_error(void **state)
{
	const char *path = at("a"), *over = at("b");
	int fd, flags = FS_IMMUTABLE_FL, none = 0;
	json_t *known;

	(void)state;
	if (!mounts) {
		print_message("skipped: need root, to mount a file system\n");
		skip();
	}
	make(path);
	make(over);
	known = know(path);
	assert_int_equal(mount(over, path, "", MS_BIND, NULL), 0);
	assert_stays(known, path, -EBUSY);
	assert_int_equal(umount(path), 0);
	fd = open(path, O_RDONLY);
	if (!ioctl(fd, FS_IOC_SETFLAGS, &flags)) {
		close(fd);
		assert_stays(known, path, -EPERM);
		assert_non_null(strstr(e.msg, "Operation not permitted"));
		fd = open(path, O_RDONLY);
		assert_int_equal(ioctl(fd, FS_IOC_SETFLAGS, &none), 0);
	}
	close(fd);
	assert_goes(known, path);
	unlink(over);
}

/* Runs the test on a file system that reuses inode numbers at once. inode_bytes: 128 leaves no room for a time of birth. */
static void with_inodes_used_again(unsigned inode_bytes, bool born)
{
	const char *path = at("fs/a");
	json_t *known;
	ino_t before;

	if (!mounts) {
		print_message("skipped: need root, to mount a file system\n");
		skip();
	}
	if (mkdir(at("fs"), 0700) || run("truncate -s 8M %s/image && mke2fs -q -F -t ext4 -I %u %s/image >/dev/null 2>&1 && "
					 "mount -o loop %s/image %s/fs",
					 dir, inode_bytes, dir, dir, dir)) {
		rmdir(at("fs"));
		print_message("skipped: no file system can be mounted here\n");
		skip();
	}
	make(path);
	known = know(path);
	assert_int_equal(json_object_get(known, "btime") != NULL, born);
	before = inode_of(path);
	unlink(path);
	make(path);
	assert_int_equal(inode_of(path), before);
	assert_stays(known, path, 0);
	if (!born) { /* after a reboot a handle says nothing */
		assert_int_equal(own_file_remove(known, true, &e), -EUCLEAN);
		assert_true(is_there(path));
	}
	json_decref(known);
	assert_goes(know(path), path);
	assert_int_equal(run("umount %s/fs && rmdir %s/fs && rm %s/image", dir, dir, dir), 0);
}

static void an_inode_used_again_is_another_file(void **state)
{
	(void)state;
	with_inodes_used_again(256, true);
}

static void an_inode_used_again_is_another_file_without_times_of_birth(void **state)
{
	(void)state;
	with_inodes_used_again(128, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_file_goes),
		cmocka_unit_test(a_file_that_took_its_name_stays),
		cmocka_unit_test(a_file_whose_directory_was_renamed_is_told),
		cmocka_unit_test(what_somebody_has_open_stays),
		cmocka_unit_test(a_socket_is_known_too),
		cmocka_unit_test(what_cannot_be_told_apart_stays),
		cmocka_unit_test(a_later_file_with_its_inode_stays),
		cmocka_unit_test(a_device_may_have_another_number_after_a_reboot_only),
		cmocka_unit_test(what_cannot_be_removed_is_an_error),
		cmocka_unit_test(an_inode_used_again_is_another_file),
		cmocka_unit_test(an_inode_used_again_is_another_file_without_times_of_birth),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
