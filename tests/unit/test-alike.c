/*
 * test-alike.c: a disk of which other images at the destination have some, in other places: from the file at the source to the file at the destination, with the
 * real threads of both sides (want, disk-read, data-send, data-receive, alike-fill), over socket pairs. The table of what is wanted, and the choice of images.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../agent-dst/carry/alike-table.h"
#include "../../agent-dst/parts/alike-images.h"
#include "codec.h"
#include "data-receive.h"
#include "disk-read.h"
#include "util.h"
#include "want.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEADLINE_MS 60000
#define CHANNELS    2
#define BLOCK	    4096
#define DISK_BYTES  (9 * MIB + 3 * BLOCK + 512)
#define BLOCKS	    (DISK_BYTES / BLOCK)

static struct {
	struct loop *loop;
	struct queue results, events;
	struct send_shared out;
	struct receive_shared in;
	struct sender *s[CHANNELS];
	struct receiver *r[CHANNELS];
	struct disk_reader *reader;
	struct want *want;
	struct have *have;
	struct disk_round *result;
	unsigned told, durable, complete, lost;
	struct err why;
} t;

static char dir[] = "/tmp/test-alike-XXXXXX", file[3][64]; /* the disk, the disk there, another image */
static uint8_t disk[DISK_BYTES], other[2 * DISK_BYTES];
static struct alike_image image;
static void (*before_last)(void); /* when all is written, and before the source hears so */
static struct err err;

static void on_results(struct queue *q)
{
	struct qnode *n;

	while ((n = queue_take(q)))
		t.result = container_of(n, struct disk_round, node);
}

static void begin_round(void)
{
	disk_reader_round(t.reader, &(struct disk_round){.object = 1,
							 .at = {.path = file[0]},
							 .name = "vda",
							 .size = DISK_BYTES,
							 .detect_zeros = true,
							 .fills = DISK_SECTOR,
							 .have = t.have,
							 .alike = true});
}

static void take_have(const struct receive_event *ev)
{
	struct msg_have m = {.object = ev->group, .block = ev->offset, .last = ev->number != 0, .hashes = {ev->data, ev->n}};

	t.told++;
	assert_int_equal(have_take(t.have, &m, &err), 0);
	if (!m.last)
		return;
	if (before_last)
		before_last();
	if (t.reader)
		begin_round();
}

static void on_events(struct queue *q)
{
	struct qnode *n;

	while ((n = queue_take(q))) {
		struct receive_event *ev = container_of(n, struct receive_event, node);

		if (ev->kind == RECEIVE_HAVE)
			take_have(ev);
		t.durable += ev->kind == RECEIVE_DURABLE;
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
	if (p)
		assert_int_equal(pwrite(fd, p, n, 0), (ssize_t)n);
	close(fd);
}

static void choose_image(size_t bytes)
{
	struct stat st;

	write_file(file[2], other, bytes);
	assert_int_equal(stat(file[2], &st), 0);
	image = (struct alike_image){file[2], st.st_dev, st.st_ino, bytes};
}

static void begin(size_t image_bytes)
{
	unsigned i;

	memset(&t, 0, sizeof(t));
	assert_int_equal(loop_new(&t.loop, 64, &err), 0);
	queue_init(&t.results, t.loop, on_results);
	queue_init(&t.events, t.loop, on_events);
	write_file(file[0], disk, DISK_BYTES);
	write_file(file[1], NULL, DISK_BYTES);
	choose_image(image_bytes);
	for (i = 0; i < DIGEST_SECRET_BYTES; i++)
		t.out.key.secret[i] = t.in.key.secret[i] = (uint8_t)(i * 7 + 1);
	t.out.codec = CODEC_MODE_NONE;
	t.out.channels = t.in.channels = CHANNELS;
	t.out.window_bytes = MIB;
	t.out.lost = on_lost;
	t.in.events = &t.events;
	t.in.disk[1] = (struct disk_target){.bytes = DISK_BYTES,
					    .at = {.path = file[1], .writable = true},
					    .name = "vda",
					    .old = {.path = file[1]},
					    .old_name = "vda",
					    .known = true,
					    .alike = true,
					    .begun = true};
	t.in.alike = alike_fill_new(&t.in, &image, 1, DEADLINE_MS);
	t.have = have_new(DISK_BYTES, ALIKE_SHIFT);
	for (i = 0; i < CHANNELS; i++) {
		int fd[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
		assert_int_equal(receiver_start(&t.r[i], (struct link){.fd = fd[1]}, i + 1, &t.in, &err), 0);
		assert_int_equal(sender_start(&t.s[i], (struct link){.fd = fd[0]}, i + 1, &t.out, &err), 0);
	}
	assert_int_equal(disk_reader_start(&t.reader, t.s, CHANNELS, &t.out, &t.results, &err), 0);
}

static void ask(void)
{
	const struct want_disk d = {.object = 1, .at = {.path = file[0]}, .bytes = DISK_BYTES};

	assert_int_equal(want_start(&t.want, &d, 1, t.s[0], &t.out, &err), 0);
}

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
	return sum.kept_bytes[1];
}

static void end(void)
{
	unsigned i;

	before_last = NULL;
	want_stop(t.want);
	disk_reader_stop(t.reader);
	for (i = 0; i < CHANNELS; i++)
		sender_stop(t.s[i]);
	disk_reader_free(t.reader);
	t.reader = NULL;
	alike_fill_end(t.in.alike);
	for (i = 0; i < CHANNELS; i++)
		receiver_stop(t.r[i]);
	alike_fill_free(t.in.alike);
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
	assert_int_equal(pread(fd, got, sizeof(got), 0), DISK_BYTES);
	assert_memory_equal(got, disk, DISK_BYTES);
	close(fd);
}

static uint64_t noise;

static void paint_noise(uint8_t *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		noise ^= noise << 13;
		noise ^= noise >> 7;
		noise ^= noise << 17;
		p[i] = (uint8_t)(noise >> 11);
	}
}

/* Noise, and a MiB of zeros; of its blocks every other one is in the other image, elsewhere. Returns how many these are. */
static unsigned paint(void)
{
	unsigned i, n = 0;

	noise = 88172645463325252ULL;
	paint_noise(disk, DISK_BYTES);
	memset(disk + 3 * MIB, 0, MIB);
	paint_noise(other, sizeof(other));
	for (i = 1; i < BLOCKS; i += 2)
		if (!bytes_are_zero(disk + i * BLOCK, BLOCK))
			memcpy(other + (n++ + 7) * BLOCK, disk + i * BLOCK, BLOCK); /* side by side, as they are not here */
	return n;
}

/* ---- both ends ---- */

static void what_another_image_has_elsewhere_does_not_travel(void **state)
{
	unsigned n = paint();

	(void)state;
	begin(sizeof(other));
	ask();
	carry();
	check_arrived();
	assert_int_equal(kept(), (uint64_t)n * BLOCK);
	end();
}

/* An image that ends within a block, and content that is at two places here. */
static void one_block_there_serves_all_its_places(void **state)
{
	(void)state;
	paint();
	memcpy(disk + 5 * MIB, disk + BLOCK, BLOCK);
	memcpy(disk + 7 * MIB + BLOCK, disk + BLOCK, BLOCK);
	begin(8 * BLOCK + 100);
	ask();
	carry();
	check_arrived();
	assert_int_equal(kept(), 3 * BLOCK);
	end();
}

static void spoil_image(void)
{
	memset(other, 0x77, sizeof(other));
	write_file(file[2], other, sizeof(other));
}

static void an_image_that_changes_later_harms_nothing(void **state)
{
	unsigned n = paint();

	(void)state;
	before_last = spoil_image;
	begin(sizeof(other));
	ask();
	carry();
	check_arrived();
	assert_int_equal(kept(), (uint64_t)n * BLOCK);
	end();
}

/* The guest writes between the two times that its disk is read. */
static void write_to_disk(void)
{
	int fd = open(file[0], O_WRONLY | O_CLOEXEC);

	disk[BLOCK + 5]++;
	disk[9 * MIB + BLOCK]++;
	assert_int_equal(pwrite(fd, disk, DISK_BYTES, 0), DISK_BYTES);
	close(fd);
}

static void what_the_guest_writes_meanwhile_travels(void **state)
{
	unsigned n = paint();

	(void)state;
	before_last = write_to_disk;
	begin(sizeof(other));
	ask();
	carry();
	check_arrived();
	assert_int_equal(kept(), (uint64_t)(n - 2) * BLOCK);
	end();
}

static void write_there(void)
{
	int fd = open(file[1], O_WRONLY | O_CLOEXEC);

	assert_int_equal(pwrite(fd, "x", 1, 3 * BLOCK + 17), 1);
	close(fd);
}

/* In the new disk. */
static void what_is_not_what_was_found_ends_the_move(void **state)
{
	(void)state;
	paint();
	before_last = write_there;
	begin(sizeof(other));
	ask();
	carry();
	assert_true(t.lost && t.complete < CHANNELS);
	assert_non_null(strstr(t.why.msg, "has changed at byte 12288"));
	end();
}

static void another_file_in_its_place_is_left_alone(void **state)
{
	(void)state;
	paint();
	begin(sizeof(other));
	image.inode++;
	ask();
	carry();
	check_arrived();
	assert_int_equal(kept(), 0);
	end();
}

/* Blocks are taken only when all are filled: blocks that are still being filled would be written over them. */
static void nothing_is_taken_before_all_is_filled(void **state)
{
	(void)state;
	paint();
	begin(sizeof(other));
	begin_round();
	until(&t.lost, 1);
	assert_non_null(strstr(t.why.msg, "still filled"));
	end();
}

static int wants(uint32_t object, uint64_t block, bool last, size_t bytes)
{
	static const uint8_t hashes[64] = {1};

	return alike_fill_want(t.in.alike, &(struct msg_want){.object = object, .block = block, .last = last, .hashes = {hashes, bytes}},
			       &err);
}

static void what_cannot_be_wanted_is_refused(void **state)
{
	(void)state;
	paint();
	begin(sizeof(other));
	assert_int_equal(wants(2, 0, false, 16), -EPROTO);	/* no such disk */
	assert_int_equal(wants(1, 0, false, 15), -EPROTO);	/* no hash */
	assert_int_equal(wants(1, 0, false, 0), -EPROTO);	/* an empty request */
	assert_int_equal(wants(1, BLOCKS, false, 16), -EPROTO); /* behind its end: what is left there is no block */
	assert_int_equal(wants(1, UINT64_MAX, false, 16), -EPROTO);
	assert_int_equal(wants(1, BLOCKS - 1, false, 16), 0);
	assert_int_equal(wants(1, BLOCKS - 1, false, 16), -EPROTO); /* again */
	assert_int_equal(wants(1, 0, true, 0), 0);
	assert_int_equal(wants(1, 0, true, 0), -EPROTO); /* after the last */
	end();
}

/* ---- the table ---- */

static struct hash128 hash_of(uint64_t n)
{
	return (struct hash128){n, ~n};
}

static void a_block_is_found_once_and_its_neighbours_in_order(void **state)
{
	struct alike_table *a = alike_table_new();
	const struct alike_block *b;
	unsigned i;

	(void)state;
	for (i = 0; i < 10000; i++)
		assert_int_equal(alike_table_add(a, 1 + i / 5000, i % 5000, hash_of(i % 100)), 0);
	assert_int_equal(alike_table_add(a, 2, 4999, hash_of(1)), -EPROTO);
	assert_int_equal(alike_table_add(a, 1, 5000, hash_of(1)), -EPROTO);
	assert_int_equal(alike_table_add(a, 2, 1ULL << 32, hash_of(1)), -EPROTO);
	alike_table_seal(a);
	assert_int_equal(alike_table_add(a, 3, 0, hash_of(1)), -EPROTO);
	assert_null(alike_table_take(a, (struct hash128){7, 7})); /* half of a hash is none */
	for (i = 0; i < 100; i++) {
		b = alike_table_take(a, hash_of(7));
		assert_true(b && b->object == 1 + i / 50 && b->block == i % 50 * 100 + 7);
	}
	assert_null(alike_table_take(a, hash_of(7)));
	assert_true(alike_table_wanted(a) == 10000 && alike_table_found(a) == 100);
	assert_true(alike_table_at(a, 5007)->found && !alike_table_at(a, 5008)->found);
	alike_table_free(a);
}

static void no_more_is_wanted_than_there_is_room_for(void **state)
{
	struct alike_table *a = alike_table_new();
	uint64_t i;

	(void)state;
	for (i = 0; i < ALIKE_BLOCKS_MAX; i++)
		if (alike_table_add(a, 1, i, hash_of(i)))
			fail();
	assert_int_equal(alike_table_add(a, 1, i, hash_of(i)), -ENOSPC);
	assert_int_equal(alike_table_wanted(a), ALIKE_BLOCKS_MAX);
	alike_table_free(a);
}

/* ---- which images ---- */

static void put_image(const char *name, size_t bytes, time_t written)
{
	AUTO_FREE char *path = xasprintf("%s/%s", dir, name);
	const struct timespec at[2] = {{.tv_sec = written}, {.tv_sec = written}};

	write_file(path, NULL, bytes);
	assert_int_equal(utimensat(AT_FDCWD, path, at, 0), 0);
}

static void assert_images(const struct alike_images *im, const char *names)
{
	char all[1024] = "";
	unsigned i;

	for (i = 0; i < im->count; i++)
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", i ? " " : "", im->list[i].path + strlen(dir) + 1);
	assert_string_equal(all, names);
}

static void images_are_files_of_ours_the_newest_first(void **state)
{
	AUTO_FREE char *place = xasprintf("%s/vm1/disk.raw", dir), *link = xasprintf("%s/vm1/link.raw", dir),
		       *strange = xasprintf("%s/vm1/strange.raw", dir), *target = xasprintf("%s/vm2/b.raw", dir);
	struct alike_images im = {.count = 0};
	static const char *const dirs[] = {"vm1", "vm2", "vm2/below"};
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(dirs); i++) {
		AUTO_FREE char *d = xasprintf("%s/%s", dir, dirs[i]);

		assert_int_equal(mkdir(d, 0700), 0);
	}
	put_image("vm1/a.raw", 2 * MIB, 1000);
	put_image("vm1/b.qcow2", 3 * MIB, 2000);
	put_image("vm1/small", MIB - 1, 3000);
	put_image("vm1/c.raw.vmferry-12345678-partial", 2 * MIB, 4000);
	put_image("vm1/strange.raw", 2 * MIB, 5000);
	put_image("vm2/b.raw", 4 * MIB, 1500);
	put_image("vm2/below/c.raw", 4 * MIB, 6000);
	assert_int_equal(symlink(target, link), 0);
	if (geteuid())
		assert_int_equal(chmod(strange, 0), 0);
	else
		assert_int_equal(chown(strange, 4711, 4711), 0);
	alike_images_add(&im, place, "vm2", -1);
	assert_images(&im, "vm1/b.qcow2 vm1/a.raw");
	assert_int_equal(alike_images_bytes(&im), 5 * MIB);
	alike_images_add(&im, place, "vm2", -1); /* an image of another disk that goes there */
	assert_images(&im, "vm1/b.qcow2 vm1/a.raw");
	alike_images_fini(&im);
	alike_images_add(&im, place, "vm1", 0); /* the directory has its own name, and the files have theirs */
	assert_images(&im, "vm1/b.qcow2 vm2/b.raw vm1/a.raw");
	alike_images_fini(&im);
	if (!geteuid()) { /* the owner that the disk is to have */
		alike_images_add(&im, place, "vm2", 4711);
		assert_images(&im, "vm1/strange.raw vm1/b.qcow2 vm1/a.raw");
	}
	alike_images_fini(&im);
}

static void of_too_many_images_the_oldest_are_left(void **state)
{
	AUTO_FREE char *many = xasprintf("%s/many", dir), *place = xasprintf("%s/many/disk.raw", dir);
	struct alike_images im = {.count = 0};
	char name[32];
	unsigned i;

	(void)state;
	assert_int_equal(mkdir(many, 0700), 0);
	for (i = 0; i < ALIKE_IMAGES_MAX + 8; i++) {
		snprintf(name, sizeof(name), "many/%u", i);
		put_image(name, MIB, 1000 + i * 37 % (ALIKE_IMAGES_MAX + 8));
	}
	alike_images_add(&im, place, "vm1", -1);
	assert_int_equal(im.count, ALIKE_IMAGES_MAX);
	for (i = 0; i < ALIKE_IMAGES_MAX; i++)
		assert_int_equal(im.written_ns[i], (1000 + ALIKE_IMAGES_MAX + 7 - i) * 1000000000LL);
	alike_images_fini(&im);
}

static int setup(void **state)
{
	unsigned i;

	(void)state;
	if (!mkdtemp(dir))
		return -1;
	for (i = 0; i < 3; i++)
		snprintf(file[i], sizeof(file[i]), "%s/%u", dir, i);
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
		cmocka_unit_test(what_another_image_has_elsewhere_does_not_travel),
		cmocka_unit_test(one_block_there_serves_all_its_places),
		cmocka_unit_test(an_image_that_changes_later_harms_nothing),
		cmocka_unit_test(what_the_guest_writes_meanwhile_travels),
		cmocka_unit_test(what_is_not_what_was_found_ends_the_move),
		cmocka_unit_test(another_file_in_its_place_is_left_alone),
		cmocka_unit_test(nothing_is_taken_before_all_is_filled),
		cmocka_unit_test(what_cannot_be_wanted_is_refused),
		cmocka_unit_test(a_block_is_found_once_and_its_neighbours_in_order),
		cmocka_unit_test(no_more_is_wanted_than_there_is_room_for),
		cmocka_unit_test(images_are_files_of_ours_the_newest_first),
		cmocka_unit_test(of_too_many_images_the_oldest_are_left),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
