/* test-image-held.c: the mark beside an image whose guest may be taken back. */
#include "../lib/power-failure.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "image-held.h"
#include "util.h"

#define OURS   "0123456789abcdef0123456789abcdef"
#define THEIRS "fedcba9876543210fedcba9876543210"

static char dir[] = "/tmp/image-held.XXXXXX";

static void an_image_is_held_as_long_as_its_mark_is_there(void **state)
{
	AUTO_FREE char *image = xasprintf("%s/a.raw", dir), *other = xasprintf("%s/b.raw", dir), *mark = image_held_path(image);
	struct err e;

	(void)state;
	close(open(image, O_WRONLY | O_CREAT, 0600));
	assert_false(image_is_held(image));
	assert_int_equal(image_hold(mark, OURS, &e), 0);
	assert_true(image_is_held(image));
	assert_false(image_is_held(other));
	assert_int_equal(image_hold(mark, THEIRS, &e), -EEXIST);
	assert_non_null(strstr(e.msg, mark));
	assert_int_equal(image_let_go(mark, OURS, &e), 0);
	assert_false(image_is_held(image));
	unlink(image);
}

/* The guest may be taken back after a power failure, so its mark must survive one. The test runs in a process of its own. */
static void a_mark_survives_the_power(void **state)
{
	AUTO_FREE char *image = xasprintf("%s/a.raw", dir), *mark = image_held_path(image), *logs = xasprintf("%s.logs", dir);
	AUTO_FREE char *rm = xasprintf("rm -rf %s", logs);
	int status;
	struct err e;

	(void)state;
	assert_int_equal(mkdir(logs, 0700), 0);
	if (power_forks(dir, logs, &status))
		_exit(image_hold(mark, OURS, &e) ? 1 : 0);
	assert_int_equal(status, 0);
	assert_true(image_is_held(image));
	unlink(mark);
	assert_int_equal(system(rm), 0);
}

static void a_mark_is_removed_only_by_its_owner(void **state)
{
	AUTO_FREE char *mark = xasprintf("%s/.c.vmferry-held", dir), *unfinished = xasprintf("%s.%.8s", mark, OURS);
	struct err e;

	(void)state;
	assert_int_equal(image_hold(mark, THEIRS, &e), 0);
	close(open(unfinished, O_WRONLY | O_CREAT, 0600)); /* we died while ours was made */
	assert_int_equal(image_let_go(mark, OURS, &e), 0);
	assert_int_equal(access(mark, F_OK), 0);
	assert_int_equal(access(unfinished, F_OK), -1);
	assert_int_equal(image_let_go(mark, THEIRS, &e), 0);
	assert_int_equal(access(mark, F_OK), -1);
	assert_int_equal(image_let_go(mark, THEIRS, &e), 0);
}

static void a_mark_lies_beside_its_image(void **state)
{
	AUTO_FREE char *mark = image_held_path("/srv/vm/web1/disk.qcow2"), *here = image_held_path("disk.raw");

	(void)state;
	assert_string_equal(mark, "/srv/vm/web1/.disk.qcow2.vmferry-held");
	assert_string_equal(here, ".disk.raw.vmferry-held");
}

static void what_cannot_be_locked_or_made_says_so(void **state)
{
	AUTO_FREE char *mark = xasprintf("%s/none/.a.vmferry-held", dir);
	struct err e;

	(void)state;
	assert_int_equal(image_hold(mark, OURS, &e), -ENOENT);
	assert_true(image_hold_device("/nowhere/at/all", &e) < 0);
}

/* A mark that cannot be read, as on a network file system that does not answer, stays in the records, and the guest stays, too. */
static void a_mark_that_cannot_be_read_stays(void **state)
{
	AUTO_FREE char *loop = xasprintf("%s/loop", dir), *image = xasprintf("%s/loop/a.raw", dir), *mark = image_held_path(image);
	struct err e;

	(void)state;
	assert_int_equal(image_let_go("/proc/self/mem", OURS, &e), -EIO); /* the file cannot be read at its beginning */
	assert_non_null(strstr(e.msg, "cannot tell whose /proc/self/mem is"));
	assert_int_equal(symlink("loop", loop), 0);
	assert_true(image_is_held(image));
	assert_int_equal(image_let_go(mark, OURS, &e), -ELOOP);
	unlink(loop);
	assert_false(image_is_held(image)); /* the directory does not exist */
	assert_int_equal(image_let_go(mark, OURS, &e), 0);
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
		cmocka_unit_test(an_image_is_held_as_long_as_its_mark_is_there), cmocka_unit_test(a_mark_survives_the_power),
		cmocka_unit_test(a_mark_is_removed_only_by_its_owner),		 cmocka_unit_test(a_mark_lies_beside_its_image),
		cmocka_unit_test(what_cannot_be_locked_or_made_says_so),	 cmocka_unit_test(a_mark_that_cannot_be_read_stays),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
