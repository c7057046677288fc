/*
 * test-attempt.c: an attempt carries out what the hand-off machine says, with its agent's table: in order, to the first error, and what
 * becomes of a journal that fails; what is undone from the journal alone; and how its parts are walked over.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

#include "attempt.h"
#include "exit-code.h"
#include "log.h"
#include "obstacles.h"
#include "part.h"
#include "util.h"

static char dir[] = "/tmp/vmferry-attempt-XXXXXX", said[512];
static struct attempt a;
static struct err e;
static int act_fails, not_noted_says;

static void say(const char *word)
{
	size_t n = strlen(said);

	snprintf(said + n, sizeof(said) - n, "%s%s", n ? " " : "", word);
}

static void expect_said(const char *words)
{
	assert_string_equal(said, words);
	said[0] = '\0';
}

/* ---- the agent's table ---- */

static int send_state(struct attempt *at, struct err *err)
{
	(void)err;
	say(at->to_be_undecided ? "send-undecided" : "send");
	return 0;
}

static int cont_source(struct attempt *at, struct err *err)
{
	(void)at;
	say("cont");
	return act_fails ? err_set(err, act_fails, "refused") : 0;
}

static int hold(struct attempt *at, struct err *err)
{
	say("hold");
	return attempt_step(at, EV_QEMU_HELD, HO_NONE, err);
}

static int other(struct attempt *at, struct err *err)
{
	(void)at, (void)err;
	say("act");
	return 0;
}

static void entered(struct attempt *at)
{
	say(handoff_state_name(at->handoff.state));
}

static void carried_out(struct attempt *at, bool has_entered)
{
	(void)at;
	say(has_entered ? "done-entered" : "done");
}

static int not_noted(struct attempt *at, enum handoff_state before, struct err *err)
{
	(void)err;
	say(handoff_state_name(before));
	if (not_noted_says == 1)
		handoff_not_noted(&at->handoff, before);
	return not_noted_says < 0 ? -err->code : not_noted_says;
}

static int undo(struct attempt *at, const char *kind, const json_t *detail, struct err *err)
{
	(void)at, (void)detail;
	say(kind);
	return !strcmp(kind, "stuck") ? err_set(err, EBUSY, "in use") : !strcmp(kind, "foreign") ? (err_set(err, EBUSY, "not ours"), 1) : 0;
}

static void left_behind(struct attempt *at, const char *kind, const json_t *detail, int r, const struct err *why)
{
	(void)detail;
	attempt_add_leftover(at, xasprintf("%s %s %s", kind, r < 0 ? "again" : "never", why->msg));
}

static const struct attempt_ops ops = {
	.act = {[ACT_SEND_STATE] = send_state,
		[ACT_CONT_SOURCE] = cont_source,
		[ACT_HOLD_QEMU] = hold,
		[ACT_RELEASE_SHUT] = other,
		[ACT_END_SOURCE_QEMU] = other,
		[ACT_REMOVE_SCAFFOLDING] = other},
	.entered = entered,
	.not_noted = not_noted,
	.carried_out = carried_out,
	.undo = undo,
	.left_behind = left_behind,
};

static void fail_never(void *ctx, const struct err *why)
{
	(void)ctx;
	fail_msg("%s", why->msg);
}

static int setup(void **state)
{
	static const struct stage stages[] = {{"only", NULL, NULL}};
	json_t *begin = json_pack("{s:s}", "guest", "vm1");

	(void)state;
	said[0] = '\0';
	act_fails = not_noted_says = 0;
	assert_int_equal(attempt_init(&a, &ops, 8, stages, NULL, fail_never, &e), 0);
	assert_int_equal(attempt_id_new(a.id, &e), 0);
	assert_int_equal(attempt_begin(&a, dir, HO_SOURCE, begin, &e), 0);
	json_decref(begin);
	assert_true(a.handing_off);
	return 0;
}

static int teardown(void **state)
{
	struct loop *loop = a.loop;

	(void)state;
	attempt_fini(&a);
	loop_free(loop);
	return 0;
}

static enum handoff_state on_disk(void)
{
	struct journal *j;
	AUTO_FREE char *path = xstrdup(journal_path(a.journal));
	enum handoff_state s;

	journal_close(a.journal);
	a.journal = NULL;
	assert_int_equal(journal_open(&j, path, &e), 0);
	s = journal_last_state(j);
	journal_close(j);
	return s;
}

/* ---- the hand-off ---- */

static void actions_are_carried_out_in_their_order(void **state)
{
	(void)state;
	assert_int_equal(attempt_step(&a, EV_END_SENT, HO_NONE, &e), 0);
	expect_said("done");
	assert_int_equal(attempt_step(&a, EV_PEER, HO_DST_PREPARED, &e), 0);
	expect_said("act done");
	/* held is a step within a step */
	assert_int_equal(attempt_step(&a, EV_QEMU_COMPLETED, HO_NONE, &e), 0);
	expect_said("hold SRC_COMMITTED send done-entered done");
	assert_int_equal(on_disk(), HO_SRC_COMMITTED);
}

static void what_does_not_fit_changes_nothing(void **state)
{
	(void)state;
	assert_int_equal(attempt_step(&a, EV_QEMU_HELD, HO_NONE, &e), -EPROTO);
	expect_said("");
	assert_int_equal(a.handoff.state, HO_SRC_BEGUN);
}

static void an_action_that_fails_ends_the_step(void **state)
{
	(void)state;
	act_fails = EIO;
	assert_int_equal(attempt_step(&a, EV_ABORT, HO_NONE, &e), -EIO);
	expect_said("SRC_ABORTED cont");
	assert_false(a.dead);
	assert_int_equal(on_disk(), HO_SRC_ABORTED);
}

static void an_action_of_the_other_side_is_refused(void **state)
{
	struct attempt_ops without = ops;

	(void)state;
	without.act[ACT_CONT_SOURCE] = NULL;
	a.ops = &without;
	assert_int_equal(attempt_step(&a, EV_ABORT, HO_NONE, &e), -EPROTO);
	expect_said("SRC_ABORTED");
}

/* The next write fails, and leaves nothing: a file may not become longer than nothing. */
static void step_without_room(enum handoff_event ev, int expected)
{
	struct rlimit was, none = {.rlim_cur = 0};

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	none.rlim_max = was.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	assert_int_equal(attempt_step(&a, ev, HO_NONE, &e), expected);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
}

static void a_journal_that_fails_is_death(void **state)
{
	(void)state;
	not_noted_says = -1;
	step_without_room(EV_ABORT, -EFBIG);
	expect_said("SRC_BEGUN");
	assert_true(a.dead && a.undecided && a.con.finished);
	assert_int_equal(a.exit_code, EXIT_UNDECIDED);
	assert_false(attempt_can_tell(&a));
}

static void a_state_that_is_not_noted_may_count_all_the_same(void **state)
{
	(void)state;
	step_without_room(EV_ABORT, 0);
	expect_said("SRC_BEGUN SRC_ABORTED cont act send done-entered");
	assert_false(a.dead);
}

static void or_it_has_not_happened(void **state)
{
	(void)state;
	not_noted_says = 1;
	step_without_room(EV_ABORT, -EFBIG);
	expect_said("SRC_BEGUN");
	assert_int_equal(a.handoff.state, HO_SRC_BEGUN);
	assert_false(a.dead);
}

/* ---- undoing ---- */

static void what_cannot_be_undone_stays_in_the_journal(void **state)
{
	AUTO_FREE char *path = xstrdup(journal_path(a.journal));
	struct journal *j;
	json_t *owned;

	(void)state;
	assert_int_equal(attempt_own(&a, "foreign", NULL, &e), 0);
	assert_int_equal(attempt_own(&a, "stuck", json_pack("{s:i}", "n", 1), &e), 0);
	assert_int_equal(attempt_own(&a, "easy", NULL, &e), 0);
	attempt_undo(&a);
	expect_said("easy stuck foreign");
	assert_true(a.undo_failed);
	assert_int_equal(json_array_size(a.leftovers), 2);
	assert_string_equal(json_string_value(json_array_get(a.leftovers, 0)), "stuck again in use");
	assert_string_equal(json_string_value(json_array_get(a.leftovers, 1)), "foreign never not ours");
	attempt_end_journal(&a);
	assert_null(a.journal);
	assert_int_equal(attempt_open(&a, path, &e), 0);
	assert_true(a.over);
	assert_int_equal(journal_owned(a.journal, &owned), 0);
	assert_int_equal(json_array_size(owned), 1);
	json_decref(owned);
	a.ops = &ops;
	attempt_disown(&a, "stuck", json_pack("{s:i}", "n", 1));
	attempt_undo(&a);
	assert_false(a.undo_failed);
	attempt_end_journal(&a);
	assert_int_equal(journal_open(&j, path, &e), -ENOENT);
}

/* ---- parts ---- */

struct counted {
	struct part part;
	const char *name;
	uint32_t milestone;
	int refuses;
};

static int hear(struct part *p, const json_t *message, struct err *err)
{
	struct counted *c = container_of(p, struct counted, part);

	(void)message;
	say(c->name);
	return c->refuses ? err_set(err, c->refuses, "%s refuses", c->name) : 0;
}

static int examine(struct part *p, struct err *err)
{
	return hear(p, NULL, err);
}

static int take(struct part *p, const struct event *ev, struct err *err)
{
	struct counted *c = container_of(p, struct counted, part);

	return ev->type == c->milestone ? hear(p, NULL, err) : PART_NOT_MINE;
}

static uint32_t reached(const struct part *p)
{
	return container_of(p, const struct counted, part)->milestone;
}

static int undo_it(struct part *p, const json_t *detail, struct err *err)
{
	return hear(p, detail, err);
}

static void fini(struct part *p)
{
	hear(p, NULL, &e);
}

static const struct part_undo kinds[] = {{"mine", "what is mine", undo_it}, {NULL, NULL, NULL}};
static const struct part_ops all =
	{.name = "all", .examine = examine, .agree = hear, .event = take, .reached = reached, .undo = kinds, .fini = fini};
static const struct part_ops nothing = {.name = "nothing"};

static void parts_are_walked_over(void **state)
{
	struct counted one = {{&all, &a}, "one", 1, 0}, none = {{&nothing, &a}, "none", 64, 0}, two = {{&all, &a}, "two", 2, 0};
	struct obstacles found = {.list = NULL};
	struct parts ps = {.count = 0};
	const struct part_undo *u;
	struct part *of;

	(void)state;
	parts_add(&ps, &one.part);
	parts_add(&ps, &none.part);
	parts_add(&ps, &two.part);
	assert_int_equal(parts_examine(&ps, &e), 0);
	expect_said("one two");
	one.refuses = EBUSY;
	two.refuses = EPERM;
	assert_int_equal(parts_examine(&ps, &e), -EBUSY);
	expect_said("one");
	/* an answer is heard by all, and whoever refuses says why */
	assert_int_equal(parts_agree(&ps, NULL, &found, &e), -EBUSY);
	assert_string_equal(e.msg, "one refuses");
	assert_int_equal(obstacles_count(&found), 2);
	obstacles_fini(&found);
	expect_said("one two");
	one.refuses = 0;
	assert_int_equal(parts_event(&ps, &(struct event){.type = 2}, &e), -EPERM);
	assert_int_equal(parts_event(&ps, &(struct event){.type = 1}, &e), 0);
	assert_int_equal(parts_event(&ps, &(struct event){.type = 3}, &e), PART_NOT_MINE);
	expect_said("two one");
	assert_int_equal(parts_reached(&ps), 3);
	u = parts_undo(&ps, "mine", &of);
	assert_ptr_equal(of, &one.part);
	assert_string_equal(u->name, "what is mine");
	assert_null(parts_undo(&ps, "yours", &of));
	parts_fini(&ps);
	expect_said("two one");
	assert_int_equal(ps.count, 0);
}

static int remove_dir(void **state)
{
	AUTO_FREE char *cmd = xasprintf("rm -rf '%s'", dir);

	(void)state;
	return system(cmd);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(actions_are_carried_out_in_their_order),
		WITH(what_does_not_fit_changes_nothing),
		WITH(an_action_that_fails_ends_the_step),
		WITH(an_action_of_the_other_side_is_refused),
		WITH(a_journal_that_fails_is_death),
		WITH(a_state_that_is_not_noted_may_count_all_the_same),
		WITH(or_it_has_not_happened),
		WITH(what_cannot_be_undone_stays_in_the_journal),
		cmocka_unit_test(parts_are_walked_over),
	};

	log_init("test", LOG_LEVEL_ERROR, 2);
	signal(SIGXFSZ, SIG_IGN);
	if (!mkdtemp(dir))
		return 1;
	return cmocka_run_group_tests(tests, NULL, remove_dir);
}
