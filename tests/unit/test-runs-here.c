/* test-runs-here.c: a guest that runs here by another name, found by the disks that are noted of it (runs-here.h). */
#include "runs-here.h"
#include "util.h"
#include "whereabouts.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64];
static struct err e;
static char *disk, *detach; /* detach: command that frees a loop device; NULL: none */

static int setup(void **state)
{
	AUTO_FREE char *notes = NULL;

	(void)state;
	strcpy(dir, "/tmp/test-runs-here-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	notes = xasprintf("%s/replica", dir);
	disk = xasprintf("%s/disk", dir);
	close(open(disk, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	return mkdir(notes, 0700);
}

static int teardown(void **state)
{
	AUTO_FREE char *command = xasprintf("rm -r %s", dir);

	(void)state;
	if (detach && system(detach))
		return -1;
	free(detach);
	detach = NULL;
	free(disk);
	return system(command);
}

/* Writes what is known of the guest's last point. */
static void note_point(const char *path)
{
	AUTO_FREE char *note = xasprintf("%s/replica/vm1.json", dir);
	json_t *o = json_pack("{s:[s]}", "disks", path);

	assert_int_equal(json_dump_file(o, note, 0), 0);
	json_decref(o);
}

static void note_move(const char *key, const char *path)
{
	AUTO_FREE char *notes = whereabouts_path(dir, "vm1");
	json_t *o = json_pack("{s:s,s:s,s:s,s:[s]}", "guest", "vm1", "attempt", "02", key, "host-a", "disks", path);

	assert_int_equal(whereabouts_add(notes, o, &e), 0);
	json_decref(o);
}

/* A process has the disk open meanwhile, and is named. */
static void assert_found_by(const char *opened)
{
	AUTO_FREE char *text = NULL;
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(runs_here_check(dir, "vm1", NULL, &e), 0);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		if (open(opened, O_RDONLY) >= 0 && write(ready[1], "", 1) == 1)
			pause();
		_exit(1);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(runs_here_check(dir, "vm1", NULL, &e), -EBUSY);
	text = xasprintf("%s is open in process %d", disk, (int)pid);
	assert_non_null(strstr(e.msg, text));
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(runs_here_check(dir, "vm1", NULL, &e), 0);
	close(ready[0]);
	close(ready[1]);
}

static void assert_found(void)
{
	assert_found_by(disk);
}

static void test_disk_of_the_last_point(void **state)
{
	(void)state;
	note_point(disk);
	assert_found();
}

static void test_disk_with_which_it_came(void **state)
{
	(void)state;
	note_move("came_from", disk);
	assert_found();
}

/* A block device is the same by whichever node. */
static void test_another_node_of_the_device(void **state)
{
	AUTO_FREE char *attach = xasprintf("truncate -s 1M %s && losetup --find --show %s >%s/device 2>/dev/null", disk, disk, dir),
		       *node = xasprintf("%s/node", dir), *said = xasprintf("%s/device", dir), *image = disk;
	char device[64];
	struct stat st;
	FILE *f;

	(void)state;
	if (geteuid() != 0) {
		print_message("skipped: need root, for a loop device\n");
		skip();
	}
	if (system(attach)) {
		print_message("skipped: no loop device here\n");
		skip();
	}
	f = fopen(said, "re");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%63s", device), 1);
	fclose(f);
	detach = xasprintf("losetup -d %s", device);
	assert_int_equal(stat(device, &st), 0);
	assert_int_equal(mknod(node, S_IFBLK | 0600, st.st_rdev), 0);
	disk = xstrdup(device);
	note_point(disk);
	assert_found_by(node);
	free(disk);
	disk = xstrdup(image);
}

static void test_disk_that_is_gone_is_no_matter(void **state)
{
	(void)state;
	note_point("/nowhere/disk");
	assert_int_equal(runs_here_check(dir, "vm1", NULL, &e), 0);
}

/* Notes that cannot be read may say that the guest runs. */
static void test_damaged_notes_are_no_yes(void **state)
{
	AUTO_FREE char *notes = NULL;
	FILE *f;

	(void)state;
	note_move("came_from", disk);
	notes = whereabouts_path(dir, "vm1");
	f = fopen(notes, "w");
	assert_non_null(f);
	fputs("{", f);
	fclose(f);
	assert_int_not_equal(runs_here_check(dir, "vm1", NULL, &e), 0);
}

static void test_uuid_of_a_line(void **state)
{
	char *line[] = {(char *)"qemu", (char *)"-name", (char *)"vm1", (char *)"--uuid", (char *)"u1"};

	(void)state;
	assert_string_equal(runs_here_uuid(line, 5), "u1");
	assert_null(runs_here_uuid(line, 4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_disk_of_the_last_point, setup, teardown),
		cmocka_unit_test_setup_teardown(test_disk_with_which_it_came, setup, teardown),
		cmocka_unit_test_setup_teardown(test_another_node_of_the_device, setup, teardown),
		cmocka_unit_test_setup_teardown(test_disk_that_is_gone_is_no_matter, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged_notes_are_no_yes, setup, teardown),
		cmocka_unit_test(test_uuid_of_a_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
