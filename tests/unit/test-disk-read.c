/*
 * test-disk-read.c: what the rounds of a disk send, with qemu-nbd or nbdkit in place of the guest's QEMU, or none for a file: the
 * extents and their delta, data and what became a hole, and how a round ends.
 */
#include "disk-read.h"
#include "log.h"
#include "messages.h"
#include "process.h"
#include "util.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cmocka.h>

#define DEADLINE_MS 60000
#define QEMU_NBD    "qemu-nbd --fork -t -r -e 4 -x disk -k $PWD/nbd --pid-file pid "
#define DISK_BYTES  (8 * MIB)

static struct {
	struct loop *loop;
	struct queue results;
	struct disk_round *result;
	struct send_shared shared;
	struct sender *sender;
	struct disk_reader *reader;
	int out;
	pid_t server;
	uint64_t server_start;
	char log[512]; /* "< D128 a@0+64 h@64+64 >": begin, delta of so many sectors, content or hole at KiB, end */
} t;

static char dir[] = "/tmp/test-disk-read-XXXXXX", socket_path[64];
static struct err err;

static void need(const char *tool)
{
	AUTO_FREE char *command = xasprintf("command -v %s >/dev/null", tool);

	if (system(command) != 0) {
		print_message("skipped: %s is not installed\n", tool);
		skip();
	}
}

/* In the directory; its output is in `out` there. */
static void shell(const char *command)
{
	AUTO_FREE char *all = xasprintf("cd %s && { %s ;} >out 2>&1 || { cat out; false; }", dir, command);

	if (system(all) != 0)
		fail_msg("%s", command);
}

static bool listens(void)
{
	AUTO_FREE char *command = xasprintf("[ -S %s ] && [ -s %s/pid ]", socket_path, dir);

	return system(command) == 0;
}

static void serve(const char *server)
{
	AUTO_FREE char *command = xasprintf("rm -f pid nbd; %s", server);
	uint64_t until = now_ns() + DEADLINE_MS * 1000000ULL;
	AUTO_FREE char *pid = xasprintf("%s/pid", dir);
	FILE *f;

	shell(command);
	while (!listens()) {
		assert_true(now_ns() < until);
		poll(NULL, 0, 5);
	}
	f = fopen(pid, "re");
	assert_int_equal(fscanf(f, "%d", &t.server), 1);
	fclose(f);
}

static void on_results(struct queue *q)
{
	struct qnode *n;

	while ((n = queue_take(q))) {
		free(t.result);
		t.result = container_of(n, struct disk_round, node);
	}
}

static void on_lost(void *ctx, unsigned channel, const struct err *why)
{
	(void)ctx, (void)channel, (void)why;
}

/* server: NULL for none. */
static void begin(const char *server)
{
	int fd[2];

	memset(&t, 0, sizeof(t));
	if (server) {
		serve(server);
		assert_int_equal(process_start_time(t.server, &t.server_start), 0);
	}
	t.shared = (struct send_shared){.codec = CODEC_MODE_NONE, .channels = 1, .window_bytes = 16 * MIB, .lost = on_lost};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	t.out = fd[1];
	assert_int_equal(loop_new(&t.loop, 16, &err), 0);
	queue_init(&t.results, t.loop, on_results);
	assert_int_equal(sender_start(&t.sender, (struct link){.fd = fd[0]}, 1, &t.shared, &err), 0);
	assert_int_equal(disk_reader_start(&t.reader, &t.sender, 1, &t.shared, &t.results, &err), 0);
}

static void end(void)
{
	disk_reader_stop(t.reader);
	sender_stop(t.sender);
	disk_reader_free(t.reader);
	on_results(&t.results);
	free(t.result);
	queue_fini(&t.results);
	loop_free(t.loop);
	close(t.out);
	if (!t.server)
		return;
	kill(t.server, SIGTERM);
	while (qemu_is_alive(t.server, t.server_start)) /* at its end it removes its socket */
		poll(NULL, 0, 5);
}

/* ---- what leaves ---- */

__attribute__((format(printf, 1, 2))) static void note(const char *fmt, ...)
{
	size_t n = strlen(t.log);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(t.log + n, sizeof(t.log) - n, fmt, ap);
	va_end(ap);
}

static void note_data(const uint8_t *p, size_t n)
{
	struct msg_data m;
	struct reader r;
	unsigned i;

	assert_int_equal(msg_data_decode(&m, p, n), 0);
	r = reader_of(m.body.p, m.body.n);
	p = m.body.p + 12 * m.extents;
	for (i = 0; i < m.extents; i++) {
		uint64_t at = read_u64(&r);
		uint32_t sectors = read_u32(&r);

		note(" %c@%u+%u", m.codec == CODEC_RAW ? *p : 'h', (unsigned)(at / KIB), sectors / 2);
		if (m.codec == CODEC_RAW)
			p += sectors * 512;
	}
}

static void note_delta(const uint8_t *p, size_t n)
{
	uint64_t at = 0, start, length, sum = 0;
	struct msg_delta m;
	struct reader r;

	assert_int_equal(msg_delta_decode(&m, p, n), 0);
	r = reader_of(m.runs.p, m.runs.n);
	while (runs_get(&r, &at, DISK_BYTES >> DISK_SHIFT, &start, &length) > 0)
		sum += length;
	note(" D%u", (unsigned)sum);
}

/* Reads what has left, until the round's end, or until there is nothing more if it has none. */
static void read_round(bool has_end)
{
	static uint8_t buf[FRAME_HEADER_BYTES + FRAME_PAYLOAD_MAX];
	struct pollfd fd = {.fd = t.out, .events = POLLIN};
	struct frame_header h;

	t.log[0] = '\0';
	while (poll(&fd, 1, has_end ? DEADLINE_MS : 100) == 1) {
		assert_int_equal(recv(t.out, buf, FRAME_HEADER_BYTES, MSG_WAITALL), FRAME_HEADER_BYTES);
		assert_int_equal(frame_header_decode(&h, buf), 0);
		assert_int_equal(recv(t.out, buf + FRAME_HEADER_BYTES, h.length, MSG_WAITALL), h.length);
		if (h.type == MSG_ROUND_BEGIN)
			note("<");
		else if (h.type == MSG_DELTA)
			note_delta(buf + FRAME_HEADER_BYTES, h.length);
		else if (h.type == MSG_DATA)
			note_data(buf + FRAME_HEADER_BYTES, h.length);
		else if (h.type == MSG_ROUND_END)
			note(" >");
		if (h.type == MSG_ROUND_END)
			return;
	}
}

static void run(const struct disk_round *round)
{
	uint64_t until = now_ns() + DEADLINE_MS * 1000000ULL;

	free(t.result);
	t.result = NULL;
	disk_reader_round(t.reader, round);
	while (!t.result) {
		assert_int_equal(loop_step(t.loop, 100, &err), 0);
		assert_true(now_ns() < until);
	}
	read_round(!t.result->err.code);
}

static void run_round_of(uint32_t number, const struct disk_at *at, const struct have *have)
{
	run(&(struct disk_round){.object = 1, .number = number, .at = *at, .name = "drive0", .size = DISK_BYTES, .have = have});
}

static void run_round(uint32_t number, const char *select)
{
	run_round_of(number, &(struct disk_at){.path = socket_path, .export_name = "disk", .select = select}, NULL);
}

/* Reads end in any order. */
static void assert_left(const char *begin_and_holes, const char *const data[], size_t n)
{
	size_t i, all = strlen(begin_and_holes);

	if (strncmp(t.log, begin_and_holes, all))
		fail_msg("what left is '%s'", t.log);
	for (i = 0; i < n; all += strlen(data[i++]))
		if (!strstr(t.log, data[i]))
			fail_msg("what left is '%s', without '%s'", t.log, data[i]);
	if (strlen(t.log) != all + 2 || strcmp(t.log + all, " >"))
		fail_msg("what left is '%s'", t.log);
}

static void rounds_send_what_is_there_and_then_what_changed(void **state)
{
	(void)state;
	need("qemu-nbd");
	shell("qemu-img create -q -f qcow2 a.qcow2 8M && "
	      "qemu-io -f qcow2 -c 'write -P 97 0 128k' -c 'write -P 99 4M 64k' a.qcow2 && qemu-img bitmap --add a.qcow2 b0 && "
	      "qemu-io -f qcow2 -c 'write -z 64k 64k' -c 'write -P 98 1M 64k' a.qcow2 && qemu-img bitmap --disable a.qcow2 b0");
	begin(QEMU_NBD "-f qcow2 -B b0 a.qcow2");
	run_round(0, NULL);
	assert_int_equal(t.result->err.code, 0);
	assert_left("< D384", (const char *const[]){" a@0+64", " b@1024+64", " c@4096+64"}, 3);
	assert_int_equal(t.result->dirty_bytes, 192 * KIB);
	run_round(1, "qemu:dirty-bitmap:b0");
	assert_int_equal(t.result->err.code, 0);
	assert_left("< D256 h@64+64", (const char *const[]){" b@1024+64"}, 1);
	assert_int_equal(t.result->dirty_bytes, 128 * KIB);
	assert_int_equal(t.result->read_bytes, 64 * KIB);
	end();
}

static void what_cannot_be_read_is_not_sent_and_ends_the_round_with_the_reason(void **state)
{
	(void)state;
	need("nbdkit");
	shell("qemu-img create -q -f raw b.raw 8M && qemu-io -f raw -c 'write -P 97 0 64k' b.raw");
	begin("nbdkit -r -U $PWD/nbd -P pid --filter=error file $PWD/b.raw error=EIO error-pread-rate=100%");
	run_round(0, NULL);
	assert_int_equal(t.result->err.code, EIO);
	assert_non_null(strstr(t.result->err.msg, "cannot read the source disk drive0 at byte 0"));
	assert_null(strchr(t.log, '@'));
	assert_null(strchr(t.log, '>'));
	end();
}

/* The disk of a guest that is shut down is read like this. */
static void a_file_is_read_as_an_export_is(void **state)
{
	AUTO_FREE char *path = xasprintf("%s/d.raw", dir);

	(void)state;
	shell("truncate -s 8M d.raw && printf '%65536s' '' | tr ' ' a | dd of=d.raw bs=64K seek=1 conv=notrunc && "
	      "printf '%131072s' '' | tr ' ' b | dd of=d.raw bs=64K seek=126 conv=notrunc");
	begin(NULL);
	run_round_of(0, &(struct disk_at){.path = path}, NULL);
	assert_int_equal(t.result->err.code, 0);
	assert_left("< D384", (const char *const[]){" a@64+64", " b@8064+128"}, 2);
	assert_int_equal(t.result->dirty_bytes, 192 * KIB);
	assert_int_equal(t.result->read_bytes, 192 * KIB);
	end();
}

/* The target has something already, in units of 64 KiB: of what the source's file does not hold only the ends within units are read, as a disk
 * that its image's metadata has room for, but nothing else, would be full of zeros there. */
static void holes_are_read_at_their_ends_alone(void **state)
{
	AUTO_FREE char *path = xasprintf("%s/f.raw", dir);

	(void)state;
	shell("truncate -s 8M f.raw && printf '%8192s' '' | tr ' ' a | dd of=f.raw bs=4K seek=31 conv=notrunc && "
	      "printf '%4096s' '' | tr ' ' b | dd of=f.raw bs=4K seek=1025 conv=notrunc");
	begin(NULL);
	run(&(struct disk_round){.object = 1, .at = {.path = path}, .name = "drive0", .size = DISK_BYTES, .fills = 64 * KIB});
	assert_int_equal(t.result->err.code, 0);
	assert_non_null(strstr(t.log, " h@0+64"));
	assert_non_null(strstr(t.log, " h@192+"));
	assert_non_null(strstr(t.log, " a@124+8"));
	assert_non_null(strstr(t.log, " b@4100+4"));
	assert_int_equal(t.result->dirty_bytes, DISK_BYTES);
	assert_int_equal(t.result->read_bytes, 3 * 64 * KIB);
	end();
}

/* Each KiB of the file's data has left once. */
static void assert_sent_once(unsigned from_kib, unsigned kib)
{
	uint8_t times[DISK_BYTES / KIB] = {0};
	unsigned at, n, i;
	const char *p;

	for (p = strchr(t.log, '@'); p; p = strchr(p + 1, '@')) {
		assert_int_equal(sscanf(p, "@%u+%u", &at, &n), 2);
		for (i = at; i < at + n; i++)
			times[i]++;
	}
	for (i = 0; i < DISK_BYTES / KIB; i++)
		assert_int_equal(times[i], i >= from_kib && i < from_kib + kib);
}

/* 2500 KiB from 100 on. The old copy has the first of these, and is not told of behind told_kib. ahead: bytes of others that were named to
 * the destination, which does not come to them. */
static void run_round_with_old_copy(unsigned told_kib, uint64_t ahead)
{
	AUTO_FREE char *path = xasprintf("%s/e.raw", dir);
	struct have *have = have_new(DISK_BYTES, HAVE_SHIFT);
	uint8_t hashes[8 * 256] = {0}, block[64 * KIB];
	struct writer w = writer_of(hashes + 8 * 2, 8);
	struct msg_have told = {.object = 1, .hashes = {hashes, 8 * told_kib / 64}};

	shell("truncate -s 8M e.raw && head -c 2560000 /dev/zero | tr '\\0' a | dd of=e.raw bs=1K seek=100 conv=notrunc");
	begin(NULL);
	t.shared.kept_ahead = ahead;
	memset(block, 'a', sizeof(block));
	write_u64(&w, hash_content(&t.shared.key, block, sizeof(block)).lo);
	assert_int_equal(told_kib ? have_take(have, &told, &err) : 0, 0);
	run_round_of(0, &(struct disk_at){.path = path}, have);
	assert_int_equal(t.result->err.code, 0);
	assert_int_equal(t.result->read_bytes, 2500 * KIB);
	assert_sent_once(100, 2500);
	end();
	have_free(have);
}

static void a_disk_is_sent_from_its_end_while_an_old_copy_is_read(void **state)
{
	(void)state;
	run_round_with_old_copy(0, 0);
	assert_null(strchr(t.log, 'h'));
	run_round_with_old_copy(1024, 0); /* both readers meet in the middle */
	assert_non_null(strstr(t.log, " h@128+64"));
	run_round_with_old_copy(4096, 0); /* known at once */
	assert_non_null(strstr(t.log, " h@128+64"));
}

/* All of it would be named in no time, and written by the destination while the network has nothing to do. */
static void a_disk_is_sent_while_a_destination_is_slow_to_take_what_it_has(void **state)
{
	(void)state;
	run_round_with_old_copy(4096, 1ULL << 40);
	assert_null(strchr(t.log, 'h'));
}

static void a_disk_of_another_size_is_refused(void **state)
{
	(void)state;
	need("qemu-nbd");
	shell("qemu-img create -q -f raw c.raw 9M");
	begin(QEMU_NBD "-f raw c.raw");
	run_round(0, NULL);
	assert_int_equal(t.result->err.code, ESTALE);
	assert_string_equal(t.log, "");
	end();
}

static int setup(void **state)
{
	(void)state;
	log_init("test", LOG_LEVEL_ERROR, 2);
	if (!mkdtemp(dir))
		return -1;
	snprintf(socket_path, sizeof(socket_path), "%s/nbd", dir);
	return 0;
}

static int teardown(void **state)
{
	AUTO_FREE char *command = xasprintf("rm -rf '%s'", dir);

	(void)state;
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rounds_send_what_is_there_and_then_what_changed),
		cmocka_unit_test(what_cannot_be_read_is_not_sent_and_ends_the_round_with_the_reason),
		cmocka_unit_test(a_file_is_read_as_an_export_is),
		cmocka_unit_test(holes_are_read_at_their_ends_alone),
		cmocka_unit_test(a_disk_is_sent_from_its_end_while_an_old_copy_is_read),
		cmocka_unit_test(a_disk_is_sent_while_a_destination_is_slow_to_take_what_it_has),
		cmocka_unit_test(a_disk_of_another_size_is_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
