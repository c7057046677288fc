/* test-restarted-here.c: a guest was handed over, and its QEMU here has ended since: what its disks tell of whether it was started
 * again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "image-mark.h"
#include "process.h"
#include "transfer.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static struct transfer t;
static struct move_options options;
static char dir[64], disk[96];
static struct err e;

static void nothing_fails(void *ctx, const struct err *why)
{
	(void)ctx;
	fail_msg("%s", why->msg);
}

static int set_up(void **state)
{
	AUTO_FREE char *boot = boot_id();
	json_t *begin = json_pack("{s:s,s:s}", "guest", "vm1", "boot_id", boot);
	int r;

	(void)state;
	memset(&t, 0, sizeof(t));
	strcpy(dir, "/tmp/test-restarted-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(disk, sizeof(disk), "%s/disk", dir);
	options.dirs.state = dir;
	t.a.id[0] = 1;
	t.opt = &options;
	r = loop_new(&t.a.loop, 64, &e);
	conductor_init(&t.a.con, t.a.loop, NULL, NULL, nothing_fails);
	source_init(&t.src, &t.a, &options, NULL);
	t.around.aside.part.a = &t.a;
	r = r ? r : attempt_begin(&t.a, dir, HO_SOURCE, begin, &e);
	json_decref(begin);
	json_decref(t.src.disk_paths);
	t.src.disk_paths = json_pack("[s]", disk);
	handoff_init(&t.a.handoff, HO_SOURCE);
	t.a.handoff.state = HO_SRC_COMMITTED;
	t.a.handoff.qemu_alive = false;
	return r;
}

static int tear_down(void **state)
{
	AUTO_FREE char *command = xasprintf("rm -r %s", dir);

	(void)state;
	json_decref(t.src.disk_paths);
	json_decref(t.src.shared_paths);
	json_decref(t.src.disks_by_word);
	journal_close(t.a.journal);
	conductor_fini(&t.a.con);
	loop_free(t.a.loop);
	return system(command);
}

static void write_disk(void)
{
	FILE *f = fopen(disk, "a");

	assert_non_null(f);
	assert_true(fputs("x", f) > 0);
	assert_int_equal(fclose(f), 0);
}

static void note(json_int_t stamp)
{
	assert_int_equal(attempt_note(&t.a, "disks-written", json_pack("{s:I}", disk, stamp), &e), 0);
}

static void file_tells_by_its_time(void **state)
{
	int64_t now;

	(void)state;
	write_disk();
	now = image_write_stamp(disk);
	assert_true(now > 0);
	note(now);
	assert_int_equal(cutover_nobody_restarted_it(&t, &e), 0);
	note(now + 1); /* a power failure took the time of the last write */
	assert_int_equal(cutover_nobody_restarted_it(&t, &e), 0);
	note(now - 1);
	assert_int_equal(cutover_nobody_restarted_it(&t, &e), -EBUSY);
	assert_non_null(strstr(e.msg, "has been written here"));
}

/* Users who know better are told to rename the disk. */
static void disk_that_was_given_another_name_is_not_asked(void **state)
{
	(void)state;
	note(1);
	assert_int_equal(cutover_nobody_restarted_it(&t, &e), 0);
}

static void disk_that_cannot_be_looked_at_is_no_answer(void **state)
{
	(void)state;
	note(1);
	assert_int_equal(symlink("disk", disk), 0); /* to itself */
	assert_int_equal(cutover_nobody_restarted_it(&t, &e), -EBUSY);
	assert_non_null(strstr(e.msg, "cannot tell"));
}

/* A device that does not say how much was written to it, as one of which the host has counted anew since. Its QEMU holds it, while that is
 * there. */
static void device_that_does_not_tell_is_no_answer(void **state)
{
	(void)state;
	if (mknod(disk, S_IFBLK | 0600, makedev(7, 1048575))) /* a loop device that does not exist */
		assert_int_equal(symlink("/dev/loop0", disk), 0);
	if (access(disk, F_OK))
		skip();
	note(INT64_MAX >> 1);
	assert_int_equal(cutover_nobody_restarted_it(&t, &e), -EBUSY);
	assert_non_null(strstr(e.msg, "vmferry cannot tell"));
	t.end.not_started = true; /* a person knows */
	assert_int_equal(cutover_nobody_restarted_it(&t, &e), 0);
	t.end.not_started = false;
	t.a.handoff.qemu_alive = true;
	assert_int_equal(cutover_nobody_restarted_it(&t, &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(file_tells_by_its_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(disk_that_was_given_another_name_is_not_asked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(disk_that_cannot_be_looked_at_is_no_answer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(device_that_does_not_tell_is_no_answer, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
