/* test-start-marks.c: which texts start a guest, and which only name its files. */
#include "start-marks.h"
#include "util.h"

#include <pwd.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/start-marks-XXXXXX";
static char *image, *pidfile;
static struct start_marks m;
static struct start_runner by;

static char *put(const char *name, const char *text)
{
	char *path = xasprintf("%s/%s", dir, name);
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	return path;
}

static int begin(void **state)
{
	static char program[] = "/opt/q/emulate";
	static char *argv[] = {program, NULL, NULL, NULL, NULL, NULL};
	AUTO_FREE char *vm = NULL;
	struct guest g = {.name = argv[0], .exe = program, .line = {.argv = argv, .argc = 5}};

	(void)state;
	if (!mkdtemp(dir))
		return -1;
	vm = xasprintf("%s/vm", dir);
	if (mkdir(vm, 0700))
		return -1;
	image = put("vm/a.raw", "");
	pidfile = put("vm/a.pid", "1");
	argv[1] = (char *)(uintptr_t) "-drive";
	argv[2] = xasprintf("file=%s,format=raw", image);
	argv[3] = (char *)(uintptr_t) "-pidfile";
	argv[4] = pidfile;
	start_marks_of(&m, &g);
	free(argv[2]);
	by = (struct start_runner){.cwd = "/", .user = geteuid()};
	return 0;
}

static int end(void **state)
{
	AUTO_FREE char *rm = xasprintf("rm -r %s", dir);

	(void)state;
	start_marks_fini(&m);
	FREE_ALL(image, pidfile);
	return system(rm);
}

/* The text with DIR in place of each %. */
static bool starts(const char *text)
{
	AUTO_FREE char *whole = xstrdup("");

	for (; *text; text++) {
		char *before = whole;

		whole = *text == '%' ? xasprintf("%s%s", before, dir) : xasprintf("%s%c", before, *text);
		free(before);
	}
	return start_marks_text(&m, &by, whole);
}

static void a_text_that_runs_qemu_on_its_files_starts_it(void **state)
{
	static const char *const texts[] = {
		"while :; do qemu-system-x86_64 -hda %/vm/a.raw; done",
		"kvm -drive file=%/vm/a.raw,if=virtio",
		"emulate -hda '%/vm/a.raw'",
		"cd %/vm; qemu-system-x86_64 -hda a.raw",
		"D=%/vm\nqemu-system-x86_64 -drive \"file=$D/a.raw\"",
		"D=%/vm\nqemu-system-x86_64 -drive file=${D}/a.raw",
		"qemu-system-x86_64 -pidfile %/vm/a.pid -daemonize $DISKS",
		"exec qemu-kvm -hda %/vm/../vm//a.raw",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (!starts(texts[i]))
			fail_msg("not found: %s", texts[i]);
}

/* In place of the C library's: the home of everybody. */
struct passwd *getpwuid(uid_t uid)
{
	static struct passwd own = {.pw_name = dir, .pw_dir = dir};

	(void)uid;
	return &own;
}

static void a_home_has_several_names(void **state)
{
	static const char *const texts[] = {"kvm -hda ~/vm/a.raw", "kvm -hda $HOME/vm/a.raw", "kvm -hda \"${HOME}/vm/a.raw\""};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (!starts(texts[i]))
			fail_msg("not found: %s", texts[i]);
	assert_false(starts("kvm -hda ~/a.raw"));
}

static void a_text_that_names_its_files_starts_nothing(void **state)
{
	static const char *const texts[] = {
		"tail -f %/vm/a.raw",
		"qemu-img check %/vm/a.raw",
		"qemu-system-x86_64 -hda %/vm/b.raw -pidfile %/vm/b.pid",
		"qemu-system-x86_64 -hda %/vm/a.raw.old",
		"cd %; qemu-system-x86_64 -hda a.raw",
		"kill -0 $(cat %/vm/a.pid)",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (starts(texts[i]))
			fail_msg("taken for one that starts it: %s", texts[i]);
}

/* Many keep their guests in a directory that is called as QEMU is, and back them up, or talk to them, by its name. */
static void a_directory_that_is_called_as_qemu_is_runs_nothing(void **state)
{
	static const char *const reads[] = {
		"cp %/kvm/a.raw /backup/",
		"pkill -F %/kvm/a.pid",
		"cd %/kvm && cp a.raw /backup/",
		"tar -C %/kvm -cf /backup/kvm.tar a.raw",
		"borg create /backup::x %/qemu-system-vms/a.raw",
		"test -e /dev/kvm && sync %/vm/a.raw",
		"cp %/emulate/a.raw /backup/",
	};
	static const char *const runs[] = {
		"/usr/bin/kvm -hda %/kvm/a.raw",
		"cd %/kvm; exec /usr/bin/kvm $A a.raw",
		"Q=/usr/bin/kvm\n$Q -hda %/kvm/a.raw",
		"/usr/bin/kvm-spice -hda %/vm/a.raw",
		"%/qemu-system-vms/qemu-system-x86_64 -hda %/vm/a.raw",
	};
	static const char *const names[] = {"kvm", "qemu-system-vms", "emulate"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		AUTO_FREE char *other = xasprintf("%s/%s", dir, names[i]);

		assert_int_equal(symlink("vm", other), 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(reads); i++)
		if (starts(reads[i]))
			fail_msg("taken for one that starts it: %s", reads[i]);
	for (size_t i = 0; i < ARRAY_LEN(runs); i++)
		if (!starts(runs[i]))
			fail_msg("not found: %s", runs[i]);
}

static void a_script_that_it_leads_to_is_read(void **state)
{
	AUTO_FREE char *text = xasprintf("#!/bin/sh\nqemu-system-x86_64 -m 64 -hda %s -daemonize &\n", image);
	AUTO_FREE char *start = put("start-it", text), *keep = put("keep", "#!/bin/sh\nsh ./start-it");
	AUTO_FREE char *other = put("other", "qemu-system-x86_64 -hda /none");
	AUTO_FREE char *report = put("report.json", text + strlen("#!/bin/sh"));

	(void)state;
	assert_true(starts("kill -0 $(cat %/vm/a.pid) || %/start-it"));
	assert_true(starts("* * * * * root %/keep >/dev/null"));
	assert_false(starts("%/other"));
	assert_true(start_marks_file(&m, &by, keep));
	assert_false(start_marks_file(&m, &by, other));
	assert_true(start_marks_file(&m, &by, report)); /* a shell runs it */
	assert_false(start_marks_line(&m, &by, start));
	assert_false(starts("jq .line %/report.json"));
	if (!geteuid() && !chown(start, 12345, 12345)) { /* a stranger's script is no word on what this host starts, but for the stranger */
		assert_false(starts("%/start-it"));
		by.user = 12345;
		assert_true(starts("%/start-it"));
		by.user = 0;
	}
	unlink(start);
}

/* Depth ends scripts that name each other. */
static void scripts_in_a_ring_come_to_an_end(void **state)
{
	AUTO_FREE char *a = xasprintf("%s/ring-b %s/ring-a", dir, dir), *b = xasprintf("%s/ring-a", dir);
	AUTO_FREE char *first = put("ring-a", a), *second = put("ring-b", b);

	(void)state;
	assert_false(start_marks_file(&m, &by, first));
	assert_false(start_marks_file(&m, &by, second));
}

static void a_script_that_was_not_followed_is_read_again(void **state)
{
	AUTO_FREE char *last_text = xasprintf("exec qemu-system-x86_64 %s\n", image);
	AUTO_FREE char *last = put("last.sh", last_text), *then_text = xasprintf("%s\n", last);
	AUTO_FREE char *then = put("then.sh", then_text), *first_text = xasprintf("%s\n", then);
	AUTO_FREE char *first = put("first.sh", first_text), *alone = xasprintf("%s\n", first), *both = xasprintf("%s; %s\n", first, then);

	(void)state;
	assert_true(start_marks_text(&m, &by, both));
	assert_false(start_marks_text(&m, &by, alone)); /* as far as scripts are followed */
}

static void a_script_may_start_it_for_who_runs_it_elsewhere(void **state)
{
	AUTO_FREE char *run = put("run.sh", "qemu-system-x86_64 a.raw\n"), *vm = xasprintf("%s/vm", dir), *text = xasprintf("%s\n", run);
	struct start_runner there = {.cwd = vm, .user = geteuid()};

	(void)state;
	assert_false(start_marks_text(&m, &by, text));
	assert_true(start_marks_text(&m, &there, text));
	assert_false(start_marks_text(&m, &by, text));
}

/* A limit is each text's own: scripts that others run do not hide one that starts the guest. */
static void many_scripts_of_others_hide_none(void **state)
{
	AUTO_FREE char *text = xasprintf("exec qemu-system-x86_64 %s\n", image), *last = put("last-of-many.sh", text);

	(void)state;
	for (unsigned i = 0; i < 1100; i++) {
		AUTO_FREE char *name = xasprintf("many-%u.sh", i), *path = put(name, "true\n");

		assert_false(start_marks_text(&m, &by, path));
	}
	assert_true(start_marks_text(&m, &by, last));
}

static void write_program(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	if (!f || fputs(text, f) < 0 || fclose(f) || chmod(path, 0755))
		_exit(77);
}

/* A process with an empty /usr/sbin, in a mount namespace of its own. Exit status: the number of the first text that is not found to start the guest;
 * 0: all are found; 77: this host has no namespaces. */
static void look_in_usr_sbin(void)
{
	static const char *const texts[] = {"#!/bin/sh\nfor i; do vm-one $i; done\n", "#!/bin/sh\nD=$(dirname $0)\n$D/vm-one\n",
					    "#!/bin/sh\ncd \"${0%/*}\" && exec ./vm-one\n"};
	AUTO_FREE char *one = xasprintf("#!/bin/sh\nexec qemu-system-x86_64 -hda %s $MORE\n", image);

	if (unshare(CLONE_NEWNS | (geteuid() ? CLONE_NEWUSER : 0)) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", "/usr/sbin", "tmpfs", 0, NULL))
		_exit(77);
	by.user = geteuid();
	write_program("/usr/sbin/vm-one", one);
	for (unsigned i = 0; i < ARRAY_LEN(texts); i++) {
		AUTO_FREE char *path = xasprintf("/usr/sbin/vm-all-%u", i), *job = xasprintf("@reboot root %s\n", path);

		write_program(path, texts[i]);
		if (!start_marks_text(&m, &by, job))
			_exit((int)i + 1);
	}
	_exit(0);
}

/* An administrator's scripts may lie in /usr/sbin, beside the distribution's programs. */
static void a_script_in_usr_sbin_may_run_another_there(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	if (!pid)
		look_in_usr_sbin();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status == W_EXITCODE(77, 0)) {
		printf("skipped: only root can mount here\n");
		skip();
	}
	assert_int_equal(status, 0);
}

static void who_may_write_to_the_image_could_start_it(void **state)
{
	const uid_t other = geteuid() + 1;
	const gid_t group = getegid();

	(void)state;
	assert_int_equal(chmod(image, 0600), 0);
	assert_true(start_marks_may_be_written(&m, geteuid(), NULL, 0));
	assert_false(start_marks_may_be_written(&m, other, &group, 1));
	assert_int_equal(chmod(image, 0660), 0);
	assert_true(start_marks_may_be_written(&m, other, &group, 1));
	assert_false(start_marks_may_be_written(&m, other, NULL, 0));
	assert_int_equal(chmod(image, 0666), 0);
	assert_true(start_marks_may_be_written(&m, other, NULL, 0));
	assert_int_equal(chmod(image, 0644), 0);
	assert_false(start_marks_may_be_written(&m, other, NULL, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_text_that_runs_qemu_on_its_files_starts_it),
		cmocka_unit_test(a_home_has_several_names),
		cmocka_unit_test(a_text_that_names_its_files_starts_nothing),
		cmocka_unit_test(a_directory_that_is_called_as_qemu_is_runs_nothing),
		cmocka_unit_test(a_script_that_it_leads_to_is_read),
		cmocka_unit_test(scripts_in_a_ring_come_to_an_end),
		cmocka_unit_test(a_script_that_was_not_followed_is_read_again),
		cmocka_unit_test(a_script_may_start_it_for_who_runs_it_elsewhere),
		cmocka_unit_test(many_scripts_of_others_hide_none),
		cmocka_unit_test(a_script_in_usr_sbin_may_run_another_there),
		cmocka_unit_test(who_may_write_to_the_image_could_start_it),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
