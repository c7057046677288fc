/*
 * test-journal.c: what a journal still knows after a crash, a torn write, a flipped byte.
 * takes: 30
 */
#include "../lib/power-failure.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "journal.h"
#include "paths.h"
#include "process.h"
#include "util.h"

static const uint8_t ID[ATTEMPT_ID_LEN] = {0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
#define ID_TEXT "deadbeef0102030405060708090a0b0c"

static struct err e;

static int setup(void **state)
{
	char *dir = xstrdup("/tmp/vmferry-journal-XXXXXX");

	*state = dir;
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	AUTO_FREE char *cmd = xasprintf("rm -rf '%s'", (char *)*state);

	free(*state);
	return system(cmd);
}

static struct journal *create(const char *dir, bool source)
{
	struct journal *j = NULL;
	json_t *begin = json_pack("{s:s, s:i}", "guest", "vm1", "pid", 4242);

	assert_int_equal(journal_create(&j, dir, ID, source, begin, &e), 0);
	json_decref(begin);
	return j;
}

static void do_own(struct journal *j, const char *kind, const char *what)
{
	json_t *d = json_string(what);

	assert_int_equal(journal_own(j, kind, d, &e), 0);
	json_decref(d);
}

static int do_disown(struct journal *j, const char *kind, const char *what)
{
	json_t *d = json_string(what);
	int r = journal_disown(j, kind, d, &e);

	json_decref(d);
	return r;
}

/* "kind:detail kind:detail", newest first. */
static void assert_owned(const struct journal *j, const char *want)
{
	char got[512] = "";
	json_t *a, *o;
	size_t i;

	assert_int_equal(journal_owned(j, &a), 0);
	json_array_foreach(a, i, o)
		snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s:%s", i ? " " : "",
			 json_string_value(json_object_get(o, "kind")), json_string_value(json_object_get(o, "detail")));
	json_decref(a);
	assert_string_equal(got, want);
}

static void journal_remembers_state_and_what_is_owned(void **state)
{
	struct journal *j = create(*state, false);
	AUTO_FREE char *path = xstrdup(journal_path(j));
	json_t *note = json_pack("{s:i}", "pid", 7);

	assert_int_equal(journal_last_state(j), HO_DST_BEGUN);
	do_own(j, "file", "/a");
	do_own(j, "process", "17");
	do_own(j, "file", "/b");
	do_own(j, "file", "/a");
	assert_int_equal(do_disown(j, "file", "/a"), 0);
	assert_int_equal(do_disown(j, "file", "/c"), -ENOENT);
	assert_int_equal(journal_own(j, "setting", NULL, &e), 0);
	assert_int_equal(journal_disown(j, "setting", NULL, &e), 0);
	assert_int_equal(journal_note(j, "qemu", note, &e), 0);
	assert_int_equal(journal_state(j, HO_DST_PREPARED, &e), 0);
	assert_int_equal(journal_state(j, HO_SRC_COMMITTED, &e), -EINVAL);
	assert_owned(j, "file:/b process:17 file:/a");
	journal_close(j);

	assert_int_equal(journal_open(&j, path, &e), 0);
	assert_int_equal(journal_last_state(j), HO_DST_PREPARED);
	assert_memory_equal(journal_attempt_id(j), ID, sizeof(ID));
	assert_owned(j, "file:/b process:17 file:/a");
	assert_true(json_equal(journal_last_note(j, "qemu"), note));
	assert_null(journal_last_note(j, "nothing"));
	assert_int_equal(json_integer_value(json_object_get(journal_begin(j), "pid")), 4242);
	assert_int_equal(do_disown(j, "process", "17"), 0);
	assert_int_equal(journal_state(j, HO_DST_START, &e), 0);
	journal_close(j);
	assert_int_equal(journal_open(&j, path, &e), 0);
	assert_int_equal(journal_last_state(j), HO_DST_START);
	assert_owned(j, "file:/b file:/a");
	journal_close(j);
	json_decref(note);
}

static void file_is_private_preallocated_and_locked(void **state)
{
	struct journal *j = create(*state, true), *other;
	AUTO_FREE char *path = xstrdup(journal_path(j));
	AUTO_FREE char *want = xasprintf("%s/%s-src.journal", (char *)*state, ID_TEXT);
	struct stat st;

	assert_string_equal(path, want);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(st.st_size, 65536);
	assert_int_equal(journal_open(&other, path, &e), -EBUSY);
	json_t *begin = json_object();
	assert_int_equal(journal_create(&other, *state, ID, true, begin, &e), -EEXIST);
	json_decref(begin);
	journal_close(j);
	assert_int_equal(journal_open(&j, path, &e), 0);
	journal_close(j);
	assert_int_equal(journal_open(&j, *state, &e), -EISDIR);
}

static void journal_grows_past_its_first_allocation(void **state)
{
	struct journal *j = create(*state, true);
	AUTO_FREE char *path = xstrdup(journal_path(j));
	AUTO_FREE char *big = xcalloc(1, 30001);
	AUTO_FREE char *bigger = xcalloc(1, JOURNAL_PAYLOAD_MAX + 1);
	json_t *d, *a;

	memset(big, 'x', 30000);
	memset(bigger, 'x', JOURNAL_PAYLOAD_MAX);
	for (int i = 0; i < 8; i++)
		do_own(j, "file", big);
	d = json_string(bigger);
	assert_int_equal(journal_own(j, "file", d, &e), -EMSGSIZE);
	json_decref(d);
	assert_int_equal(journal_state(j, HO_SRC_COMMITTED, &e), 0);
	journal_close(j);
	assert_int_equal(journal_open(&j, path, &e), 0);
	assert_int_equal(journal_owned(j, &a), 0);
	assert_int_equal(json_array_size(a), 8);
	json_decref(a);
	assert_int_equal(journal_last_state(j), HO_SRC_COMMITTED);
	journal_close(j);
}

static int setup_in_memory(void **state)
{
	char *dir = xstrdup(access("/dev/shm", W_OK) ? "/tmp/vmferry-journal-XXXXXX" : "/dev/shm/vmferry-journal-XXXXXX");

	*state = dir;
	return mkdtemp(dir) ? 0 : -1;
}

/* A move of many days would write as many, if it recorded every round. */
static void a_hundred_thousand_records_leave_its_size_as_it_was(void **state)
{
	struct journal *j = create(*state, true), *other;
	AUTO_FREE char *path = xstrdup(journal_path(j));
	AUTO_FREE char *leftover = xasprintf("ls %s | grep -q new; test $? = 1", (char *)*state);
	json_t *on = json_pack("{s:b}", "paused", 1), *off = json_pack("{s:b}", "paused", 0);
	char what[48] = "vmferry-deadbeef-1-0", last[48];
	off_t largest = 0, size_before;
	struct stat st;

	do_own(j, "settings", "as they were");
	for (unsigned i = 0; i < 33333; i++) {
		strcpy(last, what);
		snprintf(what, sizeof(what), "vmferry-deadbeef-1-%u", i);
		do_own(j, "bitmap", what);
		if (i)
			assert_int_equal(do_disown(j, "bitmap", last), 0);
		assert_int_equal(journal_note(j, "paused", i & 1 ? on : off, &e), 0);
		if (i % 1000)
			continue;
		if (i == 20000)
			assert_int_equal(journal_state(j, HO_SRC_ABORTED, &e), 0);
		assert_int_equal(stat(path, &st), 0);
		if (st.st_size > largest)
			largest = st.st_size;
	}
	assert_true(largest < 512 * 1024);
	assert_int_equal(system(leftover), 0);
	assert_int_equal(journal_open(&other, path, &e), -EBUSY); /* the new file is locked, too */
	assert_owned(j, "bitmap:vmferry-deadbeef-1-33332 settings:as they were");
	journal_close(j);

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(journal_open(&j, path, &e), 0);
	assert_owned(j, "bitmap:vmferry-deadbeef-1-33332 settings:as they were");
	assert_int_equal(journal_last_state(j), HO_SRC_ABORTED);
	assert_true(json_equal(journal_last_note(j, "paused"), off));
	assert_memory_equal(journal_attempt_id(j), ID, sizeof(ID));
	assert_int_equal(json_integer_value(json_object_get(journal_begin(j), "pid")), 4242);
	size_before = st.st_size;
	for (unsigned i = 0; i < 100000; i++) /* no news */
		assert_int_equal(journal_note(j, "paused", off, &e), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, size_before);
	journal_close(j);
	json_decref(on);
	json_decref(off);
}

/* In a child: it ends when the journal that is written anew is whole and has not its name yet. */
static void die_writing_it_anew(const char *dir)
{
	struct journal *j = create(dir, true);
	char name[2048] = "";
	unsigned i;

	memset(name, 'x', sizeof(name) - 1);
	power_ends_at_rename = true;
	for (i = 0; i < 100000; i++) {
		do_own(j, "bitmap", name);
		do_disown(j, "bitmap", name);
	}
	_exit(1);
}

static void what_a_crash_left_of_writing_it_anew_goes_with_it(void **state)
{
	AUTO_FREE char *path = xasprintf("%s/" ID_TEXT "-src.journal", (char *)*state);
	AUTO_FREE char *anew = xasprintf("%s.new", path);
	struct journal *j;
	int keep, status;
	pid_t pid;

	for (keep = 0; keep <= 1; keep++) {
		pid = fork();
		assert_true(pid >= 0);
		if (!pid)
			die_writing_it_anew(*state);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		assert_int_equal(access(anew, F_OK), 0);
		assert_int_equal(journal_open(&j, path, &e), 0);
		assert_int_equal(journal_remove(j, keep, &e), 0);
		assert_int_equal(access(path, F_OK), -1);
		assert_int_equal(access(anew, F_OK), -1);
	}
}

static size_t slurp(const char *path, uint8_t *buf, size_t max)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, buf, max);

	assert_true(n > 0);
	return (size_t)n;
}

static void spew(const char *path, const uint8_t *buf, size_t n)
{
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_TRUNC | O_CREAT, 0600);

	assert_int_equal(write(fd, buf, n), n);
}

/* The offset behind the last byte that is not zero. */
static size_t used(const uint8_t *buf, size_t n)
{
	while (n && !buf[n - 1])
		n--;
	return n;
}

static void torn_tail_is_ignored_and_written_over(void **state)
{
	static uint8_t whole[65536], cut[65536];
	struct journal *j = create(*state, true);
	AUTO_FREE char *path = xstrdup(journal_path(j));
	size_t n, from, to;

	do_own(j, "file", "/first");
	n = slurp(path, whole, sizeof(whole));
	from = (used(whole, n) + 7) & ~(size_t)7;
	do_own(j, "file", "/second");
	slurp(path, whole, sizeof(whole));
	to = used(whole, n);
	journal_close(j);
	for (size_t at = from; at < to; at++) {
		memcpy(cut, whole, n);
		memset(cut + at, 0, n - at);
		spew(path, cut, n);
		assert_int_equal(journal_open(&j, path, &e), 0);
		assert_owned(j, "file:/first");
		do_own(j, "f", "x");
		assert_int_equal(journal_state(j, HO_SRC_ABORTED, &e), 0);
		journal_close(j);
		assert_int_equal(journal_open(&j, path, &e), 0);
		assert_owned(j, "f:x file:/first");
		assert_int_equal(journal_last_state(j), HO_SRC_ABORTED);
		journal_close(j);
		/* The file itself may also be shorter. */
		spew(path, whole, at);
		assert_int_equal(journal_open(&j, path, &e), 0);
		assert_owned(j, "file:/first");
		do_own(j, "f", "x");
		journal_close(j);
	}
}

/* A bad byte anywhere: either everything is still known or the journal says that it is damaged. */
static void one_bad_byte_never_makes_a_state_unheard_of(void **state)
{
	static uint8_t whole[65536], bad[65536];
	struct journal *j = create(*state, true);
	AUTO_FREE char *path = xstrdup(journal_path(j));
	unsigned refused = 0, fine = 0;
	size_t n, state_at;

	do_own(j, "file", "/first");
	state_at = (used(whole, slurp(path, whole, sizeof(whole))) + 7) & ~(size_t)7;
	assert_int_equal(journal_state(j, HO_SRC_COMMITTED, &e), 0);
	n = slurp(path, whole, sizeof(whole));
	journal_close(j);
	for (size_t at = 0; at < used(whole, n); at++) {
		int r;

		memcpy(bad, whole, n);
		bad[at] ^= 0x55;
		spew(path, bad, n);
		r = journal_open(&j, path, &e);
		if (r) {
			assert_int_equal(r, -EBADMSG);
			assert_true(at < state_at); /* a state has a twin */
			refused++;
			continue;
		}
		fine++;
		assert_int_equal(journal_last_state(j), HO_SRC_COMMITTED);
		assert_owned(j, "file:/first");
		journal_close(j);
	}
	assert_true(refused > 50);
	assert_true(fine > 50);
}

static void what_is_no_journal_is_refused(void **state)
{
	AUTO_FREE char *path = xasprintf("%s/x", (char *)*state);
	static uint8_t zeros[65536];
	struct journal *j;

	spew(path, zeros, sizeof(zeros));
	assert_int_equal(journal_open(&j, path, &e), -EBADMSG);
	spew(path, zeros, 0);
	assert_int_equal(journal_open(&j, path, &e), -EBADMSG);
	spew(path, (const uint8_t *)"hello", 5);
	assert_int_equal(journal_open(&j, path, &e), -EBADMSG);
	assert_int_equal(journal_dump(path, stdout, &e), -EBADMSG);
	unlink(path);
	assert_int_equal(journal_open(&j, path, &e), -ENOENT);
}

static void state_survives_sigkill_right_after_it_was_told(void **state)
{
	AUTO_FREE char *path = xasprintf("%s/%s-src.journal", (char *)*state, ID_TEXT);
	struct journal *j;
	int status;
	pid_t pid = fork();

	if (!pid) {
		j = create(*state, true);
		journal_state(j, HO_SRC_COMMITTED, &e);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(journal_open(&j, path, &e), 0);
	assert_int_equal(journal_last_state(j), HO_SRC_COMMITTED);
	journal_close(j);
}

static void after_a_write_that_failed_nothing_is_recorded_any_more(void **state)
{
	struct journal *j = create(*state, true);
	AUTO_FREE char *path = xstrdup(journal_path(j));

	power_write_nothing = true;
	assert_int_equal(journal_state(j, HO_SRC_COMMITTED, &e), -EIO);
	assert_true(journal_refused(j));
	power_write_nothing = false;
	assert_int_equal(journal_state(j, HO_SRC_COMMITTED, &e), -EIO);
	assert_true(journal_refused(j));
	journal_close(j);
	assert_int_equal(journal_open(&j, path, &e), 0);
	assert_int_equal(journal_last_state(j), HO_SRC_BEGUN);
	assert_false(journal_refused(j));
	journal_close(j);
}

static void of_a_write_that_failed_halfway_nothing_is_certain(void **state)
{
	struct journal *j = create(*state, true);
	AUTO_CLOSE int fd = open(journal_path(j), O_RDWR);
	off_t end = lseek(fd, 0, SEEK_END);
	char byte = 0;

	while (end > 0 && !byte)
		assert_int_equal(pread(fd, &byte, 1, --end), 1);
	assert_int_equal(pwrite(fd, "x", 1, end + 30), 1); /* a byte beyond the end, as if a part of a record had been written */
	power_write_nothing = true;
	assert_int_equal(journal_state(j, HO_SRC_COMMITTED, &e), -EIO);
	power_write_nothing = false;
	assert_false(journal_refused(j));
	journal_close(j);
}

static void a_journal_that_is_full_has_room_for_states(void **state)
{
	struct journal *j = create(*state, false);
	char *text = xmalloc(30001);
	unsigned i, n;
	int r;

	memset(text, 'x', 30000);
	text[30000] = '\0';
	for (n = 30000; n; n /= 30) /* until not even a short one is taken */
		for (r = 0, i = 0; !r && i < 2000; i++) {
			json_t *d = json_pack("{s:s,s:i}", "text", text + 30000 - n, "i", (int)i);

			r = journal_own(j, "file", d, &e);
			assert_true(!r || r == -EFBIG);
			json_decref(d);
		}
	assert_int_equal(r, -EFBIG);
	assert_int_equal(journal_state(j, HO_DST_PREPARED, &e), 0);
	assert_int_equal(journal_state(j, HO_DST_START, &e), 0);
	assert_int_equal(journal_state(j, HO_DST_STARTED, &e), 0);
	assert_int_equal(journal_state(j, HO_DST_DONE, &e), 0);
	journal_close(j);
	free(text);
}

/* ---- when the power fails ---- */

static char *journal_file(const char *dir)
{
	return xasprintf("%s/" ID_TEXT "-src.journal", dir);
}

static struct journal *reopen(const char *dir)
{
	AUTO_FREE char *path = journal_file(dir);
	struct journal *j = NULL;

	assert_int_equal(journal_open(&j, path, &e), 0);
	return j;
}

/* Carries out an agent's steps up to this one, before the power fails. */
static void live(const char *dir, unsigned upto)
{
	struct journal *j = create(dir, true);
	unsigned i;

	if (upto >= 1)
		assert_int_equal(journal_state(j, HO_SRC_COMMITTED, &e), 0);
	if (upto >= 2)
		do_own(j, "file", "a");
	if (upto >= 3) {
		journal_close(j);
		j = reopen(dir);
		assert_int_equal(journal_state(j, HO_SRC_RELEASED, &e), 0);
	}
	for (i = 0; upto >= 4 && i < 2000; i++) /* beyond what is allocated at first */
		do_own(j, "file", "another one of a name that takes some room in the journal");
	if (upto >= 5)
		assert_int_equal(journal_remove(j, true, &e), 0);
	_exit(0);
}

static void assert_as_promised(const char *dir, unsigned upto)
{
	AUTO_FREE char *path = journal_file(dir);
	AUTO_FREE char *done = xasprintf("%s.done", path);
	struct journal *j;
	json_t *owned;

	assert_int_equal(access(path, F_OK) == 0, upto < 5);
	assert_int_equal(access(done, F_OK) == 0, upto >= 5);
	if (upto >= 5)
		return;
	j = reopen(dir);
	assert_string_equal(handoff_state_name(journal_last_state(j)), handoff_state_name(upto >= 3   ? HO_SRC_RELEASED
											  : upto >= 1 ? HO_SRC_COMMITTED
												      : HO_SRC_BEGUN));
	assert_int_equal(journal_owned(j, &owned), 0);
	assert_int_equal(json_array_size(owned), upto >= 4 ? 2001 : upto >= 2 ? 1 : 0);
	json_decref(owned);
	journal_close(j);
}

static void whatever_was_recorded_is_there_after_a_power_failure(void **state)
{
	unsigned upto;

	for (upto = 0; upto <= 5; upto++) {
		AUTO_FREE char *dir = xasprintf("%s/power%u", (char *)*state, upto);
		AUTO_FREE char *logs = xasprintf("%s.logs", dir);
		int status;
		pid_t pid;

		assert_int_equal(mkdir(dir, 0700) | mkdir(logs, 0700), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (!pid) {
			power_begins(dir, logs);
			live(dir, upto);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		power_fails(logs);
		assert_as_promised(dir, upto);
	}
}

static void list_names_unfinished_attempts_only_and_twenty_done_of_each_role_are_kept(void **state)
{
	struct journal *j;
	char **paths;
	size_t n;
	AUTO_FREE char *dir = xasprintf("%s/kept", (char *)*state);
	AUTO_FREE char *count =
		xasprintf("test $(ls %s/*-dst.journal.done | wc -l) = 20 -a $(ls %s/*-src.journal.done | wc -l) = 2", dir, dir);
	AUTO_FREE char *other = xasprintf("touch %s/notes.journal %s/%s-src.journal.new", dir, dir, ID_TEXT);

	assert_int_equal(mkdir(dir, 0700), 0);
	for (int i = 0; i < 27; i++) { /* those that left come first, so are the oldest */
		uint8_t id[ATTEMPT_ID_LEN];
		json_t *begin = json_object();

		assert_int_equal(attempt_id_new(id, &e), 0);
		assert_int_equal(journal_create(&j, dir, id, i < 2, begin, &e), 0);
		json_decref(begin);
		assert_int_equal(journal_remove(j, true, &e), 0);
	}
	assert_int_equal(system(count), 0);
	assert_int_equal(system(other), 0);
	journal_close(create(dir, true));
	j = create(dir, false);
	assert_int_equal(journal_list(dir, &paths, &n, &e), 0);
	assert_int_equal(n, 2);
	assert_non_null(strstr(paths[0], ID_TEXT "-dst.journal"));
	assert_non_null(strstr(paths[1], ID_TEXT "-src.journal"));
	journal_list_free(paths, n);
	assert_int_equal(journal_remove(j, false, &e), 0);
	assert_int_equal(journal_list(dir, &paths, &n, &e), 0);
	assert_int_equal(n, 1);
	journal_list_free(paths, n);
	assert_int_equal(journal_list("/nonexistent", &paths, &n, &e), -ENOENT);
}

static void what_it_begins_with_can_be_read_while_an_agent_holds_it(void **state)
{
	struct journal *j = create(*state, true);
	AUTO_FREE char *path = xstrdup(journal_path(j));
	char id[2 * ATTEMPT_ID_LEN + 1];
	json_t *begin = NULL;

	assert_int_equal(journal_peek(path, id, &begin, &e), 0);
	assert_string_equal(id, ID_TEXT);
	assert_string_equal(json_string_value(json_object_get(begin, "guest")), "vm1");
	json_decref(begin);
	assert_int_equal(journal_remove(j, false, &e), 0);
	assert_int_equal(journal_peek(path, id, &begin, &e), -ENOENT);
}

static void one_who_holds_it_can_be_asked_for_it_by_whoever_waits(void **state)
{
	struct journal *j = create(*state, false), *another = NULL;
	int wish;

	assert_false(journal_wanted(j));
	assert_int_equal(journal_open(&another, journal_path(j), &e), -EBUSY);
	assert_false(journal_wanted(j));
	wish = journal_want(journal_path(j));
	assert_true(wish >= 0);
	assert_true(journal_wanted(j));
	assert_int_equal(journal_state(j, HO_DST_ABORTED, &e), 0);
	assert_true(journal_wanted(j));
	close(wish);
	assert_false(journal_wanted(j));
	assert_true(journal_want("/nonexistent") < 0);
	assert_int_equal(journal_remove(j, false, &e), 0);
}

static void path_tells_by_its_end_alone_whose_it_is(void **state)
{
	(void)state;
	assert_true(journal_path_is("/x/" ID_TEXT "-src.journal", true));
	assert_false(journal_path_is("/x/" ID_TEXT "-src.journal", false));
	assert_true(journal_path_is("/x-src.journal/" ID_TEXT "-dst.journal", false));
	assert_false(journal_path_is("/x-src.journal/" ID_TEXT "-dst.journal", true));
	assert_false(journal_path_is("/x/" ID_TEXT "-src.journal.done", true));
}

static void dump_reads_like_a_story(void **state)
{
	struct journal *j = create(*state, true);
	AUTO_FREE char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	do_own(j, "file", "/first");
	assert_int_equal(journal_state(j, HO_SRC_ABORTED, &e), 0);
	assert_int_equal(do_disown(j, "file", "/first"), 0);
	assert_int_equal(journal_dump(journal_path(j), f, &e), 0); /* while it is locked */
	fclose(f);
	assert_non_null(strstr(text, "Z  begin   {\"attempt_id\":\"" ID_TEXT "\",\"begin\":{\"guest\":\"vm1\""));
	assert_non_null(strstr(text, "Z  own     {\"detail\":\"/first\",\"kind\":\"file\"}\n"));
	assert_non_null(strstr(text, "Z  state   SRC_ABORTED\n"));
	assert_null(strstr(strstr(text, "SRC_ABORTED") + 1, "  state")); /* the twin is not shown */
	assert_non_null(strstr(text, "now: SRC_ABORTED, 0 owned\n"));
	journal_close(j);
}

static void state_dir_is_chosen_and_created(void **state)
{
	AUTO_FREE char *a = xasprintf("%s/a/b", (char *)*state);
	AUTO_FREE char *b = xasprintf("%s/c", (char *)*state);
	char *got;
	struct stat st;

	setenv("VMFERRY_STATE_DIR", b, 1);
	assert_int_equal(state_dir_get(&got, a, &e), 0);
	assert_string_equal(got, a);
	free(got);
	assert_int_equal(stat(a, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(state_dir_get(&got, NULL, &e), 0);
	assert_string_equal(got, b);
	free(got);
	assert_int_equal(chmod(b, 0777), 0);
	assert_int_equal(state_dir_get(&got, NULL, &e), -EPERM);
	assert_int_equal(state_dir_get(&got, "/proc/version/x", &e), -ENOTDIR);
	unsetenv("VMFERRY_STATE_DIR");
	if (geteuid()) {
		setenv("XDG_STATE_HOME", *state, 1);
		assert_int_equal(state_dir_get(&got, NULL, &e), 0);
		assert_non_null(strstr(got, "/vmferry"));
		free(got);
	}
}

static void ids_are_what_they_should_be(void **state)
{
	AUTO_FREE char *boot = boot_id();
	uint8_t a[ATTEMPT_ID_LEN], b[ATTEMPT_ID_LEN];
	char text[2 * ATTEMPT_ID_LEN + 1];

	(void)state;
	assert_int_equal(strlen(boot), 36);
	assert_int_equal(attempt_id_new(a, &e), 0);
	assert_int_equal(attempt_id_new(b, &e), 0);
	assert_memory_not_equal(a, b, sizeof(a));
	assert_string_equal(attempt_id_format(ID, text), ID_TEXT);
}

/* In a child, as a user without privileges whose name for it below /tmp somebody else has taken. */
static void the_runtime_directory_cannot_be_taken_by_others(void **state)
{
	AUTO_FREE char *want = xasprintf("%s/.local/state/vmferry/run", (char *)*state), *logind = xstrdup("/run/user/54321");
	char *got = NULL;
	struct stat st;
	pid_t pid;
	int status;

	if (geteuid() || !stat(logind, &st)) {
		print_message("skipped: %s\n", geteuid() ? "need root" : "nobody of that number may have logged in here");
		skip();
	}
	assert_int_equal(chown(*state, 54321, 54321), 0);
	assert_true(!mkdir("/tmp/vmferry-54321", 0755) || errno == EEXIST);
	pid = fork();
	if (pid == 0) {
		unsetenv("XDG_RUNTIME_DIR");
		unsetenv("VMFERRY_RUNTIME_DIR");
		unsetenv("VMFERRY_STATE_DIR");
		unsetenv("XDG_STATE_HOME");
		setenv("HOME", *state, 1);
		if (setresuid(54321, 54321, 54321))
			_exit(2);
		_exit(runtime_dir_get(&got, NULL, &e) || strcmp(got, want) || stat(got, &st) || (st.st_mode & 0777) != 0700);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	rmdir("/tmp/vmferry-54321");
	assert_int_equal(status, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(journal_remembers_state_and_what_is_owned),
		T(file_is_private_preallocated_and_locked),
		T(journal_grows_past_its_first_allocation),
		cmocka_unit_test_setup_teardown(a_hundred_thousand_records_leave_its_size_as_it_was, setup_in_memory, teardown),
		T(what_a_crash_left_of_writing_it_anew_goes_with_it),
		T(torn_tail_is_ignored_and_written_over),
		T(one_bad_byte_never_makes_a_state_unheard_of),
		T(what_is_no_journal_is_refused),
		T(state_survives_sigkill_right_after_it_was_told),
		T(after_a_write_that_failed_nothing_is_recorded_any_more),
		T(of_a_write_that_failed_halfway_nothing_is_certain),
		T(a_journal_that_is_full_has_room_for_states),
		T(whatever_was_recorded_is_there_after_a_power_failure),
		T(list_names_unfinished_attempts_only_and_twenty_done_of_each_role_are_kept),
		T(what_it_begins_with_can_be_read_while_an_agent_holds_it),
		T(one_who_holds_it_can_be_asked_for_it_by_whoever_waits),
		T(path_tells_by_its_end_alone_whose_it_is),
		T(dump_reads_like_a_story),
		T(state_dir_is_chosen_and_created),
		T(ids_are_what_they_should_be),
		T(the_runtime_directory_cannot_be_taken_by_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
