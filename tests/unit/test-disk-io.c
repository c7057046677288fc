/*
 * test-disk-io.c: each operation of each kind of disk, and what goes wrong with it: a file with holes, a loop device, exports of
 * qemu-nbd and nbdkit. What only a loop without io_uring lets a test see (short writes, syncs, power failures) is in test-disk-io-raw.
 */
#include "disk-io.h"
#include "log.h"
#include "process.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

#define DEADLINE_MS 60000
#define DISK_BYTES  (8 * MIB + 512)
#define QEMU_NBD    "qemu-nbd --fork -t -e 4 -x disk -k $PWD/nbd --pid-file pid "

static char dir[] = "/tmp/test-disk-io-XXXXXX", file[64], socket_path[64], device[64];
static struct loop *loop;
static struct disk_io *disk;
static struct err err;
static pid_t server;
static uint64_t server_start;
static uint8_t model[DISK_BYTES], *buf;

/* ---- where disks are ---- */

static void need(const char *tool)
{
	AUTO_FREE char *command = xasprintf("command -v %s >/dev/null", tool);

	if (system(command) != 0) {
		print_message("skipped: %s is not installed\n", tool);
		skip();
	}
}

/* In the directory; its output is in `out` there. */
static bool try_shell(const char *command)
{
	AUTO_FREE char *all = xasprintf("cd %s && { %s ;} >out 2>&1", dir, command);

	return system(all) == 0;
}

static void shell(const char *command)
{
	if (!try_shell(command)) {
		try_shell("cat out >&2");
		fail_msg("%s", command);
	}
}

static void serve(const char *command)
{
	AUTO_FREE char *all = xasprintf("rm -f pid nbd; %s", command), *pid = xasprintf("%s/pid", dir);
	uint64_t until = now_ns() + DEADLINE_MS * 1000000ULL;
	FILE *f;

	shell(all);
	while (!try_shell("[ -S nbd ] && [ -s pid ]")) {
		assert_true(now_ns() < until);
		poll(NULL, 0, 5);
	}
	f = fopen(pid, "re");
	assert_int_equal(fscanf(f, "%d", &server), 1);
	fclose(f);
	assert_int_equal(process_start_time(server, &server_start), 0);
}

/* ARGUMENTS of losetup and a file; skips where there is no loop device. */
static void loop_device(const char *arguments)
{
	AUTO_FREE char *command = xasprintf("losetup --find --show %s >device", arguments), *path = xasprintf("%s/device", dir);
	FILE *f;

	if (geteuid() != 0) {
		print_message("skipped: need root, for a loop device\n");
		skip();
	}
	if (!try_shell(command)) {
		print_message("skipped: no loop device here\n");
		skip();
	}
	f = fopen(path, "re");
	assert_int_equal(fscanf(f, "%63s", device), 1);
	fclose(f);
}

static int test_begin(void **state)
{
	(void)state;
	memset(model, 0, sizeof(model));
	return loop_new(&loop, 64, &err);
}

static int test_end(void **state)
{
	AUTO_FREE char *detach = xasprintf("losetup -d %s", device);

	(void)state;
	disk_io_close(disk);
	disk = NULL;
	loop_free(loop);
	if (server) {
		kill(server, SIGTERM);
		while (qemu_is_alive(server, server_start))
			poll(NULL, 0, 5);
		server = 0;
	}
	if (*device)
		shell(detach);
	*device = '\0';
	shell("rm -rf ./*");
	return 0;
}

static void open_at(const char *path, const char *export_name, const char *select, bool writable)
{
	const struct disk_at at = {.path = path, .export_name = export_name, .select = select, .writable = writable};

	disk_io_close(disk);
	disk = NULL;
	if (disk_io_open(&disk, loop, &at, &err))
		fail_msg("%s", err.msg);
}

enum kind { A_FILE, A_DEVICE, AN_EXPORT };

/* A new and empty disk of that kind, raw in `file`. */
static void make(enum kind kind)
{
	AUTO_FREE char *truncate_it = xasprintf("truncate -s %llu disk", (unsigned long long)DISK_BYTES);

	if (kind == AN_EXPORT)
		need("qemu-nbd");
	shell(truncate_it);
	if (kind == A_DEVICE)
		loop_device("disk");
	else if (kind == AN_EXPORT)
		serve(QEMU_NBD "-f raw --discard=unmap disk");
}

static void open_kind(enum kind kind, bool writable)
{
	if (kind == AN_EXPORT)
		open_at(socket_path, "disk", NULL, writable);
	else
		open_at(kind == A_DEVICE ? device : file, NULL, NULL, writable);
}

/* ---- requests ---- */

struct request {
	struct disk_req req;
	int calls, res;
};

static void on_done(struct disk_req *r, int res)
{
	struct request *q = container_of(r, struct request, req);

	q->calls++;
	q->res = res;
}

static int wait_for(struct request *q)
{
	uint64_t until = now_ns() + DEADLINE_MS * 1000000ULL;

	assert_int_equal(q->calls, 0); /* completion never comes from inside the call */
	while (!q->calls) {
		assert_int_equal(loop_step(loop, 100, &err), 0);
		assert_true(now_ns() < until);
	}
	assert_int_equal(q->calls, 1);
	return q->res;
}

static int read_at(void *to, uint32_t bytes, uint64_t offset)
{
	struct request q = {.req.done = on_done};

	disk_io_read(disk, &q.req, to, bytes, offset);
	return wait_for(&q);
}

static int write_at(const void *from, uint32_t bytes, uint64_t offset)
{
	struct request q = {.req.done = on_done};

	disk_io_write(disk, &q.req, from, bytes, offset);
	return wait_for(&q);
}

static int zero_at(uint64_t offset, uint32_t bytes)
{
	struct request q = {.req.done = on_done};

	disk_io_zero(disk, &q.req, offset, bytes);
	return wait_for(&q);
}

static int fill_at(uint64_t offset, uint32_t bytes)
{
	struct request q = {.req.done = on_done};

	disk_io_fill(disk, &q.req, offset, bytes);
	return wait_for(&q);
}

static int sync_it(void)
{
	struct request q = {.req.done = on_done};

	disk_io_sync(disk, &q.req);
	return wait_for(&q);
}

/* From a buffer that is `skew` bytes from an aligned one. */
static void put(uint64_t offset, uint32_t bytes, unsigned skew)
{
	uint32_t i;

	for (i = 0; i < bytes; i++)
		model[offset + i] = buf[skew + i] = (uint8_t)(1 + (offset + i) / 512 % 250);
	assert_int_equal(write_at(buf + skew, bytes, offset), 0);
}

static void wipe(uint64_t offset, uint32_t bytes)
{
	memset(model + offset, 0, bytes);
	assert_int_equal(zero_at(offset, bytes), 0);
}

static void expect(uint64_t offset, uint32_t bytes, unsigned skew)
{
	memset(buf + skew, 0xee, bytes);
	assert_int_equal(read_at(buf + skew, bytes, offset), 0);
	assert_memory_equal(buf + skew, model + offset, bytes);
}

static void expect_all(void)
{
	uint64_t at;

	for (at = 0; at < DISK_BYTES; at += 2 * MIB)
		expect(at, (uint32_t)MIN(2 * MIB, DISK_BYTES - at), 0);
}

/* ---- what each kind does ---- */

static void what_is_written_and_zeroed_is_read(void **state)
{
	enum kind kind = *(enum kind *)*state;
	uint8_t *got = xmalloc(DISK_BYTES);
	int fd;

	make(kind);
	open_kind(kind, true);
	assert_true(disk->caps.size == DISK_BYTES && !disk->caps.read_only && disk->caps.can_punch && !disk->caps.selects);
	assert_true(disk->caps.align && !(disk->caps.align & (disk->caps.align - 1)) && disk->caps.align <= DISK_ALIGN);
	put(MIB, 256 * KIB, 0);
	put(4 * MIB + 512, 3 * 512, 0); /* unaligned place, */
	put(5 * MIB, 8192, 512);	/* memory, */
	put(6 * MIB, 4096 + 512, 0);	/* length */
	put(DISK_BYTES - 512, 512, 0);
	put(3 * MIB - 64 * KIB, 2 * MIB, 0);
	wipe(MIB + 64 * KIB, 64 * KIB);
	wipe(MIB + 512, 1024);
	wipe(3 * MIB, 128 * KIB);
	assert_int_equal(sync_it(), 0);
	expect_all();
	expect(MIB, 2048, 0);
	expect(5 * MIB + 512, 4096, 512);
	expect(DISK_BYTES - 512, 512, 0);
	assert_null(disk_io_error(disk));
	open_kind(kind, false);
	expect_all();
	fd = open(file, O_RDONLY | O_CLOEXEC);
	assert_int_equal(pread(fd, got, DISK_BYTES, 0), DISK_BYTES);
	assert_memory_equal(got, model, DISK_BYTES);
	close(fd);
	free(got);
}

static blkcnt_t blocks(void)
{
	struct stat st;

	assert_int_equal(stat(file, &st), 0);
	return st.st_blocks;
}

/* Zeros are filled in where there was nothing, where there was something, and in this kind's odd places. */
static void zeros_that_are_filled_have_blocks(void **state)
{
	enum kind kind = *(enum kind *)*state;
	blkcnt_t before;

	make(kind);
	open_kind(kind, true);
	put(4 * MIB, 64 * KIB, 0);
	assert_int_equal(sync_it(), 0);
	before = blocks();
	memset(model + 4 * MIB + 512, 0, 1024);
	assert_int_equal(fill_at(4 * MIB + 512, 1024), 0);
	assert_int_equal(fill_at(5 * MIB, DISK_FILL_MAX), 0);
	assert_int_equal(sync_it(), 0);
	assert_true(blocks() >= before + (blkcnt_t)(DISK_FILL_MAX / 512));
	expect(4 * MIB, 64 * KIB, 0);
	expect(5 * MIB, 256 * KIB, 0);
}

static void what_cannot_be_is_refused_and_nothing_is_done(void **state)
{
	enum kind kind = *(enum kind *)*state;

	make(kind);
	open_kind(kind, true);
	assert_int_equal(read_at(buf, 0, 0), -EINVAL);
	assert_int_equal(read_at(buf, 512, DISK_BYTES), -EINVAL);
	assert_int_equal(read_at(buf, 1024, DISK_BYTES - 512), -EINVAL);
	assert_int_equal(read_at(buf, 512, UINT64_MAX - 511), -EINVAL);
	assert_int_equal(read_at(buf, disk->caps.max_request + 1, 0), -EINVAL);
	assert_int_equal(write_at(buf, 0, 0), -EINVAL);
	assert_int_equal(write_at(buf, 1024, DISK_BYTES - 512), -EINVAL);
	assert_int_equal(write_at(buf, 4096, DISK_BYTES + 4096), -EINVAL);
	assert_int_equal(zero_at(DISK_BYTES - 512, 1024), -EINVAL);
	assert_int_equal(zero_at(0, 0), -EINVAL);
	open_kind(kind, false);
	assert_true(disk->caps.size == DISK_BYTES && disk->caps.read_only && !disk->caps.can_punch);
	assert_int_equal(write_at(buf, 4096, 0), -EROFS);
	assert_int_equal(zero_at(0, 4096), -EROFS);
	assert_int_equal(sync_it(), 0);
	expect_all();
}

#define PENDING 24

/* Ends of a close: each once, as it was or cancelled. */
static void a_close_ends_what_is_in_flight(void **state)
{
	enum kind kind = *(enum kind *)*state;
	struct request q[PENDING];
	unsigned i;

	make(kind);
	open_kind(kind, true);
	for (i = 0; i < PENDING; i++) {
		q[i] = (struct request){.req.done = on_done};
		if (i % 4 == 0)
			disk_io_read(disk, &q[i].req, buf + i * 4096, 4096, i * 4096);
		else if (i % 4 == 1)
			disk_io_write(disk, &q[i].req, buf + i * 4096, 4096, MIB + i * 4096);
		else if (i % 4 == 2)
			disk_io_zero(disk, &q[i].req, i * 4096, 4096);
		else
			disk_io_sync(disk, &q[i].req);
	}
	disk_io_read(disk, &(struct request){.req.done = on_done}.req, buf, 0, 0); /* including a request that is refused */
	disk_io_close(disk);
	disk = NULL;
	for (i = 0; i < PENDING; i++) {
		assert_int_equal(q[i].calls, 1);
		if (q[i].res != 0)
			assert_int_equal(q[i].res, -ECANCELED);
	}
}

struct restless {
	struct disk_req req;
	unsigned calls;
	int res[2];
};

static void start_another(struct disk_req *r, int res)
{
	struct restless *q = container_of(r, struct restless, req);

	q->res[q->calls++] = res;
	if (q->calls == 1)
		disk_io_write(r->io, r, buf, 4096, 0);
}

static void a_request_begun_during_a_close_is_cancelled(void **state)
{
	enum kind kind = *(enum kind *)*state;
	struct restless q = {.req.done = start_another};

	make(kind);
	open_kind(kind, true);
	disk_io_write(disk, &q.req, buf, 4096, 0);
	disk_io_close(disk);
	disk = NULL;
	assert_int_equal(q.calls, 2);
	assert_int_equal(q.res[1], -ECANCELED);
}

static void close_it(struct disk_req *r, int res)
{
	disk_io_close(r->io);
	disk = NULL;
	on_done(r, res);
}

static void a_disk_may_be_closed_in_done(void **state)
{
	enum kind kind = *(enum kind *)*state;
	struct request q[3] = {{.req.done = on_done}, {.req.done = close_it}, {.req.done = on_done}};
	unsigned i;

	make(kind);
	open_kind(kind, true);
	for (i = 0; i < 3; i++)
		disk_io_read(disk, &q[i].req, buf + i * MIB, MIB, i * MIB);
	while (disk)
		assert_int_equal(loop_step(loop, 100, &err), 0);
	for (i = 0; i < 3; i++)
		assert_int_equal(q[i].calls, 1);
}

/* ---- maps ---- */

/* "d" data, "z" zeros, "h" a hole, in capitals if selected; and KiB. */
static void expect_map(const char *want)
{
	char got[400] = "";
	uint64_t at = 0;
	struct disk_map m;
	size_t i;

	if (disk_io_map(disk, &m, &err))
		fail_msg("%s", err.msg);
	for (i = 0; i < m.count; i++) {
		const struct disk_extent *x = &m.extent[i];
		size_t n = strlen(got);

		assert_true(x->offset == at && x->length && x->length % 512 == 0);
		at += x->length;
		snprintf(got + n, sizeof(got) - n, "%s%c%g", n ? " " : "", (x->selected ? "DZH" : "dzh")[x->content],
			 (double)x->length / KIB);
	}
	assert_int_equal(at, disk->caps.size);
	assert_string_equal(got, want);
	disk_map_free(&m);
}

static void a_file_shows_its_holes(void **state)
{
	(void)state;
	make(A_FILE);
	open_kind(A_FILE, true);
	assert_true(disk->caps.can_map);
	expect_map("H8192.5");
	put(MIB, 128 * KIB, 0);
	put(DISK_BYTES - 512, 512, 0);
	assert_int_equal(sync_it(), 0);
	expect_map("H1024 D128 H7040 D0.5");
	wipe(MIB + 64 * KIB, 64 * KIB);
	expect_map("H1024 D64 H7104 D0.5");
	put(0, 4096, 0);
	open_kind(A_FILE, false);
	expect_map("D4 H1020 D64 H7104 D0.5");
	shell("truncate -s 0 disk");
	open_kind(A_FILE, false);
	expect_map("");
}

static void a_device_is_all_data(void **state)
{
	(void)state;
	make(A_DEVICE);
	open_kind(A_DEVICE, false);
	assert_false(disk->caps.can_map);
	expect_map("D8192.5");
}

static void an_export_shows_holes_zeros_and_what_is_selected(void **state)
{
	struct disk_map none = {NULL, 0};

	(void)state;
	need("qemu-nbd");
	shell("qemu-img create -q -f qcow2 -o preallocation=metadata a.qcow2 8M && "
	      "qemu-io -f qcow2 -c 'write -P 97 0 128k' -c 'write -P 99 4M 64k' a.qcow2 && qemu-img bitmap --add a.qcow2 b0 && "
	      "qemu-io -f qcow2 -c 'write -z 64k 64k' -c 'write -P 98 1M 64k' -c 'write -P 98 4160k 64k' a.qcow2 && "
	      "qemu-img bitmap --disable a.qcow2 b0");
	serve(QEMU_NBD "-r -f qcow2 -B b0 a.qcow2");
	open_at(socket_path, "disk", "qemu:dirty-bitmap:b0", false);
	assert_true(disk->caps.can_map && disk->caps.selects && disk->caps.read_only);
	expect_map("d64 H64 d896 D64 d3072 D64 d3968");
	open_at(socket_path, "disk", NULL, false);
	assert_true(disk->caps.can_map && !disk->caps.selects);
	expect_map("D64 H64 Z896 D64 Z3008 D128 Z3968");
	open_at(socket_path, "disk", "qemu:dirty-bitmap:b1", false);
	assert_int_equal(disk_io_map(disk, &none, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "b1"));
}

static void an_export_open_for_writing_has_no_map(void **state)
{
	(void)state;
	make(AN_EXPORT);
	open_kind(AN_EXPORT, true);
	assert_false(disk->caps.can_map);
	expect_map("D8192.5");
}

/* ---- trouble ---- */

static void what_is_no_disk_is_not_opened(void **state)
{
	static const struct {
		const char *path;
		bool writable;
		int code;
		const char *words;
	} cases[] = {
		{"/nonexistent/disk", true, ENOENT, "cannot open /nonexistent/disk for writing"},
		{"/nonexistent/disk", false, ENOENT, "cannot open /nonexistent/disk for reading"},
		{"/tmp", true, EISDIR, "cannot open /tmp for writing"},
		{"/tmp", false, ENOTBLK, "/tmp is neither a file nor a block device"},
		{"/dev/full", true, ENOTBLK, "/dev/full is neither a file nor a block device"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		const struct disk_at at = {.path = cases[i].path, .writable = cases[i].writable};

		assert_int_equal(disk_io_open(&disk, loop, &at, &err), -cases[i].code);
		assert_non_null(strstr(err.msg, cases[i].words));
	}
	assert_int_equal(disk_io_open(&disk, loop, &(struct disk_at){.path = "/nonexistent/nbd", .export_name = "d"}, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "/nonexistent/nbd"));
}

static void a_file_that_became_shorter_is_not_read_as_zeros(void **state)
{
	struct disk_map m;

	(void)state;
	make(A_FILE);
	open_kind(A_FILE, false);
	shell("truncate -s 2560K disk");
	assert_int_equal(read_at(buf, MIB, 2 * MIB), -EIO); /* half of it is there */
	assert_int_equal(read_at(buf, 4096, 4 * MIB), -EIO);
	assert_int_equal(disk_io_map(disk, &m, &err), -ESTALE);
	assert_true(!m.extent && !m.count);
	assert_non_null(strstr(err.msg, "the size changed"));
}

static void a_file_that_became_shorter_is_not_written_to(void **state)
{
	(void)state;
	make(A_FILE);
	open_kind(A_FILE, true);
	shell("truncate -s 2560K disk");
	assert_int_equal(write_at(buf, 4096, DISK_BYTES - 4096), -ESTALE); /* a write would give the file its old length */
	assert_int_equal(zero_at(0, 4096), -ESTALE);
}

static void a_write_over_a_limit_is_done_up_to_it_and_fails(void **state)
{
	struct rlimit was, limit;
	int res;

	(void)state;
	make(A_FILE);
	open_kind(A_FILE, true);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	limit = (struct rlimit){MIB + 8192, was.rlim_max};
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	memset(buf, 'x', MIB);
	res = write_at(buf, 64 * KIB, MIB);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	assert_int_equal(res, -EFBIG);
	memset(model + MIB, 'x', 8192);
	expect_all();
	assert_null(disk_io_error(disk));
}

static void a_device_s_error_is_the_request_s(void **state)
{
	(void)state;
	make(A_DEVICE);
	open_kind(A_DEVICE, false);
	expect(0, 4096, 0);
	shell("truncate -s 4M disk");
	assert_int_equal(read_at(buf, 4096, 6 * MIB), -EIO);
	expect(MIB, 4096, 0);
}

static void zeros_smaller_than_a_device_s_blocks_are_written(void **state)
{
	(void)state;
	shell("truncate -s 8M disk");
	loop_device("--sector-size 4096 disk");
	open_kind(A_DEVICE, true);
	put(0, 64 * KIB, 0);
	wipe(512, 1024);
	wipe(16 * KIB, 4096);
	assert_true(disk->caps.can_punch);
	expect(0, 64 * KIB, 0);
}

static void an_export_s_error_is_the_request_s(void **state)
{
	(void)state;
	need("nbdkit");
	shell("truncate -s 8M disk");
	serve("nbdkit -U $PWD/nbd -P pid --filter=error file $PWD/disk error-pread=EIO error-pread-rate=100% error-pwrite=ENOSPC "
	      "error-pwrite-rate=100%");
	open_at(socket_path, "", NULL, true);
	assert_int_equal(read_at(buf, 4096, 0), -EIO);
	assert_int_equal(write_at(buf, 4096, 0), -ENOSPC);
	assert_int_equal(sync_it(), 0);
	assert_null(disk_io_error(disk));
}

static void a_server_that_is_gone_is_an_error_of_the_disk(void **state)
{
	(void)state;
	make(AN_EXPORT);
	open_kind(AN_EXPORT, true);
	expect(0, 4096, 0);
	kill(server, SIGKILL);
	assert_int_equal(read_at(buf, 4096, 0), -ECONNRESET);
	assert_non_null(disk_io_error(disk));
	assert_int_equal(write_at(buf, 4096, 0), -ECONNRESET);
	assert_int_equal(sync_it(), -ECONNRESET);
}

static int setup(void **state)
{
	(void)state;
	log_init("test", LOG_LEVEL_ERROR, 2);
	buf = aligned_alloc(DISK_ALIGN, 4 * MIB);
	if (!buf || !mkdtemp(dir))
		return -1;
	memset(buf, 0, 4 * MIB);
	snprintf(file, sizeof(file), "%s/disk", dir);
	snprintf(socket_path, sizeof(socket_path), "%s/nbd", dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(buf);
	return rmdir(dir);
}

static enum kind of_file = A_FILE, of_device = A_DEVICE, of_export = AN_EXPORT;

#define T(test) cmocka_unit_test_setup_teardown(test, test_begin, test_end)
#define T_OF(kind, test)                                                                                                                   \
	{                                                                                                                                  \
#test "_of_" #kind, test, test_begin, test_end, &of_##kind                                                                 \
	}
#define T_EACH(test) T_OF(file, test), T_OF(device, test), T_OF(export, test)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T_EACH(what_is_written_and_zeroed_is_read),
		T_EACH(zeros_that_are_filled_have_blocks),
		T_EACH(what_cannot_be_is_refused_and_nothing_is_done),
		T_EACH(a_close_ends_what_is_in_flight),
		T_EACH(a_request_begun_during_a_close_is_cancelled),
		T_EACH(a_disk_may_be_closed_in_done),
		T(a_file_shows_its_holes),
		T(a_device_is_all_data),
		T(an_export_shows_holes_zeros_and_what_is_selected),
		T(an_export_open_for_writing_has_no_map),
		T(what_is_no_disk_is_not_opened),
		T(a_file_that_became_shorter_is_not_read_as_zeros),
		T(a_file_that_became_shorter_is_not_written_to),
		T(a_write_over_a_limit_is_done_up_to_it_and_fails),
		T(a_device_s_error_is_the_request_s),
		T(zeros_smaller_than_a_device_s_blocks_are_written),
		T(an_export_s_error_is_the_request_s),
		T(a_server_that_is_gone_is_an_error_of_the_disk),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
