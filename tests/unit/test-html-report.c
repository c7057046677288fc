/*
 * test-html-report.c: the pages of `vmferry report`: what they say of tests/data/bench/, and that no file, however wrong, makes
 * anything but a page that is well-formed and shows no more than it should, or an error in words.
 */
#include "../lib/well-formed.h"
#include "html-bench.h"
#include "html-input.h"
#include "html-move.h"
#include "bench-runs.h"
#include "html-scale.h"
#include "html-timeline.h"
#include "util.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SAMPLE "tests/data/bench/sample.json"
#define MOVE   "tests/data/bench/move.json"

/* Checks that a page never contains unknown numbers as C or JSON write them, nor anything that runs or is fetched. */
static void assert_clean(const char *page)
{
	static const char *const never[] = {"nan",     "=\"inf", "=\"-inf", ">inf",	   ">-inf", "null",    "<script", "<img",
					    "<iframe", "<link",	 "src=",    "javascript:", "url(",  "@import", " onload", " onerror"};
	const char *bad = malformed_at(page);
	size_t i;

	if (bad)
		fail_msg("not well-formed at: %.80s", bad);
	for (i = 0; i < ARRAY_LEN(never); i++)
		if (strstr(page, never[i]))
			fail_msg("it says %s: %.60s", never[i], strstr(page, never[i]) - MIN(20, strstr(page, never[i]) - page));
}

/* ---- rendering ---- */

static bool only_medians;

/* The page, malloc'ed; NULL and the error when there is none. */
static char *render_value(const json_t *root, bool is_move, struct err *e)
{
	char *page;
	size_t n;
	FILE *f = open_memstream(&page, &n);
	int r = is_move ? html_move_page(f, root, false, "in.json", e) : html_bench_page(f, root, only_medians, "in.json", e);

	fclose(f);
	if (!r)
		return page;
	free(page);
	return NULL;
}

static char *render_text(const char *text, size_t n, struct err *e)
{
	struct input in;
	char *page;

	if (input_parse(&in, text, n, e))
		return NULL;
	page = render_value(in.root, in.is_move, e);
	input_fini(&in);
	return page;
}

static char *render_file(const char *path)
{
	struct input in;
	struct err e;
	char *page;

	if (input_read(&in, path, &e))
		fail_msg("%s", e.msg);
	page = render_value(in.root, in.is_move, &e);
	if (!page)
		fail_msg("%s: %s", path, e.msg);
	input_fini(&in);
	return page;
}

static char *read_text(const char *path, size_t *n)
{
	FILE *f = fopen(path, "r");
	char *text = xmalloc(1 << 20);

	assert_non_null(f);
	*n = fread(text, 1, 1 << 20, f);
	assert_in_range(*n, 1, (1 << 20) - 1);
	fclose(f);
	return text;
}

static void assert_says(const char *page, const char *what)
{
	if (!strstr(page, what))
		fail_msg("the page does not say: %s", what);
}

static size_t occurrences(const char *page, const char *what)
{
	size_t n = 0;

	for (; (page = strstr(page, what)); page++)
		n++;
	return n;
}

/* A run with moves of one cell: "TOOL OUTCOME TOTAL_MS DOWNTIME_MS"; a '*' before it: a warm-up. */
static json_t *run_of(const char *const *moves, size_t count)
{
	json_t *list = json_array(), *m;
	size_t i;

	for (i = 0; i < count; i++) {
		char tool[64], outcome[16];
		double total, down;

		assert_int_equal(sscanf(moves[i] + (*moves[i] == '*'), "%63s %15s %lf %lf", tool, outcome, &total, &down), 4);
		m = json_pack("{s:i,s:i,s:b,s:s,s:i,s:s,s:s,s:s,s:f,s:f,s:{s:f},s:i}", "number", (int)i + 1, "round", 1, "warmup",
			      *moves[i] == '*', "link", "1gbit", "mem_mib", 512, "workload", "busy", "tool", tool, "outcome", outcome,
			      "total_ms", total, "copy_ms", total - 100, "downtime_ms", "guest", down, "bytes_wire", 1 << 30);
		json_array_append_new(list, m);
	}
	return json_pack("{s:i,s:o}", "schema", 1, "moves", list);
}

static char *page_of(const char *const *moves, size_t count)
{
	json_t *root = run_of(moves, count);
	struct err e;
	char *page = render_value(root, false, &e);

	if (!page)
		fail_msg("%s", e.msg);
	assert_clean(page);
	json_decref(root);
	return page;
}

/* ---- what it says ---- */

static void the_sample_s_page_is_well_formed_and_says_what_was_measured(void **state)
{
	char *page = render_file(SAMPLE);

	(void)state;
	assert_clean(page);
	assert_says(page, "Of 24 moves 6 were to warm up: no figures are made of them. Of the others <strong>16 went well</strong>");
	assert_says(page, ">1 failed</strong>");
	assert_says(page, ">1 did damage</strong>");
	assert_says(page, "1gbit, 512 MiB, light");
	assert_says(page, "100mbit, 512 MiB, light");
	assert_says(page, "by single, multifd+zstd and vmferry");
	assert_says(page, "channel 1 has &lt;closed&gt; &amp; &quot;gone&quot;");
	assert_says(page, "2 of 4096 blocks are not what the witness wrote");
	assert_says(page, "AMD EPYC 7B13");
	assert_null(strstr(page, "The run is not complete"));
	assert_int_equal(occurrences(page, "<figure class=\"timeline\">"), 18 + 6); /* every counted move, and each tool around it */
	free(page);
}

static void medians_are_of_the_moves_that_went_well_without_warm_ups(void **state)
{
	static const char *const moves[] = {"*single ok 1 1",	  "single ok 5000 100",	      "single ok 4000 300",
					    "single ok 9000 200", "single failed 77000 7777", "single damaged 88000 8888"};
	char *page = page_of(moves, ARRAY_LEN(moves));

	(void)state;
	assert_says(page, "<th scope=\"row\">single</th><td>3 ok<br/><span class=\"bad\">1 failed</span><br/>"
			  "<span class=\"bad\">1 damaged</span></td><td class=\"n\">5<small>4 – 9<br/>p90 8.20<br/>p99 8.92</small></td>"
			  "<td class=\"n\">4.90<small>3.90 – 8.90</small></td>"
			  "<td class=\"n\">200<small>100 – 300<br/>p90 280<br/>p99 298</small></td>");
	free(page);
}

static void a_warm_up_that_did_damage_is_no_secret(void **state)
{
	static const char *const moves[] = {"*single damaged 1 1", "*single ok 1 1", "single ok 5000 100"};
	char *page = page_of(moves, ARRAY_LEN(moves));

	(void)state;
	assert_says(page, "Of 3 moves 2 were to warm up");
	assert_says(page, "<strong>1 went well</strong>");
	assert_says(page, ">1 did damage</strong>");
	assert_says(page, "<td>1 ok<br/><span class=\"bad\">1 damaged</span></td>");
	assert_says(page, "In no figure, as they did not go well");
	free(page);
}

static void the_median_of_two_moves_is_between_them(void **state)
{
	static const char *const moves[] = {"single ok 5000 100", "single ok 4000 300"};
	char *page = page_of(moves, ARRAY_LEN(moves));

	(void)state;
	assert_says(page, "<td class=\"n\">4.50<small>4 – 5<br/>p90 4.90<br/>p99 4.99</small></td>");
	free(page);
}

static void ratios_are_to_the_best_native_tool_of_each_figure(void **state)
{
	static const char *const moves[] = {"single ok 8000 100", "multifd ok 4000 400", "vmferry ok 2000 50", "vmferry+tls ok 5000 200"};
	char *page = page_of(moves, ARRAY_LEN(moves));

	(void)state;
	assert_says(page, "0.50×<small>2 s : 4 s<br/>multifd</small>");
	assert_says(page, "0.50×<small>50 ms : 100 ms<br/>single</small>");
	assert_says(page, "1.25×<small>5 s : 4 s<br/>multifd</small>");
	assert_says(page, "total time <strong>0.50× to 1.25×</strong>");
	assert_says(page, "vmferry+<wbr/>tls");
	free(page);
}

/* Runs that differ in delay, loss or the memory's content are not compared. */
static void what_was_measured_otherwise_is_another_cell(void **state)
{
	static const char *const moves[] = {"single ok 4000 100", "vmferry ok 2000 50", "vmferry ok 1000 50", "vmferry ok 500 50"};
	json_t *root = run_of(moves, ARRAY_LEN(moves));
	struct err e;
	char *page;

	(void)state;
	json_object_set_new(json_array_get(json_object_get(root, "moves"), 1), "delay_ms", json_real(20));
	json_object_set_new(json_array_get(json_object_get(root, "moves"), 2), "loss_percent", json_real(0.5));
	json_object_set_new(json_array_get(json_object_get(root, "moves"), 3), "cached_percent", json_integer(80));
	page = render_value(root, false, &e);
	assert_non_null(page);
	assert_clean(page);
	assert_says(page, "There is nothing to compare vmferry with");
	assert_says(page, "<h2>1gbit, 512 MiB, busy</h2>");
	assert_says(page, "<h2>1gbit, 20 ms of delay, 512 MiB, busy</h2>");
	assert_says(page, "<h2>1gbit, 0.500 % lost, 512 MiB, busy</h2>");
	assert_says(page, "<h2>1gbit, 512 MiB, busy, 80 % cached</h2>");
	json_decref(root);
	free(page);
}

static void a_tool_without_a_good_move_has_dashes_and_no_ratio(void **state)
{
	static const char *const moves[] = {"single failed 8000 100", "vmferry ok 2000 50"};
	char *page = page_of(moves, ARRAY_LEN(moves));

	(void)state;
	assert_says(page, "There is nothing to compare vmferry with");
	assert_says(page, "no move went well");
	assert_says(page, "<span class=\"bad\">1 failed</span></td><td class=\"n\">–</td>");
	free(page);
}

static void a_run_that_goes_on_says_so(void **state)
{
	char *page = page_of(NULL, 0);

	(void)state;
	assert_says(page, "The run is not complete");
	free(page);
}

static void the_events_of_a_move_make_its_page(void **state)
{
	char *page = render_file(MOVE);

	(void)state;
	assert_clean(page);
	assert_says(page, "Guest vm1 (256 MiB of memory, 1 disk) was moved to root@host-b in <strong>5.36 s</strong>");
	assert_says(page, "stood still for <strong>51.8 ms</strong> (231 ms were expected)");
	assert_says(page, "found every digest equal");
	assert_says(page, "memory is copied while the disk&#39;s last blocks are written");
	assert_says(page, "notice 1");
	assert_int_equal(occurrences(page, "<figure"), 2);
	assert_says(page, ">done</text>");
	assert_says(page, "disk a.raw</th>");
	assert_null(strstr(page, "disk #block"));
	assert_null(strstr(page, "node: #block"));
	assert_says(page, ", virtual size: ");
	assert_null(strstr(page, "flatten: no")); /* this format has no such property */
	assert_says(page, "<h2>What to do now</h2>");
	free(page);
}

static void page_says_when_it_was_and_from_where(void **state)
{
	static const char text[] =
		"{\"event\":\"plan\",\"guest\":\"a\",\"host\":\"host-<a>\",\"at\":1795834800}\n"
		"{\"event\":\"progress\",\"t_ms\":5.0,\"dirty_bps\":0.0,\"rate_bps\":1e6}\n"
		"{\"event\":\"progress\",\"t_ms\":10.0,\"dirty_bps\":0.0,\"rate_bps\":1e6}\n"
		"{\"event\":\"result\",\"outcome\":\"rolled-back\",\"guest_text\":\"running on the source\",\"reason\":\"x\","
		"\"host\":\"host-<a>\",\"at\":1795834860,\"total_ms\":12.5%s}\n";
	AUTO_FREE char *failed = xasprintf(text, ""), *reverted = xasprintf(text, ",\"reverted\":true,\"exit_code\":1");
	struct err e;
	AUTO_FREE char *of_failed = render_text(failed, strlen(failed), &e), *of_reverted = render_text(reverted, strlen(reverted), &e);

	(void)state;
	assert_clean(of_failed);
	assert_says(of_failed, "Begun 2026-11-28");
	assert_says(of_failed, "from host host-&lt;a&gt;");
	assert_says(of_failed, "not moved");
	assert_says(of_failed, ">failed</text>");
	assert_says(of_failed, "Read from QEMU");
	assert_null(strstr(of_failed, "The guest writes memory")); /* the guest was idle */
	assert_says(of_reverted, "and was had back, as asked. It is running on the source.");
	assert_says(of_reverted, ">had back</text>");
	assert_null(strstr(of_reverted, "not moved"));
}

static void a_move_that_failed_says_why_and_where_the_guest_is(void **state)
{
	static const char text[] =
		"{\"event\":\"result\",\"outcome\":\"rolled-back\",\"guest\":\"source\",\"guest_text\":\"running on the source\","
		"\"reason\":\"lost <the> destination\",\"leftovers\":[\"/srv/vm/a.raw\"],\"total_ms\":12.5}\n";
	struct err e;
	char *page = render_text(text, strlen(text), &e);

	(void)state;
	assert_non_null(page);
	assert_clean(page);
	assert_says(page, "not moved");
	assert_says(page, "lost &lt;the&gt; destination");
	assert_says(page, "running on the source");
	assert_says(page, "/srv/vm/a.raw");
	free(page);
}

static void disks_that_were_brought_are_no_failure(void **state)
{
	static const char text[] =
		"{\"event\":\"result\",\"outcome\":\"disks-copied\",\"guest\":\"source\",\"guest_text\":\"running on the source\","
		"\"leftovers\":[\"/srv/vm/a.raw.partial is kept\"],\"total_ms\":12.5}\n";
	struct err e;
	char *page = render_text(text, strlen(text), &e);

	(void)state;
	assert_non_null(page);
	assert_clean(page);
	assert_says(page, "stays: its disks were copied");
	assert_says(page, "Kept");
	assert_null(strstr(page, "not moved"));
	free(page);
}

#define PLAN		     "{\"event\":\"plan\",\"how\":\"%s\",\"guest\":\"vm1\",\"destination\":\"root@b\",\"ram_bytes\":%u,\"disks\":[{}]}\n"
#define RESULT(how, members) "{\"event\":\"result\",\"how\":\"" how "\"," members "}\n"
#define CARRIED		     "\"total_ms\":5000,\"bytes_wire\":1048576,\"transport\":\"in clear\",\"verified\":true"

/* Each kind of move, and each end of one, has its own words. */
static void each_outcome_is_told_as_what_it_is(void **state)
{
	static const struct {
		const char *plan, *result, *says, *says_not; /* plan: how; NULL: none, as with recover */
	} cases[] = {
		{"live",
		 RESULT("live",
			"\"outcome\":\"undecided\",\"guest_text\":\"undecided: it may run at the destination\",\"reason\":\"lost\""),
		 "Guest vm1 (256 MiB of memory, 1 disk) was to be moved to root@b, and <strong class=\"bad\">it is not known where it is</strong>",
		 "not moved"},
		{"cold", RESULT("cold", "\"outcome\":\"migrated\",\"downtime_ms\":{\"total\":0}," CARRIED),
		 "Guest vm1 (1 disk) was moved to root@b in <strong>5 s</strong>, where it is shut down, as it was", "stood still"},
		{"cold", RESULT("cold", "\"outcome\":\"migrated\",\"started_pid\":77," CARRIED),
		 "while it was shut down, and was started there (pid 77). <strong>1", "stood still"},
		{"cold", RESULT("cold", "\"outcome\":\"migrated\",\"started_pid\":77,\"ahead\":{\"passes\":1,\"ms\":8000}," CARRIED),
		 "in <strong>5 s</strong>, after its disks had gone ahead for <strong>8 s</strong> while it ran, while it was shut down",
		 "stood still"},
		{"cold", RESULT("cold", "\"outcome\":\"migrated\"," CARRIED), "found every digest equal before the guest was given up here",
		 "started"},
		{"warm",
		 RESULT("warm",
			"\"outcome\":\"migrated\",\"destination_pid\":7,\"shutdown_ms\":2000,\"downtime_ms\":{\"total\":50}," CARRIED),
		 "was shut down in <strong>2 s</strong>, and began to boot there after <strong>50 ms</strong>", "QEMU’s STOP"},
		{"warm",
		 RESULT("warm", "\"outcome\":\"migrated\",\"destination_pid\":7,\"shutdown_ms\":0,\"forced\":true,"
				"\"downtime_ms\":{\"total\":50}," CARRIED),
		 "was stopped as if the plug was pulled (--force), and began to boot there", "shut down in"},
		{"quick", RESULT("quick", "\"outcome\":\"migrated\",\"destination_pid\":7,\"downtime_ms\":{\"total\":900}," CARRIED),
		 "was moved to root@b in <strong>5 s</strong> and stood still for <strong>900 ms</strong>", "not moved"},
		{"live",
		 RESULT("live", "\"outcome\":\"migrated\",\"in_place\":true,\"destination_pid\":7,\"downtime_ms\":{\"total\":9}," CARRIED),
		 "was carried from one process to another, 205 KiB/s on average. The other QEMU found every digest equal", "over the wire"},
		{NULL, RESULT("live", "\"outcome\":\"migrated\",\"destination_pid\":0,\"total_ms\":0,\"bytes_wire\":0,\"verified\":false"),
		 "The guest runs at the destination. That was settled afterwards (vmferry recover)", "over the wire"},
		{NULL, RESULT("cold", "\"outcome\":\"migrated\",\"total_ms\":0,\"bytes_wire\":0,\"verified\":false"),
		 "The guest was moved to the destination, where it is shut down, as it was. That was settled afterwards", "verified.<"},
		{NULL, RESULT("live", "\"outcome\":\"rolled-back\",\"guest_text\":\"running on the source\""),
		 "The guest was <strong class=\"bad\">not moved</strong> to the destination: rolled-back. The guest is: running on the source.",
		 "reason"},
		{"disks", RESULT("disks", "\"outcome\":\"rolled-back\",\"guest_text\":\"running on the source\",\"reason\":\"full\""),
		 "its disks were <strong class=\"bad\">not copied</strong> to root@b: rolled-back. The reason: full.", "not moved"},
		{"storage",
		 RESULT("storage", "\"outcome\":\"moved\",\"guest_text\":\"the guest runs as before\",\"total_ms\":3000,\"held_ms\":40,"
				   "\"verified\":false,\"script\":\"/srv/vm1.sh\""),
		 "has its new disks after <strong>3 s</strong>: the guest runs as before. Requests to these disks waited for <strong>40 ms</strong>",
		 "was moved"},
		{"storage-cold", RESULT("storage-cold", "\"outcome\":\"moved\",\"verified\":true,\"script_unknown\":\"no unit\""),
		 "is the old one, bit for bit. <strong class=\"bad\">What starts the guest again is not known</strong>", "QEMU’s word"},
		{NULL, RESULT("storage", "\"outcome\":\"failed\",\"guest\":\"vm2\",\"guest_text\":\"x\",\"reason\":\"full\""),
		 "Guest vm2 <strong class=\"bad\">keeps its disks</strong> where they were: failed. The reason: full.", "not moved"},
		{"storage", RESULT("storage", "\"outcome\":\"undecided\",\"guest_text\":\"undecided\""),
		 "it is not known which disks it has</strong>", "keeps its disks"},
		{"storage", RESULT("storage", "\"outcome\":\"failed\",\"mixed\":true"),
		 "some of its disks</strong> are at their new places", "keeps its disks"},
		{"storage", "", "this is what copying its disks would do", "being"},
		{"storage", "{\"event\":\"stage\",\"stage\":\"prepare\"}\n", "its disks are being copied, or that was cut off", "would do"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		bool runs = cases[i].plan && strcmp(cases[i].plan, "cold") && strncmp(cases[i].plan, "storage", 7);
		AUTO_FREE char *plan = cases[i].plan ? xasprintf(PLAN, cases[i].plan, runs ? 256u << 20 : 0u) : xstrdup("");
		AUTO_FREE char *text = xasprintf("%s%s", plan, cases[i].result);
		struct err e;
		AUTO_FREE char *page = render_text(text, strlen(text), &e);
		char *end;

		assert_non_null(page);
		assert_clean(page);
		assert_says(page, cases[i].says);
		end = strstr(page, "<h2>Details</h2>");
		assert_non_null(end);
		*end = '\0';
		if (strstr(page, cases[i].says_not))
			fail_msg("case %zu says: %s", i, cases[i].says_not);
	}
}

static void results_of_several_moves_are_no_page(void **state)
{
	static const char text[] = RESULT("live", "\"outcome\":\"migrated\"") RESULT("live", "\"outcome\":\"rolled-back\"");
	struct err e;

	(void)state;
	assert_null(render_text(text, strlen(text), &e));
	assert_non_null(strstr(e.msg, "results of 2 moves"));
}

static void events_of_an_older_version_have_times_all_the_same(void **state)
{
	static const char text[] = "{\"event\":\"progress\",\"rate_bps\":1e6,\"second\":true}\n"
				   "{\"event\":\"progress\",\"rate_bps\":2e6,\"second\":true}\n"
				   "{\"event\":\"progress\",\"rate_bps\":3e6,\"second\":true}\n";
	struct err e;
	char *page = render_text(text, strlen(text), &e);

	(void)state;
	assert_non_null(page);
	assert_clean(page);
	assert_says(page, "these events have no result");
	assert_says(page, "<figure class=\"timeline\">");
	free(page);
}

static void what_follow_prints_is_a_move_too(void **state)
{
	static const char status[] = "{\"guest\":\"vm1\",\"pid\":7,\"stage\":\"copy\"}\n";
	struct err e;
	size_t n;
	char *text = read_text(MOVE, &n), *all = xasprintf("%s%.*s", status, (int)n, text), *page = render_text(all, strlen(all), &e);

	(void)state;
	assert_non_null(page);
	assert_says(page, "was moved to root@host-b");
	free(page);
	free(all);
	free(text);
}

/* ---- hostile input ---- */

static void replace_strings(json_t *v, const char *with)
{
	const char *key;
	json_t *member;
	size_t i;

	if (json_is_string(v))
		json_string_set(v, with);
	json_array_foreach(v, i, member)
		replace_strings(member, with);
	json_object_foreach(v, key, member)
		if (strcmp(key, "outcome") && strcmp(key, "event"))
			replace_strings(member, with);
}

static void strings_from_the_file_are_text_and_nothing_else(void **state)
{
	static const char *const evil[] = {"<script>alert(\"1\")</script>",
					   "\"'/><img src=x onerror=alert(1)>",
					   "]]>&amp;&#x3c;b&#x3e;</style>",
					   "vmferry</title></text></svg>",
					   "\x01\x1b[2J\x7f\xc2\x85\xe2\x80\xae\xef\xbf\xbf",
					   "",
					   "+",
					   "vmferry+<b>+\xf0\x9f\x90\xb3"};
	static const char *const files[] = {SAMPLE, MOVE};
	size_t i, k;

	(void)state;
	for (i = 0; i < ARRAY_LEN(evil) * ARRAY_LEN(files); i++) {
		struct input in;
		struct err e;
		char *page;

		k = i / ARRAY_LEN(evil);
		assert_int_equal(input_read(&in, files[k], &e), 0);
		replace_strings(in.root, evil[i % ARRAY_LEN(evil)]);
		page = render_value(in.root, in.is_move, &e);
		assert_non_null(page);
		if (malformed_at(page))
			fail_msg("%s: not well-formed at: %.80s", evil[i % ARRAY_LEN(evil)], malformed_at(page));
		assert_null(strstr(page, "<script"));
		assert_null(strstr(page, "<img"));
		assert_null(strstr(page, "<b>"));
		assert_int_equal(occurrences(page, "</style>"), 1);
		free(page);
		input_fini(&in);
	}
}

static void a_string_without_end_is_cut(void **state)
{
	char *name = xcalloc(1, 5000001);
	const char *moves[] = {"single ok 1000 100"};
	json_t *root = run_of(moves, 1);
	struct err e;
	char *page;

	(void)state;
	memset(name, 'x', 5000000);
	replace_strings(root, name);
	page = render_value(root, false, &e);
	assert_non_null(page);
	assert_clean(page);
	assert_true(strlen(page) < 100000);
	free(page);
	free(name);
	json_decref(root);
}

static json_t *wrong_value(size_t i)
{
	switch (i) {
	case 0:
		return json_null();
	case 1:
		return json_true();
	case 2:
		return json_integer(-1);
	case 3:
		return json_real(1e300);
	case 4:
		return json_integer(INT64_MAX);
	case 5:
		return json_string("<&>");
	case 6:
		return json_pack("[[],[{}],-5,n,s]", "x");
	case 7:
		return json_pack("{s:{s:[]},s:n}", "a", "b", "c");
	case 8:
		return json_real(1e-320);
	}
	return NULL;
}

struct visit {
	const json_t *root;
	bool is_move;
	size_t pages;
};

static void render_it(struct visit *v)
{
	struct err e = {0};
	char *page = render_value(v->root, v->is_move, &e);

	if (page)
		assert_clean(page);
	else
		assert_true(e.code && *e.msg);
	v->pages++;
	free(page);
}

/* Each member of it and below in turn becomes each wrong value, or is gone. Arrays: their first element only. */
static void spoil(struct visit *v, json_t *at)
{
	const char *key;
	json_t *member, *wrong;
	void *next;
	size_t i;

	json_object_foreach_safe(at, next, key, member)
	{
		json_incref(member);
		spoil(v, member);
		for (i = 0; (wrong = wrong_value(i)); i++) {
			json_object_set_new(at, key, wrong);
			render_it(v);
		}
		json_object_set_new(at, key, member);
	}
	if (!json_array_size(at))
		return;
	member = json_incref(json_array_get(at, 0));
	spoil(v, member);
	for (i = 0; (wrong = wrong_value(i)); i++) {
		json_array_set_new(at, 0, wrong);
		render_it(v);
	}
	json_array_set_new(at, 0, member);
}

static void any_member_of_any_wrong_type_does_no_harm(void **state)
{
	struct input in;
	struct err e;
	json_t *moves;
	struct visit v;

	(void)state;
	assert_int_equal(input_read(&in, SAMPLE, &e), 0);
	moves = json_object_get(in.root, "moves");
	while (json_array_size(moves) > 8) /* the rest has every tool; the first move is to be vmferry's */
		json_array_remove(moves, json_array_size(moves) - 1);
	while (strcmp(json_string_value(json_object_get(json_array_get(moves, 0), "tool")), "vmferry") ||
	       json_is_true(json_object_get(json_array_get(moves, 0), "warmup")))
		json_array_remove(moves, 0);
	v = (struct visit){.root = in.root};
	spoil(&v, in.root);
	assert_true(v.pages > 600);
	input_fini(&in);
}

static void any_wrong_event_does_no_harm(void **state)
{
	struct input in;
	struct err e;
	struct visit v;
	size_t i;

	(void)state;
	assert_int_equal(input_read(&in, MOVE, &e), 0);
	assert_true(in.is_move);
	v = (struct visit){.root = in.root, .is_move = true};
	for (i = 0; i < json_array_size(in.root); i++)
		spoil(&v, json_array_get(in.root, i));
	assert_true(v.pages > 500);
	input_fini(&in);
}

static void a_run_that_was_cut_off_anywhere_is_an_error_in_words(void **state)
{
	struct err e;
	size_t n, i;
	char *text = read_text(SAMPLE, &n);

	(void)state;
	while (text[n - 1] == '\n')
		n--;
	for (i = 0; i < n; i += i < 600 ? 1 : 499) {
		e = (struct err){0};
		if (render_text(text, i, &e))
			fail_msg("the first %zu bytes make a page", i);
		assert_true(e.code == EINVAL && *e.msg);
	}
	assert_non_null(strstr(e.msg, "line "));
	assert_non_null(strstr(e.msg, "cut off"));
	free(text);
}

static void events_that_were_cut_off_are_shown_as_far_as_they_go(void **state)
{
	struct input in;
	struct err e;
	size_t n;
	char *text = read_text(MOVE, &n);

	(void)state;
	assert_int_equal(input_parse(&in, text, n - 20, &e), 0);
	assert_true(in.is_move && in.is_cut);
	input_fini(&in);
	text[n / 2] = '\n'; /* in the middle that is no accident of a move that ended */
	assert_int_equal(input_parse(&in, text, n, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "line "));
	free(text);
}

static void what_is_neither_is_refused_with_what_is_expected(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{"", "empty"},
		{" \n", "neither"},
		{"42", "neither"},
		{"[]", "neither"},
		{"{}", "neither"},
		{"{\"schema\":1}", "neither"},
		{"{\"schema\":1,\"moves\":{}}", "neither"},
		{"{\"schema\":2,\"moves\":[]}", "schema 2"},
		{"{\"schema\":1,\"moves\":[NaN]}", "not JSON"},
		{"{\"schema\":1,\"moves\":[1e999]}", "not JSON"},
		{"{\"schema\":1,\"moves\":[\"\\u0000\"]}", "not JSON"},
		{"\xff\xfe", "not JSON"},
		{"{\"event\":\"notice\",\"text\":\"x\"}", "neither a plan"},
	};
	struct err e;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		if (render_text(cases[i].text, strlen(cases[i].text), &e))
			fail_msg("%s makes a page", cases[i].text);
		if (!strstr(e.msg, cases[i].says) && strcmp(cases[i].text, " \n"))
			fail_msg("%s: %s", cases[i].text, e.msg);
	}
}

static char *repeated(const char *begin, const char *what, size_t count, const char *end, size_t *n)
{
	size_t k = strlen(what), i;
	char *text = xmalloc(strlen(begin) + k * count + strlen(end) + 1), *p = stpcpy(text, begin);

	for (i = 0; i < count; i++)
		p = mempcpy(p, what, k);
	p = stpcpy(p, end);
	*n = (size_t)(p - text);
	return text;
}

static void absurd_sizes_are_refused_before_they_are_parsed(void **state)
{
	static const struct {
		const char *begin, *what, *end;
		size_t count;
		int code;
	} cases[] = {
		{"{\"schema\":1,\"moves\":[", "1,", "1]}", INPUT_VALUES_MAX + 1, -E2BIG},
		{"{\"schema\":1,\"moves\":[", "{}\n", "1]}", INPUT_CONTAINERS_MAX + 1, -E2BIG},
		{"", "[", "", 1000000, -EINVAL}, /* deeper than jansson goes */
	};
	struct input in;
	struct err e;
	size_t i, n;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		char *text = repeated(cases[i].begin, cases[i].what, cases[i].count, cases[i].end, &n);

		assert_int_equal(input_parse(&in, text, n, &e), cases[i].code);
		free(text);
	}
}

static void a_series_of_a_million_steps_makes_a_small_page(void **state)
{
	static const char begin[] =
		"{\"schema\":1,\"moves\":[{\"tool\":\"vmferry\",\"outcome\":\"ok\",\"total_ms\":1000,\"series\":{\"wire_bps\":[",
			  end[] = "1],\"round\":[1,2,3,\"x\",null,1],\"codec\":7,\"beats\":{}}}]}";
	struct err e;
	size_t n;
	char *text = repeated(begin, "7,1e18,", 500000, end, &n), *page = render_text(text, n, &e);

	(void)state;
	assert_non_null(page);
	assert_clean(page);
	assert_true(strlen(page) < 60000);
	free(page);
	free(text);
}

static void what_did_not_go_well_has_a_timeline_beside_the_medians(void **state)
{
	char *page;

	(void)state;
	only_medians = true;
	page = render_file(SAMPLE);
	only_medians = false;
	assert_clean(page);
	assert_int_equal(occurrences(page, "<figure class=\"timeline\">"),
			 6 + 2 + 6); /* each tool's median, and around it; failed, damaged */
	free(page);
}

static void only_so_many_timelines_are_drawn(void **state)
{
	static const char begin[] = "{\"schema\":1,\"moves\":[",
			  move[] = "{\"tool\":\"vmferry\",\"outcome\":\"ok\",\"total_ms\":1000,\"series\":{\"wire_bps\":[1,2,3]}},";
	struct err e;
	size_t n;
	char *text = repeated(begin, move, 3000, "7]}", &n), *page = render_text(text, n, &e);

	(void)state;
	assert_non_null(page);
	assert_clean(page);
	assert_int_equal(occurrences(page, "<figure class=\"timeline\">"), 1000);
	assert_says(page, "There are more moves than this page shows timelines of");
	assert_says(page, "<strong>3000 went well</strong>");
	free(page);
	free(text);
}

static void more_cells_or_tools_than_a_page_can_show_are_refused(void **state)
{
	json_t *root = run_of(NULL, 0), *moves = json_object_get(root, "moves");
	struct err e;
	int i;

	(void)state;
	for (i = 0; i <= RUNS_CELLS_MAX; i++)
		json_array_append_new(moves, json_pack("{s:s,s:i}", "tool", "vmferry", "mem_mib", i));
	assert_null(render_value(root, false, &e));
	assert_int_equal(e.code, E2BIG);
	json_array_clear(moves);
	for (i = 0; i <= RUNS_TOOLS_MAX; i++)
		json_array_append_new(moves, json_pack("{s:o}", "tool", json_sprintf("vmferry+%d", i)));
	assert_null(render_value(root, false, &e));
	assert_int_equal(e.code, E2BIG);
	json_decref(root);
}

/* ---- the parts ---- */

static void ticks_are_1_2_5_and_the_axis_holds_the_greatest(void **state)
{
	static const double factors[] = {1, 1.3, 2, 2.7, 3.3, 4.9, 5, 6.6, 7.1, 9.99};
	static const enum quantity quantities[] = {Q_MS, Q_BYTES, Q_BYTES_PER_S, Q_PLAIN};
	size_t i, k;
	double v;

	(void)state;
	for (k = 0; k < ARRAY_LEN(quantities); k++)
		for (v = 1e-3, i = 0; v < 1e17; v *= 10, i++) {
			struct scale s = scale_for(quantities[k], v * factors[i % ARRAY_LEN(factors)], 6, true);
			double step = s.step / s.unit, lead = step / pow(10, floor(log10(step) + 1e-9));

			assert_true(fabs(lead - 1) < 1e-6 || fabs(lead - 2) < 1e-6 || fabs(lead - 5) < 1e-6 || fabs(lead - 10) < 1e-6);
			assert_true(s.max >= v * factors[i % ARRAY_LEN(factors)] * 0.999);
			assert_true(s.max / s.step < 8.5);
		}
	assert_true(scale_for(Q_BYTES, NAN, 6, true).step > 0);
	assert_true(scale_for(Q_MS, 0, 6, true).step > 0);
}

static void numbers_are_written_for_people(void **state)
{
	char buf[SHOW_MAX];

	(void)state;
	assert_string_equal(show_number(buf, 0.12345), "0.123");
	assert_string_equal(show_number(buf, 9.996), "10.0");
	assert_string_equal(show_number(buf, 99.96), "100");
	assert_string_equal(show_number(buf, 7), "7");
	assert_string_equal(show_number(buf, NAN), DASH);
	assert_string_equal(show_ms(buf, 41.23), "41.2 ms");
	assert_string_equal(show_ms(buf, 8123), "8.12 s");
	assert_string_equal(show_ms(buf, 125e3), "2 min 05 s");
	assert_string_equal(show_bytes(buf, NAN), DASH);
	assert_string_equal(show_date(buf, 0), "1970-01-01 00:00:00 UTC");
	assert_string_equal(show_date(buf, 1e18), DASH);
}

static void thinning_a_long_series_keeps_its_one_gap(void **state)
{
	struct timeline t = {.width = TIMELINE_WIDE, .to = 100000, .axis = "time", .shade_from = NAN};
	struct series *s = panel_series(timeline_panel(&t, "beats", Q_PLAIN), NULL, false);
	char *text, *line;
	size_t n, i;
	FILE *f = open_memstream(&text, &n);

	(void)state;
	for (i = 0; i < 100000; i++)
		series_add(s, (double)i, i == 54321 ? 0 : 10);
	timeline_write(f, &t, "long");
	fclose(f);
	line = strstr(text, "class=\"line");
	assert_non_null(line);
	*strchr(line, '>') = '\0';
	assert_true(strlen(line) < 10000);
	assert_int_equal(occurrences(line, " 106.0"), 1 + 1); /* the axis' y: where the path begins, and the gap */
	free(text);
	timeline_fini(&t);
}

static struct input parsed(const char *text)
{
	struct input in;
	struct err e;

	if (input_parse(&in, text, strlen(text), &e))
		fail_msg("%s", e.msg);
	return in;
}

#define RUN(environment, plan, moves) "{\"schema\":1,\"environment\":{" environment "},\"plan\":{" plan "},\"moves\":[" moves "]}"
#define ONE_MOVE                                                                                                                           \
	"{\"number\":1,\"link\":\"1gbit\",\"workload\":\"idle\",\"mem_mib\":64,\"tool\":\"vmferry\",\"outcome\":\"ok\",\"total_ms\":1.0}"

static void several_runs_of_one_machine_make_one_page(void **state)
{
	struct input in = parsed(RUN("\"cpu\":\"x\"", "\"content\":\"living\",\"repeat\":7,\"tools\":[\"vmferry\"]", ONE_MOVE));
	struct input more = parsed(RUN("\"cpu\":\"x\"", "\"repeat\":3,\"tools\":[\"vmferry\",\"multifd\"]", ONE_MOVE "," ONE_MOVE));
	struct input other = parsed(RUN("\"cpu\":\"y\"", "", ONE_MOVE));
	struct input move = parsed("{\"event\":\"plan\"}");
	struct runs r;
	struct err e;

	(void)state;
	assert_int_equal(input_join(&in, &other, &e), -ESTALE);
	assert_int_equal(input_join(&in, &move, &e), -EINVAL);
	assert_int_equal(input_join(&move, &in, &e), -EINVAL);
	assert_int_equal(input_join(&in, &more, &e), 0);
	input_fini(&more);
	input_fini(&other);
	input_fini(&move);
	assert_int_equal(runs_init(&r, in.root, &e), 0);
	assert_int_equal(r.cell_count, 2); /* the cells differ in contents */
	assert_string_equal(value_text(r.cells[0].first, "content"), "living");
	assert_string_equal(value_text(r.cells[1].first, "content"), "noise");
	assert_int_equal(r.cells[1].tools[0].good_count, 2);
	assert_int_equal(json_array_size(json_object_get(r.plan, "tools")), 2);
	assert_int_equal(json_integer_value(json_object_get(r.plan, "repeat")), 3);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(json_object_get(in.root, "moves"), 2), "number")), 3);
	runs_fini(&r);
	input_fini(&in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(several_runs_of_one_machine_make_one_page),
		cmocka_unit_test(the_sample_s_page_is_well_formed_and_says_what_was_measured),
		cmocka_unit_test(medians_are_of_the_moves_that_went_well_without_warm_ups),
		cmocka_unit_test(a_warm_up_that_did_damage_is_no_secret),
		cmocka_unit_test(the_median_of_two_moves_is_between_them),
		cmocka_unit_test(ratios_are_to_the_best_native_tool_of_each_figure),
		cmocka_unit_test(what_was_measured_otherwise_is_another_cell),
		cmocka_unit_test(a_tool_without_a_good_move_has_dashes_and_no_ratio),
		cmocka_unit_test(a_run_that_goes_on_says_so),
		cmocka_unit_test(the_events_of_a_move_make_its_page),
		cmocka_unit_test(page_says_when_it_was_and_from_where),
		cmocka_unit_test(a_move_that_failed_says_why_and_where_the_guest_is),
		cmocka_unit_test(disks_that_were_brought_are_no_failure),
		cmocka_unit_test(each_outcome_is_told_as_what_it_is),
		cmocka_unit_test(results_of_several_moves_are_no_page),
		cmocka_unit_test(events_of_an_older_version_have_times_all_the_same),
		cmocka_unit_test(what_follow_prints_is_a_move_too),
		cmocka_unit_test(strings_from_the_file_are_text_and_nothing_else),
		cmocka_unit_test(a_string_without_end_is_cut),
		cmocka_unit_test(any_member_of_any_wrong_type_does_no_harm),
		cmocka_unit_test(any_wrong_event_does_no_harm),
		cmocka_unit_test(a_run_that_was_cut_off_anywhere_is_an_error_in_words),
		cmocka_unit_test(events_that_were_cut_off_are_shown_as_far_as_they_go),
		cmocka_unit_test(what_is_neither_is_refused_with_what_is_expected),
		cmocka_unit_test(absurd_sizes_are_refused_before_they_are_parsed),
		cmocka_unit_test(a_series_of_a_million_steps_makes_a_small_page),
		cmocka_unit_test(what_did_not_go_well_has_a_timeline_beside_the_medians),
		cmocka_unit_test(only_so_many_timelines_are_drawn),
		cmocka_unit_test(more_cells_or_tools_than_a_page_can_show_are_refused),
		cmocka_unit_test(ticks_are_1_2_5_and_the_axis_holds_the_greatest),
		cmocka_unit_test(numbers_are_written_for_people),
		cmocka_unit_test(thinning_a_long_series_keeps_its_one_gap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
