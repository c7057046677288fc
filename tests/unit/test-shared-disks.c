/* test-shared-disks.c: a guest whose memory is here is not set going while another QEMU has a disk of it that both hosts see. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "image-lock.h"
#include "transfer.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct transfer t;
static struct err e;

static void disk_that_another_qemu_has_is_waited_for(void **state)
{
	char path[] = "/tmp/test-shared-disks-XXXXXX";
	int fd = mkstemp(path), lock;

	(void)state;
	assert_true(fd >= 0);
	t.src.shared_paths = json_pack("[s]", path);
	assert_int_equal(shared_disks_let_go(&t, 0, &e), 0);
	assert_int_equal(image_lock(path, IMAGE_OWN, &lock, &e), 0);
	assert_int_equal(shared_disks_let_go(&t, 100, &e), -EAGAIN);
	assert_non_null(strstr(e.msg, path));
	close(lock);
	assert_int_equal(shared_disks_let_go(&t, 100, &e), 0);
	json_decref(t.src.shared_paths);
	close(fd);
	assert_int_equal(unlink(path), 0);
}

/* The lock of share-rw=on: a QEMU that lets others write is not an obstacle. */
static void disk_that_others_may_write_to_is_not(void **state)
{
	struct flock has_write = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 101, .l_len = 1};
	char path[] = "/tmp/test-shared-disks-XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &has_write), 0);
	assert_true(image_is_locked_to_write(path));
	t.src.shared_paths = json_pack("[s]", path);
	assert_int_equal(shared_disks_let_go(&t, 0, &e), 0);
	json_decref(t.src.shared_paths);
	close(fd);
	assert_int_equal(unlink(path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(disk_that_another_qemu_has_is_waited_for),
		cmocka_unit_test(disk_that_others_may_write_to_is_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
