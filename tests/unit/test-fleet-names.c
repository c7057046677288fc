/* test-fleet-names.c: a wrong name of a guest is refused before the first guest goes, with the one that may have been meant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fleet-command.h"
#include "libvirt-find.h"
#include "qemu-discover.h"
#include "util.h"
#include "whereabouts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* web-u1 and db-u1 run here, and libvirt has off-u1, which is shut down. */
static bool cut_off_is;

static int played_list(struct guest **list, size_t *count, bool *cut_off, struct err *e)
{
	(void)e;
	*list = xcalloc(2, sizeof(**list));
	(*list)[0] = (struct guest){.name = xstrdup("web-u1"), .pid = 11};
	(*list)[1] = (struct guest){.name = xstrdup("db-u1"), .pid = 12};
	*count = 2;
	*cut_off = cut_off_is;
	return 0;
}

static int played_libvirt(struct guest **list, char ***whys, size_t *count, struct err *e)
{
	(void)e;
	*list = xcalloc(1, sizeof(**list));
	(*list)[0] = (struct guest){.name = xstrdup("off-u1")};
	*whys = xcalloc(1, sizeof(**whys));
	*count = 1;
	return 0;
}

#define guest_list   played_list
#define libvirt_list played_libvirt
#include "../../agent-src/cli/fleet-names.c"
#undef guest_list
#undef libvirt_list

static char dir[] = "/tmp/test-fleet-names-XXXXXX";
static struct err e;

static int setup(void **state)
{
	(void)state;
	cut_off_is = false;
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	return mkdtemp(dir) && !setenv("VMFERRY_STATE_DIR", dir, 1) ? 0 : -1;
}

static int teardown(void **state)
{
	AUTO_FREE char *rm = xasprintf("rm -rf '%s'", dir);

	(void)state;
	return system(rm);
}

static void note_gone(const char *guest)
{
	AUTO_FREE char *path = whereabouts_path(dir, guest);
	json_t *entry = json_pack("{s:s,s:s,s:s,s:[s]}", "guest", guest, "attempt", "01", "gone_to", "root@host-b", "disks", "/vm/x");

	assert_int_equal(whereabouts_add(path, entry, &e), 0);
	json_decref(entry);
}

static int with_keep(const char *value)
{
	struct fleet_command c = {.f.keep = {{value}, 1}};

	return fleet_check_names(&c, &e);
}

static int with_guest(const char *name)
{
	char *guests[] = {(char *)(uintptr_t)name, NULL};
	struct fleet_command c = {.guests = guests, .guest_count = 1};

	return fleet_check_names(&c, &e);
}

static void names_of_guests_here_are_taken(void **state)
{
	(void)state;
	assert_int_equal(with_keep("web-u1"), 0);
	assert_int_equal(with_keep("web-u1,12,off-u1"), 0);
	assert_int_equal(with_guest("db-u1"), 0);
	assert_int_equal(with_guest("off-u1"), 0);
	assert_int_equal(with_guest("some.service"), 0);
}

static void a_wrong_name_of_an_option_is_refused(void **state)
{
	struct fleet_command apart = {.f.apart = {{"web-u1,bd-u1"}, 1}}, together = {.f.together = {{"wbe-u1,db-u1"}, 1}};

	(void)state;
	assert_int_equal(with_keep("web-u1,db-u2"), -EINVAL);
	assert_string_equal(e.msg, "--keep: no guest db-u2 runs here; did you mean db-u1?");
	assert_int_equal(fleet_check_names(&apart, &e), -EINVAL);
	assert_string_equal(e.msg, "--apart: no guest bd-u1 runs here; did you mean db-u1?");
	assert_int_equal(fleet_check_names(&together, &e), -EINVAL);
	assert_string_equal(e.msg, "--together: no guest wbe-u1 runs here; did you mean web-u1?");
}

static void a_guest_that_has_left_is_known_by_its_name(void **state)
{
	(void)state;
	note_gone("went-u1");
	assert_int_equal(with_keep("went-u1"), 0);
	assert_int_equal(with_guest("went-u1"), -ENOENT);
	assert_non_null(strstr(e.msg, "no guest went-u1 runs here; went-u1 went to root@host-b (2"));
}

static void a_guest_that_is_not_here_is_refused_unless_that_is_unknown(void **state)
{
	(void)state;
	assert_int_equal(with_guest("nobody-of-this-name"), -ENOENT);
	assert_string_equal(e.msg, "no guest nobody-of-this-name runs here");
	cut_off_is = true;
	assert_int_equal(with_guest("nobody-of-this-name"), 0);
}

static void a_guest_s_name_is_no_host(void **state)
{
	(void)state;
	assert_true(fleet_is_guest_as_host("web-u1", &e));
	assert_string_equal(e.msg, "web-u1 is a guest here, and no host: where to? (vmferry migrate VM... --to [USER@]HOST)");
	assert_false(fleet_is_guest_as_host("root@web-u1", &e));
	assert_false(fleet_is_guest_as_host("host-of-no-guest", &e));
	assert_false(fleet_is_guest_as_host("local", &e));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(names_of_guests_here_are_taken),
		TEST(a_wrong_name_of_an_option_is_refused),
		TEST(a_guest_that_has_left_is_known_by_its_name),
		TEST(a_guest_that_is_not_here_is_refused_unless_that_is_unknown),
		TEST(a_guest_s_name_is_no_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
