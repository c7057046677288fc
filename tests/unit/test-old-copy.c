/*
 * test-old-copy.c: a disk whose destination has an old copy of it, from the file at the source to the file at the destination: with the
 * real threads of both sides (disk-read, data-send, old-read, data-receive), over socket pairs. And have.c alone.
 */
#include "codec.h"
#include "data-receive.h"
#include "disk-read.h"
#include "have.h"
#include "old-read.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define DEADLINE_MS 60000
#define CHANNELS    3
#define DISK_BYTES  (9 * MIB + 3 * 4096)
#define BLOCK	    (1U << HAVE_SHIFT)

static struct {
	struct loop *loop;
	struct queue results, events;
	struct send_shared out;
	struct receive_shared in;
	struct sender *s[CHANNELS];
	struct receiver *r[CHANNELS];
	struct disk_reader *reader;
	struct old_reader *old;
	struct have *have;
	struct disk_round *result;
	unsigned told, durable, complete, lost, told_before_it_was_durable;
	void (*before_last)(void); /* when all is compared, and before the source hears so */
	struct err why;
} t;

static char dir[] = "/tmp/test-old-copy-XXXXXX", file[3][64]; /* the disk, the disk there, its old copy */
static uint8_t disk[DISK_BYTES], old[2 * DISK_BYTES];
static struct err err;
static unsigned busy;		   /* channels of the destination, for ever */
static struct have *known, *notes; /* known: of an earlier round, in place of what is told */
static bool stays;		   /* reads that have begun go through the page cache */

/* ---- the two ends ---- */

static void on_results(struct queue *q)
{
	struct qnode *n;

	while ((n = queue_take(q))) {
		assert_null(t.result);
		t.result = container_of(n, struct disk_round, node);
	}
}

static void take_have(const struct receive_event *ev)
{
	struct msg_have m = {.object = ev->group, .block = ev->offset, .last = ev->number != 0, .hashes = {ev->data, ev->n}};

	t.told++;
	if (m.last && t.before_last)
		t.before_last();
	assert_int_equal(have_take(t.have, &m, &err), 0);
	if (t.reader)
		disk_reader_go_on(t.reader);
}

static void on_events(struct queue *q)
{
	struct qnode *n;

	while ((n = queue_take(q))) {
		struct receive_event *ev = container_of(n, struct receive_event, node);

		if (ev->kind == RECEIVE_HAVE)
			take_have(ev);
		if (ev->kind == RECEIVE_DURABLE && !t.durable++)
			t.told_before_it_was_durable = t.told;
		t.complete += ev->kind == RECEIVE_COMPLETE;
		if (ev->kind == RECEIVE_LOST && !t.lost++)
			t.why = ev->err;
		free(ev);
	}
}

static void on_lost(void *ctx, unsigned channel, const struct err *why)
{
	(void)ctx, (void)channel, (void)why;
}

static void until(const unsigned *what, unsigned n)
{
	uint64_t deadline = now_ns() + DEADLINE_MS * 1000000ULL;

	while (*what < n && !t.lost) {
		assert_true(now_ns() < deadline);
		assert_int_equal(loop_step(t.loop, 100, &err), 0);
	}
}

static void write_file(const char *path, const uint8_t *p, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_int_equal(ftruncate(fd, (off_t)n), 0);
	for (size_t at = 0; p && at < n; at += 4096) /* holes stand for zeros */
		if (!bytes_are_zero(p + at, MIN(4096, n - at)))
			assert_int_equal(pwrite(fd, p + at, MIN(4096, n - at), (off_t)at), (ssize_t)MIN(4096, n - at));
	close(fd);
}

/* fills: 0: the disk there is new, and what it has is an old copy; else that is the disk itself, and so are the units in which it is told
 * of. */
static void begin_on(size_t old_bytes, const uint8_t *is, bool begun, uint32_t fills)
{
	unsigned i;

	memset(&t, 0, sizeof(t));
	assert_int_equal(loop_new(&t.loop, 64, &err), 0);
	queue_init(&t.results, t.loop, on_results);
	queue_init(&t.events, t.loop, on_events);
	write_file(file[0], disk, DISK_BYTES);
	write_file(file[1], begun ? is : NULL, DISK_BYTES);
	write_file(file[2], is, old_bytes);
	for (i = 0; i < DIGEST_SECRET_BYTES; i++)
		t.out.key.secret[i] = t.in.key.secret[i] = (uint8_t)(i * 7 + 1);
	t.out.codec = CODEC_MODE_NONE;
	t.out.channels = t.in.channels = CHANNELS;
	t.out.window_bytes = MIB;
	t.out.lost = on_lost;
	t.in.events = &t.events;
	t.in.saves = begun;
	t.in.busy = busy;
	t.in.disk[1] = (struct disk_target){.bytes = DISK_BYTES,
					    .at = {.path = file[1], .writable = true},
					    .name = "vda",
					    .old = {.path = file[begun ? 1 : 2], .stays = stays},
					    .old_name = "last night's",
					    .begun = begun};
	t.in.disk[1].known = known != NULL;
	t.have = known ?: have_new(DISK_BYTES, HAVE_SHIFT);
	for (i = 0; i < CHANNELS; i++) {
		int fd[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
		assert_int_equal(receiver_start(&t.r[i], (struct link){.fd = fd[1]}, i + 1, &t.in, &err), 0);
		assert_int_equal(sender_start(&t.s[i], (struct link){.fd = fd[0]}, i + 1, &t.out, &err), 0);
	}
	assert_int_equal(disk_reader_start(&t.reader, t.s, CHANNELS, &t.out, &t.results, &err), 0);
	disk_reader_round(t.reader, &(struct disk_round){.object = 1,
							 .at = {.path = file[0]},
							 .name = "vda",
							 .size = DISK_BYTES,
							 .detect_zeros = fills <= DISK_SECTOR,
							 .fills = fills,
							 .have = t.have,
							 .knows = known != NULL,
							 .notes = notes});
	assert_int_equal(old_reader_start(&t.old, &t.in, &err), 0);
}

static void begin(size_t old_bytes, const uint8_t *is)
{
	begin_on(old_bytes, is, false, 0);
}

static uint64_t written(void)
{
	struct receive_stats sum = {0};
	unsigned i;

	for (i = 0; i < CHANNELS; i++)
		receiver_stats(t.r[i], &sum);
	return sum.disk_bytes;
}

/* Everything, until each channel's digests were found equal, or one was lost. */
static void carry(void)
{
	unsigned i;

	until(&t.durable, CHANNELS);
	for (i = 0; i < CHANNELS; i++) {
		struct send_item *it = send_mark_new(0, NULL, 0), *last = send_mark_new(0, NULL, 0);

		it->mark = last->mark = MARK_END;
		it->object = 1;
		last->object = GROUP_RAM;
		sender_put(t.s[i], it);
		sender_put(t.s[i], last);
	}
	until(&t.complete, CHANNELS);
}

static uint64_t kept(void)
{
	struct send_stats sum = {0};
	unsigned i;

	for (i = 0; i < CHANNELS; i++)
		sender_stats(t.s[i], &sum);
	assert_true(sum.raw_bytes + sum.kept_bytes[1] <= DISK_BYTES);
	return sum.kept_bytes[1];
}

static void end(void)
{
	unsigned i;

	old_reader_stop(t.old);
	disk_reader_stop(t.reader);
	for (i = 0; i < CHANNELS; i++)
		sender_stop(t.s[i]);
	disk_reader_free(t.reader);
	t.reader = NULL;
	for (i = 0; i < CHANNELS; i++)
		receiver_stop(t.r[i]);
	on_events(&t.events);
	on_results(&t.results);
	free(t.result);
	have_free(t.have);
	queue_fini(&t.results);
	queue_fini(&t.events);
	loop_free(t.loop);
}

static void check_arrived(void)
{
	static uint8_t got[DISK_BYTES + 1];
	int fd = open(file[1], O_RDONLY | O_CLOEXEC);

	if (t.lost)
		fail_msg("lost: %s", t.why.msg);
	assert_int_equal(t.complete, CHANNELS);
	assert_int_equal(__atomic_load_n(&t.out.kept_ahead, __ATOMIC_RELAXED), 0); /* the destination has come to all that was named */
	assert_int_equal(t.in.busy, busy);
	assert_int_equal(pread(fd, got, sizeof(got), 0), DISK_BYTES);
	assert_memory_equal(got, disk, DISK_BYTES);
	close(fd);
}

static void paint(void)
{
	uint64_t x = 88172645463325252ULL;
	size_t i;

	for (i = 0; i < DISK_BYTES; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		disk[i] = (uint8_t)(x >> 11);
	}
	memset(disk + 3 * MIB, 0, MIB);
	memset(old, 0x5a, sizeof(old));
	memcpy(old, disk, DISK_BYTES);
}

/* ---- both ends ---- */

static void an_equal_copy_keeps_all_but_zeros_off_the_wire(void **state)
{
	(void)state;
	paint();
	begin(DISK_BYTES, old);
	carry();
	check_arrived();
	assert_int_equal(kept(), DISK_BYTES - MIB);
	end();
}

/* Blocks differ at their first byte, at their last, and where the disk has zeros; the copy is longer than the disk. */
static void what_differs_travels_and_no_more(void **state)
{
	(void)state;
	paint();
	old[5 * BLOCK]++;
	old[8 * BLOCK - 1]++;
	old[3 * MIB + 5]++;
	begin(sizeof(old), old);
	carry();
	check_arrived();
	assert_int_equal(kept(), DISK_BYTES - MIB - 2 * BLOCK);
	end();
}

static void a_copy_that_is_shorter_has_what_it_has(void **state)
{
	static const size_t sizes[] = {0, 4096, 6 * BLOCK - 4096, 6 * BLOCK + 4096};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		paint();
		begin(sizes[i], old);
		carry();
		check_arrived();
		assert_int_equal(kept(), sizes[i] / BLOCK * BLOCK);
		end();
	}
}

/* Long holes in the copy are not told of, block by block. */
static void a_sparse_copy_has_what_is_between_its_holes(void **state)
{
	(void)state;
	paint();
	memset(old, 0, 2 * MIB);
	memset(old + 5 * MIB, 0, 3 * MIB);
	begin(DISK_BYTES, old);
	carry();
	check_arrived();
	assert_int_equal(kept(), DISK_BYTES - 6 * MIB);
	assert_true(t.told <= 6);
	end();
}

static void change_the_copy(void)
{
	int fd = open(file[2], O_WRONLY | O_CLOEXEC);

	assert_int_equal(pwrite(fd, "x", 1, 8 * MIB + 4711), 1);
	close(fd);
}

static void cut_the_copy(void)
{
	assert_int_equal(truncate(file[2], 5 * MIB), 0);
}

/* Holes of a disk are smaller than the blocks that are compared: what is beside them does not travel where the copy has it, and does where that differs. */
static void what_is_beside_holes_is_compared_too(void **state)
{
	(void)state;
	paint();
	memset(disk + 5 * MIB + 4096, 0, 8192);
	memset(disk + 6 * MIB - 512, 0, 1024); /* less than is a hole */
	memset(disk + 7 * MIB - 4096, 0, 8192);
	memset(disk + DISK_BYTES - 8192, 0, 4096);
	memcpy(old, disk, DISK_BYTES);
	old[7 * MIB + 8192] ^= 1;
	begin(DISK_BYTES, old);
	carry();
	check_arrived();
	assert_int_equal(t.result->read_bytes, DISK_BYTES - MIB - 8192 - 8192 - 4096);
	assert_int_equal(kept(), t.result->read_bytes - (BLOCK - 4096));
	end();
	memcpy(old, disk, DISK_BYTES);
	old[DISK_BYTES - 1] ^= 1;
	old[5 * MIB] ^= 1;
	begin(DISK_BYTES, old);
	carry();
	check_arrived();
	assert_int_equal(kept(), t.result->read_bytes - (DISK_BYTES % BLOCK - 4096) - (BLOCK - 8192));
	end();
}

static void a_copy_that_changes_once_it_was_compared_is_not_taken_from(void **state)
{
	(void)state;
	paint();
	begin(DISK_BYTES, old);
	t.before_last = change_the_copy;
	carry();
	assert_true(t.lost && t.complete < CHANNELS);
	assert_int_equal(t.why.code, ESTALE);
	assert_non_null(strstr(t.why.msg, "the old copy last night's has changed at byte 8388608"));
	end();
	begin(DISK_BYTES, old);
	t.before_last = cut_the_copy;
	carry();
	assert_true(t.lost && t.complete < CHANNELS);
	assert_non_null(strstr(t.why.msg, "the old copy last night's"));
	end();
}

/* The destination hears of zeros, too, where it has data; and blocks that it has are not written again. */
static void a_disk_that_has_begun_is_what_the_source_has_in_the_end(void **state)
{
	(void)state;
	paint();
	old[5 * BLOCK]++;
	memset(old + 3 * MIB, 0x77, MIB);
	memset(old + 6 * MIB, 0, 2 * MIB);
	begin_on(DISK_BYTES, old, true, DISK_SECTOR);
	carry();
	check_arrived();
	assert_int_equal(kept(), DISK_BYTES - 3 * MIB - BLOCK);
	assert_true(written() >= 2 * MIB + BLOCK && written() < 5 * MIB);
	end();
}

/* The image has clusters of that size. */
static void a_hole_within_a_cluster_is_told_as_data(void **state)
{
	(void)state;
	paint();
	memset(disk + 5 * MIB + 4096, 0, 4096);
	begin_on(DISK_BYTES, old, true, BLOCK);
	carry();
	check_arrived();
	assert_non_null(t.result);
	assert_int_equal(t.result->read_bytes, DISK_BYTES - MIB);
	end();
	paint();
	memset(disk + 5 * MIB + 4096, 0, 4096);
	begin_on(DISK_BYTES, old, true, DISK_SECTOR);
	carry();
	check_arrived();
	assert_int_equal(t.result->read_bytes, DISK_BYTES - MIB - 4096);
	end();
}

static void a_disk_that_has_begun_is_not_left_as_it_was_found(void **state)
{
	(void)state;
	paint();
	begin_on(DISK_BYTES, old, true, 0);
	carry();
	assert_true(t.lost && t.complete < CHANNELS);
	assert_int_equal(t.why.code, EBADMSG);
	assert_non_null(strstr(t.why.msg, "goes on from what was kept of it"));
	end();
}

static void change_the_disk(void)
{
	int fd = open(file[1], O_WRONLY | O_CLOEXEC);

	assert_int_equal(pwrite(fd, "x", 1, 8 * MIB + 4711), 1);
	close(fd);
}

static void a_disk_that_has_begun_and_changes_ends_the_move(void **state)
{
	(void)state;
	paint();
	begin_on(DISK_BYTES, old, true, DISK_SECTOR);
	t.before_last = change_the_disk;
	carry();
	assert_true(t.lost && t.complete < CHANNELS);
	assert_non_null(strstr(t.why.msg, "the kept part of disk vda has changed at byte 8388608"));
	end();
}

/* By another descriptor than that by which it is written. */
static void a_disk_that_has_begun_is_compared_in_the_page_cache(void **state)
{
	stays = true;
	a_disk_that_has_begun_is_what_the_source_has_in_the_end(state);
	a_disk_that_has_begun_and_changes_ends_the_move(state);
	stays = false;
}

/* A round into a new file, what it has left of which is known to the next. */
static void carry_with_notes(void)
{
	paint();
	notes = have_new(DISK_BYTES, HAVE_SHIFT);
	begin(0, old);
	carry();
	check_arrived();
	end();
	known = have_resized(notes, DISK_BYTES);
	have_free(notes);
	notes = NULL;
}

static void what_was_sent_before_is_known_without_being_told(void **state)
{
	(void)state;
	carry_with_notes();
	disk[5 * BLOCK]++;
	begin_on(DISK_BYTES, old, true, DISK_SECTOR);
	carry();
	check_arrived();
	assert_int_equal(kept(), DISK_BYTES - MIB - BLOCK);
	assert_int_equal(t.told, 0);
	end();
	known = NULL;
}

/* Another process has written to the copy. */
static void what_is_not_as_it_was_sent_ends_the_move(void **state)
{
	(void)state;
	carry_with_notes();
	old[8 * MIB + 4711]++;
	begin_on(DISK_BYTES, old, true, DISK_SECTOR);
	carry();
	assert_true(t.lost && t.complete < CHANNELS);
	assert_non_null(strstr(t.why.msg, "the kept part of disk vda has changed at byte 8388608"));
	end();
	known = NULL;
}

/* A destination whose disks have no time for more than what arrives reads no old copy: all of it travels, no later than without one. */
static void receiving_comes_before_reading(void **state)
{
	(void)state;
	paint();
	unsetenv("VMFERRY_FAULT_BEFORE");
	busy = 1;
	begin(DISK_BYTES, old);
	carry();
	setenv("VMFERRY_FAULT_BEFORE", "src-compares-all:fail", 1);
	check_arrived();
	busy = 0;
	assert_int_equal(kept(), 0);
	assert_int_equal(t.told_before_it_was_durable, 0);
	end();
}

static void whoever_stops_meanwhile_leaves_nothing(void **state)
{
	(void)state;
	paint();
	begin(DISK_BYTES, old);
	end();
	begin(DISK_BYTES, old);
	until(&t.told, 1);
	end();
}

/* ---- have.c alone ---- */

static int take(struct have *h, uint64_t block, unsigned n, bool last, size_t extra)
{
	static const uint8_t ones[64 * 8 + 7] = {1, [8] = 1, [16] = 1};
	struct msg_have m = {.object = 1, .block = block, .last = last, .hashes = {ones, n * 8 + extra}};

	return have_take(h, &m, &err);
}

static void blocks_come_in_order_and_within_the_disk(void **state)
{
	struct have *h = have_new(10 * BLOCK + 1, HAVE_SHIFT); /* 11 blocks */

	(void)state;
	assert_false(have_covers(h, 1));
	assert_int_equal(take(h, 0, 2, false, 0), 0);
	assert_true(have_covers(h, 2 * BLOCK));
	assert_false(have_covers(h, 2 * BLOCK + 1));
	assert_int_equal(take(h, 1, 1, false, 0), -EPROTO);
	assert_int_equal(take(h, 2, 1, false, 7), -EPROTO);
	assert_int_equal(take(h, 2, 10, false, 0), -EPROTO);
	assert_int_equal(take(h, 12, 0, false, 0), -EPROTO);
	assert_int_equal(take(h, UINT64_MAX, 2, false, 0), -EPROTO);
	assert_int_equal(take(h, 5, 1, false, 0), 0);
	assert_true(have_covers(h, 6 * BLOCK));
	assert_int_equal(take(h, 6, 0, true, 0), 0);
	assert_true(have_covers(h, 10 * BLOCK + 1));
	assert_int_equal(take(h, 6, 1, false, 0), -EPROTO); /* the disk was complete already */
	have_free(h);
}

static uint32_t run_of(const struct have *h, const struct digest_key *key, uint64_t offset, const uint8_t *data, uint32_t bytes, bool *has)
{
	return have_run(h, key, &(struct have_range){.offset = offset, .data = data, .bytes = bytes}, has);
}

static void a_run_ends_where_the_copy_differs_and_only_whole_blocks_count(void **state)
{
	struct digest_key key = {{1, 2, 3}};
	uint64_t bytes = 4 * BLOCK + 512;
	struct have *h = have_new(bytes, HAVE_SHIFT);
	uint8_t hashes[5 * 8];
	struct writer w = writer_of(hashes, sizeof(hashes));
	bool has;
	unsigned i;

	(void)state;
	paint();
	for (i = 0; i < 5; i++)
		write_u64(&w, i == 2 ? 1 : hash_content(&key, disk + i * BLOCK, MIN(BLOCK, bytes - i * BLOCK)).lo);
	assert_int_equal(have_take(h, &(struct msg_have){.object = 1, .last = true, .hashes = {hashes, sizeof(hashes)}}, &err), 0);
	assert_int_equal(run_of(h, &key, 0, disk, (uint32_t)bytes, &has), 2 * BLOCK);
	assert_true(has);
	assert_int_equal(run_of(h, &key, 2 * BLOCK, disk + 2 * BLOCK, (uint32_t)bytes - 2 * BLOCK, &has), BLOCK);
	assert_false(has);
	assert_int_equal(run_of(h, &key, 3 * BLOCK, disk + 3 * BLOCK, (uint32_t)bytes - 3 * BLOCK, &has), BLOCK + 512);
	assert_true(has);
	assert_int_equal(run_of(h, &key, 512, disk + 512, BLOCK, &has), BLOCK); /* pieces of two, none of them whole */
	assert_false(has);
	assert_int_equal(run_of(h, &key, BLOCK - 512, disk + BLOCK - 512, BLOCK + 512, &has), 512);
	assert_false(has);
	assert_int_equal(have_run(h, &key, &(struct have_range){BLOCK + 512, disk + BLOCK + 512, 512, 512, BLOCK - 1024}, &has), 512);
	assert_true(has); /* all of its block is known */
	assert_int_equal(have_run(h, &key, &(struct have_range){BLOCK + 512, disk + BLOCK + 512, 512, 512, BLOCK - 1025}, &has), 512);
	assert_false(has);
	assert_int_equal(have_run(h, &key, &(struct have_range){BLOCK + 512, disk + BLOCK + 512, 512, 511, BLOCK - 1024}, &has), 512);
	assert_false(has);
	have_free(h);
}

static bool has_block(const struct have *h, const struct digest_key *key, unsigned i)
{
	bool has;

	run_of(h, key, i * BLOCK, disk + i * BLOCK, BLOCK, &has);
	return has;
}

/* The last block of a disk is as short as the disk: in a longer one it is another. */
static void what_was_noted_is_of_whole_blocks_of_the_disk_as_it_is_now(void **state)
{
	struct digest_key key = {{1, 2, 3}};
	struct have *h = have_new(2 * BLOCK + 512, HAVE_SHIFT), *longer, *shorter, *same;
	bool has;

	(void)state;
	paint();
	have_note(h, &key, 512, disk + 512, 2 * BLOCK); /* a note of a part of the first block */
	have_note(h, &key, 2 * BLOCK + 256, disk + 2 * BLOCK + 256, 256);
	same = have_resized(h, 2 * BLOCK + 512);
	assert_true(have_covers(same, 2 * BLOCK + 512));
	assert_false(has_block(same, &key, 0));
	assert_true(has_block(same, &key, 1));
	assert_int_equal(run_of(same, &key, 2 * BLOCK, disk + 2 * BLOCK, 512, &has), 512);
	assert_true(has);
	longer = have_resized(h, 4 * BLOCK);
	assert_true(has_block(longer, &key, 1));
	assert_false(has_block(longer, &key, 2));
	assert_false(has_block(longer, &key, 3));
	assert_true(have_covers(longer, 4 * BLOCK));
	shorter = have_resized(h, BLOCK + 512);
	assert_int_equal(run_of(shorter, &key, BLOCK, disk + BLOCK, 512, &has), 512);
	assert_false(has);
	have_free(h);
	have_free(same);
	have_free(longer);
	have_free(shorter);
}

static int setup(void **state)
{
	unsigned i;

	(void)state;
	setenv("VMFERRY_FAULT_BEFORE", "src-compares-all:fail", 1); /* either side may be faster */
	if (!mkdtemp(dir))
		return -1;
	for (i = 0; i < ARRAY_LEN(file); i++)
		snprintf(file[i], sizeof(file[i]), "%s/%u", dir, i);
	return 0;
}

static int teardown(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(file); i++)
		unlink(file[i]);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_equal_copy_keeps_all_but_zeros_off_the_wire),
		cmocka_unit_test(what_differs_travels_and_no_more),
		cmocka_unit_test(a_copy_that_is_shorter_has_what_it_has),
		cmocka_unit_test(a_sparse_copy_has_what_is_between_its_holes),
		cmocka_unit_test(what_is_beside_holes_is_compared_too),
		cmocka_unit_test(a_copy_that_changes_once_it_was_compared_is_not_taken_from),
		cmocka_unit_test(a_disk_that_has_begun_is_what_the_source_has_in_the_end),
		cmocka_unit_test(a_hole_within_a_cluster_is_told_as_data),
		cmocka_unit_test(a_disk_that_has_begun_is_not_left_as_it_was_found),
		cmocka_unit_test(a_disk_that_has_begun_and_changes_ends_the_move),
		cmocka_unit_test(a_disk_that_has_begun_is_compared_in_the_page_cache),
		cmocka_unit_test(what_was_sent_before_is_known_without_being_told),
		cmocka_unit_test(what_is_not_as_it_was_sent_ends_the_move),
		cmocka_unit_test(what_was_noted_is_of_whole_blocks_of_the_disk_as_it_is_now),
		cmocka_unit_test(receiving_comes_before_reading),
		cmocka_unit_test(whoever_stops_meanwhile_leaves_nothing),
		cmocka_unit_test(blocks_come_in_order_and_within_the_disk),
		cmocka_unit_test(a_run_ends_where_the_copy_differs_and_only_whole_blocks_count),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
