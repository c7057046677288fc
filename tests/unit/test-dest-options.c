/* How a destination is reached: what the journal has of it is used where nothing else was said, and what does not fit is refused. */
#include "dest-options.h"
#include "exit-code.h"
#include "util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static json_t *journal;

static int setup(void **state)
{
	struct dest_config was = {.where = "root@old:22",
				  .psk_file = "/dev/null",
				  .identity = "/dev/zero",
				  .ssh_port = "2202",
				  .via = "10.0.0.1",
				  .data_ports = "5000-5001",
				  .openssh = true};

	(void)state;
	journal = dest_options_save(&was);
	return journal ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	json_decref(journal);
	return 0;
}

static void what_was_not_said_is_as_before(void **state)
{
	struct dest_config now = {.where = "root@old"};

	(void)state;
	dest_options_load(&now, journal, false);
	assert_string_equal(now.psk_file, "/dev/null");
	assert_string_equal(now.identity, "/dev/zero");
	assert_string_equal(now.ssh_port, "2202");
	assert_string_equal(now.via, "10.0.0.1");
	assert_string_equal(now.data_ports, "5000-5001");
	assert_true(now.openssh);
	assert_null(now.token_file);
}

static int give(struct dest_config *to, char *option, char *value)
{
	static const struct option_table tables[] = {{dest_login_rows, 0}, {dest_ssh_rows, 0}, {dest_standing_rows, 0}, {NULL, 0}};
	static const struct command_usage usage = {.name = "test", .tables = tables};
	char *argv[] = {"test", option, value, NULL};
	int first;

	return command_take(&usage, 3, argv, to, &first);
}

static void what_was_said_comes_first(void **state)
{
	struct dest_config now = {.where = "host:7788"};

	(void)state;
	assert_int_equal(give(&now, "--token-file", "/tmp/token"), 0);
	assert_int_equal(give(&now, "--ssh", "libssh2"), 0);
	assert_int_equal(give(&now, "-p", "2303"), 0);
	dest_options_load(&now, journal, false);
	assert_string_equal(now.token_file, "/tmp/token");
	assert_null(now.psk_file); /* a token in its place */
	assert_false(now.openssh);
	assert_string_equal(now.ssh_port, "2303");
}

static void elsewhere_its_port_and_address_are_no_more(void **state)
{
	struct dest_config there = {.where = "root@gw:2203"}, same_port = {.where = "root@10.0.0.9"};

	(void)state;
	dest_options_load(&there, journal, true);
	assert_null(there.ssh_port);
	assert_null(there.via);
	assert_string_equal(there.identity, "/dev/zero");
	dest_options_load(&same_port, journal, true);
	assert_string_equal(same_port.ssh_port, "2202"); /* the host may have another address */
	assert_null(same_port.via);
}

static void ports_are_ports(void **state)
{
	struct dest_config c = {.where = "root@h"};

	(void)state;
	assert_int_equal(give(&c, "--port", "22"), 0);
	assert_int_equal(give(&c, "--data-ports", "5000-5001"), 0);
	assert_true(give(&c, "--port", "0") && give(&c, "--port", "ssh") && give(&c, "--port", "22-23") &&
		    give(&c, "--data-ports", "5001-5000"));
	assert_string_equal(c.ssh_port, "22");
	assert_string_equal(c.data_ports, "5000-5001");
}

static void an_option_of_another_kind_of_destination_is_odd(void **state)
{
	(void)state;
	assert_true(dest_option_is_odd("--port=22", DEST_STANDING) && dest_option_is_odd("--plaintext", DEST_SSH));
	assert_true(dest_option_is_odd("--keep-agent", DEST_LOCAL) && dest_option_is_odd("--psk-file=/k", DEST_LOCAL));
	assert_false(dest_option_is_odd("--port=22", DEST_SSH) || dest_option_is_odd("--psk-file=/k", DEST_STANDING));
	assert_false(dest_option_is_odd("--bwlimit=1M", DEST_STANDING) || dest_option_is_odd("port", DEST_STANDING));
}

static void what_does_not_fit_is_refused(void **state)
{
	static const struct dest_config bad[] = {
		{.where = "local", .token_file = "/t"},	     {.where = "local", .psk_file = "/k"},
		{.where = "local", .plaintext = true},	     {.where = "local", .data_ports = "1-2"},
		{.where = "h:1", .data_ports = "1-2"},	     {.where = "h:1", .via = "a"},
		{.where = "root@h", .psk_file = "/k"},	     {.where = "root@h", .token_file = "/t"},
		{.where = "root@h", .plaintext = true},	     {.where = "h:1", .ssh_accept_new = true},
		{.where = "local", .listen_address = "::1"},
	};
	static const struct dest_config good[] = {{.where = "local"},
						  {.where = "h:1", .psk_file = "/k"},
						  {.where = "h:1", .token_file = "/t"},
						  {.where = "root@h", .data_ports = "1-2"}};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(dest_options_check(&bad[i]), EXIT_USAGE);
	for (i = 0; i < ARRAY_LEN(good); i++)
		assert_int_equal(dest_options_check(&good[i]), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_not_said_is_as_before),
		cmocka_unit_test(what_was_said_comes_first),
		cmocka_unit_test(elsewhere_its_port_and_address_are_no_more),
		cmocka_unit_test(ports_are_ports),
		cmocka_unit_test(an_option_of_another_kind_of_destination_is_odd),
		cmocka_unit_test(what_does_not_fit_is_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
