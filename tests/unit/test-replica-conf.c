/* test-replica-conf.c: the settings of a guest's replica are taken before the options of the command, which have the last word. */
#include "replica-conf.h"
#include "util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define OF_ALL "to host-b\npair 0123456789abcdef\nterm 3\nseconds 600\nkeep 4\n"

static char dir[] = "/tmp/vmferry-test-replica.XXXXXX";

static void write_settings(const char *more)
{
	AUTO_FREE char *path = xasprintf("%s/replica/a.conf", dir);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fprintf(f, OF_ALL "%s", more) > 0);
	assert_int_equal(fclose(f), 0);
}

/* Reads the settings for a command with those words, up to a NULL. */
static void load(struct replica_conf *c, const char *settings, char **words)
{
	static struct command_usage usage = {.name = "test", .before = ""};
	int first, argc;
	struct err e;

	for (argc = 0; words[argc]; argc++)
		;
	usage.tables = replica_tables(false);
	write_settings(settings);
	replica_conf_init(c);
	assert_int_equal(command_take(&usage, argc, words, c, &first), 0);
	c->said = (struct replica_said){&usage, argc, words};
	c->state_dir = xstrdup(dir);
	assert_int_equal(replica_conf_load(c, "a", &e), 0);
}

static void the_command_line_has_the_last_word(void **state)
{
	char *words[] = {"failover",	      "a",	   "--max-downtime=50", "--keep=9", "--bwlimit=2M", "--every=30s",
			 "--map-net=n0=user", "--planned", "--start-alone=yes", NULL};
	struct replica_conf c;

	(void)state;
	load(&c,
	     "max-downtime 5000\nbwlimit 1M\nmap-net n0=bridge:br0\nmap-net n1=none\nstart-alone no\nfreeze\ndisk d0=empty\ndisk d1=empty\n",
	     words);
	assert_int_equal(c.o.stop.max_downtime_ms, 50);
	assert_int_equal(c.o.carry.bwlimit, 2 * MIB);
	assert_int_equal(c.every_s, 30);
	assert_string_equal(c.keep, "9");
	assert_string_equal(c.start_alone, "yes");
	assert_true(c.once.plans && c.freezes);
	assert_string_equal(c.to, "host-b");
	assert_int_equal(c.term, 3);
	assert_int_equal(c.o.map_net.count, 3); /* the last word about a card counts */
	assert_string_equal(c.o.map_net.at[2], "n0=user");
	assert_int_equal(c.o.disks.map.count, 2);
	replica_conf_fini(&c);
}

static void settings_count_where_nothing_is_said(void **state)
{
	char *words[] = {"failover", "a", NULL};
	struct replica_conf c;

	(void)state;
	load(&c, "max-downtime 5000\nmap-net n0=bridge:br0\n", words);
	assert_int_equal(c.o.stop.max_downtime_ms, 5000);
	assert_int_equal(c.every_s, 600);
	assert_int_equal(c.o.map_net.count, 1);
	replica_conf_fini(&c);
}

/* Words of one call (pause) are none of the settings. */
static void what_a_call_says_is_not_kept(void **state)
{
	char *words[] = {"pause", "a", "--bwlimit=2M", "--map-net=n0=user", NULL};
	AUTO_FREE char *path = xasprintf("%s/replica/a.conf", dir), *text = xcalloc(1, 4096);
	struct replica_conf c;
	struct err e;
	FILE *f;

	(void)state;
	load(&c, "", words);
	c.said.usage = NULL;
	assert_int_equal(replica_conf_load(&c, "a", &e), 0);
	assert_int_equal(replica_conf_save(&c, "a", &e), 0);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_true(fread(text, 1, 4095, f) > 0);
	fclose(f);
	assert_null(strstr(text, "bwlimit"));
	assert_null(strstr(text, "map-net"));
	assert_non_null(strstr(text, "to host-b\n"));
	replica_conf_fini(&c);
}

static int begin(void **state)
{
	AUTO_FREE char *sub = NULL;

	(void)state;
	assert_non_null(mkdtemp(dir));
	sub = xasprintf("%s/replica", dir);
	return mkdir(sub, 0700);
}

static int end(void **state)
{
	AUTO_FREE char *sub = xasprintf("%s/replica", dir), *conf = xasprintf("%s/a.conf", sub);

	(void)state;
	return unlink(conf) || rmdir(sub) || rmdir(dir);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_command_line_has_the_last_word),
		cmocka_unit_test(settings_count_where_nothing_is_said),
		cmocka_unit_test(what_a_call_says_is_not_kept),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
