/* test-drain-looks.c: whom a look of a drain finds: guests that the test names, and notes of where they have gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fleet-command.h"
#include "qemu-discover.h"
#include "util.h"
#include "whereabouts.h"

#include <stdlib.h>
#include <string.h>

static int list_played(struct guest **out, size_t *count, bool *cut_off, struct err *e);
#define guest_list list_played
#include "../../agent-src/cli/fleet-guests.c"
#undef guest_list

static const char *runs; /* the name of the only one that runs here */

static int list_played(struct guest **out, size_t *count, bool *cut_off, struct err *e)
{
	(void)e;
	*out = xcalloc(1, sizeof(**out));
	(*out)[0].name = xstrdup(runs);
	(*out)[0].pid = getpid();
	*count = 1;
	*cut_off = false;
	return 0;
}

static char dir[64];
static struct fleet_command c;
static struct err e;

static int set_up(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/test-drain-looks-XXXXXX");
	memset(&c, 0, sizeof(c));
	c.o.dirs.state = dir;
	runs = "vm1";
	return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
	AUTO_FREE char *command = xasprintf("rm -r %s", dir);

	(void)state;
	while (c.guest_count)
		free(c.guests[--c.guest_count]);
	free(c.guests);
	return system(command);
}

static void remember(const char *way, const char *attempt)
{
	AUTO_FREE char *path = whereabouts_path(dir, "vm1");
	json_t *entry = json_pack("{s:s,s:s,s:s,s:[s]}", "guest", "vm1", "attempt", attempt, way, "host-b", "disks", "/vm/disk");

	assert_int_equal(whereabouts_add(path, entry, &e), 0);
	json_decref(entry);
}

static void look(bool incomplete)
{
	c.incomplete = false;
	assert_int_equal(fleet_find_running(&c, &e), 0);
	assert_int_equal(c.guest_count, 1);
	assert_int_equal(c.incomplete, incomplete);
}

static void guest_that_has_gone_and_runs_again_is_told(void **state)
{
	AUTO_FREE char *path = whereabouts_path(dir, "vm1");

	(void)state;
	look(false);
	look(false); /* the guest could not go */
	remember("gone_to", "01");
	look(true);
	remember("came_from", "02");
	look(false);
	assert_int_equal(truncate(path, 5), 0);
	look(true); /* the answer is unknown */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(guest_that_has_gone_and_runs_again_is_told, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
