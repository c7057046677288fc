/*
 * test-old-copy-aside.c: which file counts as an old copy that an earlier move has left, and that no other file is taken for it. The
 * destination agent's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../agent-dst/parts/old-copy.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static char dir[64], place[96], aside[128];
static struct attempt attempt;
static struct old_copy old;
static struct err e;
static void (*before_rename)(void);

/* In place of the C library's: what others do in the moment before. */
int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	void (*act)(void) = before_rename;

	before_rename = NULL;
	if (act)
		act();
	return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static const char *get(const char *path)
{
	static char text[32];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	text[MAX(n, 0)] = '\0';
	close(fd);
	return text;
}

static int setup(void **state)
{
	json_t *begin = json_pack("{s:s}", "guest", "vm1");
	int r;

	(void)state;
	strcpy(dir, "/tmp/test-old-copy-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(place, sizeof(place), "%s/a.raw", dir);
	snprintf(aside, sizeof(aside), "%s.vmferry-01000000-old", place);
	memset(&attempt, 0, sizeof(attempt));
	memset(&old, 0, sizeof(old));
	before_rename = NULL;
	attempt.id[0] = 1;
	r = attempt_begin(&attempt, dir, HO_DESTINATION, begin, &e);
	json_decref(begin);
	put(place, "an old copy");
	return r;
}

static int teardown(void **state)
{
	AUTO_FREE char *rm = xasprintf("rm -rf '%s'", dir);

	(void)state;
	journal_close(attempt.journal);
	old_copy_fini(&old);
	return system(rm);
}

/* ---- out of the way ---- */

static int choose(void)
{
	return old_copy_choose(&old, dir, "vm1", place, place, &e);
}

static void it_is_aside_while_the_guest_moves(void **state)
{
	(void)state;
	assert_int_equal(choose(), 0);
	if (old_copy_move_aside(&attempt, &old, &e))
		fail_msg("%s", e.msg);
	assert_string_equal(get(aside), "an old copy");
	assert_string_equal(get(place), "");
}

static void replace(void)
{
	assert_int_equal(unlink(place), 0);
	put(place, "another's");
}

static void write_to_it(void)
{
	put(place, "AN old copy");
}

static void what_has_its_place_by_now_is_not_taken(void **state)
{
	(void)state;
	assert_int_equal(choose(), 0);
	replace();
	assert_int_equal(old_copy_move_aside(&attempt, &old, &e), -ESTALE);
	assert_string_equal(get(place), "another's");
	assert_int_equal(access(aside, F_OK), -1);
}

/* Between the last look and the rename; what was taken has its name again. */
static void nor_what_comes_there_in_the_last_moment(void **state)
{
	void (*const changes[])(void) = {replace, write_to_it};
	static const char *const then[] = {"another's", "AN old copy"};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(changes); i++) {
		old_copy_fini(&old);
		memset(&old, 0, sizeof(old));
		assert_int_equal(choose(), 0);
		before_rename = changes[i];
		assert_int_equal(old_copy_move_aside(&attempt, &old, &e), -ESTALE);
		assert_string_equal(get(place), then[i]);
		assert_int_equal(access(aside, F_OK), -1);
	}
}

/* A file with a second name is not replaced: the other name would keep the earlier contents, and another program relies on them. */
static void a_file_of_two_names_is_not_replaced(void **state)
{
	AUTO_FREE char *other = xasprintf("%s/b.raw", dir);

	(void)state;
	assert_int_equal(link(place, other), 0);
	assert_int_equal(choose(), -EINVAL);
	assert_int_equal(unlink(other), 0);
	assert_int_equal(choose(), 0);
}

/* ---- what a move has left ---- */

/* The journal of a move of that guest from here, which ended in these states. */
static void left_by(const char *guest, enum handoff_state last, long long later_ns)
{
	json_t *begin = json_pack("{s:s}", "guest", guest), *note;
	uint8_t id[ATTEMPT_ID_LEN] = {7};
	struct journal *j;
	struct stat st;

	assert_int_equal(stat(place, &st), 0);
	note = json_pack("{s:I}", place, (json_int_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec + later_ns);
	assert_int_equal(journal_create(&j, dir, id, true, begin, &e), 0);
	assert_int_equal(journal_state(j, HO_SRC_COMMITTED, &e), 0);
	assert_int_equal(journal_note(j, "disks-written", note, &e), 0);
	assert_int_equal(journal_state(j, last, &e), 0);
	assert_int_equal(journal_remove(j, true, &e), 0);
	json_decref(begin);
	json_decref(note);
}

static void only_what_a_guest_that_has_gone_left_is_an_old_copy(void **state)
{
	(void)state;
	assert_false(old_copy_was_left(dir, "vm1", place));
	left_by("vm1", HO_SRC_RELEASED, 0);
	assert_true(old_copy_was_left(dir, "vm1", place));
	assert_false(old_copy_was_left(dir, "vm2", place));
}

/* The copy may be the only one: the guest never left, or was taken back. */
static void what_a_guest_that_stayed_has_is_none(void **state)
{
	(void)state;
	left_by("vm1", HO_SRC_ABORTED, 0);
	assert_false(old_copy_was_left(dir, "vm1", place));
}

static void nor_is_what_was_written_since(void **state)
{
	(void)state;
	left_by("vm1", HO_SRC_RELEASED, -1);
	assert_false(old_copy_was_left(dir, "vm1", place));
}

/* The old copy got another name as the guest left, so that nothing starts it. Another file of such a name is no old copy. */
static void one_that_was_renamed_is_found(void **state)
{
	AUTO_FREE char *moved = xasprintf("%s.moved-07070707", place), *other = xasprintf("%s.moved-08080808", place);
	struct old_copy found = {.path = NULL};

	(void)state;
	left_by("vm1", HO_SRC_RELEASED, 0);
	assert_int_equal(rename(place, moved), 0);
	put(other, "another");
	assert_int_equal(old_copy_choose(&found, dir, "vm1", "auto", place, &e), 0);
	assert_string_equal(found.path, moved);
	assert_false(found.replaced);
	old_copy_fini(&found);
	found = (struct old_copy){.path = NULL};
	assert_int_equal(old_copy_choose(&found, dir, "vm2", "auto", place, &e), 0);
	assert_null(found.path);
	unlink(moved);
	unlink(other);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(it_is_aside_while_the_guest_moves),
		T(what_has_its_place_by_now_is_not_taken),
		T(nor_what_comes_there_in_the_last_moment),
		T(a_file_of_two_names_is_not_replaced),
		T(only_what_a_guest_that_has_gone_left_is_an_old_copy),
		T(what_a_guest_that_stayed_has_is_none),
		T(nor_is_what_was_written_since),
		T(one_that_was_renamed_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
