/* test-turn.c: from ACCEPT to PREPARE a move to this host holds its turn for a while, not for ever; the destination agent's. */
#include "../../agent-dst/moves/arriving-turn.h"
#include "util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define S 1000000000ULL

static char dir[64];
static struct turn turn;
static struct err e;

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/test-turn-XXXXXX");
	turn = (struct turn){.asked = true};
	return mkdtemp(dir) ? ticket_take(&turn.ticket, dir, "in", &e) : -1;
}

static int teardown(void **state)
{
	AUTO_FREE char *rm = xasprintf("rm -rf '%s'", dir);

	(void)state;
	ticket_return(turn.ticket);
	return system(rm);
}

static unsigned others(void)
{
	json_t *notes = NULL;
	size_t n;

	assert_int_equal(ticket_note(NULL, dir, "in", NULL, &notes, &e), 0);
	n = json_array_size(notes);
	json_decref(notes);
	return (unsigned)n;
}

static struct ticket *another_comes(void)
{
	json_t *note = json_pack("{s:s}", "guest", "b"), *heard = NULL;
	struct ticket *t = NULL;

	assert_int_equal(ticket_take(&t, dir, "in", &e), 0);
	assert_int_equal(ticket_note(t, dir, "in", note, &heard, &e), 0);
	json_decref(heard);
	json_decref(note);
	return t;
}

/* The turn waits as long as hooks may take; a move that was not accepted, or has begun, is none that could be late. */
static void it_is_kept_while_hooks_run(void **state)
{
	(void)state;
	assert_false(turn_lapses(&turn, 1000 * S));
	turn_accepted(&turn, 1000 * S);
	assert_false(turn_lapses(&turn, 1299 * S));
	assert_non_null(turn.ticket);
	turn_accepted(&turn, 0);
	assert_false(turn_lapses(&turn, 9000 * S));
	assert_non_null(turn.ticket);
}

static void silence_gives_it_up(void **state)
{
	json_t *note = json_pack("{s:s}", "guest", "a"), *heard = NULL;

	(void)state;
	assert_int_equal(ticket_note(turn.ticket, dir, "in", note, &heard, &e), 0);
	json_decref(heard);
	json_decref(note);
	assert_int_equal(others(), 1);
	turn_accepted(&turn, 1000 * S);
	assert_true(turn_lapses(&turn, 1300 * S));
	assert_null(turn.ticket);
	assert_int_equal(others(), 0);		    /* nor is anything promised to it */
	assert_false(turn_lapses(&turn, 1301 * S)); /* the lapse is reported once */
	assert_true(turn.lapsed);
}

/* A late one still gets a place, or there was no limit. */
static void who_comes_late_is_counted_again(void **state)
{
	struct ticket *b;

	(void)state;
	turn_accepted(&turn, 1000 * S);
	assert_true(turn_lapses(&turn, 1300 * S));
	b = another_comes();
	assert_int_equal(turn_regain(&turn, dir, 2, &e), 0);
	assert_non_null(turn.ticket);
	assert_false(turn.lapsed);
	ticket_return(turn.ticket);
	assert_int_equal(turn_regain(&turn, dir, 0, &e), 0);
	assert_non_null(turn.ticket);
	ticket_return(b);
}

static void who_comes_too_late_gives_way(void **state)
{
	struct ticket *b;

	(void)state;
	turn_accepted(&turn, 1000 * S);
	assert_true(turn_lapses(&turn, 1300 * S));
	b = another_comes();
	assert_int_equal(turn_regain(&turn, dir, 1, &e), -ETIMEDOUT);
	assert_non_null(strstr(e.msg, "others have come before this move"));
	assert_null(turn.ticket);
	ticket_return(b);
}

#define UNIT(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT(it_is_kept_while_hooks_run),
		UNIT(silence_gives_it_up),
		UNIT(who_comes_late_is_counted_again),
		UNIT(who_comes_too_late_gives_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
