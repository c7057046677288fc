/* test-in-place.c: what was set aside for a QEMU that starts in place of another, and who has the names afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../lib/sockets.h"

#include "../../agent-dst/parts/in-place.h"
#include "process.h"
#include "process-sockets.h"
#include "unix-socket.h"
#include "util.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[] = "/tmp/test-in-place.XXXXXX";
static char path[64], aside[64];
static struct attempt attempt;
static struct target target = {.part = {.a = &attempt}};
static struct err e;

static void write_pid(const char *at, int pid)
{
	FILE *f = fopen(at, "we");

	assert_non_null(f);
	fprintf(f, "%d\n", pid);
	fclose(f);
}

static bool owner_lives = true;

/* keep_guest: the new QEMU has the guest, and lives. */
static int undo(bool keep_guest)
{
	AUTO_FREE char *boot = boot_id();
	uint64_t start = 0;
	json_t *detail;
	int r;

	assert_int_equal(process_start_time(getpid(), &start), 0);
	detail = json_pack("{s:s,s:s,s:i,s:I,s:s}", "path", path, "aside", aside, "pid", (int)getpid(), "start_time",
			   (json_int_t)start + !owner_lives, "boot_id", boot);
	target.keep_guest = keep_guest;
	attempt.handoff.qemu_alive = keep_guest;
	r = in_place_undo(&target, detail, &e);
	json_decref(detail);
	return r;
}

static ino_t inode(const char *at)
{
	struct stat st;

	return lstat(at, &st) ? 0 : st.st_ino;
}

static int begin(void **state)
{
	(void)state;
	owner_lives = true;
	unlink(path);
	unlink(aside);
	return 0;
}

static void what_was_never_set_aside_stays(void **state)
{
	int fd = unix_listening(path);
	ino_t it = inode(path);

	(void)state;
	assert_int_equal(undo(false), 0);
	assert_int_equal(inode(path), it);
	close(fd);
}

static void who_still_listens_has_his_name_again(void **state)
{
	int fd = unix_listening(aside);
	ino_t it = inode(aside);

	(void)state;
	assert_int_equal(undo(false), 0);
	assert_int_equal(inode(path), it);
	assert_int_equal(inode(aside), 0);
	close(fd);
}

static void who_has_it_already_keeps_it(void **state)
{
	int fd = unix_listening(aside);
	ino_t it = inode(aside);

	(void)state;
	assert_int_equal(link(aside, path), 0);
	assert_int_equal(undo(false), 0);
	assert_int_equal(inode(path), it);
	assert_int_equal(inode(aside), 0);
	close(fd);
}

/* The socket was left by a QEMU that died before it was hidden. */
static void over_what_nobody_uses(void **state)
{
	int fd = unix_listening(aside);
	ino_t it = inode(aside);

	(void)state;
	close(unix_listening(path));
	assert_int_equal(undo(false), 0);
	assert_int_equal(inode(path), it);
	close(fd);
}

static void never_over_what_is_in_use(void **state)
{
	int fd = unix_listening(aside), other = unix_listening(path);
	ino_t it = inode(aside), its = inode(path);

	(void)state;
	assert_int_equal(undo(false), -EEXIST);
	assert_non_null(strstr(e.msg, aside));
	assert_int_equal(inode(path), its);
	assert_int_equal(inode(aside), it);
	close(fd);
	close(other);
}

/* The owner removed its own socket, rightly: that does not come back. */
static void who_has_ended_has_no_name(void **state)
{
	(void)state;
	close(unix_listening(aside));
	owner_lives = false;
	assert_int_equal(undo(false), 0);
	assert_int_equal(inode(path), 0);
	assert_int_equal(inode(aside), 0);
}

static void a_pidfile_is_not_taken_from_who_lives(void **state)
{
	pid_t dead = fork();

	(void)state;
	if (!dead)
		_exit(0);
	waitpid(dead, NULL, 0);
	write_pid(aside, (int)getpid());
	write_pid(path, (int)getppid());
	assert_int_equal(undo(false), -EEXIST);
	write_pid(path, (int)dead);
	assert_int_equal(undo(false), 0);
	assert_int_not_equal(inode(path), 0);
	assert_int_equal(inode(aside), 0);
}

static void whose_socket_it_is_can_be_told(void **state)
{
	int fd = unix_listening(path), ready[2];
	pid_t other;
	char byte;

	(void)state;
	assert_true(unix_is_bound(path));
	assert_true(process_has_socket(getpid(), path));
	assert_false(process_has_socket(getppid(), path));
	assert_int_equal(rename(path, aside), 0);
	assert_true(unix_is_bound(aside));
	assert_false(unix_is_bound(path));
	assert_int_equal(pipe(ready), 0);
	other = fork();
	if (!other) {
		close(fd);
		unix_listening(path); /* another one has the name now */
		if (write(ready[1], "", 1) == 1)
			pause();
		_exit(1);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_false(process_has_socket(getpid(), path));
	assert_true(process_may_listen_at(getpid(), path)); /* by that name, which is another's now */
	assert_true(process_has_socket(other, path));
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
	assert_true(process_has_socket(getpid(), path));
	close(ready[0]);
	close(ready[1]);
	close(fd);
	assert_false(process_has_socket(getpid(), path));
	assert_false(process_may_listen_at(getpid(), path));
	assert_false(unix_is_bound(aside));
}

/* Somebody else's, in a file that has gone: as one of a mount namespace of its own it has the name, and the name does not lead there. */
static void a_name_that_leads_elsewhere_takes_none_away(void **state)
{
	int others = unix_listening(path), ready[2], fd;
	char byte, *found;
	pid_t other;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	other = fork();
	if (!other) {
		if (write(ready[1], "", 1) == 1)
			pause();
		_exit(1);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(others);
	assert_int_equal(unlink(path), 0);
	fd = unix_listening(path);
	assert_true(process_has_socket(getpid(), path));
	assert_false(process_has_socket(other, path));
	found = process_socket_called(getpid(), strrchr(path, '/') + 1);
	assert_string_equal(found, path);
	free(found);
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
	close(ready[0]);
	close(ready[1]);
	close(fd);
	unlink(path);
}

/* Somebody else's, whose name ends with a line about that socket. */
static int forger(ino_t number, const char *at)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), n;

	n = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "x\n%016x: 00000002 00000000 00010000 0001 01 %lu %s", 0,
		     (unsigned long)number, at);
	assert_true(n > 0 && n < (int)sizeof(name.sun_path) - 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&name, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static ino_t inode_of(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_ino;
}

static bool seems_to_have(pid_t pid, ino_t number)
{
	int fd = forger(number, path);
	bool yes = process_has_socket(pid, path);

	close(fd);
	return yes;
}

static void a_name_with_lines_in_it_is_not_believed(void **state)
{
	int tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), its = unix_listening(aside), fd;

	(void)state;
	assert_true(tcp >= 0);
	assert_false(seems_to_have(getpid(), inode_of(tcp))); /* the socket has no line of its own in /proc */
	assert_false(seems_to_have(getpid(), inode_of(its)));
	fd = forger(inode_of(its), aside); /* our own is ours all the same */
	assert_true(process_has_socket(getpid(), aside));
	close(fd);
	assert_true(process_has_socket(getpid(), aside));
	/* by nobody's socket it may seem to be another's, and is never thought gone */
	fd = forger(1, aside);
	assert_true(process_may_have_socket(getpid(), aside));
	assert_true(process_may_have_socket(getpid(), "/tmp/a\nb"));
	close(fd);
	close(its);
	close(tcp);
}

static void a_guest_that_has_gone_on_keeps_the_new_names(void **state)
{
	int fd = unix_listening(aside), other = unix_listening(path);
	ino_t its = inode(path);

	(void)state;
	assert_int_equal(undo(true), 0);
	assert_int_equal(inode(path), its);
	assert_int_equal(inode(aside), 0);
	close(fd);
	close(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(what_was_never_set_aside_stays, begin),
		cmocka_unit_test_setup(who_still_listens_has_his_name_again, begin),
		cmocka_unit_test_setup(who_has_it_already_keeps_it, begin),
		cmocka_unit_test_setup(over_what_nobody_uses, begin),
		cmocka_unit_test_setup(never_over_what_is_in_use, begin),
		cmocka_unit_test_setup(who_has_ended_has_no_name, begin),
		cmocka_unit_test_setup(a_pidfile_is_not_taken_from_who_lives, begin),
		cmocka_unit_test_setup(whose_socket_it_is_can_be_told, begin),
		cmocka_unit_test_setup(a_name_that_leads_elsewhere_takes_none_away, begin),
		cmocka_unit_test_setup(a_name_with_lines_in_it_is_not_believed, begin),
		cmocka_unit_test_setup(a_guest_that_has_gone_on_keeps_the_new_names, begin),
	};
	int r;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/a", dir);
	snprintf(aside, sizeof(aside), "%s/b", dir);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	begin(NULL);
	rmdir(dir);
	return r;
}
