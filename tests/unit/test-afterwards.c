/*
 * test-afterwards.c: what is left to the shell and to systemd after a move: quoting, the script that starts a guest again,
 * what systemctl says of units. A real sh judges the quoting.
 */
#include "afterwards.h"
#include "durable-file.h"
#include "process.h"
#include "shell-quote.h"
#include "start-script.h"
#include "unit-text.h"
#include "util.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cmocka.h>

/* In place of the C library's: what others could do with a file while it is made. */
static mode_t modes_at_fsync;

int fsync(int fd)
{
	struct stat st;

	if (!fstat(fd, &st) && S_ISREG(st.st_mode))
		modes_at_fsync |= st.st_mode & 0777;
	return (int)syscall(SYS_fsync, fd);
}

/* Runs a script of one command by sh, for its output. */
static void run_sh(const char *script, struct process_output *out)
{
	char *argv[] = {"sh", "-c", (char *)script, NULL};
	struct err e;

	if (process_run(argv, 10000, out, &e))
		fail_msg("%s", e.msg);
	assert_int_equal(out->status, 0);
}

static void expect_word(const char *word)
{
	AUTO_FREE char *quoted = shell_quote(word);
	AUTO_FREE char *script = xasprintf("printf %%s. %s", quoted);
	AUTO_FREE char *want = xasprintf("%s.", word);
	struct process_output out;

	run_sh(script, &out);
	assert_string_equal(out.text, want);
}

static void a_shell_reads_every_character_back_as_it_was(void **state)
{
	char alone[2] = "", between[4] = "a?b", all[256];
	int c;

	(void)state;
	for (c = 1; c < 256; c++) {
		alone[0] = between[1] = all[c - 1] = (char)c;
		expect_word(alone);
		expect_word(between);
	}
	all[255] = '\0';
	expect_word(all);
}

static void a_shell_reads_awkward_words_back_as_they_were(void **state)
{
	/* clang-format off */
	static const char *const words[] = {
		"", "-n", "~", "~root", "a b", "$HOME", "`id`", "$(id)", "it's", "''", "'", "\\", "a\\", "a\nb", "\n", "*", "?[a]",
		"a=b", "#x", "!x", "file=/x,if=none", "driver={\"a\": \"b c\"}", "a;b", "a&b", "a|b", "<a>", "{a,b}", "\xff\xfe", "ä",
		"console=ttyS0 quiet 'x'", "%s", "--",
	};
	/* clang-format on */
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(words); i++)
		expect_word(words[i]);
}

static void plain_words_stay_readable(void **state)
{
	AUTO_FREE char *plain = shell_quote("file=/srv/vm1.raw,format=raw");
	AUTO_FREE char *quoted = shell_quote("a b");

	(void)state;
	assert_string_equal(plain, "file=/srv/vm1.raw,format=raw");
	assert_string_equal(quoted, "'a b'");
}

/* The script, with a program that prints its environment and its arguments in place of QEMU. */
static void the_script_runs_the_line_without_what_concerns_the_move(void **state)
{
	char *argv[] = {"qemu",
			"-name",
			"it's \"a\"\n$guest",
			"-S",
			"-drive",
			"file=/a b,if=none",
			"-append",
			"-S",
			"-incoming",
			"defer",
			"-qmp",
			"unix:/mine,server=on",
			"-qmp",
			"unix:/run/x/vmferry.qmp,server=on,wait=on"};
	char *env[] = {"X;touch /x;Y=1", "LD_LIBRARY_PATH=/a:/b", "LD_PRELOAD=/x", "QEMU_MODULE_DIR=/c 'd'", NULL};
	char *dirs[] = {"/tmp", "/tmp/.", NULL};
	struct start_script s = {"two\nlines `x`",
				 "moved here from host\r-a",
				 "2024-01-02",
				 "/usr/bin/printf",
				 argv,
				 ARRAY_LEN(argv),
				 env,
				 "/run/x/vmferry.qmp",
				 NULL,
				 dirs};
	AUTO_FREE char *text = NULL;
	AUTO_FREE char *check = NULL;
	AUTO_FREE char *quoted = NULL;
	struct process_output out;

	(void)state;
	argv[1] = "[%s]"; /* printf's format; its first argument may not look like an option */
	text = start_script_text(&s);
	assert_non_null(strstr(text, "# Starts the guest two?lines `x` again, as it was moved here from host?-a on 2024-01-02"));
	assert_non_null(strstr(text, "export LD_LIBRARY_PATH=/a:/b\nexport QEMU_MODULE_DIR='/c '\\''d'\\'''\n"));
	assert_null(strstr(text, "touch")); /* a name is not quoted, and a stranger's point has whatever variables it likes */
	assert_null(strstr(text, "LD_PRELOAD"));
	assert_non_null(strstr(text, "\nmkdir -p -- /tmp\nmkdir -p -- /tmp/.\n"));
	quoted = shell_quote(text);
	check = xasprintf("unset LD_LIBRARY_PATH; sh -c %s", quoted);
	run_sh(check, &out);
	assert_string_equal(out.text, "[it's \"a\"\n$guest][-drive][file=/a b,if=none][-append][-S][-qmp][unix:/mine,server=on]");
}

static char *script_for(const char *disk)
{
	AUTO_FREE char *drive = xasprintf("file=%s,format=raw,if=virtio", disk);
	char *argv[] = {"qemu-system-x86_64", "-name", "vm1", "-drive", drive};
	struct start_script s = {"vm1",	       "moved here from host-a",
				 "2026-01-02", "/usr/bin/qemu-system-x86_64",
				 argv,	       ARRAY_LEN(argv),
				 NULL,	       NULL,
				 NULL,	       NULL};

	return start_script_text(&s);
}

static char *edited(const char *text, const char *from, const char *to)
{
	const char *at = strstr(text, from);

	assert_non_null(at);
	return xasprintf("%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
}

static void whether_a_script_was_edited_can_be_told(void **state)
{
	AUTO_FREE char *text = script_for("/srv/vm/a.raw");
	AUTO_FREE char *more = edited(text, "-drive", "-m 2G -drive");
	AUTO_FREE char *comment = edited(text, "cd /", "# mine\ncd /");
	AUTO_FREE char *longer = xasprintf("%s\n", text);
	AUTO_FREE char *cut = edited(text, "# Not edited since vmferry wrote it: ", "# ");
	AUTO_FREE char *broken = edited(text, "vmferry wrote it: ", "vmferry wrote it: x");

	(void)state;
	assert_int_equal(start_script_origin(text), SCRIPT_OURS);
	assert_int_equal(start_script_origin(more), SCRIPT_FOREIGN);
	assert_int_equal(start_script_origin(comment), SCRIPT_FOREIGN);
	assert_int_equal(start_script_origin(longer), SCRIPT_FOREIGN);
	assert_int_equal(start_script_origin(broken), SCRIPT_FOREIGN);
	assert_int_equal(start_script_origin(cut), SCRIPT_UNSEALED); /* a script as an older vmferry has written it */
	assert_int_equal(start_script_origin("#!/bin/sh\nexec qemu-system-x86_64\n"), SCRIPT_FOREIGN);
	start_script_seal(more); /* by vmferry */
	assert_int_equal(start_script_origin(more), SCRIPT_OURS);
}

/* Checks the plan's name for the script of a guest with the disk DIR/a.raw, beside this one. */
static void expect_script(const char *dir, const char *text, const char *want)
{
	AUTO_FREE char *path = xasprintf("%s/vm1.sh", dir);
	AUTO_FREE char *full = xasprintf("%s/%s", dir, want);
	AUTO_FREE char *disk = xasprintf("%s/a.raw", dir);
	json_t *plan, *disks = json_pack("[s]", disk);
	struct err e;

	assert_int_equal(write_new_file(path, 0700, text, &e), 0);
	assert_int_equal(afterwards_plan(&plan, "vm1", dir, "0100000000000000", false, &e), 0);
	afterwards_replace(plan, disks);
	assert_string_equal(json_string_value(json_object_get(plan, "script")), full);
	json_decref(plan);
	json_decref(disks);
	assert_int_equal(unlink(path), 0);
}

static void only_a_script_of_the_same_guest_that_nobody_has_edited_is_replaced(void **state)
{
	char dir[] = "/tmp/test-afterwards-XXXXXX";
	AUTO_FREE char *disk = NULL;
	AUTO_FREE char *other_disk = NULL;
	AUTO_FREE char *text = NULL;
	AUTO_FREE char *of_other = NULL;
	AUTO_FREE char *more = NULL;

	(void)state;
	assert_non_null(mkdtemp(dir));
	disk = xasprintf("%s/a.raw", dir);
	other_disk = xasprintf("%s/a.raw2", dir);
	text = script_for(disk);
	of_other = script_for(other_disk);
	more = edited(text, "-drive", "-m 2G -drive");
	expect_script(dir, text, "vm1.sh");
	expect_script(dir, of_other, "vm1-2.sh");
	expect_script(dir, more, "vm1-2.sh");
	expect_script(dir, "somebody's", "vm1-2.sh");
	assert_int_equal(rmdir(dir), 0);
}

static void the_draft_of_the_script_is_never_readable_by_others(void **state)
{
	char dir[] = "/tmp/test-afterwards-XXXXXX";
	uint8_t id[ATTEMPT_ID_LEN] = {1};
	json_t *plan, *begin;
	struct journal *j;
	struct err e;
	mode_t mask;

	(void)state;
	assert_non_null(mkdtemp(dir));
	begin = json_pack("{s:s}", "guest", "vm1");
	assert_int_equal(journal_create(&j, dir, id, false, begin, &e), 0);
	json_decref(begin);
	assert_int_equal(afterwards_plan(&plan, "vm1", dir, "0100000000000000", false, &e), 0);
	modes_at_fsync = 0;
	mask = umask(0);
	assert_int_equal(afterwards_prepare(j, plan, "-object secret,data=secret", &e), 0);
	umask(mask);
	assert_int_equal(modes_at_fsync, 0600);
	unlink(json_string_value(json_object_get(plan, "draft")));
	json_decref(plan);
	assert_int_equal(journal_remove(j, false, &e), 0);
	assert_int_equal(rmdir(dir), 0);
}

static void names_of_files_and_units_are_tame(void **state)
{
	static const struct {
		const char *guest, *plain;
	} cases[] = {
		{"vm1", "vm1"},
		{"", "guest"},
		{"a b", "a_b"},
		{"../../etc/passwd", "_._.._etc_passwd"},
		{"-rf", "_rf"},
		{".hidden", "_hidden"},
		{"a@b%i$HOME\\x2d", "a_b_i_HOME_x2d"},
		{"ä", "__"},
		{"a\nb", "a_b"},
		{"web.prod_1-2", "web.prod_1-2"},
	};
	char longest[300];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_FREE char *plain = unit_plain_name(cases[i].guest);

		assert_string_equal(plain, cases[i].plain);
		assert_null(strchr(plain, '/'));
		assert_true(plain[0] != '.' && plain[0] != '-');
	}
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	AUTO_FREE char *cut = unit_plain_name(longest);

	assert_int_equal(strlen(cut), 100);
}

static void arguments_of_units_hold_nothing_that_systemd_expands(void **state)
{
	AUTO_FREE char *q = unit_quote("/a \"b\"/%h/$HOME\\x\n.sh");

	(void)state;
	assert_string_equal(q, "\"/a \\\"b\\\"/%%h/$$HOME\\\\x\\x0a.sh\"");
}

static void units_wait_for_what_their_script_and_disks_lie_on(void **state)
{
	json_t *plan = json_pack("{s:s,s:s,s:b}", "guest", "vm1", "unit", "vmferry-vm1.service", "user", 0);
	AUTO_FREE char *of_system = NULL;
	AUTO_FREE char *of_user = NULL;

	(void)state;
	afterwards_need(plan, "/srv/vm/vm1.sh");
	afterwards_need(plan, "/srv/vm/a.raw");
	afterwards_need(plan, "/srv/vm 2/100%/$b.raw");
	afterwards_need(plan, "/srv/\"x/b.raw"); /* an older systemd has no way to write such a path */
	afterwards_need(plan, "/srv/x\\/b.raw");
	afterwards_need(plan, "/srv/x\n/b.raw");
	of_system = afterwards_unit_text(plan, "/srv/vm/vm1.sh");
	assert_non_null(strstr(of_system, "\nBefore=vmferry-guests.target\n"));
	assert_non_null(strstr(of_system, "\nAfter=network-online.target local-fs.target remote-fs.target\n"
					  "RequiresMountsFor=\"/srv/vm\" \"/srv/vm 2/100%%\"\n\n[Service]\n"));
	json_object_set_new(plan, "user", json_true());
	of_user = afterwards_unit_text(plan, "/srv/vm/vm1.sh");
	assert_null(strstr(of_user, "RequiresMountsFor"));
	json_decref(plan);
	plan = json_pack("{s:s}", "guest", "vm1"); /* without a unit */
	afterwards_need(plan, "/srv/vm/vm1.sh");
	assert_null(json_object_get(plan, "mounts"));
	json_decref(plan);
}

static void properties_are_found_in_what_systemctl_shows(void **state)
{
	static const char shown[] =
		"Restart=always\nMainPID=17\nLoadState=loaded\nExecStart={ path=/x ; argv[]=/x Restart=no ; }\nEmpty=\nLast=a=b";
	static const struct {
		const char *key, *value;
	} cases[] = {{"Restart", "always"}, {"MainPID", "17"}, {"Empty", ""}, {"Last", "a=b"}, {"Rest", ""}, {"PID", ""}, {"none", ""}};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_FREE char *v = unit_property(shown, cases[i].key);

		assert_string_equal(v, cases[i].value);
	}
	AUTO_FREE char *nothing = unit_property("", "Restart");

	assert_string_equal(nothing, "");
}

static void what_may_start_a_unit_is_told_apart(void **state)
{
	(void)state;
	assert_false(unit_restarts("no"));
	assert_true(unit_restarts("always"));
	assert_true(unit_restarts("on-failure"));
	assert_true(unit_restarts("")); /* unknown: the worse is assumed */
	assert_true(unit_is_wanted("enabled"));
	assert_true(unit_is_wanted("static"));
	assert_true(unit_is_wanted("generated"));
	assert_true(unit_is_wanted(""));
	assert_false(unit_is_wanted("disabled"));
	assert_false(unit_is_wanted("transient"));
	assert_true(unit_is_changing("activating"));
	assert_true(unit_is_changing("deactivating"));
	assert_false(unit_is_changing("active")); /* its program has ended, or runs */
	assert_false(unit_is_changing("inactive"));
	assert_false(unit_is_changing("failed"));
	assert_true(unit_is_generic("ssh.service"));
	assert_true(unit_is_generic("user@1000.service"));
	assert_true(unit_is_generic("vmferry-dst.service"));
	assert_true(unit_is_generic("cron.service"));
	assert_true(unit_starts_others("cron.service"));
	assert_true(unit_starts_others("podman-vm1.service"));
	assert_false(unit_starts_others("ssh.service"));
	assert_false(unit_starts_others("vm1.service"));
	assert_true(unit_is_generic("rc-local.service"));
	assert_false(unit_is_generic("vmferry-vm1.service"));
	assert_false(unit_is_generic("sshd-guest.service"));
}

static void a_program_is_run_with_its_output_and_status(void **state)
{
	char *say[] = {"sh", "-c", "echo out; echo err >&2; read x || echo eof; exit 3", NULL};
	char *die[] = {"sh", "-c", "kill -TERM $$", NULL};
	char *none[] = {"no-such-program-anywhere", NULL};
	struct process_output out;
	struct err e;

	(void)state;
	assert_int_equal(process_run(say, 10000, &out, &e), 0);
	assert_int_equal(out.status, 3);
	assert_string_equal(out.text, "out\nerr\neof\n");
	assert_int_equal(process_run(die, 10000, &out, &e), 0);
	assert_int_equal(out.status, 128 + 15);
	assert_int_equal(process_run(none, 10000, &out, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "no-such-program-anywhere"));
}

static void output_beyond_what_fits_is_forgotten(void **state)
{
	char *flood[] = {"sh", "-c", "i=0; while [ $i -lt 5000 ]; do echo 0123456789; i=$((i+1)); done", NULL};
	struct process_output out;
	struct err e;

	(void)state;
	assert_int_equal(process_run(flood, 20000, &out, &e), 0);
	assert_int_equal(out.status, 0);
	assert_int_equal(strlen(out.text), sizeof(out.text) - 1);
}

static void a_program_that_does_not_end_is_killed_with_its_children(void **state)
{
	char *hang[] = {"sh", "-c", "sleep 100 & echo $!; wait", NULL};
	uint64_t begin = now_ns();
	struct process_output out;
	struct err e;

	(void)state;
	assert_int_equal(process_run(hang, 300, &out, &e), -ETIMEDOUT);
	assert_true(now_ns() - begin < 5000000000ULL);
	assert_true(atoi(out.text) > 0);
	for (int i = 0; i < 500 && !kill(atoi(out.text), 0); i++) {
		uint64_t start;

		if (process_start_time(atoi(out.text), &start) || !qemu_is_alive(atoi(out.text), start))
			return;
		usleep(10000);
	}
	assert_int_not_equal(kill(atoi(out.text), 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_shell_reads_every_character_back_as_it_was),
		cmocka_unit_test(a_shell_reads_awkward_words_back_as_they_were),
		cmocka_unit_test(plain_words_stay_readable),
		cmocka_unit_test(the_script_runs_the_line_without_what_concerns_the_move),
		cmocka_unit_test(whether_a_script_was_edited_can_be_told),
		cmocka_unit_test(only_a_script_of_the_same_guest_that_nobody_has_edited_is_replaced),
		cmocka_unit_test(the_draft_of_the_script_is_never_readable_by_others),
		cmocka_unit_test(names_of_files_and_units_are_tame),
		cmocka_unit_test(arguments_of_units_hold_nothing_that_systemd_expands),
		cmocka_unit_test(units_wait_for_what_their_script_and_disks_lie_on),
		cmocka_unit_test(properties_are_found_in_what_systemctl_shows),
		cmocka_unit_test(what_may_start_a_unit_is_told_apart),
		cmocka_unit_test(a_program_is_run_with_its_output_and_status),
		cmocka_unit_test(output_beyond_what_fits_is_forgotten),
		cmocka_unit_test(a_program_that_does_not_end_is_killed_with_its_children),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
