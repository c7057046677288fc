/* test-deleted-file.c: deleted files are told from files merely named "... (deleted)". */
#include "deleted-file.h"
#include "util.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/deleted-file-XXXXXX";

/* Open as long as the test's process is there. */
static void open_new(const char *path, const char *text)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void assert_holds(const char *path, const char *text)
{
	AUTO_FREE char *where = process_holds_deleted(getpid(), path);
	char got[16] = "";
	int fd;

	if (!text) {
		assert_null(where);
		return;
	}
	assert_non_null(where);
	fd = open(where, O_RDONLY | O_CLOEXEC);
	assert_int_equal(pread(fd, got, sizeof(got) - 1, 0), (ssize_t)strlen(text));
	assert_string_equal(got, text);
	close(fd);
}

static void a_file_is_found_that_has_lost_its_name(void **state)
{
	AUTO_FREE char *path = xasprintf("%s/a", dir), *other = xasprintf("%s/b", dir);

	(void)state;
	open_new(path, "one");
	assert_holds(path, NULL);
	assert_int_equal(link(path, other), 0);
	unlink(path);
	assert_holds(path, "one"); /* found under any other name */
	unlink(other);
	assert_holds(path, "one");
	open_new(path, "two");
	assert_holds(path, "one");
	unlink(path);
	assert_holds(path, NULL); /* two candidates: none is chosen */
}

static void a_file_that_is_called_so_has_its_name(void **state)
{
	AUTO_FREE char *path = xasprintf("%s/c", dir), *looks = xasprintf("%s/c (deleted)", dir);

	(void)state;
	open_new(looks, "looks so");
	assert_holds(path, NULL);
	open_new(path, "is");
	unlink(path);
	assert_holds(path, "is");
	unlink(looks);
	assert_holds(looks, "looks so");
}

static void assert_program(const char *path, bool gone)
{
	AUTO_FREE char *copy = xasprintf("cp /bin/sleep '%s'", path), *name = NULL;
	char *argv[] = {"sleep", "1000", NULL};
	pid_t pid;

	assert_int_equal(system(copy), 0);
	assert_int_equal(posix_spawn(&pid, path, NULL, NULL, argv, NULL), 0);
	if (gone)
		unlink(path);
	name = process_program(pid);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_string_equal(name, path);
	unlink(path);
}

static void a_program_is_called_what_it_was(void **state)
{
	AUTO_FREE char *plain = xasprintf("%s/sleep", dir), *looks = xasprintf("%s/sleep (deleted)", dir);
	AUTO_FREE char *sub = xasprintf("%s/x (deleted)", dir), *below = xasprintf("%s/sleep", sub);

	(void)state;
	assert_int_equal(mkdir(sub, 0700), 0);
	assert_program(plain, false);
	assert_program(plain, true);
	assert_program(looks, false);
	assert_program(looks, true);
	assert_program(below, false);
	assert_program(below, true);
	rmdir(sub);
	assert_null(process_program(0));
}

static int begin(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_is_found_that_has_lost_its_name),
		cmocka_unit_test(a_file_that_is_called_so_has_its_name),
		cmocka_unit_test(a_program_is_called_what_it_was),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
