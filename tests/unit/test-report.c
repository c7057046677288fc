/* test-report.c: what a person reads of a move's events: plan, estimate and result. */
#include "report-plan.h"
#include "report-result.h"
#include "util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static const struct report_style plain = {"", "", "", ""}, colored = {"<good>", "<bad>", "<care>", "</>"};

enum what { PLAN, ESTIMATE, RESULT };

/* The event's text, malloc'ed. */
static char *text_of(enum what what, const char *event, bool details, const struct report_style *style)
{
	json_t *ev = json_loads(event, 0, NULL);
	char *text;
	size_t n;
	FILE *to = open_memstream(&text, &n);

	assert_non_null(ev);
	if (what == PLAN)
		report_plan(to, ev, details);
	else if (what == ESTIMATE)
		report_estimate(to, ev, details);
	else
		report_result(to, ev, style, details);
	fclose(to);
	json_decref(ev);
	return text;
}

static void assert_says(enum what what, const char *event, bool details, const char *words)
{
	AUTO_FREE char *text = text_of(what, event, details, &plain);

	if (!strstr(text, words))
		fail_msg("'%s' is not in: %s", words, text);
}

static void assert_silent(enum what what, const char *event, bool details, const char *words)
{
	AUTO_FREE char *text = text_of(what, event, details, &plain);

	if (strstr(text, words))
		fail_msg("'%s' is in: %s", words, text);
}

#define ESTIMATED(more)                                                                                                                     \
	"{\"link_bps\":1e8,\"round_trip_ms\":0.1,\"dirty_bps\":0.0,\"ram_bytes\":8493466,\"disk_bytes\":1073741824,\"bytes_wire\":1048576," \
	"\"limited_by\":\"link\",\"total_s\":4.0,\"converges\":true,\"zero\":0.05,\"seeded\":0.2," more "}"
#define PAUSED                                                                                                                             \
	ESTIMATED(                                                                                                                         \
		"\"paused\":true,\"downtime_ms\":19.0,\"max_downtime_ms\":10,\"kinds\":[{\"how\":\"live\",\"total_s\":4.0,\"bytes_wire\":" \
		"1048576,\"why\":\"it is paused, and stays so there\",\"proposed\":true}]")
#define TOO_LONG                                                                                                                                 \
	ESTIMATED(                                                                                                                               \
		"\"downtime_ms\":48.0,\"max_downtime_ms\":20,\"kinds\":[{\"how\":\"live\",\"total_s\":4.0,\"bytes_wire\":1048576,\"away_ms\""    \
		":48.0,\"why\":\"it runs on meanwhile\",\"proposed\":true},{\"how\":\"cold\",\"total_s\":2.0,\"bytes_wire\":1048576,\"away_ms\"" \
		":2000.0,\"why\":\"its memory does not travel\",\"proposed\":false}]")

static void paused_guest_has_no_downtime(void **state)
{
	(void)state;
	assert_says(ESTIMATE, PAUSED, false, "live    4.0 s    1.0 MiB    -              it is paused, and stays so there\n");
	assert_silent(ESTIMATE, PAUSED, false, "about");
	assert_says(ESTIMATE, PAUSED, true, "the guest stays paused\n");
}

static void table_is_not_said_again_below_it(void **state)
{
	(void)state;
	assert_says(ESTIMATE, TOO_LONG, false, "DOWNTIME");
	assert_says(ESTIMATE, TOO_LONG, false, "it runs on meanwhile; the best here\n");
	assert_says(ESTIMATE, TOO_LONG, false, "  2.0 s + boot");
	assert_says(ESTIMATE, TOO_LONG, false,
		    "\n  about   48 ms of downtime, more than is allowed (--max-downtime): no waiting makes it shorter\n");
	assert_silent(ESTIMATE, TOO_LONG, false, "on the wire");
}

static void memory_is_what_the_guest_has_used_of_it(void **state)
{
	(void)state;
	assert_says(
		ESTIMATE, TOO_LONG, true,
		"  in use  8.1 MiB of its memory so far, 5 % of that zeros and 20 % of the rest on a disk, too, and 1.0 GiB on disks\n");
}

#define ROLLED_BACK(more)                                                                                                                  \
	"{\"outcome\":\"rolled-back\",\"how\":\"live\",\"reason\":\"cancelled by the user\",\"guest_text\":\"running on the source\","     \
	"\"total_ms\":3210.0" more "}"

static void rollback_says_that_nothing_is_left(void **state)
{
	AUTO_FREE char *recovered = text_of(RESULT, ROLLED_BACK(",\"exit_code\":1,\"by_recover\":true"), false, &colored);
	AUTO_FREE char *failed = text_of(RESULT, ROLLED_BACK(",\"exit_code\":1"), false, &colored);

	(void)state;
	assert_says(RESULT, ROLLED_BACK(",\"exit_code\":1"), false,
		    "the guest is now: running on the source\nnothing of the move is left, here or at the destination, after 3.2 s\n");
	assert_silent(RESULT, ROLLED_BACK(",\"exit_code\":4,\"leftovers\":[\"x\"]"), false, "nothing of the move is left");
	assert_silent(RESULT, ROLLED_BACK(",\"exit_code\":5"), false, "nothing of the move is left");
	assert_non_null(strstr(failed, "<bad>rolled-back</>"));
	assert_non_null(strstr(recovered, "<good>rolled-back</>"));
}

static void plan_names_the_moment(void **state)
{
	(void)state;
	setenv("TZ", "UTC", 1);
	tzset();
	assert_says(PLAN, "{\"guest\":\"a\",\"held_until\":1795834800}", false,
		    "  when     copied at once, and switched over at 2026-11-28 03:00:00\n");
	assert_silent(PLAN, "{\"guest\":\"a\"}", false, "when");
}

#define GONE(more)                                                                                                                         \
	"{\"outcome\":\"migrated\",\"success\":true,\"exit_code\":0,\"deletable\":[{\"path\":\"/d/a.raw.moved-1\",\"bytes\":1048576},"     \
	"{\"path\":\"/d/b.raw\",\"bytes\":2097152}]" more "}"

/* A file that has another name now, and may be deleted, is told of once. */
static void what_is_set_aside_is_told_once(void **state)
{
	const char *aside = GONE(",\"set_aside\":{\"from\":\"/d/a.raw\",\"to\":\"/d/a.raw.moved-1\"}");
	const char *also = GONE(",\"set_aside\":{\"from\":\"/d/a.sh\",\"to\":\"/d/a.sh.moved-1\","
				"\"also\":[{\"from\":\"/x/a.raw\",\"to\":\"/d/a.raw.moved-1\"}]}");

	(void)state;
	assert_says(RESULT, aside, false,
		    "/d/a.raw is called a.raw.moved-1 now, so that nothing starts the guest here; it may be deleted (1.0 MiB)\n");
	assert_says(RESULT, also, false, "/d/a.sh is called a.sh.moved-1 now, so that nothing starts the guest here\n");
	assert_says(RESULT, also, false,
		    "/x/a.raw is called /d/a.raw.moved-1 now, so that nothing starts the guest here; it may be deleted (1.0 MiB)\n");
	assert_says(RESULT, GONE(""), false, "/d/a.raw.moved-1 (1.0 MiB) may be deleted\n");
	assert_says(RESULT, aside, false, "/d/b.raw (2.0 MiB) may be deleted\n");
	assert_silent(RESULT, aside, false, "/d/a.raw.moved-1 (");
	assert_silent(RESULT, also, false, "/d/a.raw.moved-1 (");
}

/* The plan of what is only looked at does not say that anything goes. */
static void a_trial_says_what_it_would_do(void **state)
{
	(void)state;
	assert_says(PLAN, "{\"guest\":\"a\",\"pid\":1,\"destination\":\"b\",\"trial\":true}", false, "would move guest a ");
	assert_says(PLAN, "{\"guest\":\"a\",\"pid\":1,\"destination\":\"b\"}", false, "moving guest a ");
	assert_says(PLAN, "{\"guest\":\"a\",\"pid\":1,\"how\":\"disks\",\"trial\":true}", false, "would copy the disks of guest a ");
}

static void network_that_was_another_here_is_not_called_the_same(void **state)
{
	AUTO_FREE char *text =
		text_of(PLAN,
			"{\"guest\":\"a\",\"nics\":[{\"netdev\":\"n0\",\"type\":\"user\",\"to_type\":\"user\"},"
			"{\"netdev\":\"n1\",\"type\":\"bridge\",\"attach\":\"br0\",\"to_type\":\"bridge\",\"to_attach\":\"br0\"},"
			"{\"netdev\":\"n2\",\"type\":\"bridge\",\"attach\":\"br0\",\"to_type\":\"tap\",\"to_attach\":\"t1\"}]}",
			false, &plain);

	(void)state;
	assert_non_null(strstr(text, "  network  n0: user, QEMU's own NAT\n"));
	assert_non_null(strstr(text, "  network  n1: bridge br0, as here\n"));
	assert_non_null(strstr(text, "  network  n2: bridge br0 -> tap t1\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(network_that_was_another_here_is_not_called_the_same),
		cmocka_unit_test(paused_guest_has_no_downtime),
		cmocka_unit_test(table_is_not_said_again_below_it),
		cmocka_unit_test(memory_is_what_the_guest_has_used_of_it),
		cmocka_unit_test(rollback_says_that_nothing_is_left),
		cmocka_unit_test(plan_names_the_moment),
		cmocka_unit_test(what_is_set_aside_is_told_once),
		cmocka_unit_test(a_trial_says_what_it_would_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
