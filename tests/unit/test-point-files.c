/* test-point-files.c: what a guest that runs from a point of its replica has of its memory and its directories: nothing of another
 * guest's. */
#include "point-run.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/vmferry-test-point-files.XXXXXX";
static char *memory;
static struct err e;

/* Checks a run of that kind whose line has that option. */
static int checks(const char *kind, const char *option, const char *value)
{
	const char *const words[] = {"qemu-system-x86_64", option, value};
	struct point point = {.json = json_pack("{s:[]}", "disks")};
	struct run r = {.kind = kind, .point = &point, .dir = dir};
	const struct args_options o = {.socket_dir = dir, .cwd = "/", .no_state = true, .at_rest = true};
	int k;

	if (qemu_args_rewrite(&r.args, (char *const *)(uintptr_t)words, ARRAY_LEN(words), &o, &e))
		fail_msg("%s", e.msg);
	k = run_check_files(&r, &e);
	args_result_fini(&r.args);
	json_decref(point.json);
	return k;
}

static int checks_memory(const char *kind, const char *path, const char *more)
{
	AUTO_FREE char *value = xasprintf("memory-backend-file,id=m,size=64M,mem-path=%s%s", path, more);

	return checks(kind, "-object", value);
}

/* A process that has the file open, and ends with us. Its other end is at *fd. */
static pid_t open_in_child(const char *path, int *fd)
{
	int ready[2];
	pid_t pid;
	char word;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		if (open(path, O_RDWR) < 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &word, 1), 1);
	*fd = ready[0];
	return pid;
}

static void one_memory_is_never_two_guests(void **state)
{
	int status, fd;
	pid_t pid;

	(void)state;
	assert_int_equal(checks_memory("run", memory, ",share=on"), 0); /* no process has the file open */
	pid = open_in_child(memory, &fd);
	assert_int_equal(checks_memory("run", memory, ",share=on"), -EBUSY);
	assert_non_null(strstr(e.msg, "two guests would have one memory"));
	assert_int_equal(checks_memory("test", memory, ",share=on"), -EBUSY);
	assert_int_equal(checks_memory("run", memory, ",share=off"), 0); /* each has a copy of its own */
	assert_int_equal(checks_memory("test", memory, ""), 0);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	close(fd);
}

static void trial_has_no_memory_that_a_guest_would_have(void **state)
{
	AUTO_FREE char *none = xasprintf("%s/none", dir);

	(void)state;
	assert_int_equal(checks_memory("test", memory, ",share=on"), -ENOTSUP);
	assert_int_equal(checks_memory("test", none, ",share=on"), -ENOTSUP); /* the trial would create the file */
	assert_int_equal(checks_memory("run", none, ",share=on"), 0);
	assert_int_equal(checks_memory("test", dir, ",share=on"), 0); /* a file of its own, without a name */
}

static void trial_writes_to_no_directory_that_stays(void **state)
{
	static const struct {
		const char *option, *value;
		int test;
	} rows[] = {
		{"-fsdev", "local,id=f,security_model=none,path=/srv", -ENOTSUP},
		{"-fsdev", "local,id=f,security_model=none,path=/srv,readonly=on", 0},
		{"-virtfs", "local,mount_tag=f,security_model=none,path=/srv", -ENOTSUP},
		{"-virtfs", "local,mount_tag=f,security_model=none,path=/srv,readonly=on", 0},
		{"-netdev", "user,id=n,smb=/srv", -ENOTSUP},
		{"-netdev", "user,id=n,tftp=/srv", 0},
		{"-drive", "file=fat:rw:/srv,format=raw,if=none,id=d", -ENOTSUP},
		{"-drive", "file=fat:/srv,format=raw,if=none,id=d", 0},
		{"-L", "/srv", 0},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		if (checks("test", rows[i].option, rows[i].value) != rows[i].test)
			fail_msg("%s %s: %s", rows[i].option, rows[i].value, e.msg);
		assert_int_equal(checks("run", rows[i].option, rows[i].value), 0);
	}
}

static int setup(void **state)
{
	int fd;

	(void)state;
	if (!mkdtemp(dir))
		return -1;
	memory = xasprintf("%s/memory", dir);
	fd = open(memory, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
	(void)state;
	unlink(memory);
	free(memory);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_memory_is_never_two_guests),
		cmocka_unit_test(trial_has_no_memory_that_a_guest_would_have),
		cmocka_unit_test(trial_writes_to_no_directory_that_stays),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
