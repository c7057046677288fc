/*
 * test-drain.c: the rounds of a drain, with guests that the test names, and a vmferry that it plays as its own child: rules hold over all rounds, two names of
 * one host are one host, and an exit code of 0 means that nothing is left.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../agent-src/cli/cmd-fleet.c" /* in place of the library's, as fleet-guests.c's and fleet-names.c's functions are below */

#include "whereabouts.h"

#include <stdlib.h>

static const char *rounds[32]; /* guests that run in each look; "": no new one */
static unsigned looks;
static bool off_known;

const struct off_guest *fleet_off(const struct fleet_command *c, const char *word)
{
	(void)c, (void)word;
	return NULL;
}

void fleet_add_guest(struct fleet_command *c, const char *name)
{
	c->guests = xrealloc(c->guests, (c->guest_count + 2) * sizeof(*c->guests));
	c->guests[c->guest_count++] = xstrdup(name);
	c->guests[c->guest_count] = NULL;
}

bool fleet_find_off(struct fleet_command *c)
{
	(void)c;
	return off_known;
}

int fleet_check_names(const struct fleet_command *c, struct err *e)
{
	(void)c, (void)e;
	return 0;
}

bool fleet_is_guest_as_host(const char *where, struct err *e)
{
	(void)where, (void)e;
	return false;
}

int fleet_find_running(struct fleet_command *c, struct err *e)
{
	(void)e;
	if (looks < ARRAY_LEN(rounds) && rounds[looks] && *rounds[looks])
		fleet_add_guest(c, rounds[looks]);
	looks++;
	return 0;
}

/* Host b has most memory, and is called b2, too. Where a guest goes is in $VMFERRY_TEST_WENT. */
static int play(int argc, char **argv)
{
	const char *vm = argv[argc - 2], *dest = argv[argc - 1];
	FILE *went;

	printf("{\"event\": \"plan\", \"guest\": \"%s\", \"ram_bytes\": 1000, \"there\": {\"instance\": \"%c\", \"memory_total\": 100000, "
	       "\"memory_available\": %d}}\n",
	       vm, dest[0], dest[0] == 'b' ? 90000 : 50000);
	if (strcmp(argv[1], "migrate") != 0)
		return 0;
	went = fopen(getenv("VMFERRY_TEST_WENT"), "a");
	fprintf(went, "%s>%s ", vm, dest);
	fclose(went);
	puts("{\"event\": \"result\", \"outcome\": \"migrated\", \"where\": \"destination\"}");
	return 0;
}

static char dir[] = "/tmp/test-drain-XXXXXX";
static char went[4096];

static int setup(void **state)
{
	AUTO_FREE char *path = NULL;

	(void)state;
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	path = xasprintf("%s/went", dir);
	memset(rounds, 0, sizeof(rounds));
	looks = 0;
	off_known = true;
	return setenv("VMFERRY_TEST_WENT", path, 1) || setenv("VMFERRY_STATE_DIR", dir, 1) || setenv("VMFERRY_FLEET", "", 1);
}

static int teardown(void **state)
{
	AUTO_FREE char *rm = xasprintf("rm -rf '%s'", dir);

	(void)state;
	return system(rm);
}

/* Runs a drain and returns its exit code; `went` records which guest went where. */
static int command(int (*which)(int, char **), ...)
{
	char *argv[16] = {(char *)(uintptr_t) "drain"};
	FILE *from;
	int argc = 1, code;
	va_list words;

	va_start(words, which);
	while ((argv[argc] = va_arg(words, char *)))
		argc++;
	va_end(words);
	optind = 0;
	code = which(argc, argv);
	from = fopen(getenv("VMFERRY_TEST_WENT"), "r");
	went[from ? fread(went, 1, sizeof(went) - 1, from) : 0] = '\0';
	if (from)
		fclose(from);
	return code;
}

static void guests_of_later_rounds_are_apart_from_those_before(void **state)
{
	(void)state;
	rounds[0] = "web-u1"; /* names that no guest of this machine has */
	rounds[1] = "db-u1";
	rounds[2] = "other-u1";
	assert_int_equal(command(cmd_drain, "--to", "b,c", "--apart", "web-u1,db-u1", NULL), 0);
	assert_string_equal(went, "web-u1>b db-u1>c other-u1>b ");
}

static void guests_of_later_rounds_go_to_their_companions(void **state)
{
	(void)state;
	rounds[0] = "web-u1";
	rounds[1] = "db-u1";
	rounds[2] = "app-u1";
	assert_int_equal(command(cmd_drain, "--to", "b,c", "--apart", "web-u1,db-u1", "--together", "db-u1,app-u1", NULL), 0);
	assert_string_equal(went, "web-u1>b db-u1>c app-u1>c ");
}

static void two_names_of_a_host_are_one_host(void **state)
{
	(void)state;
	rounds[0] = "web-u1";
	rounds[1] = "db-u1";
	assert_int_equal(command(cmd_drain, "--to", "b,b2", "--apart", "web-u1,db-u1", NULL), EXIT_REFUSED);
	assert_string_equal(went, "web-u1>b ");
}

static void rules_hold_where_there_is_one_host(void **state)
{
	(void)state;
	assert_int_equal(command(fleet_migrate, "web-u1", "db-u1", "b", "--apart", "web-u1,db-u1", NULL), EXIT_REFUSED);
	assert_string_equal(went, "web-u1>b ");
}

/* By an earlier command, instance: NULL: the host did not say. */
static void note_gone(const char *guest, const char *to, const char *instance)
{
	AUTO_FREE char *path = whereabouts_path(dir, guest);
	json_t *entry = json_pack("{s:s,s:s,s:s,s:s*,s:[s]}", "guest", guest, "attempt", "01", "gone_to", to, "instance", instance, "disks",
				  "/vm/web");
	struct err e;

	assert_int_equal(whereabouts_add(path, entry, &e), 0);
	json_decref(entry);
}

/* db-u1 is drained to b or c, apart from web-u1; what was said to the user is in told. */
static char told[4096];

static int drain_apart(void)
{
	AUTO_FREE char *path = xasprintf("%s/told", dir);
	int before = dup(2), to = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), code;
	ssize_t n;

	rounds[0] = "db-u1";
	dup2(to, 2);
	code = command(cmd_drain, "--to", "b,c", "--apart", "web-u1,db-u1", NULL);
	dup2(before, 2);
	n = pread(to, told, sizeof(told) - 1, 0);
	told[n > 0 ? n : 0] = '\0';
	close(before);
	close(to);
	return code;
}

static void rules_hold_beside_guests_that_went_by_an_earlier_command(void **state)
{
	static const char *const names[] = {"b", "root@b", "ssh://me@b:2222", "B", "b:7788"};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(names); i++) {
		teardown(state);
		setup(state);
		note_gone("web-u1", names[i], NULL);
		assert_int_equal(drain_apart(), 0);
		assert_string_equal(went, "db-u1>c ");
		assert_null(strstr(told, "web-u1"));
	}
}

static void hosts_are_known_by_what_they_are(void **state)
{
	(void)state;
	note_gone("web-u1", "root@10.0.0.9", "b");
	assert_int_equal(drain_apart(), 0);
	assert_string_equal(went, "db-u1>c ");
	assert_null(strstr(told, "web-u1"));
}

/* Two names of one address, which lead to different hosts; see play(). */
static void hosts_behind_one_address_are_known_by_what_they_are(void **state)
{
	(void)state;
	note_gone("web-u1", "b:3", "b");
	rounds[0] = "db-u1";
	assert_int_equal(command(cmd_drain, "--to", "c@b,b@b", "--apart", "web-u1,db-u1", NULL), 0);
	assert_string_equal(went, "db-u1>c@b ");
}

static void other_hosts_are_none_of_these(void **state)
{
	(void)state;
	note_gone("web-u1", "root@10.0.0.9", "x");
	assert_int_equal(drain_apart(), 0);
	assert_string_equal(went, "db-u1>b ");
	assert_null(strstr(told, "web-u1"));
}

static void hosts_that_cannot_be_told_apart_are_named(void **state)
{
	(void)state;
	note_gone("web-u1", "root@10.0.0.9", NULL);
	assert_int_equal(drain_apart(), 0);
	assert_string_equal(went, "db-u1>b ");
	assert_non_null(strstr(told, "guest web-u1 went to root@10.0.0.9, and vmferry cannot tell"));
}

static void nobody_goes_if_it_is_unknown_where_others_are(void **state)
{
	AUTO_FREE char *path = whereabouts_path(dir, "web-u1");
	FILE *f;

	(void)state;
	note_gone("web-u1", "b", NULL);
	f = fopen(path, "we");
	fputs("[", f);
	fclose(f);
	assert_int_equal(drain_apart(), EXIT_REFUSED);
	assert_string_equal(went, "");
	assert_non_null(strstr(told, "a rule names guest web-u1"));
}

static void guests_that_went_as_another_user_have_gone(void **state)
{
	(void)state;
	note_gone("web-u1", "b", NULL);
	assert_int_equal(command(fleet_migrate, "web-u1", "db-u1", "root@b", NULL), 0);
	assert_string_equal(went, "db-u1>root@b ");
}

static void a_host_that_is_never_empty_is_not_said_to_be(void **state)
{
	static char names[ARRAY_LEN(rounds)][16];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rounds); i++) {
		snprintf(names[i], sizeof(names[i]), "vm%zu-u1", i);
		rounds[i] = names[i];
	}
	assert_int_equal(command(cmd_drain, "--to", "b", NULL), EXIT_REFUSED);
	assert_int_equal(looks, ROUNDS_MAX + 1);
}

static void the_last_round_that_finds_nobody_is_the_end(void **state)
{
	static char names[ROUNDS_MAX][16];
	size_t i;

	(void)state;
	for (i = 0; i < ROUNDS_MAX; i++) {
		snprintf(names[i], sizeof(names[i]), "vm%zu-u1", i);
		rounds[i] = names[i];
	}
	assert_int_equal(command(cmd_drain, "--to", "b", NULL), 0);
}

static void guests_that_could_not_be_asked_for_are_not_forgotten(void **state)
{
	(void)state;
	rounds[0] = "web-u1";
	off_known = false;
	assert_int_equal(command(cmd_drain, "--to", "b", "--with-off", NULL), EXIT_REFUSED);
	assert_string_equal(went, "web-u1>b ");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(guests_of_later_rounds_are_apart_from_those_before),
		TEST(guests_of_later_rounds_go_to_their_companions),
		TEST(two_names_of_a_host_are_one_host),
		TEST(rules_hold_where_there_is_one_host),
		TEST(rules_hold_beside_guests_that_went_by_an_earlier_command),
		TEST(hosts_are_known_by_what_they_are),
		TEST(hosts_behind_one_address_are_known_by_what_they_are),
		TEST(other_hosts_are_none_of_these),
		TEST(hosts_that_cannot_be_told_apart_are_named),
		TEST(nobody_goes_if_it_is_unknown_where_others_are),
		TEST(guests_that_went_as_another_user_have_gone),
		TEST(a_host_that_is_never_empty_is_not_said_to_be),
		TEST(the_last_round_that_finds_nobody_is_the_end),
		TEST(guests_that_could_not_be_asked_for_are_not_forgotten),
	};

	if (argc > 2)
		return play(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
