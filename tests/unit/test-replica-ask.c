/* test-replica-ask.c: whether a guest was taken over where its replica is, as far as that is on this very host. */
#include "replica-ask.h"
#include "util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define PAIR "0123456789abcdef"

static char dir[64];
static struct err e;

static void put(const char *name, const char *text)
{
	AUTO_FREE char *path = xasprintf("%s/%s", dir, name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int setup(void **state)
{
	static const char *const dirs[] = {"replica", "replicas", "vm1.replica", "vm1.replica/points"};
	AUTO_FREE char *note = NULL;
	size_t i;

	(void)state;
	strcpy(dir, "/tmp/test-replica-ask-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	for (i = 0; i < ARRAY_LEN(dirs); i++) {
		AUTO_FREE char *path = xasprintf("%s/%s", dir, dirs[i]);

		if (mkdir(path, 0700))
			return -1;
	}
	note = xasprintf("{\"guest\": \"vm1\", \"dir\": \"%s/vm1.replica\"}", dir);
	put("replicas/vm1.replica.json", note);
	return 0;
}

static int teardown(void **state)
{
	AUTO_FREE char *command = xasprintf("rm -r %s", dir);

	(void)state;
	return system(command);
}

/* The answer for a store with these contents; "": it was not taken over, NULL: unknown. */
static char *told(const char *store)
{
	struct replica_conf c = {.to = "local", .pair = PAIR, .term = 2, .state_dir = dir};
	bool settled;
	char *taken;

	put("vm1.replica/replica.json", store);
	if (replica_ask(&c, "vm1", &taken, &settled, &e))
		return NULL;
	return taken ?: xstrdup("");
}

static void says(const char *store, const char *words)
{
	AUTO_FREE char *is = told(store);

	assert_non_null(is);
	assert_string_equal(is, words);
}

static void guest_was_taken_over_or_not(void **state)
{
	(void)state;
	says("{\"pair\": \"" PAIR "\", \"term\": 2}", "");
	says("{\"pair\": \"" PAIR "\", \"term\": 3}", "it was taken over at local in term 3");
	says("{\"pair\": \"" PAIR "\", \"term\": 3, \"run\": {\"at\": \"2026-11-29 14:05:10\"}}",
	     "it was taken over at local in term 3, at 2026-11-29 14:05:10");
	says("{\"pair\": \"" PAIR "\", \"term\": 2, \"over\": true}", "it was taken over at local in term 2");
	says("{\"pair\": \"" PAIR "\", \"term\": 3, \"run\": {\"attempt\": \"12\"}}", "it was taken over at local in term 3");
	put("12-dst.journal", "");
	says("{\"pair\": \"" PAIR "\", \"term\": 3, \"run\": {\"attempt\": \"12\"}}",
	     "a move of it to local, where its replica is, is not over: vmferry recover");
	says("{\"pair\": \"0123456789abcdee\", \"term\": 9, \"past\": [{\"pair\": \"" PAIR "\", \"term\": 4}]}",
	     "it was taken over at local in term 4");
	says("{\"pair\": \"" PAIR "\", \"term\": 3, \"removed\": true}", "it was taken over at local in term 3");
	says("{\"pair\": \"" PAIR "\", \"term\": 2, \"removed\": true}", ""); /* the entry is of points alone */
	says("{\"pair\": \"0123456789abcdee\", \"term\": 9, \"past\": [{\"pair\": \"" PAIR "\", \"term\": 3, \"removed\": true}]}",
	     "it was taken over at local in term 3");
	assert_null(told("{\"pair\": \"0123456789abcdee\", \"term\": 9, \"past\": [{\"pair\": \"" PAIR
			 "\", \"term\": 2, \"removed\": true}]}"));
	assert_null(told("{\"pair\": \"0123456789abcdee\", \"term\": 9, \"over\": true}")); /* another pair, without an entry of this one */
	assert_int_equal(e.code, ENOENT);
}

/* The answer of the host's vmferry about a further one, as its `replica ask` prints it. */
static char *asked_further(const char *onward, const char *further)
{
	struct replica_conf c = {.to = "local", .pair = PAIR, .term = 2, .state_dir = dir};
	AUTO_FREE char *store = xasprintf("{\"pair\": \"" PAIR "\", \"term\": 2, \"onward\": %s}", onward);
	AUTO_FREE char *program = xasprintf("%s/bin", dir), *path = getenv("PATH") ? xstrdup(getenv("PATH")) : xstrdup("");
	AUTO_FREE char *script = xasprintf("#!/bin/sh\ncat <<'END'\n%s\nEND\n", further), *file = xasprintf("%s/vmferry", program);
	AUTO_FREE char *with = xasprintf("%s:%s", program, path);
	bool settled;
	char *taken;
	int r;

	mkdir(program, 0700);
	put("bin/vmferry", script);
	chmod(file, 0700);
	put("vm1.replica/replica.json", store);
	setenv("PATH", with, 1);
	r = replica_ask(&c, "vm1", &taken, &settled, &e);
	setenv("PATH", path, 1);
	return r ? NULL : taken ?: xstrdup("");
}

static void further(const char *onward, const char *answer, const char *words)
{
	AUTO_FREE char *is = asked_further(onward, answer);

	if (words)
		assert_string_equal(is ?: e.msg, words);
	else
		assert_null(is);
}

/* The points there go on to a further host, which may have the guest. */
static void further_host_is_asked(void **state)
{
	static const char onward[] = "{\"to\": \"root@host-c\", \"number\": 3}";

	(void)state;
	further(onward, "{\"taken_over\": false}", "");
	further(onward, "{\"taken_over\": true, \"taken\": \"it was taken over at root@host-c in term 3\", \"settled\": true}",
		"its points go on from local to root@host-c, and it was taken over at root@host-c in term 3");
	further(onward, "{\"taken_over\": false, \"unknown\": \"cannot reach root@host-c\"}", NULL);
	assert_string_equal(e.msg, "its points go on from there to root@host-c: cannot reach root@host-c");
	assert_int_equal(e.code, EHOSTUNREACH); /* start-alone decides */
	further(onward, "no object", NULL);
	further("{\"to\": \"root@host-c\", \"replaced\": \"2026-11-29 14:05:10\"}", "{\"taken_over\": false}",
		"it was taken over at root@host-c, to which its replica at local goes on, or further on");
	says("{\"pair\": \"" PAIR
	     "\", \"term\": 3, \"onward\": {\"to\": \"root@host-c\", \"replaced\": \"2026-11-29 14:05:10\", \"term\": 2}}",
	     "it was taken over at root@host-c, to which its replica at local goes on, or further on"); /* the term is higher by that alone */
}

/* The store here has the term of those points; what the settings say is as old as they are. */
static void points_that_go_on_have_the_primarys_term(void **state)
{
	struct replica_conf c = {.to = "local", .pair = PAIR, .term = 1, .state_dir = dir, .goes_on = true};
	bool settled;
	char *taken;

	(void)state;
	put("vm1.replica/replica.json", "{\"pair\": \"" PAIR "\", \"term\": 4}");
	assert_int_equal(replica_ask(&c, "vm1", &taken, &settled, &e), 0);
	assert_null(taken);
	put("vm1.replica/replica.json", "{\"pair\": \"" PAIR "\", \"term\": 4, \"run\": {}}");
	assert_int_equal(replica_ask(&c, "vm1", &taken, &settled, &e), 0);
	assert_non_null(taken);
	free(taken);
}

/* A damaged point keeps nobody from saying who took the guest over. */
static void term_is_told_where_points_are_damaged(void **state)
{
	AUTO_FREE char *slot = xasprintf("%s/vm1.replica/points/000001", dir);

	(void)state;
	assert_int_equal(mkdir(slot, 0700), 0);
	put("vm1.replica/points/000001/point.json", "{");
	says("{\"pair\": \"" PAIR "\", \"term\": 3}", "it was taken over at local in term 3");
}

static void what_cannot_be_read_is_no_answer(void **state)
{
	struct replica_conf c = {.to = "local", .pair = PAIR, .term = 2, .state_dir = dir};
	AUTO_FREE char *store = xasprintf("%s/vm1.replica/replica.json", dir);
	bool settled;
	char *taken;

	(void)state;
	assert_null(told("{"));
	assert_int_equal(e.code, EIO);
	assert_null(told("{\"pair\": \"" PAIR "\"}"));
	assert_int_equal(remove(store), 0); /* the file system may not be mounted */
	assert_true(replica_ask(&c, "vm1", &taken, &settled, &e) < 0);
	assert_int_equal(e.code, EIO);
	assert_int_equal(replica_ask(&c, "vm2", &taken, &settled, &e), -ENOENT); /* this host never had a replica */
	put("replicas/vm2.replica.json", "{\"guest\": \"vm2\"");		 /* the place of the points is unknown */
	assert_int_equal(replica_ask(&c, "vm2", &taken, &settled, &e), -EIO);
	assert_null(taken);
}

static bool is_noted(void)
{
	json_t *state = replica_state_load(dir, "vm1");
	bool yes = json_is_true(json_object_get(state, "replaced"));

	json_decref(state);
	return yes;
}

/* start-alone decides if that host could not be asked, and never if it has answered. A takeover is noted for times in which it cannot be
 * asked. */
static void guest_is_this_hosts_unless_it_was_taken_over(void **state)
{
	struct replica_conf c = {.to = "local", .pair = PAIR, .term = 2, .state_dir = dir, .start_alone = "yes"};
	AUTO_FREE char *alone = NULL;

	(void)state;
	put("vm1.replica/replica.json", "{\"pair\": \"" PAIR "\", \"term\": 2}");
	assert_int_equal(replica_check_not_taken(&c, "vm1", &alone, &e), 0);
	assert_null(alone);
	assert_false(is_noted());
	put("vm1.replica/replica.json", "{\"pair\": \"0123456789abcdee\", \"term\": 2}");
	assert_int_equal(replica_check_not_taken(&c, "vm1", &alone, &e), 0);
	assert_non_null(alone);
	c.start_alone = "no";
	assert_int_equal(replica_check_not_taken(&c, "vm1", &alone, &e), -EAGAIN);
	c.start_alone = "yes";
	put("vm1.replica/replica.json", "{");
	assert_int_equal(replica_check_not_taken(&c, "vm1", &alone, &e), -EIO);
	put("vm1.replica/replica.json", "{\"pair\": \"" PAIR "\", \"term\": 3}");
	assert_int_equal(replica_check_not_taken(&c, "vm1", &alone, &e), -EBUSY);
	assert_true(is_noted());
	put("vm1.replica/replica.json", "{"); /* no answer changes nothing */
	assert_int_equal(replica_check_not_taken(&c, "vm1", &alone, &e), -EIO);
	assert_true(is_noted());
	put("vm1.replica/replica.json", "{\"pair\": \"" PAIR "\", \"term\": 2}"); /* that run was thrown away */
	assert_int_equal(replica_check_not_taken(&c, "vm1", &alone, &e), 0);
	assert_false(is_noted());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(guest_was_taken_over_or_not, setup, teardown),
		cmocka_unit_test_setup_teardown(further_host_is_asked, setup, teardown),
		cmocka_unit_test_setup_teardown(points_that_go_on_have_the_primarys_term, setup, teardown),
		cmocka_unit_test_setup_teardown(term_is_told_where_points_are_damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(guest_is_this_hosts_unless_it_was_taken_over, setup, teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_read_is_no_answer, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
