/* test-script-record.c: what a script starts, from the words that it gave its QEMU (script-record.h). The run itself is of e2e/cold. */
#include "script-record.h"
#include "record.h"
#include "util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define ONE(count, words) RECORD_MARK "\0" count "\0/srv/vm\0\0/modules\0/usr/bin/qemu-system-x86_64\0" words
#define TAKE(g, text, e)  script_take_records("a.sh", text, sizeof(text) - 1, NULL, g, e)

static void its_words_directory_and_environment_are_taken(void **state)
{
	struct guest g = {.pid = 0};
	struct err e;

	(void)state;
	assert_int_equal(TAKE(&g, ONE("3", "-name\0vm\0a b\0"), &e), 0);
	assert_int_equal(g.line.argc, 4);
	assert_string_equal(g.line.argv[0], "/usr/bin/qemu-system-x86_64");
	assert_string_equal(g.line.argv[3], "a b");
	assert_null(g.line.argv[4]);
	assert_string_equal(g.cwd, "/srv/vm");
	assert_null(g.env.ld_library_path);
	assert_string_equal(g.env.module_dir, "/modules");
	guest_fini(&g);
}

static void what_asks_qemu_of_itself_starts_nothing(void **state)
{
	struct guest g = {.pid = 0};
	struct err e;

	(void)state;
	assert_int_equal(TAKE(&g, ONE("1", "--version\0") ONE("2", "-cpu\0help\0") ONE("0", "") ONE("2", "-m\00064\0"), &e), 0);
	assert_string_equal(g.line.argv[1], "-m");
	guest_fini(&g);
}

static void words_that_are_made_up_are_told(void **state)
{
	struct guest g = {.pid = 0}, same = {.pid = 0}, other = {.pid = 0};
	struct err e;

	(void)state;
	assert_int_equal(TAKE(&g, ONE("4", "-m\00064\0-device\0e1000,mac=52:54:00:1\0"), &e), 0);
	assert_int_equal(TAKE(&same, ONE("4", "-m\00064\0-device\0e1000,mac=52:54:00:1\0"), &e), 0);
	assert_int_equal(TAKE(&other, ONE("4", "-m\00064\0-device\0e1000,mac=52:54:00:2\0"), &e), 0);
	script_note_changes(&g, &same, "a.sh");
	assert_int_equal(g.notes.count, 0);
	script_note_changes(&g, &other, "a.sh");
	assert_int_equal(g.notes.count, 1);
	assert_non_null(strstr(g.notes.text[0], "e1000,mac=52:54:00:1"));
	assert_null(strstr(g.notes.text[0], "64,"));
	guest_fini(&g);
	guest_fini(&same);
	guest_fini(&other);
}

#define CONFIG(text) RECORD_NOTE "\0" RECORD_CONFIG "\0qemu-system-x86_64\0/dev/stdin\0" text "\0"
#define BY_STREAM    ONE("2", "-readconfig\0/dev/stdin\0")

static void what_comes_by_a_stream_is_its_config(void **state)
{
	struct guest g = {.pid = 0}, other = {.pid = 0};
	struct err e;

	(void)state;
	assert_int_equal(TAKE(&g, CONFIG("[name]\n  guest = \"web\"") BY_STREAM, &e), 0);
	assert_int_equal(g.line.config_count, 1);
	guest_expand_line(&g); /* the path is ours, so the file is not read */
	assert_int_equal(g.line.config_count, 1);
	assert_int_equal(g.line.expanded_count, 3);
	assert_string_equal(g.line.expanded[1], "-name");
	assert_string_equal(g.line.expanded[2], "guest=web");
	assert_int_equal(TAKE(&other, CONFIG("[name]\n  guest = \"db\"") BY_STREAM, &e), 0);
	script_note_changes(&g, &other, "a.sh");
	assert_int_equal(g.notes.count, 2);
	assert_non_null(strstr(g.notes.text[1], "makes another configuration each time"));
	guest_fini(&g);
	guest_fini(&other);
	g = (struct guest){.pid = 0};
	assert_int_equal(TAKE(&g, CONFIG("[name]") BY_STREAM CONFIG("[memory]") BY_STREAM, &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "different configurations by -readconfig /dev/stdin"));
	guest_fini(&g);
}

static void one_guest_and_no_more(void **state)
{
	struct guest g = {.pid = 0};
	struct err e;

	(void)state;
	assert_int_equal(TAKE(&g, ONE("2", "-m\00064\0") ONE("2", "-m\00065\0"), &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "starts 2 QEMUs"));
	guest_fini(&g);
	assert_int_equal(TAKE(&g, ONE("2", "-m\00064\0") ONE("2", "-m\00064\0"), &e), 0); /* a loop that starts it again */
	assert_string_equal(g.line.argv[2], "64");
	assert_non_null(strstr(g.notes.text[0], "starts this QEMU again"));
	assert_null(strstr(g.notes.text[0], "-no-reboot"));
	guest_fini(&g);
	assert_int_equal(TAKE(&g, ONE("1", "-no-reboot\0") ONE("1", "-no-reboot\0"), &e), 0);
	assert_non_null(strstr(g.notes.text[0], "a guest that reboots ends there (-no-reboot)"));
	guest_fini(&g);
	assert_int_equal(TAKE(&g, "", &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "started no QEMU"));
	guest_fini(&g);
}

/* Names of a QEMU's swtpm are made absolute, so that they can be compared. */
static void names_of_its_swtpm_are_made_absolute(void **state)
{
	static const char text[] = RECORD_MARK
		"\0"
		"5\0/srv/vm\0\0\0/usr/bin/swtpm\0socket\0--tpmstate\0dir=./tpm\0--ctrl\0type=unixio,path=tpm/./sock\0" ONE("2",
															   "-m\00064\0");
	struct guest g = {.pid = 0};
	struct err e;

	(void)state;
	assert_int_equal(TAKE(&g, text, &e), 0);
	assert_string_equal(g.tpm.socket, "/srv/vm/tpm/sock");
	assert_string_equal(g.tpm.state, "/srv/vm/tpm");
	guest_fini(&g);
}

/* Records of any bytes are read safely, as any process may write to the pipe. */
static void records_that_lie_are_refused(void **state)
{
	static const char whole[] = ONE("3", "-name\0vm\0x\0"), many[] = ONE("99999999999999999999", "-m\0"),
			  negative[] = ONE("-1", "-m\0"), other[] = "x\0001\0";
	struct guest g = {.pid = 0};
	struct err e;
	size_t n;

	(void)state;
	for (n = 1; n < sizeof(whole) - 1; n++) {
		assert_int_equal(script_take_records("a.sh", whole, n, NULL, &g, &e), -ENOTSUP);
		guest_fini(&g);
	}
	assert_int_equal(TAKE(&g, many, &e), -ENOTSUP);
	assert_int_equal(TAKE(&g, negative, &e), -ENOTSUP);
	assert_int_equal(TAKE(&g, other, &e), -ENOTSUP);
	guest_fini(&g);
}

#define NOTE(kind, program, user, words) RECORD_NOTE "\0" kind "\0" program "\0" user "\0" words "\0"
#define QEMU64				 ONE("2", "-m\00064\0")

/* Files of that user are not to be run, or believed, with this user's rights. */
static void a_qemu_of_another_user_is_refused(void **state)
{
	struct guest g = {.pid = 0};
	struct err e;

	(void)state;
	assert_int_equal(TAKE(&g, NOTE(RECORD_USER, "sudo", "alice", "/home/alice/vm.sh"), &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "as the user alice"));
	assert_non_null(strstr(e.msg, "/home/alice/vm.sh"));
	guest_fini(&g);
	assert_int_equal(TAKE(&g, NOTE(RECORD_USER, "sudo", "alice", "x") QEMU64, &e), -ENOTSUP);
	guest_fini(&g);
}

static void who_speaks_to_a_monitor_is_refused(void **state)
{
	struct guest g = {.pid = 0};
	struct err e;

	(void)state;
	assert_int_equal(TAKE(&g, QEMU64 NOTE(RECORD_SPOKE, "socat", "", "- UNIX:mon"), &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "socat - UNIX:mon"));
	guest_fini(&g);
}

static void what_had_no_answer_is_noted_once(void **state)
{
	struct guest g = {.pid = 0};
	struct err e;

	(void)state;
	assert_int_equal(TAKE(&g,
			      NOTE(RECORD_ASKED, "ip", "", "link") NOTE(RECORD_ASKED, "ip", "", "link")
				      NOTE(RECORD_ASKED, "ip", "", "route") QEMU64,
			      &e),
			 0);
	assert_int_equal(g.notes.count, 1);
	assert_non_null(strstr(g.notes.text[0], ": `ip link`, `ip route`."));
	guest_fini(&g);
	assert_int_equal(TAKE(&g, QEMU64 NOTE("other", "ip", "", "link"), &e), -ENOTSUP);
	guest_fini(&g);
}

static void what_its_qemu_is_started_under_is_noted(void **state)
{
	struct guest g = {.pid = 0};
	struct err e;

	(void)state;
	assert_int_equal(TAKE(&g, NOTE(RECORD_HELD, "qemu-system-x86_64", "", "nice -n 5 taskset -c 0") QEMU64, &e), 0);
	assert_int_equal(g.notes.count, 1);
	assert_non_null(strstr(g.notes.text[0], "by `nice -n 5 taskset -c 0`, which does not go along"));
	guest_fini(&g);
}

/* A socket that the script asks before its QEMU starts may decide about its line; one that it asks afterwards serves the guest. */
static void whom_it_asks_by_a_socket_counts_by_when(void **state)
{
	struct guest g = {.pid = 0};
	struct err e;

	(void)state;
	assert_int_equal(TAKE(&g, NOTE(RECORD_REACHED, "bash", "", "127.0.0.1 port 5900") QEMU64, &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "before it starts its QEMU"));
	assert_non_null(strstr(e.msg, "bash 127.0.0.1 port 5900"));
	guest_fini(&g);
	assert_int_equal(TAKE(&g, NOTE(RECORD_ABROAD, "curl", "", "192.0.2.7 port 80") QEMU64, &e), -ENOTSUP);
	guest_fini(&g);
	assert_int_equal(TAKE(&g, QEMU64 NOTE(RECORD_REACHED, "python3", "", "/run/vm.qmp"), &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "speaks to a monitor"));
	guest_fini(&g);
	assert_int_equal(TAKE(&g, QEMU64 NOTE(RECORD_ABROAD, "curl", "", "192.0.2.7 port 80"), &e), 0);
	assert_non_null(strstr(g.notes.text[0], "`curl 192.0.2.7 port 80`"));
	guest_fini(&g);
}

static void that_nothing_could_be_told_is_said(void **state)
{
	struct guest g = {.pid = 0};
	struct err e;

	(void)state;
	assert_int_equal(TAKE(&g, NOTE(RECORD_DEAF, "", "", "") QEMU64, &e), 0);
	assert_non_null(strstr(g.notes.text[0], "is not told on this host"));
	guest_fini(&g);
}

static void what_it_wrote_counts_before_its_qemu(void **state)
{
	struct guest g = {.pid = 0};
	struct err e;

	(void)state;
	assert_int_equal(TAKE(&g, NOTE(RECORD_READ, "cat", "", "/run/args") QEMU64, &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "cat /run/args"));
	guest_fini(&g);
	assert_int_equal(TAKE(&g, QEMU64 NOTE(RECORD_READ, "cat", "", "/run/vm.pid"), &e), 0);
	assert_int_equal(g.notes.count, 0);
	guest_fini(&g);
}

static void what_it_waited_for_is_said(void **state)
{
	struct guest g = {.pid = 0};
	struct err e;

	(void)state;
	assert_int_equal(TAKE(&g, NOTE(RECORD_WAITED, "sh", "", "/run/fs.sock") NOTE(RECORD_CUT, "", "", ""), &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "looked again and again for what was not there (who, and for what): `sh /run/fs.sock`."));
	guest_fini(&g);
	assert_int_equal(TAKE(&g, NOTE(RECORD_WAITED, "sh", "", "/run/fs.sock") QEMU64, &e), 0);
	assert_int_equal(g.notes.count, 0);
	guest_fini(&g);
}

static void why_no_qemu_was_started_is_said(void **state)
{
	static const char asked[] = NOTE(RECORD_ASKED, "ip", "", "link");
	struct guest g = {.pid = 0};
	struct err e;

	(void)state;
	assert_int_equal(script_take_records("a.sh", asked, sizeof(asked) - 1, "hello\nno bridge br0\r\n \n", &g, &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "It had no answer from these: `ip link`. Its last words were: \"no bridge br0\"."));
	guest_fini(&g);
}

/* A script that was cut off may be about to start another QEMU, unless it starts the same one in a loop. */
static void a_script_that_was_cut_off_is_refused(void **state)
{
#define FOUR QEMU64 QEMU64 QEMU64 QEMU64
	struct guest g = {.pid = 0};
	struct err e;

	(void)state;
	assert_int_equal(TAKE(&g, QEMU64 NOTE(RECORD_CUT, "", "", ""), &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "may start more than was seen"));
	guest_fini(&g);
	assert_int_equal(TAKE(&g, FOUR FOUR FOUR FOUR NOTE(RECORD_CUT, "", "", ""), &e), 0);
	guest_fini(&g);
	assert_int_equal(TAKE(&g, FOUR FOUR FOUR FOUR NOTE(RECORD_ASKED, "ip", "", "link") NOTE(RECORD_CUT, "", "", ""), &e), -ENOTSUP);
	guest_fini(&g);
#undef FOUR
}

/* A script is run, even if only where it can change nothing, so other users must not be able to write it. */
static void a_script_that_others_may_write_to_is_not_believed(void **state)
{
	static const mode_t modes[] = {0700, 0755, 0720, 0702};
	char path[] = "/tmp/test-script-record-XXXXXX";
	int fd = mkstemp(path);
	struct err e;
	size_t i;

	(void)state;
	assert_true(fd >= 0);
	for (i = 0; i < ARRAY_LEN(modes); i++) {
		assert_int_equal(fchmod(fd, modes[i]), 0);
		assert_int_equal(script_check_owner(path, &e), i < 2 ? 0 : -EPERM);
	}
	assert_int_equal(fchmod(fd, 0700), 0);
	if (!geteuid()) { /* only root can give a file away */
		assert_int_equal(fchown(fd, 65534, 65534), 0);
		assert_int_equal(script_check_owner(path, &e), -EPERM);
	}
	close(fd);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(script_check_owner(path, &e), -ENOENT);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {cmocka_unit_test(its_words_directory_and_environment_are_taken),
						  cmocka_unit_test(what_asks_qemu_of_itself_starts_nothing),
						  cmocka_unit_test(words_that_are_made_up_are_told),
						  cmocka_unit_test(what_comes_by_a_stream_is_its_config),
						  cmocka_unit_test(one_guest_and_no_more),
						  cmocka_unit_test(names_of_its_swtpm_are_made_absolute),
						  cmocka_unit_test(records_that_lie_are_refused),
						  cmocka_unit_test(a_qemu_of_another_user_is_refused),
						  cmocka_unit_test(who_speaks_to_a_monitor_is_refused),
						  cmocka_unit_test(what_had_no_answer_is_noted_once),
						  cmocka_unit_test(what_its_qemu_is_started_under_is_noted),
						  cmocka_unit_test(whom_it_asks_by_a_socket_counts_by_when),
						  cmocka_unit_test(that_nothing_could_be_told_is_said),
						  cmocka_unit_test(what_it_wrote_counts_before_its_qemu),
						  cmocka_unit_test(what_it_waited_for_is_said),
						  cmocka_unit_test(why_no_qemu_was_started_is_said),
						  cmocka_unit_test(a_script_that_was_cut_off_is_refused),
						  cmocka_unit_test(a_script_that_others_may_write_to_is_not_believed)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
