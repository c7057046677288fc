/*
 * test-partial.c: what is kept of a move that ended before its time, in the order in which it becomes durable, and by whom it is gone on
 * with. The destination agent's.
 */
#include "../lib/power-failure.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "../../agent-dst/parts/partial.h"
#include "own-file.h"
#include "process.h"
#include "util.h"

#define BYTES (2 * MIB)

static char dir[64], logs[80], state_dir[80], disks[80], place[96];
static struct attempt attempt;
static struct target target;
static struct partials ps;
static struct partial p;
static struct err e;

static int setup(void **state)
{
	AUTO_FREE char *boot = boot_id();
	json_t *begin = json_pack("{s:s,s:i,s:s*}", "guest", "vm1", "keep_partial_s", 3600, "boot_id", boot);
	int r;

	(void)state;
	strcpy(dir, "/tmp/test-partial-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(logs, sizeof(logs), "%s/logs", dir);
	snprintf(state_dir, sizeof(state_dir), "%s/state", dir);
	snprintf(disks, sizeof(disks), "%s/disks", dir);
	snprintf(place, sizeof(place), "%s/a.raw", disks);
	if (mkdir(logs, 0700) || mkdir(disks, 0700) || mkdir(state_dir, 0700))
		return -1;
	memset(&attempt, 0, sizeof(attempt));
	memset(&ps, 0, sizeof(ps));
	memset(&p, 0, sizeof(p));
	e.code = 0;
	attempt.id[0] = 1;
	attempt.kept = json_array();
	target = (struct target){.part = {.a = &attempt}, .name = (char *)(uintptr_t) "vm1"};
	r = attempt_begin(&attempt, state_dir, HO_DESTINATION, begin, &e);
	json_decref(begin);
	return r;
}

static int teardown(void **state)
{
	AUTO_FREE char *rm = xasprintf("rm -rf '%s'", dir);

	(void)state;
	partial_fini(&p);
	partials_close(&ps);
	journal_close(attempt.journal);
	json_decref(attempt.kept);
	json_decref(target.whole);
	return system(rm);
}

/* Makes the partial copy's file with its durable name and its full length. */
static void make(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_int_equal(ftruncate(fd, BYTES), 0);
	close(fd);
}

static void fill(const char *path, char with)
{
	static char bytes[BYTES];
	int fd = open(path, O_RDWR | O_CLOEXEC);

	memset(bytes, with, sizeof(bytes));
	assert_int_equal(pwrite(fd, bytes, sizeof(bytes), 0), BYTES);
	close(fd);
}

/* The first and the last of its bytes; "": there is no such file, or it is shorter. */
static const char *ends_of(const char *path)
{
	static char ends[3];
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	memset(ends, 0, sizeof(ends));
	if (pread(fd, ends, 1, 0) != 1 || pread(fd, ends + 1, 1, BYTES - 1) != 1)
		ends[0] = '\0';
	close(fd);
	return ends;
}

/* On a host whose power fails when it is over. */
static void with_power(int (*act)(void))
{
	int status;

	if (power_forks(disks, logs, &status)) {
		if (!act())
			_exit(0);
		fprintf(stderr, "%s\n", e.msg);
		_exit(1);
	}
	assert_int_equal(status, 0);
}

static json_t *kind(bool as_file)
{
	json_t *disk = json_pack("{s:b,s:s,s:s}", "keep", 1, "real_path", "/srv/a.raw", "format", "raw");
	json_t *description = json_pack("{s:s}", "name", "vm1"), *out;

	json_object_set_new(disk, as_file ? "file_bytes" : "virtual_size", json_integer(BYTES));
	out = partial_kind(description, disk);
	json_decref(disk);
	json_decref(description);
	return out;
}

static char *kept_name(void)
{
	return xasprintf("%s.vmferry-01000000" PARTIAL_SUFFIX, place);
}

/* Undoes an attempt, which keeps the copy. */
static int keep(void)
{
	json_t *of = json_object(), *file = json_pack("{s:s}", "path", place);
	int r;

	json_object_set_new(of, place, kind(false));
	r = partial_note(&attempt, of, &e);
	r = r ? r : partial_keep(&target, file, &e);
	json_decref(file);
	return r;
}

/* How often a file left the page cache. */
static unsigned dropped;

int posix_fadvise(int fd, off_t from, off_t bytes, int advice)
{
	(void)fd, (void)from, (void)bytes;
	dropped += advice == POSIX_FADV_DONTNEED;
	return 0;
}

static int fill_and_keep(void)
{
	fill(place, 'x');
	return keep();
}

/* Only what was written with O_DSYNC is on stable storage by itself, and of what arrives nothing is. */
static void what_the_journal_says_is_kept_survives_the_power(void **state)
{
	AUTO_FREE char *path = kept_name();

	(void)state;
	make(place);
	with_power(fill_and_keep);
	assert_string_equal(ends_of(path), "xx");
	assert_string_equal(ends_of(place), "");
}

/* ---- whose is it? ---- */

static void only_what_can_be_told_from_its_base_is_kept(void **state)
{
	json_t *description = json_pack("{s:s}", "name", "vm1"),
	       *disk = json_pack("{s:b,s:I,s:{}}", "keep", 1, "virtual_size", 4096, "backing");

	(void)state;
	assert_null(partial_kind(description, disk));
	json_object_del(disk, "backing");
	json_decref(partial_kind(description, disk));
	json_object_set_new(disk, "keep", json_false()); /* the source does not want it */
	assert_null(partial_kind(description, disk));
	json_decref(disk);
	json_decref(description);
}

/* A destination sets the blocks of a preallocated image aside before anything arrives. */
static void blocks_that_nothing_was_written_to_are_not_kept(void **state)
{
	json_t *of = json_object(), *file = NULL;
	AUTO_FREE char *path = kept_name();
	int fd;

	(void)state;
	make(place);
	fd = open(place, O_RDWR | O_CLOEXEC);
	assert_int_equal(fallocate(fd, 0, 0, BYTES), 0);
	json_object_set_new(of, place, kind(false));
	assert_int_equal(partial_note(&attempt, of, &e), 0);
	assert_int_equal(own_file_know(place, place, &file, &e), 0);
	assert_false(partial_is_to_be_kept(&target, file));
	assert_int_equal(pwrite(fd, path, 1, BYTES - 1), 1);
	assert_false(partial_is_to_be_kept(&target, file));
	close(fd);
	fill(place, 'x');
	assert_true(partial_is_to_be_kept(&target, file));
	assert_int_equal(partial_keep(&target, file, &e), 0);
	assert_non_null(strstr(json_string_value(json_array_get(attempt.kept, 0)), "(2.0 MiB of "));
	json_decref(file);
}

/* Ends that attempt; another one looks for its copy. */
static void find(bool over)
{
	json_t *want = kind(false);

	if (over)
		assert_int_equal(attempt_note(&attempt, "over", json_object(), &e), 0);
	journal_close(attempt.journal);
	attempt.journal = NULL;
	partials_open(&ps, state_dir, "vm1");
	partial_find(&p, &ps, place, want, true);
	json_decref(want);
}

static void nothing_is_taken_of_a_move_that_is_not_over(void **state)
{
	(void)state;
	make(place);
	fill(place, 'x');
	assert_int_equal(keep(), 0);
	find(false);
	assert_null(partial_path(&p));
	assert_int_equal(ps.count, 0);
}

/* ---- and gone on with ---- */

/* Another attempt, whose file it becomes at `at`. */
static int take(const char *at)
{
	json_t *begin = json_pack("{s:s}", "guest", "vm1");
	int r;

	attempt.id[0] = 2;
	r = attempt_begin(&attempt, state_dir, HO_DESTINATION, begin, &e);
	json_decref(begin);
	assert_int_equal(r, 0);
	return partial_take(&attempt, &p, at, BYTES, &e);
}

static int fill_and_take(void)
{
	AUTO_FREE char *at = xasprintf("%s.vmferry-02000000", place);

	fill(partial_path(&p), 'y'); /* a write that was not synced */
	return take(at);
}

static void what_is_taken_is_on_stable_storage_whoever_wrote_it(void **state)
{
	AUTO_FREE char *path = kept_name(), *at = xasprintf("%s.vmferry-02000000", place);

	(void)state;
	make(place);
	fill(place, 'x');
	assert_int_equal(keep(), 0);
	find(true);
	assert_string_equal(partial_path(&p), path);
	with_power(fill_and_take);
	assert_string_equal(ends_of(at), "yy");
	assert_string_equal(ends_of(path), "");
}

static void what_has_its_name_by_now_is_not_taken(void **state)
{
	AUTO_FREE char *path = kept_name(), *at = xasprintf("%s.vmferry-02000000", place), *other = xasprintf("%s/other", disks);

	(void)state;
	make(place);
	fill(place, 'x');
	assert_int_equal(keep(), 0);
	find(true);
	assert_string_equal(partial_path(&p), path);
	make(other);
	fill(other, 'o');
	assert_int_equal(rename(other, path), 0);
	assert_int_equal(take(at), -ESTALE);
	assert_string_equal(ends_of(path), "oo");
	assert_string_equal(ends_of(at), "");
}

static void what_somebody_has_opened_since_is_not_taken(void **state)
{
	AUTO_FREE char *path = kept_name(), *at = xasprintf("%s.vmferry-02000000", place);
	int fd;

	(void)state;
	make(place);
	fill(place, 'x');
	assert_int_equal(keep(), 0);
	find(true);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(take(at), -EBUSY);
	assert_string_equal(ends_of(path), "xx");
	close(fd);
}

/* Kept by an agent that has had it open since before anything was written to it; sync_error: of what was written. */
static void keep_watched(int sync_error)
{
	json_t *of = json_object();
	int fd;

	make(place);
	fd = open(place, O_RDONLY | O_CLOEXEC);
	fill(place, 'x');
	json_object_set_new(of, place, kind(false));
	assert_int_equal(partial_note(&attempt, of, &e), 0);
	power_sync_error = sync_error;
	partial_note_whole(&target, place, fd);
	power_sync_error = 0;
	close(fd);
	assert_int_equal(keep(), 0);
	find(true);
	assert_non_null(partial_path(&p));
}

static unsigned drops_when_taken(void)
{
	AUTO_FREE char *at = xasprintf("%s.vmferry-02000000", place);

	dropped = 0;
	assert_int_equal(take(at), 0);
	return dropped;
}

static void what_is_on_its_disk_may_be_read_from_memory(void **state)
{
	(void)state;
	keep_watched(0);
	assert_true(partial_is_as_left(&p, "01000000000000000000000000000000"));
	assert_false(partial_is_as_left(&p, "02000000000000000000000000000000"));
	assert_false(partial_is_as_left(&p, NULL));
	assert_int_equal(drops_when_taken(), 0);
}

/* fsync(2) reports a failed writeback only once, and never to a process that opened the file later. */
static void what_could_not_be_written_is_not_read_from_memory(void **state)
{
	(void)state;
	keep_watched(EIO);
	assert_int_equal(drops_when_taken(), 1);
}

/* The file was written in an earlier life. */
static void what_nobody_watched_is_not_read_from_memory(void **state)
{
	(void)state;
	make(place);
	fill(place, 'x');
	assert_int_equal(keep(), 0);
	find(true);
	assert_int_equal(drops_when_taken(), 1);
}

static void what_others_wrote_since_is_not_read_from_memory(void **state)
{
	const struct timespec then[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1}};

	(void)state;
	keep_watched(0);
	fill(partial_path(&p), 'y');
	assert_int_equal(utimensat(AT_FDCWD, partial_path(&p), then, 0), 0); /* the clock may be too coarse to show it */
	assert_false(partial_is_as_left(&p, "01000000000000000000000000000000"));
	assert_int_equal(drops_when_taken(), 1);
}

static void what_another_boot_wrote_is_not_read_from_memory(void **state)
{
	(void)state;
	keep_watched(0);
	json_object_set_new(p.known, "boot_id", json_string("another"));
	assert_int_equal(drops_when_taken(), 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(what_the_journal_says_is_kept_survives_the_power),	T(only_what_can_be_told_from_its_base_is_kept),
		T(blocks_that_nothing_was_written_to_are_not_kept),	T(nothing_is_taken_of_a_move_that_is_not_over),
		T(what_is_taken_is_on_stable_storage_whoever_wrote_it), T(what_has_its_name_by_now_is_not_taken),
		T(what_somebody_has_opened_since_is_not_taken),		T(what_is_on_its_disk_may_be_read_from_memory),
		T(what_could_not_be_written_is_not_read_from_memory),	T(what_nobody_watched_is_not_read_from_memory),
		T(what_others_wrote_since_is_not_read_from_memory),	T(what_another_boot_wrote_is_not_read_from_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
