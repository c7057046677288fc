/* test-fleet.c: which guest goes to which host, by what rules, which is next, and what a fleet's exit code is. */
#include "exit-code.h"
#include "fleet.h"
#include "place.h"
#include "util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define GUESTS 3
#define HOSTS  3
#define NONE   HOSTS

static struct place_guest guests[GUESTS];
static struct place_host hosts[HOSTS];
static struct place_offer offers[GUESTS * HOSTS];
static struct fleet_rules rules;
static struct place place;
static size_t ranks[GUESTS * HOSTS];
static struct place_rating ratings[GUESTS * HOSTS];
static struct err e;

static struct place_offer *offer(size_t guest, size_t host)
{
	return &offers[guest * HOSTS + host];
}

/* Three guests of 4 GiB; three hosts of 16 GiB and eight processors, of which a has 8 GiB free, b 10 and c 12. */
static int setup(void **state)
{
	static const char *const guest_names[] = {"db1", "db2", "app"}, *const host_names[] = {"a", "b", "c"};
	size_t i;

	(void)state;
	memset(offers, 0, sizeof(offers));
	memset(ratings, 0, sizeof(ratings));
	for (i = 0; i < GUESTS; i++)
		guests[i] = (struct place_guest){.name = guest_names[i], .memory = 4 * GIB, .processors = 0.1};
	for (i = 0; i < HOSTS; i++)
		hosts[i] = (struct place_host){.name = host_names[i],
					       .memory_total = 16 * GIB,
					       .memory_free = (8 + 2 * i) * GIB,
					       .processors = 8,
					       .load = 0.5};
	for (i = 0; i < GUESTS * HOSTS; i++)
		offers[i] = (struct place_offer){.possible = true, .total_s = 10};
	place = (struct place){.guests = guests,
			       .hosts = hosts,
			       .offers = offers,
			       .guest_count = GUESTS,
			       .host_count = HOSTS,
			       .rules = &rules};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	place_free_ratings(ratings, GUESTS * HOSTS);
	rules_fini(&rules);
	return 0;
}

static void rule(const char *text)
{
	AUTO_FREE char *copy = xstrdup(text);

	assert_int_equal(rules_parse(&rules, copy, "rules", &e), 0);
}

static size_t goes_to(size_t guest)
{
	return ranks[guest * HOSTS];
}

static const struct place_rating *rating(size_t guest, size_t host)
{
	return &ratings[guest * HOSTS + host];
}

static void test_the_least_share_is_the_rating(void **state)
{
	struct place_rating r = place_rate(&place, 0, 0);

	(void)state;
	assert_true(r.possible);
	assert_string_equal(r.words, "memory 25 %"); /* 8 - 4 of 16 GiB */
	assert_int_equal(r.stars, 2);
	free(r.words);
	hosts[0].load = 7.5;
	r = place_rate(&place, 0, 0);
	assert_string_equal(r.words, "processors 5 %");
	assert_int_equal(r.stars, 1);
	free(r.words);
	offer(0, 0)->volumes[0] = (struct place_volume){.dir = (char *)(uintptr_t) "/srv", .free = 30, .total = 1000, .need = 10};
	offer(0, 0)->volume_count = 1;
	r = place_rate(&place, 0, 0);
	assert_string_equal(r.words, "room in /srv 2 %");
	free(r.words);
	hosts[0].load = 80; /* more than there are is no reason to refuse */
	r = place_rate(&place, 0, 0);
	assert_true(r.possible && r.left == 0);
	free(r.words);
}

static void test_most_left_is_best(void **state)
{
	(void)state;
	place_all(&place, ranks, ratings);
	assert_int_equal(goes_to(0), 2); /* c has 12 GiB, then 8 */
	assert_int_equal(goes_to(1), 1); /* b has 10 */
	assert_int_equal(goes_to(2), 0); /* a and c have 8 each; a was named first */
	assert_int_equal(ranks[1], 1);	 /* plus the next best host of the first guest */
	assert_int_equal(ranks[2], 0);
}

/* All processors are busy: then memory decides. */
static void test_the_next_share_decides_between_equals(void **state)
{
	(void)state;
	hosts[0].load = hosts[1].load = hosts[2].load = 99;
	place_all(&place, ranks, ratings);
	assert_string_equal(rating(0, 2)->words, "processors 0 %");
	assert_int_equal(goes_to(0), 2);
	assert_int_equal(goes_to(1), 1);
}

static void test_the_largest_is_placed_first(void **state)
{
	(void)state;
	guests[2].memory = 11 * GIB;
	place_all(&place, ranks, ratings);
	assert_int_equal(goes_to(2), 2);
	assert_int_equal(goes_to(0), 1);
	assert_int_equal(goes_to(1), 0);
}

static void test_what_is_taken_counts(void **state)
{
	(void)state;
	place.host_count = 1; /* a alone, of 8 GiB */
	offers[1] = offers[0];
	offers[2] = offers[0];
	place_all(&place, ranks, ratings);
	assert_int_equal(ranks[0], 0);
	assert_int_equal(ranks[1], 0);
	assert_int_equal(ranks[2], 1); /* no host */
	assert_string_equal(ratings[2].words, "the guest has 4.0 GiB of memory, and 0 B is left there");
	place.host_count = HOSTS;
}

static void test_memory_that_is_kept_is_not_given(void **state)
{
	(void)state;
	place.keep_memory = 5 * GIB;
	place_all(&place, ranks, ratings);
	assert_int_equal(goes_to(0), 2);
	assert_false(rating(0, 0)->possible);
	assert_string_equal(rating(0, 0)->words, "the guest has 4.0 GiB of memory, and 3.0 GiB is left there");
}

static void test_room_is_of_each_file_system(void **state)
{
	size_t g;

	(void)state;
	for (g = 0; g < GUESTS; g++) {
		offer(g, 2)->volumes[0] =
			(struct place_volume){.dir = (char *)(uintptr_t) "/srv", .free = 100 * GIB, .total = 100 * GIB, .need = 40 * GIB};
		offer(g, 2)->volume_count = 1;
		offer(g, 0)->possible = offer(g, 1)->possible = false;
	}
	hosts[2].memory_free = 16 * GIB;
	place_all(&place, ranks, ratings);
	assert_int_equal(goes_to(0), 2);
	assert_int_equal(goes_to(1), 2);
	assert_int_equal(goes_to(2), NONE);
	assert_string_equal(rating(2, 2)->words, "the guest's disks need 40.0 GiB in /srv, and 20.0 GiB is left there");
}

static void test_what_a_host_refuses_is_never_chosen(void **state)
{
	(void)state;
	offer(0, 2)->possible = false;
	offer(0, 2)->reason = "its CPU lacks avx512f";
	place_all(&place, ranks, ratings);
	assert_int_equal(goes_to(0), 1);
	assert_string_equal(rating(0, 2)->words, "its CPU lacks avx512f");
}

static void test_apart(void **state)
{
	(void)state;
	rule("apart db1 db2\n");
	hosts[0].memory_free = hosts[1].memory_free = 5 * GIB;
	hosts[2].memory_free = 16 * GIB;
	place_all(&place, ranks, ratings);
	assert_int_equal(goes_to(0), 2);
	assert_int_equal(goes_to(1), 0);
	assert_string_equal(rating(1, 2)->words, "db1 goes there, and a rule has them apart");
	assert_int_equal(goes_to(2), 2);
}

static void test_rules_hold_beside_who_went_before(void **state)
{
	static const struct place_settled settled[] = {{"db0", 2}, {"cache", 0}, {"db1", 2}};

	(void)state;
	rule("apart db1 db0\ntogether app cache\n");
	place.settled = settled;
	place.settled_count = ARRAY_LEN(settled);
	place_all(&place, ranks, ratings);
	assert_int_equal(goes_to(0), 1); /* itself it does not mind */
	assert_string_equal(rating(0, 2)->words, "db0 goes there, and a rule has them apart");
	assert_int_equal(goes_to(2), 0);
	assert_string_equal(rating(2, 1)->words, "cache goes elsewhere, and a rule has them together");
}

static void test_together(void **state)
{
	(void)state;
	rule("together db1 app\n");
	hosts[2].memory_free = 7 * GIB; /* room for one of them alone */
	hosts[1].memory_free = 9 * GIB;
	place_all(&place, ranks, ratings);
	assert_int_equal(goes_to(0), 1);
	assert_int_equal(goes_to(2), 1);
	assert_string_equal(rating(0, 2)->words, "app is to be with it, and cannot go there");
	assert_string_equal(rating(2, 0)->words, "db1 goes elsewhere, and a rule has them together");
}

/* A companion of a guest takes its room before a larger guest does. */
static void test_companions_are_placed_one_after_the_other(void **state)
{
	(void)state;
	rule("together db1 app\n");
	guests[0].memory = 6 * GIB;
	guests[1].memory = 5 * GIB;
	guests[2].memory = 4 * GIB;
	hosts[0].memory_free = 5 * GIB;
	hosts[1].memory_free = 1 * GIB;
	hosts[2].memory_free = 11 * GIB + GIB / 2; /* this host would have most left for the other guest, too */
	place_all(&place, ranks, ratings);
	assert_int_equal(goes_to(0), 2);
	assert_int_equal(goes_to(2), 2);
	assert_int_equal(goes_to(1), 0);
}

static void test_wishes(void **state)
{
	(void)state;
	offer(0, 0)->total_s = 1;
	place.wish = PLACE_FAST;
	place_all(&place, ranks, ratings);
	assert_int_equal(goes_to(0), 0);
	place_free_ratings(ratings, GUESTS * HOSTS);
	setup(NULL);
	place.wish = PLACE_FULL;
	hosts[0].memory_free = 5 * GIB; /* a sixteenth would be left: below a tenth */
	place_all(&place, ranks, ratings);
	assert_int_equal(goes_to(0), 1);
}

/* Checks any answers of hosts: a guest is never placed on a host that refuses, never takes more memory than is free less the reserve, and
 * rules are kept. */
static void test_any_hosts(void **state)
{
	uint32_t seed = 1;
	size_t round, g, h;

	(void)state;
	rule("apart db1 db2\ntogether db2 app\n");
	for (round = 0; round < 20000; round++) {
		uint64_t used[HOSTS] = {0}, was[HOSTS];

#define RANDOM(n) ((seed = seed * 1664525 + 1013904223) >> 16) % (n)
		place.keep_memory = RANDOM(3) * GIB;
		for (g = 0; g < GUESTS; g++)
			guests[g].memory = RANDOM(8) * GIB;
		for (h = 0; h < HOSTS; h++) {
			was[h] = RANDOM(17) * GIB;
			hosts[h] = (struct place_host){.name = "h", .memory_total = 16 * GIB, .memory_free = was[h], .processors = 4};
		}
		for (g = 0; g < GUESTS * HOSTS; g++)
			offers[g].possible = RANDOM(4) != 0;
		place_all(&place, ranks, ratings);
		for (g = 0; g < GUESTS; g++) {
			h = goes_to(g);
			if (h == NONE)
				continue;
			assert_true(offer(g, h)->possible && rating(g, h)->possible);
			used[h] += guests[g].memory;
		}
		for (h = 0; h < HOSTS; h++)
			assert_true(!used[h] || used[h] + place.keep_memory <= was[h]);
		assert_true(goes_to(0) == NONE || goes_to(0) != goes_to(1));
		assert_true(goes_to(1) == NONE || goes_to(2) == NONE || goes_to(1) == goes_to(2));
		place_free_ratings(ratings, GUESTS * HOSTS);
		memset(ratings, 0, sizeof(ratings));
	}
}

/* ---- rules as text ---- */

static void test_rules(void **state)
{
	char **list;
	size_t n;

	(void)state;
	rule("# of this rack\ngroup rack root@b  root@c\n\n stay vm9 its licence is of this host \nstay vm8\n");
	assert_int_equal(rules_hosts(&rules, "root@a,@rack,root@c,", &list, &n, &e), 0);
	assert_int_equal(n, 3);
	assert_string_equal(list[0], "root@a");
	assert_string_equal(list[1], "root@b");
	assert_string_equal(list[2], "root@c");
	assert_null(list[3]);
	while (n)
		free(list[--n]);
	free(list);
	assert_string_equal(rules_stay(&rules, "vm9"), "its licence is of this host");
	assert_string_equal(rules_stay(&rules, "vm8"), "a rule says that it stays here");
	assert_null(rules_stay(&rules, "vm7"));
	assert_int_equal(rules_add(&rules, RULE_APART, "a,b", &e), 0);
	assert_true(rule_names(&rules.list[rules.count - 1], "b"));
}

static void refused(const char *text, const char *why)
{
	AUTO_FREE char *copy = xstrdup(text);

	rules_fini(&rules);
	assert_int_not_equal(rules_parse(&rules, copy, "F", &e), 0);
	assert_string_equal(e.msg, why);
}

static void test_rules_that_are_wrong(void **state)
{
	char **list, many[4096] = "apart";
	size_t n, i;

	(void)state;
	refused("\nappart a b\n", "F, line 2: 'appart' is not group, apart, together or stay");
	refused("apart a\n", "F, line 1: apart needs 2 names or more");
	refused("stay\n", "F, line 1: stay needs 1 names or more");
	for (i = 0; i < RULE_WORDS_MAX + 1; i++)
		strcat(many, " x");
	refused(many, "F, line 1: more than 64 names");
	rules_fini(&rules);
	assert_int_equal(rules_hosts(&rules, "@none", &list, &n, &e), -ENOENT);
	assert_int_equal(rules_hosts(&rules, ",", &list, &n, &e), -EINVAL);
	assert_int_equal(rules_add(&rules, RULE_APART, "a", &e), -EINVAL);
}

/* ---- what is next, and what it all ends with ---- */

/* "a b, c d, b c": all four are together. */
static void test_rules_that_share_a_guest_are_one(void **state)
{
	(void)state;
	assert_int_equal(rules_add(&rules, RULE_TOGETHER, "a,b", &e), 0);
	assert_int_equal(rules_add(&rules, RULE_TOGETHER, "c,d", &e), 0);
	assert_int_equal(rules_add(&rules, RULE_APART, "a,x", &e), 0);
	assert_int_equal(rules_add(&rules, RULE_TOGETHER, "b,c", &e), 0);
	assert_int_equal(rules_settle(&rules, &e), 0);
	assert_int_equal(rules.count, 2);
	assert_int_equal(rules.list[0].count, 4);
	assert_true(rule_names(&rules.list[0], "d"));
	assert_int_equal(rules_add(&rules, RULE_APART, "y,d,a", &e), 0);
	assert_int_equal(rules_settle(&rules, &e), -EINVAL);
	assert_string_equal(e.msg, "the rules have d and a apart, and together as well: no host could take both");
}

static void test_next_is_for_the_idlest_host(void **state)
{
	struct fleet_way b = {"b", NULL}, c = {"c", NULL};
	struct fleet_task tasks[] = {
		{.guest = (char *)(uintptr_t) "1", .ways = &b, .way_count = 1, .state = FLEET_RUNS},
		{.guest = (char *)(uintptr_t) "2", .ways = &b, .way_count = 1},
		{.guest = (char *)(uintptr_t) "3", .ways = &c, .way_count = 1},
	};
	struct fleet f = {.tasks = tasks, .count = 3};

	(void)state;
	assert_ptr_equal(fleet_next(&f), &tasks[2]);
	tasks[2].state = FLEET_RUNS;
	assert_ptr_equal(fleet_next(&f), &tasks[1]);
	tasks[0].guest = tasks[1].guest;
	assert_null(fleet_next(&f)); /* the guest has a move under way */
	tasks[1].state = FLEET_ENDED;
	assert_null(fleet_next(&f));
}

static void test_the_worst_is_the_exit_code(void **state)
{
	static const int order[] = {EXIT_UNDECIDED, EXIT_PAUSED, EXIT_NOWHERE, EXIT_PEER_LOST,
				    EXIT_LEFTOVERS, EXIT_SOURCE, EXIT_REFUSED, 0};
	struct fleet_task tasks[2] = {{.state = FLEET_ENDED}, {.state = FLEET_ENDED}};
	struct fleet f = {.tasks = tasks, .count = 2};
	size_t i, k;

	(void)state;
	for (i = 0; i < ARRAY_LEN(order); i++)
		for (k = i; k < ARRAY_LEN(order); k++) {
			tasks[0].code = order[k];
			tasks[1].code = order[i];
			assert_int_equal(fleet_exit_code(&f), order[i]);
		}
	tasks[0].state = FLEET_WAITS; /* was never begun */
	assert_int_equal(fleet_exit_code(&f), EXIT_REFUSED);
}

/* ---- commands under way ---- */

struct seen {
	unsigned begins, events, ends, at_once, most;
	char order[64];
};

static void on_change(void *ctx, struct fleet *f, struct fleet_task *t, json_t *event)
{
	struct seen *s = ctx;

	(void)f;
	if (event)
		s->events++;
	else if (t->state == FLEET_RUNS) {
		s->begins++;
		s->at_once++;
		s->most = MAX(s->most, s->at_once);
		strcat(s->order, t->guest);
	} else {
		s->at_once--;
		s->ends += t->state == FLEET_ENDED;
	}
}

/* A played vmferry: guest and destination are its last words, and say what it does. */
static char *played(void)
{
	static char path[] = "/tmp/vmferry-test-fleet.XXXXXX";
	FILE *to;
	int fd;

	strcpy(path + strlen(path) - 6, "XXXXXX");
	fd = mkstemp(path);
	to = fdopen(fd, "w");
	assert_non_null(to);
	fputs("#!/bin/sh\n"
	      "for w; do vm=$dest dest=$w; done\n"
	      "[ \"$vm\" = early ] && kill -TERM $$\n"
	      "echo '{\"event\": \"stage\", \"stage\": \"copy\"}'\n"
	      "echo no JSON at all\n"
	      "case $vm-$dest in\n"
	      "there-*) echo '{\"event\": \"notice\", \"text\": \"it runs there\", \"wait_ends\": 0}'\n"
	      "  read _ <$0.next ;;\n"
	      "next-*) echo >$0.next ;;\n"
	      "back-*) echo '{\"event\": \"result\", \"outcome\": \"rolled-back\", \"reason\": \"had back\", \"reverted\": true}'; exit 1 ;;\n"
	      "x-*) echo 'vmferry: no guest x runs here' >&2; exit 3 ;;\n"
	      "k-*) kill -KILL $$ ;;\n"
	      "t-*) kill -TERM $$ ;;\n"
	      "*-bad) echo '{\"event\": \"result\", \"outcome\": \"rolled-back\", \"reason\": \"it broke\"}'; exit 1 ;;\n"
	      "u-*) exit 6 ;;\n"
	      "n-*) exit 127 ;;\n"
	      "w-*) exit 9 ;;\n"
	      "c-*) echo '{\"event\": \"result\", \"outcome\": \"rolled-back\", \"reason\": \"as asked\", \"cancelled\": true}'; exit 1 ;;\n"
	      "esac\n"
	      "printf '{\"event\": \"result\", \"outcome\": \"migrated\", \"words\": \"%s\"}\\n' \"$*\"\n",
	      to);
	fchmod(fd, 0700);
	fclose(to);
	return path;
}

static struct fleet fleet_of(const char *const *names, const char *const *dests, size_t dest_count, struct seen *seen)
{
	struct fleet f = {.program = played(), .command = "migrate", .at_once = 2, .changed = on_change, .ctx = seen};
	size_t i, k;

	while (names[f.count])
		f.count++;
	f.tasks = xcalloc(f.count, sizeof(*f.tasks));
	for (i = 0; i < f.count; i++) {
		f.tasks[i].guest = xstrdup(names[i]);
		f.tasks[i].ways = xcalloc(dest_count, sizeof(*f.tasks[i].ways));
		f.tasks[i].way_count = dest_count;
		for (k = 0; k < dest_count; k++)
			f.tasks[i].ways[k] = (struct fleet_way){dests[k], k ? "quick" : NULL};
	}
	return f;
}

static void test_commands_run_some_at_a_time(void **state)
{
	static const char *const names[] = {"a", "b", "c", "d", "x", "k", "t", "early", NULL}, *const dests[] = {"host"};
	char *options[] = {(char *)(uintptr_t) "--bwlimit=1M", NULL};
	struct seen seen = {0};
	struct fleet f = fleet_of(names, dests, 1, &seen);

	(void)state;
	f.options = options;
	fleet_run(&f);
	assert_int_equal(seen.begins, 8);
	assert_int_equal(seen.ends, 8);
	assert_int_equal(seen.most, 2);
	assert_string_equal(seen.order, "abcdxktearly");
	assert_int_equal(f.tasks[0].code, 0);
	assert_string_equal(json_string_value(json_object_get(f.tasks[0].result, "words")), "migrate --bwlimit=1M --json a host");
	assert_string_equal(f.tasks[0].stage, "copy");
	assert_int_equal(f.tasks[4].code, EXIT_REFUSED);
	assert_string_equal(json_string_value(json_object_get(f.tasks[4].result, "reason")), "no guest x runs here");
	assert_int_equal(f.tasks[5].code, EXIT_UNDECIDED); /* the guest's place is unknown */
	assert_int_equal(f.tasks[6].code, EXIT_UNDECIDED);
	assert_int_equal(f.tasks[7].code, EXIT_REFUSED); /* the move had touched nothing */
	assert_int_equal(fleet_exit_code(&f), EXIT_UNDECIDED);
	unlink(f.program);
	fleet_fini(&f);
}

/* A shell's 126 or 127, or a code of a later version, is not "it has gone". */
static void test_a_code_that_says_nothing_is_undecided(void **state)
{
	static const char *const names[] = {"n", "a", "w", NULL}, *const dests[] = {"host"};
	struct seen seen = {0};
	struct fleet f = fleet_of(names, dests, 1, &seen);

	(void)state;
	f.tasks[1].only_off = true;
	fleet_run(&f);
	assert_int_equal(f.tasks[0].code, EXIT_UNDECIDED);
	assert_int_equal(f.tasks[2].code, EXIT_UNDECIDED);
	assert_int_equal(fleet_exit_code(&f), EXIT_UNDECIDED);
	assert_int_equal(fleet_worse(0, 127), EXIT_UNDECIDED);
	assert_string_equal(json_string_value(json_object_get(f.tasks[1].result, "words")), "migrate --json --only-off a host");
	unlink(f.program);
	fleet_fini(&f);
}

static void test_who_stays_whole_is_tried_once_more(void **state)
{
	static const char *const names[] = {"a", "u", "c", NULL}, *const dests[] = {"bad", "good", "better"};
	struct seen seen = {0};
	struct fleet f = fleet_of(names, dests, 3, &seen);

	(void)state;
	f.tasks[1].ways[0].dest = "undecided";
	f.tasks[2].ways[0].dest = "cancelled";
	fleet_run(&f);
	assert_int_equal(seen.begins, 4);
	assert_int_equal(f.tasks[0].code, 0);
	assert_string_equal(fleet_way_of(&f.tasks[0])->dest, "good");
	assert_string_equal(json_string_value(json_object_get(f.tasks[0].result, "words")), "migrate --json --how quick a good");
	assert_int_equal(f.tasks[1].code, EXIT_UNDECIDED); /* no second move of the guest may begin */
	assert_int_equal(f.tasks[1].tries, 1);
	assert_int_equal(f.tasks[2].tries, 1); /* somebody wants it to stay */
	unlink(f.program);
	fleet_fini(&f);
}

/* --revert-within */
static void test_who_can_be_had_back_keeps_nobody_waiting(void **state)
{
	static const char *const names[] = {"there", "next", NULL}, *const dests[] = {"good"};
	struct seen seen = {0};
	struct fleet f = fleet_of(names, dests, 1, &seen);
	AUTO_FREE char *next = xasprintf("%s.next", f.program); /* the guest that is there reads from it, the next one writes */

	(void)state;
	assert_int_equal(mkfifo(next, 0600), 0);
	f.at_once = 1;
	fleet_run(&f);
	assert_int_equal(seen.most, 2);
	assert_int_equal(fleet_exit_code(&f), EXIT_DESTINATION);
	unlink(next);
	unlink(f.program);
	fleet_fini(&f);
}

static void test_who_was_had_back_stays(void **state)
{
	static const char *const names[] = {"back", NULL}, *const dests[] = {"one", "other"};
	struct seen seen = {0};
	struct fleet f = fleet_of(names, dests, 2, &seen);

	(void)state;
	fleet_run(&f);
	assert_int_equal(f.tasks[0].tries, 1);
	assert_int_equal(f.tasks[0].code, EXIT_SOURCE);
	unlink(f.program);
	fleet_fini(&f);
}

static void test_twice_and_no_more(void **state)
{
	static const char *const names[] = {"a", NULL}, *const dests[] = {"bad", "bad", "good"};
	struct seen seen = {0};
	struct fleet f = fleet_of(names, dests, 3, &seen);

	(void)state;
	fleet_run(&f);
	assert_int_equal(seen.begins, 2);
	assert_int_equal(f.tasks[0].code, EXIT_SOURCE);
	assert_string_equal(json_string_value(json_object_get(f.tasks[0].result, "reason")), "it broke");
	unlink(f.program);
	fleet_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_the_least_share_is_the_rating, setup, teardown),
		cmocka_unit_test_setup_teardown(test_most_left_is_best, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_next_share_decides_between_equals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_largest_is_placed_first, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_taken_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_memory_that_is_kept_is_not_given, setup, teardown),
		cmocka_unit_test_setup_teardown(test_room_is_of_each_file_system, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_a_host_refuses_is_never_chosen, setup, teardown),
		cmocka_unit_test_setup_teardown(test_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rules_hold_beside_who_went_before, setup, teardown),
		cmocka_unit_test_setup_teardown(test_together, setup, teardown),
		cmocka_unit_test_setup_teardown(test_companions_are_placed_one_after_the_other, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wishes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_any_hosts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rules, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rules_that_are_wrong, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rules_that_share_a_guest_are_one, setup, teardown),
		cmocka_unit_test(test_next_is_for_the_idlest_host),
		cmocka_unit_test(test_the_worst_is_the_exit_code),
		cmocka_unit_test(test_commands_run_some_at_a_time),
		cmocka_unit_test(test_a_code_that_says_nothing_is_undecided),
		cmocka_unit_test(test_who_stays_whole_is_tried_once_more),
		cmocka_unit_test(test_who_can_be_had_back_keeps_nobody_waiting),
		cmocka_unit_test(test_who_was_had_back_stays),
		cmocka_unit_test(test_twice_and_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
