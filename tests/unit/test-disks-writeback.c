/* test-disks-writeback.c: what the guest wrote is brought to stable storage here before it is stopped. */
#include "disks-private.h"
#include "loop.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define DISKS 3

struct world {
	char path[40];
	struct loop *loop;
	struct attempt a;
	struct guest_disk guest;
	struct disks ds;
};

static void world_new(struct world *w)
{
	struct err e;
	unsigned i;
	int fd;

	*w = (struct world){.path = "/tmp/test-disks-writeback-XXXXXX"};
	fd = mkstemp(w->path);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	close(fd);
	assert_int_equal(loop_new(&w->loop, 16, &e), 0);
	w->a.loop = w->loop;
	w->guest.real_path = w->path;
	w->ds.part.a = &w->a;
	w->ds.count = DISKS;
	for (i = 0; i < DISKS; i++) {
		w->ds.at[i].guest = &w->guest;
		w->ds.list[i] = &w->ds.at[i];
	}
}

static void world_free(struct world *w)
{
	loop_free(w->loop);
	unlink(w->path);
}

static void it_is_waited_for(void **state)
{
	struct world w;
	struct err e;

	(void)state;
	world_new(&w);
	while (!disks_written_back(&w.ds))
		assert_true(loop_step(w.loop, 1000, &e) >= 0);
	assert_int_equal(w.ds.writing.left, 0);
	disks_end_writeback(&w.ds);
	world_free(&w);
}

/* A writeback that takes longer than the move is still under way when that ends. */
static void it_may_end_with_the_move(void **state)
{
	struct world w;

	(void)state;
	world_new(&w);
	assert_true(disks_written_back(&w.ds) == !loop_has_io_uring(w.loop));
	disks_end_writeback(&w.ds);
	assert_int_equal(w.ds.writing.left, 0);
	assert_null(w.ds.writing.jobs);
	world_free(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_waited_for),
		cmocka_unit_test(it_may_end_with_the_move),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
