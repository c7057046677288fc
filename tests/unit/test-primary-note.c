/* test-primary-note.c: settings of a replica's primary go, stay and travel with the guest: only those of that pair, in a lower term. */
#include "durable-file.h"
#include "primary-note.h"
#include "replica-conf.h"
#include "replica-note.h"
#include "json-text.h"
#include "util.h"
#include "whereabouts.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define PAIR "0123456789abcdef"

static char dir[64];
static struct err e;

static char *path_of(const char *name)
{
	return xasprintf("%s/%s", dir, name);
}

static void put(const char *name, const char *text)
{
	AUTO_FREE char *path = path_of(name);

	assert_int_equal(replace_file(path, text, strlen(text), &e), 0);
}

static bool is_there(const char *name)
{
	AUTO_FREE char *path = path_of(name);

	return !access(path, F_OK);
}

static int setup(void **state)
{
	AUTO_FREE char *replica = NULL, *replicas = NULL;

	(void)state;
	strcpy(dir, "/tmp/test-primary-note-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	replica = path_of("replica");
	replicas = path_of("replicas");
	return mkdir(replica, 0700) || mkdir(replicas, 0700);
}

static int teardown(void **state)
{
	AUTO_FREE char *command = xasprintf("rm -r %s", dir);

	(void)state;
	return system(command);
}

static void put_conf(const char *term_line)
{
	AUTO_FREE char *text = xasprintf("# the replica of guest vm1\nto host-b\npair " PAIR "\n%skeep 4\n", term_line);

	put("replica/vm1.conf", text);
	put("replica/vm1.json", "{\"point\": 7}");
}

static void higher_term_ends_a_primary(void **state)
{
	json_error_t why;
	json_t *known;
	AUTO_FREE char *path = NULL;

	(void)state;
	put_conf("term 2\n");
	path = path_of("replica/vm1.json");
	assert_int_equal(primary_note_replaced(dir, "vm1", "0123456789abcdee", 9, &e), 0);
	assert_int_equal(primary_note_replaced(dir, "vm1", PAIR, 2, &e), 0);
	assert_true(is_there("replica/vm1.conf"));
	assert_int_equal(primary_note_replaced(dir, "vm1", PAIR, 3, &e), 0);
	assert_false(is_there("replica/vm1.conf"));
	known = json_load_file(path, 0, &why);
	assert_true(json_is_true(json_object_get(known, "replaced")));
	assert_int_equal(json_integer_value(json_object_get(known, "point")), 7);
	json_decref(known);
}

static void term_that_is_not_said_is_the_first(void **state)
{
	(void)state;
	put_conf("");
	assert_int_equal(primary_note_replaced(dir, "vm1", PAIR, 1, &e), 0);
	assert_true(is_there("replica/vm1.conf"));
	assert_int_equal(primary_note_replaced(dir, "vm1", PAIR, 2, &e), 0);
	assert_false(is_there("replica/vm1.conf"));
}

/* The old copy's script is still there, and would start it beside the guest. */
static void old_copy_is_known_as_such_once_the_guest_is_here(void **state)
{
	AUTO_FREE char *path = path_of("guests/vm1.json");
	json_t *all, *old = json_pack("[s]", "/old/b"), *new = json_pack("[s]", "/new/a");
	json_t *came =
		json_pack("{s:s,s:s,s:s,s:[s,s]}", "guest", "vm1", "attempt", "1", "came_from", "host-b", "disks", "/new/a", "/same");
	json_t *back = json_pack("{s:s,s:s,s:s,s:[s],s:[s,s]}", "guest", "vm1", "attempt", "2", "came_from", "host-b", "disks", "/old/b",
				 "known", "1", PAIR);
	bool shared;

	(void)state;
	put_conf("term 1\n");
	put("replica/vm1.json", "{\"disks\": [\"/old/a\", \"/old/b\", \"/same\"]}");
	assert_int_equal(primary_note_replaced(dir, "vm1", PAIR, 2, &e), 0);
	assert_int_equal(whereabouts_add(path, came, &e), 0);
	primary_note_here(dir, "vm1", true);
	assert_false(is_there("replica/vm1.json"));
	assert_int_equal(whereabouts_read(path, &all, &e), 0);
	assert_string_equal(json_text(whereabouts_of_disks(all, old, &shared), "gone_to"), "host-b");
	assert_string_equal(json_text(whereabouts_of_disks(all, new, &shared), "came_from"), "host-b");
	assert_string_equal(json_text(json_array_get(all, json_array_size(all) - 1), "attempt"), "1");
	/* of two notes of one guest the newer one counts */
	assert_int_equal(json_array_size(json_object_get(json_array_get(all, 0), "disks")), 2);
	json_decref(all);
	assert_int_equal(whereabouts_add(path, back, &e), 0); /* the guest comes to where its old copy was */
	assert_int_equal(whereabouts_read(path, &all, &e), 0);
	assert_string_equal(json_text(whereabouts_of_disks(all, old, &shared), "attempt"), "2");
	json_decref(all);
	json_decref(old);
	json_decref(new);
	json_decref(came);
	json_decref(back);
}

static void copy_that_cannot_be_noted_stays_replaced(void **state)
{
	(void)state;
	put("replica/vm1.json", "{\"replaced\": true, \"disks\": [\"/old/a\"]}");
	put("guests", "no directory");
	primary_note_here(dir, "vm1", true);
	assert_true(is_there("replica/vm1.json"));
}

static void host_that_has_the_guest_has_no_old_copy(void **state)
{
	(void)state;
	put("replica/vm1.json", "{\"replaced\": true}");
	primary_note_here(dir, "vm2", true);
	assert_true(is_there("replica/vm1.json"));
	primary_note_here(dir, "vm1", true);
	assert_false(is_there("replica/vm1.json"));
	put_conf(""); /* no other replica has taken its place */
	primary_note_here(dir, "vm1", false);
	assert_true(is_there("replica/vm1.conf") && is_there("replica/vm1.json"));
	put("replica/vm1.json", "{\"replaced\": true}"); /* the replica of this host's own guest */
	primary_note_here(dir, "vm1", true);
	assert_true(is_there("replica/vm1.conf") && is_there("replica/vm1.json"));
	primary_note_here(dir, "vm1", false);
	assert_false(is_there("replica/vm1.json") || is_there("replica/vm1.conf"));
}

static void note_travels(void **state)
{
	json_t *note;

	(void)state;
	assert_null(primary_note_read(dir, "vm1"));
	put_conf("term 2\n");
	note = primary_note_read(dir, "vm1");
	assert_non_null(note);
	assert_false(primary_note_fits(dir, "vm1", note)); /* a note exists */
	primary_note_gone(dir, "vm1");
	assert_true(primary_note_fits(dir, "vm1", note));
	assert_int_equal(primary_note_take(dir, "vm1", note, &e), 0);
	assert_true(is_there("replica/vm1.conf") && is_there("replica/vm1.json"));
	primary_note_gone(dir, "vm1");
	put("replicas/vm1.replica.json", "{}");
	assert_false(primary_note_fits(dir, "vm1", note)); /* the guest's points are here */
	json_decref(note);
}

static void note_of_another_is_looked_at(void **state)
{
	AUTO_FREE char *long_text = xcalloc(PRIMARY_NOTE_MAX + 64, 1);
	json_t *none = json_object(), *no_pair = json_pack("{s:s}", "conf", "to host-b\n"), *number = json_pack("{s:i}", "conf", 3),
	       *too_long;

	(void)state;
	memset(long_text, 'x', PRIMARY_NOTE_MAX + 32);
	memcpy(long_text, "to b\npair " PAIR "\n", strlen("to b\npair " PAIR "\n"));
	too_long = json_pack("{s:s}", "conf", long_text);
	assert_false(primary_note_fits(dir, "vm1", none));
	assert_false(primary_note_fits(dir, "vm1", no_pair));
	assert_false(primary_note_fits(dir, "vm1", number));
	assert_false(primary_note_fits(dir, "vm1", too_long));
	assert_int_equal(primary_note_take(dir, "vm1", number, &e), 0);
	assert_false(is_there("replica/vm1.conf"));
	json_decref(none);
	json_decref(no_pair);
	json_decref(number);
	json_decref(too_long);
}

static bool fits(const char *line)
{
	json_t *note = json_pack("{s:o}", "conf", json_sprintf("# of guest vm1\nto host-b\npair " PAIR "\n\n%s\n", line));
	bool r = primary_note_fits(dir, "vm1", note);

	json_decref(note);
	return r;
}

/* A newer vmferry's would make them unreadable, while the old host has given its own up. */
static void settings_that_are_not_known_are_not_taken(void **state)
{
	const struct option_table *t;
	const struct command_option *o;

	(void)state;
	for (t = replica_tables(true); t->rows; t++)
		for (o = t->rows; o->name; o++)
			if (!o->once)
				assert_true(fits(o->name));
	assert_true(fits("keep 4"));
	assert_false(fits("of-a-newer 4"));
	assert_false(fits("keeps 4"));
	assert_false(fits("of-a-newer"));
}

/* A second `replica run` would lock another file of that name. */
static void what_is_locked_keeps_its_name(void **state)
{
	(void)state;
	put_conf("");
	put("replica/vm1.run", "");
	put("replica/vm1.lock", "");
	primary_note_gone(dir, "vm1");
	assert_false(is_there("replica/vm1.conf"));
	replica_forget(dir, "vm1");
	assert_true(is_there("replica/vm1.run") && is_there("replica/vm1.lock"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(higher_term_ends_a_primary, setup, teardown),
		cmocka_unit_test_setup_teardown(term_that_is_not_said_is_the_first, setup, teardown),
		cmocka_unit_test_setup_teardown(host_that_has_the_guest_has_no_old_copy, setup, teardown),
		cmocka_unit_test_setup_teardown(old_copy_is_known_as_such_once_the_guest_is_here, setup, teardown),
		cmocka_unit_test_setup_teardown(copy_that_cannot_be_noted_stays_replaced, setup, teardown),
		cmocka_unit_test_setup_teardown(note_travels, setup, teardown),
		cmocka_unit_test_setup_teardown(note_of_another_is_looked_at, setup, teardown),
		cmocka_unit_test_setup_teardown(settings_that_are_not_known_are_not_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_locked_keeps_its_name, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
