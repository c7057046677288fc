/* test-start-tables.c: which tables of a host start a guest, when, and which only look as if. */
#include "start-tables.h"
#include "util.h"

#include <libgen.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char root[] = "/tmp/start-tables-XXXXXX";
static struct start_marks m;
static struct start_table found;

/* The text with the root in place of each %. */
static char *filled(const char *text)
{
	char *whole = NULL;
	size_t size;
	FILE *f = open_memstream(&whole, &size);

	for (; *text; text++)
		if (*text == '%')
			fputs(root, f);
		else
			fputc(*text, f);
	fclose(f);
	return whole;
}

static char *put(const char *name, mode_t mode, const char *text)
{
	char *path = xasprintf("%s%s", root, name);
	AUTO_FREE char *copy = xstrdup(path), *whole = filled(text), *mkdir = xasprintf("mkdir -p %s", dirname(copy));
	FILE *f;

	assert_int_equal(system(mkdir), 0);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs(whole, f);
	fclose(f);
	assert_int_equal(chmod(path, mode), 0);
	return path;
}

/* The words of what starts the guest while that file has this text; "" if nothing does. */
static const char *with(const char *name, mode_t mode, const char *text)
{
	static char words[256];
	AUTO_FREE char *path = put(name, mode, text);

	start_table_find(&found, &m, root);
	snprintf(words, sizeof(words), "%s", found.words ?: "");
	free(found.words);
	unlink(path);
	return words;
}

static int begin(void **state)
{
	static char *argv[] = {NULL, NULL, NULL, NULL, NULL, NULL};
	AUTO_FREE char *image = NULL, *pidfile = NULL, *start = NULL, *drive = NULL;
	struct guest g = {.name = (char *)(uintptr_t) "a", .line = {.argv = argv, .argc = 5}};

	(void)state;
	if (!mkdtemp(root))
		return -1;
	image = put("/vm/a.raw", 0600, "");
	pidfile = put("/vm/a.pid", 0600, "1");
	start = put("/bin/start-a", 0700, "#!/bin/bash\nfor i; do :; done\nqemu-system-x86_64 -hda %/vm/a.raw -daemonize\n");
	drive = xasprintf("file=%s,format=raw", image);
	argv[0] = (char *)(uintptr_t) "qemu-system-x86_64";
	argv[1] = (char *)(uintptr_t) "-drive";
	argv[2] = drive;
	argv[3] = (char *)(uintptr_t) "-pidfile";
	argv[4] = pidfile;
	start_marks_of(&m, &g);
	return 0;
}

static int end(void **state)
{
	AUTO_FREE char *rm = xasprintf("rm -r %s", root);

	(void)state;
	start_marks_fini(&m);
	return system(rm);
}

static void each_kind_of_table_is_read(void **state)
{
	static const struct {
		const char *by, *name, *text;
		mode_t mode;
		bool at_boot;
	} all[] = {
		{"cron", "/etc/crontab", "@reboot root %/bin/start-a\n", 0644, true},
		{"cron", "/etc/crontab", "* * * * * root kill -0 $(cat %/vm/a.pid) || %/bin/start-a\n", 0644, false},
		{"cron", "/etc/crontab", "VM=%/vm\n* * * * * root kvm -hda $VM/a.raw\n", 0644, false},
		{"cron", "/etc/cron.d/vms", "@reboot root %/bin/start-a\n5 * * * * root %/bin/start-a\n", 0644, false},
		{"cron", "/etc/cron.hourly/vms", "#!/bin/sh\n%/bin/start-a\n", 0755, false},
		{"cron", "/var/spool/cron/crontabs/root", "@reboot %/bin/start-a\n", 0600, true},
		{"cron", "/var/spool/cron/root", "@reboot %/bin/start-a\n", 0600, true},
		{"init", "/etc/inittab", "vm:2345:respawn:%/bin/start-a\n", 0600, false},
		{"init", "/etc/rc.local", "#!/bin/sh\n%/bin/start-a\n", 0755, true},
		{"init", "/etc/init.d/a", "#!/bin/sh\ncase $1 in start) %/bin/start-a ;; esac\n", 0755, true},
		{"monit", "/etc/monit/conf.d/a", "check process a with pidfile %/vm/a.pid\n start program = \"/usr/bin/vm start a\"\n",
		 0600, false},
		{"monit", "/etc/monit/monitrc", "check process a matching a\n start program = \"%/bin/start-a\"\n", 0600, false},
		{"supervisor", "/etc/supervisor/conf.d/a.conf", "[program:a]\ncommand=qemu-system-x86_64 -hda a.raw\ndirectory=%/vm\n",
		 0644, false},
		{"runit", "/etc/sv/a/run", "#!/bin/sh\nexec qemu-system-x86_64 -m 1G -hda %/vm/a.raw $MORE\n", 0755, false},
		{"runit", "/etc/service/a/run", "#!/bin/sh\nexec %/bin/start-a\n", 0755, false},
		{"at", "/var/spool/cron/atjobs/a0001", "#!/bin/sh\n%/bin/start-a\n", 0700, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		AUTO_FREE char *words = xasprintf("%s (%s%s)", all[i].by, root, all[i].name);

		assert_string_equal(with(all[i].name, all[i].mode, all[i].text), words);
		assert_int_equal(found.at_boot, all[i].at_boot);
		assert_int_equal(found.once, !strcmp(all[i].by, "at"));
	}
}

static void what_starts_nothing_is_left_out(void **state)
{
	static const struct {
		const char *name, *text;
		mode_t mode;
	} all[] = {
		{"/etc/crontab", "# @reboot root %/bin/start-a\n", 0644},
		{"/etc/crontab", "0 3 * * * root cp %/vm/a.raw /backup\n", 0644},
		{"/etc/crontab", "0 3 * * * root cp %/vm/a.raw /backup\n@reboot root qemu-system-x86_64 -hda /srv/b.raw\n", 0644},
		{"/etc/rc.local", "#!/bin/sh\n%/bin/start-a\n", 0644},
		{"/etc/init.d/b", "#!/bin/sh\nqemu-system-x86_64 -hda %/vm/b.raw\n", 0755},
		{"/etc/monit/conf.d/a", "# check process a with pidfile %/vm/a.pid\n", 0600},
		{"/etc/supervisor/conf.d/a.conf", ";command=%/bin/start-a\n", 0644},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		assert_string_equal(with(all[i].name, all[i].mode, all[i].text), "");
}

/* A table that does not wait for a reboot comes before one that does. */
static void one_that_is_not_only_for_the_boot_comes_first(void **state)
{
	AUTO_FREE char *boot = put("/etc/rc.local", 0755, "#!/bin/sh\n%/bin/start-a\n");

	(void)state;
	assert_string_not_equal(with("/etc/service/a/run", 0755, "#!/bin/sh\nexec %/bin/start-a\n"), "");
	assert_false(found.at_boot);
	assert_string_not_equal(with("/etc/init.d/x", 0755, "#!/bin/sh\n"), "");
	assert_true(found.at_boot);
	unlink(boot);
}

/* Another user's table counts if that user may write to the image. */
static void a_stranger_starts_nothing(void **state)
{
	AUTO_FREE char *image = xasprintf("%s/vm/a.raw", root), *table = NULL;

	(void)state;
	if (geteuid()) {
		printf("skipped: only root can give a file to another user\n");
		skip();
	}
	table = put("/var/spool/cron/crontabs/somebody", 0600, "@reboot %/bin/start-a\n");
	assert_int_equal(chown(table, 12345, 12345), 0);
	start_table_find(&found, &m, root);
	assert_null(found.words);
	assert_int_equal(chmod(image, 0666), 0);
	start_table_find(&found, &m, root);
	assert_non_null(found.words);
	free(found.words);
	unlink(table);
}

/* A process of a user who is not root. Exit status 0: the crontab of that user starts the guest. */
static void look_as_somebody(void)
{
	const char *words;

	if (!geteuid() && setresuid(12345, 12345, 12345))
		_exit(2);
	start_table_find(&found, &m, root);
	words = found.words ?: "";
	_exit(strcmp(words, "cron (crontab -l)") ? 1 : 0);
}

static void a_long_crontab_of_a_user_is_read_to_its_end(void **state)
{
	AUTO_FREE char *program = put("/bin/crontab", 0755, "#!/bin/sh\ncat %/crontab\n"),
		       *table = put("/crontab", 0644, "@reboot qemu-system-x86_64 -hda %/vm/a.raw\n"),
		       *path = xasprintf("%s/bin:%s", root, getenv("PATH")), *before = xstrdup(getenv("PATH"));
	AUTO_FREE char *fill =
		xasprintf("{ yes '# some words' | head -n 1000; cat %s; } >%s.long && mv %s.long %s", table, table, table, table);
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(system(fill), 0);
	assert_int_equal(chmod(root, 0755), 0);
	setenv("PATH", path, 1);
	pid = fork();
	if (!pid)
		look_as_somebody();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	setenv("PATH", before, 1);
	unlink(program);
	unlink(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_of_table_is_read),
		cmocka_unit_test(what_starts_nothing_is_left_out),
		cmocka_unit_test(one_that_is_not_only_for_the_boot_comes_first),
		cmocka_unit_test(a_stranger_starts_nothing),
		cmocka_unit_test(a_long_crontab_of_a_user_is_read_to_its_end),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
