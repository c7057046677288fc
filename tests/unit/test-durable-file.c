/* Files that are whole, and under their names, whenever the power fails. */
#include "../lib/power-failure.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "durable-file.h"
#include "own-file.h"
#include "util.h"

static const char OLD[] = "as it was", NEW[] = "what it is to be";

struct place {
	char *dir, *logs, *path;
};

static int setup(void **state)
{
	struct place *p = xcalloc(1, sizeof(*p));
	const char *tmp = getenv("TMPDIR");

	p->dir = xasprintf("%s/vmferry-test-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(p->dir))
		return -1;
	p->logs = xasprintf("%s.logs", p->dir);
	p->path = xasprintf("%s/file", p->dir);
	*state = p;
	return mkdir(p->logs, 0700);
}

static int teardown(void **state)
{
	struct place *p = *state;
	AUTO_FREE char *rm = xasprintf("rm -rf %s %s", p->dir, p->logs);
	int r = system(rm);

	free(p->dir);
	free(p->logs);
	free(p->path);
	free(p);
	return r;
}

static void assert_holds(const char *path, const char *text)
{
	char buf[64];
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, buf, sizeof(buf));

	assert_int_equal(n, strlen(text));
	assert_memory_equal(buf, text, strlen(text));
	close(fd);
}

/* In a child, on a host whose power fails when it is over. */
static void with_power(const struct place *p, int (*act)(const struct place *p))
{
	int status;

	if (power_forks(p->dir, p->logs, &status))
		_exit(act(p) ? 1 : 0);
	assert_int_equal(status, 0);
}

static int make(const struct place *p)
{
	struct err e;

	return write_new_file(p->path, 0600, OLD, &e);
}

static int replace(const struct place *p)
{
	struct err e;

	return replace_file(p->path, NEW, strlen(NEW), &e);
}

static int replace_by_halves(const struct place *p)
{
	power_write_most = strlen(NEW) / 2;
	return replace(p);
}

static int die_before_the_name(const struct place *p)
{
	power_ends_at_rename = true; /* with 0 */
	replace(p);
	return 1;
}

static void a_new_file_survives_and_nobodys_is_written_over(void **state)
{
	const struct place *p = *state;
	struct stat st;
	struct err e;

	with_power(p, make);
	assert_holds(p->path, OLD);
	assert_int_equal(stat(p->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(write_new_file(p->path, 0600, NEW, &e), -EEXIST);
	assert_holds(p->path, OLD);
}

static void a_rename_that_was_half_done_is_finished(void **state)
{
	const struct place *p = *state;
	AUTO_FREE char *to = xasprintf("%s.aside", p->path), *other = xasprintf("%s.other", p->path);
	struct err e;

	assert_int_equal(write_new_file(p->path, 0600, OLD, &e), 0);
	assert_int_equal(write_new_file(other, 0600, NEW, &e), 0);
	assert_int_equal(rename_new(p->path, other), -EEXIST);
	assert_int_equal(link(p->path, to), 0);
	assert_int_equal(rename_new(p->path, to), 0);
	assert_int_equal(access(p->path, F_OK), -1);
	assert_holds(to, OLD);
	assert_int_equal(rename_new(to, to), -EEXIST); /* never its last name */
	assert_int_equal(rename_new(to, p->path), 0);
	assert_holds(other, NEW);
	unlink(p->path);
	unlink(other);
}

static void a_file_that_was_replaced_is_the_new_one_whole(void **state)
{
	with_power(*state, make);
	with_power(*state, replace_by_halves);
	assert_holds(((struct place *)*state)->path, NEW);
}

static void a_file_whose_replacement_was_cut_off_is_the_old_one(void **state)
{
	with_power(*state, make);
	with_power(*state, die_before_the_name);
	assert_holds(((struct place *)*state)->path, OLD);
}

static int set_aside(const struct place *p)
{
	AUTO_FREE char *aside = xasprintf("%s.aside", p->path);
	struct err e;

	return own_file_set_aside(p->path, aside, &e);
}

static int put_back(const struct place *p)
{
	AUTO_FREE char *aside = xasprintf("%s.aside", p->path);
	struct err e;
	json_t *known;
	int r = own_file_know(aside, aside, &known, &e);

	r = r ? r : own_file_put_back(known, p->path, &e);
	json_decref(known);
	return r;
}

/* The script or unit that starts a guest again relies on the name. */
static void a_name_that_was_given_stays(void **state)
{
	const struct place *p = *state;
	AUTO_FREE char *aside = xasprintf("%s.aside", p->path);

	with_power(p, make);
	with_power(p, set_aside);
	assert_holds(aside, OLD);
	assert_int_equal(access(p->path, F_OK), -1);
	with_power(p, put_back);
	assert_holds(p->path, OLD);
	assert_int_equal(access(aside, F_OK), -1);
}

static void what_cannot_be_synced_replaces_nothing(void **state)
{
	const struct place *p = *state;
	AUTO_FREE char *empty = xasprintf("test \"$(ls %s)\" = file", p->dir);
	struct err e;

	assert_int_equal(make(p), 0);
	power_sync_error = EIO;
	assert_int_equal(replace_file(p->path, NEW, strlen(NEW), &e), -EIO);
	power_sync_error = 0;
	assert_holds(p->path, OLD);
	assert_int_equal(system(empty), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_new_file_survives_and_nobodys_is_written_over),
		T(a_file_that_was_replaced_is_the_new_one_whole),
		T(a_file_whose_replacement_was_cut_off_is_the_old_one),
		T(a_name_that_was_given_stays),
		T(a_rename_that_was_half_done_is_finished),
		T(what_cannot_be_synced_replaces_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
