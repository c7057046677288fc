/*
 * test-disk-io-raw.c: what a raw file holds after writes, zeros and a sync, and after a power failure behind the sync. The loop works
 * without io_uring, so that power-failure.h sees each call.
 */
#include "../lib/power-failure.h"

#include "disk-io.h"
#include "log.h"
#include "util.h"

#include <linux/magic.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include <cmocka.h>

#define FILE_BYTES (4 * MIB + 512)

static char dir[] = "/tmp/test-disk-io-raw-XXXXXX", file[64], logs[64];
static uint8_t model[FILE_BYTES], *buf;
static struct loop *loop;
static struct disk_io *disk;
static struct err err;
static int result;
static unsigned left; /* requests under way */

/* In place of libc's: on which file system everything is. */
static long file_system = XFS_SUPER_MAGIC;

int fstatfs(int fd, struct statfs *fs)
{
	(void)fd;
	*fs = (struct statfs){.f_type = file_system};
	return 0;
}

/* The pages of a file that are in the page cache, and whether the last read bypassed it. */
static bool first_is_cached, second_is_cached;
static size_t missing_at; /* behind the first */
static bool read_directly;

int mincore(void *p, size_t bytes, unsigned char *there)
{
	size_t i;

	(void)p;
	for (i = 0; i < bytes / (size_t)sysconf(_SC_PAGESIZE); i++)
		there[i] = ((i ? second_is_cached : first_is_cached) && (!missing_at || i != missing_at)) |
			   0xfe; /* the other bits mean nothing */
	return 0;
}

/* How often a file was. */
static unsigned dropped;

int posix_fadvise(int fd, off_t from, off_t bytes, int advice)
{
	(void)fd, (void)from, (void)bytes;
	dropped += advice == POSIX_FADV_DONTNEED;
	return 0;
}

ssize_t preadv(int fd, const struct iovec *iov, int count, off_t offset)
{
	read_directly = (fcntl(fd, F_GETFL) & O_DIRECT) != 0;
	return syscall(SYS_preadv, fd, iov, count, offset, 0L);
}

static void done(struct disk_req *r, int res)
{
	(void)r;
	left--;
	if (res)
		result = res;
}

static int finish(void)
{
	while (left)
		assert_int_equal(loop_step(loop, 1000, &err), 0);
	return result;
}

static int put(uint64_t offset, uint32_t bytes, uint8_t seed)
{
	struct disk_req r = {.done = done};
	uint32_t i;

	for (i = 0; i < bytes; i++)
		model[offset + i] = buf[i] = (uint8_t)(seed + i / 512 + i % 251);
	left = 1;
	disk_io_write(disk, &r, buf, bytes, offset);
	return finish();
}

static int zero(uint64_t offset, uint32_t bytes)
{
	struct disk_req r = {.done = done};

	memset(model + offset, 0, bytes);
	left = 1;
	disk_io_zero(disk, &r, offset, bytes);
	return finish();
}

static void expect(uint64_t offset, uint32_t bytes)
{
	struct disk_req r = {.done = done};

	memset(buf, 0xee, bytes);
	left = 1;
	disk_io_read(disk, &r, buf, bytes, offset);
	assert_int_equal(finish(), 0);
	assert_memory_equal(buf, model + offset, bytes);
}

static int sync_all(void)
{
	struct disk_req r = {.done = done};

	left = 1;
	disk_io_sync(disk, &r);
	return finish();
}

static void begin(void)
{
	int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 0) | ftruncate(fd, FILE_BYTES), 0);
	close(fd);
	memset(model, 0, sizeof(model));
	result = 0;
	assert_int_equal(loop_new(&loop, 16, &err), 0);
	assert_int_equal(disk_io_open(&disk, loop, &(struct disk_at){.path = file, .writable = true}, &err), 0);
}

static void end(void)
{
	disk_io_close(disk);
	loop_free(loop);
}

static void check(const uint8_t *want)
{
	uint8_t *got = xmalloc(FILE_BYTES + 1);
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	size_t i;

	assert_int_equal(pread(fd, got, FILE_BYTES + 1, 0), FILE_BYTES);
	for (i = 0; i < FILE_BYTES; i++)
		if (got[i] != want[i])
			fail_msg("the file differs at byte %zu: %#x, not %#x", i, got[i], want[i]);
	close(fd);
	free(got);
}

/* Aligned and not, and the odd end; over one another. */
static void put_pieces(void)
{
	assert_int_equal(put(0, 64 * KIB, 1), 0);
	assert_int_equal(put(MIB + 512, 3 * 512, 2), 0);
	assert_int_equal(put(2 * MIB, 256 * KIB, 3), 0);
	assert_int_equal(put(2 * MIB + 4096, 8192, 4), 0);
	assert_int_equal(put(4 * MIB, 512, 5), 0);
	assert_int_equal(zero(2 * MIB + 65536, 65536), 0);
	assert_int_equal(zero(32 * KIB, 1024), 0);
}

static void contents_and_zeros_are_where_they_belong(void **state)
{
	(void)state;
	begin();
	put_pieces();
	check(model);
	expect(2 * MIB, 256 * KIB);
	expect(MIB, 8192 + 512);
	end();
}

static void zeros_are_written_where_a_file_system_has_no_holes(void **state)
{
	(void)state;
	begin();
	assert_true(disk->caps.can_punch);
	power_no_holes = true;
	put_pieces();
	power_no_holes = false;
	assert_false(disk->caps.can_punch);
	check(model);
	end();
}

static void what_a_short_write_left_is_written(void **state)
{
	(void)state;
	begin();
	power_write_most = 1536;
	put_pieces();
	power_no_holes = true;
	assert_int_equal(zero(2 * MIB, 64 * KIB), 0);
	power_no_holes = false;
	power_write_most = 0;
	check(model);
	end();
}

/* Space is allocated first, so that ext4 does not reserve more beside each write. */
static void small_writes_have_room_of_their_own_on_ext4(void **state)
{
	(void)state;
	file_system = EXT4_SUPER_MAGIC;
	begin();
	power_asked = 0;
	power_allocated = 0;
	assert_int_equal(put(2 * MIB, 4096, 1), 0);
	assert_int_equal(put(MIB + 512, 3 * 512, 2), 0);
	assert_int_equal(put(0, 256 * KIB, 3), 0);
	assert_int_equal(zero(0, 4096), 0);
	assert_int_equal(power_allocated, 4096 + 3 * 512);
	check(model);
	power_no_allocation = true; /* ext3 */
	assert_int_equal(put(3 * MIB, 4096, 4), 0);
	assert_int_equal(put(3 * MIB + 8192, 4096, 5), 0);
	power_no_allocation = false;
	assert_int_equal(power_asked, 3);
	check(model);
	end();
	file_system = XFS_SUPER_MAGIC;
	begin();
	assert_int_equal(put(2 * MIB, 4096, 1), 0);
	assert_int_equal(power_asked, 3);
	end();
}

static void a_write_of_nothing_and_a_sync_that_fails_are_errors(void **state)
{
	(void)state;
	begin();
	power_write_nothing = true;
	assert_int_equal(put(0, 4096, 1), -EIO);
	power_write_nothing = false;
	result = 0;
	power_sync_error = ENOSPC;
	assert_int_equal(sync_all(), -ENOSPC);
	power_sync_error = 0;
	end();
}

static void only_what_is_not_in_the_page_cache_comes_from_the_disk(void **state)
{
	int fd;

	(void)state;
	begin();
	assert_int_equal(put(0, 256 * KIB, 3), 0);
	expect(0, 256 * KIB);
	fd = open(file, O_RDONLY | O_DIRECT | O_CLOEXEC);
	assert_true(fd >= 0 || errno == EINVAL);
	assert_true(read_directly == (fd >= 0)); /* whether the file is written to is not asked */
	disk_io_close(disk);
	assert_int_equal(disk_io_open(&disk, loop, &(struct disk_at){.path = file, .pads = true, .cached = true}, &err), 0);
	first_is_cached = second_is_cached = true;
	expect(0, 256 * KIB);
	assert_false(read_directly);
	expect(FILE_BYTES - 512, 512);
	missing_at = 3;
	expect(0, 256 * KIB);
	assert_false(read_directly);
	expect(0, 32 * KIB);
	assert_true(read_directly == (fd >= 0));
	missing_at = 0;
	second_is_cached = false;
	expect(0, 256 * KIB);
	assert_true(read_directly == (fd >= 0));
	expect(0, (uint32_t)sysconf(_SC_PAGESIZE));
	assert_false(read_directly);
	first_is_cached = second_is_cached = true;
	disk_io_close(disk);
	assert_int_equal(disk_io_open(&disk, loop, &(struct disk_at){.path = file}, &err), 0);
	expect(0, 256 * KIB);
	assert_true(read_directly == (fd >= 0)); /* the caller does not say that the file is not written to */
	disk_io_close(disk);
	file_system = NFS_SUPER_MAGIC; /* a file of NFS, whose client may know an older file than the server */
	assert_int_equal(disk_io_open(&disk, loop, &(struct disk_at){.path = file, .cached = true}, &err), 0);
	file_system = XFS_SUPER_MAGIC;
	expect(0, 256 * KIB);
	assert_true(read_directly == (fd >= 0));
	if (fd >= 0)
		close(fd);
	end();
}

static void what_is_to_stay_in_the_page_cache_is_read_through_it(void **state)
{
	bool direct;

	(void)state;
	begin();
	assert_int_equal(put(0, 256 * KIB, 3), 0);
	expect(0, 256 * KIB);
	direct = read_directly;
	disk_io_close(disk);
	assert_int_equal(disk_io_open(&disk, loop, &(struct disk_at){.path = file, .stays = true}, &err), 0);
	expect(0, 256 * KIB);
	assert_false(read_directly);
	disk_io_close(disk);
	assert_int_equal(dropped, 0);
	assert_int_equal(disk_io_open(&disk, loop, &(struct disk_at){.path = file, .again = true}, &err), 0);
	expect(0, 256 * KIB);
	assert_false(read_directly);
	disk_io_close(disk);
	assert_int_equal(dropped, 1);
	file_system = NFS_SUPER_MAGIC; /* another host may have changed it, and what is in memory here is older */
	assert_int_equal(disk_io_open(&disk, loop, &(struct disk_at){.path = file, .stays = true}, &err), 0);
	file_system = XFS_SUPER_MAGIC;
	expect(0, 256 * KIB);
	assert_true(read_directly == direct);
	end();
}

/* An image is read while its QEMU writes to it: it may have become longer, or shorter. */
static void a_file_that_changes_is_read_as_long_as_it_was(void **state)
{
	struct disk_map map = {NULL, 0};
	struct disk_req r = {.done = done};
	size_t i;
	uint64_t covered = 0;

	(void)state;
	begin();
	assert_int_equal(put(0, 256 * KIB, 3), 0);
	disk_io_close(disk);
	assert_int_equal(truncate(file, MIB), 0);
	assert_int_equal(disk_io_open(&disk, loop, &(struct disk_at){.path = file, .pads = true, .was_bytes = 64 * KIB}, &err), 0);
	assert_int_equal(disk->caps.size, 64 * KIB); /* bytes by which the file grew come later */
	expect(0, 64 * KIB);
	left = 1;
	disk_io_read(disk, &r, buf, 4096, 64 * KIB);
	assert_int_equal(finish(), -EINVAL);
	result = 0;
	disk_io_close(disk);
	assert_int_equal(disk_io_open(&disk, loop, &(struct disk_at){.path = file, .pads = true, .was_bytes = 2 * MIB}, &err), 0);
	memset(model + MIB, 0, MIB);
	expect(MIB - 64 * KIB, 128 * KIB);
	assert_int_equal(truncate(file, 192 * KIB + 8), 0); /* a length as QEMU gives its images */
	memset(model + 192 * KIB + 8, 0, 2 * MIB - 192 * KIB - 8);
	expect(192 * KIB, 4096);
	assert_int_equal(disk_io_map(disk, &map, &err), 0);
	for (i = 0; i < map.count; i++) {
		assert_int_equal(map.extent[i].length % DISK_SECTOR, 0);
		covered += map.extent[i].length;
	}
	assert_int_equal(covered, 2 * MIB);
	disk_map_free(&map);
	end();
}

static void what_was_synced_is_there_after_a_power_failure(void **state)
{
	uint8_t *want = mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;
	pid_t pid;

	(void)state;
	assert_true(want != MAP_FAILED);
	begin(); /* the file is there before */
	end();
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		power_begins(dir, logs);
		if (loop_new(&loop, 16, &err) || disk_io_open(&disk, loop, &(struct disk_at){.path = file, .writable = true}, &err))
			_exit(1);
		put_pieces();
		memcpy(want, model, FILE_BYTES);
		if (sync_all() || put(3 * MIB, 64 * KIB, 9))
			_exit(1);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_true(power_fails(logs) > 0);
	check(want);
	munmap(want, FILE_BYTES);
}

static int setup(void **state)
{
	(void)state;
	log_init("test", LOG_LEVEL_ERROR, 2);
	setenv("VMFERRY_FAULT", "no-io-uring:fail", 1);
	buf = aligned_alloc(DISK_ALIGN, 2 * MIB);
	if (!mkdtemp(dir))
		return -1;
	snprintf(file, sizeof(file), "%s/disk", dir);
	snprintf(logs, sizeof(logs), "%s/logs", dir);
	return mkdir(logs, 0700);
}

static int teardown(void **state)
{
	AUTO_FREE char *command = xasprintf("rm -rf '%s'", dir);

	(void)state;
	free(buf);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(contents_and_zeros_are_where_they_belong),
		cmocka_unit_test(zeros_are_written_where_a_file_system_has_no_holes),
		cmocka_unit_test(what_a_short_write_left_is_written),
		cmocka_unit_test(small_writes_have_room_of_their_own_on_ext4),
		cmocka_unit_test(a_write_of_nothing_and_a_sync_that_fails_are_errors),
		cmocka_unit_test(only_what_is_not_in_the_page_cache_comes_from_the_disk),
		cmocka_unit_test(what_is_to_stay_in_the_page_cache_is_read_through_it),
		cmocka_unit_test(a_file_that_changes_is_read_as_long_as_it_was),
		cmocka_unit_test(what_was_synced_is_there_after_a_power_failure),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
