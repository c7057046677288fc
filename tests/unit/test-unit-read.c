/* test-unit-read.c: what a systemd unit starts, from its files: a template with an instance, drop-ins, files of variables, and what is refused. */
#include "qemu-discover.h"
#include "unit-read.h"
#include "util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/vmferry-unit-XXXXXX";
static struct err e;

static char *in_dir(const char *name)
{
	return xasprintf("%s/%s", dir, name);
}

static void put(const char *name, const char *text)
{
	AUTO_FREE char *path = in_dir(name);
	char *slash = strrchr(path, '/');
	FILE *f;

	*slash = '\0';
	mkdir(path, 0755);
	*slash = '/';
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	chmod(path, 0644);
}

static void expect_line(const struct guest *g, const char *want)
{
	AUTO_FREE char *got = xstrdup("");
	size_t i;

	for (i = 0; i < g->line.argc; i++) {
		char *longer = xasprintf("%s[%s]", got, g->line.argv[i]);

		free(got);
		got = longer;
	}
	assert_string_equal(got, want);
}

static void starts(const char *name, const char *want, const char *cwd)
{
	AUTO_FREE char *path = in_dir(name);
	struct guest g = {.pid = 0};
	int r = unit_read_file(path, &g, &e);

	if (r)
		fail_msg("%s", e.msg);
	expect_line(&g, want);
	assert_string_equal(g.cwd, cwd);
	assert_true(g.notes.count > 0 && strstr(g.notes.text[0], "starts: "));
	assert_null(g.unit.name);
	guest_fini(&g);
}

static void refuses(const char *name, const char *why)
{
	AUTO_FREE char *path = in_dir(name);
	struct guest g = {.pid = 0};

	assert_true(unit_read_file(path, &g, &e) < 0);
	if (!strstr(e.msg, why))
		fail_msg("no '%s' in: %s", why, e.msg);
	guest_fini(&g);
}

static void service_refuses(const char *settings, const char *why)
{
	AUTO_FREE char *text = xasprintf("[Service]\n%s", settings);

	put("bad.service", text);
	refuses("bad.service", why);
}

static void a_template_starts_each_instance_with_its_variables(void **state)
{
	AUTO_FREE char *conf = xasprintf("# of web1\nMEM=2G\nARGS=\"-drive file=%s/web1.raw,format=raw -nographic\"\n", dir);
	AUTO_FREE char *unit =
		xasprintf("[Unit]\nDescription=Guest %%i\nAfter=network.target\n[Service]\nType=simple\nEnvironment=MEM=1G CPUS=2\n"
			  "EnvironmentFile=%s/%%i.conf\nEnvironmentFile=-%s/none\nWorkingDirectory=%s\n"
			  "ExecStartPre=-/usr/bin/ip link set tap-%%i up\n"
			  "ExecStart=/usr/bin/env qemu-system-x86_64 -name %%i,process=vm:%%i \\\n"
			  "    -m ${MEM} -smp $CPUS \\\n    # its disks\n    $ARGS\n"
			  "ExecStop=/usr/bin/vm-stop %%i\nRestart=on-failure\n[Install]\nWantedBy=multi-user.target\n",
			  dir, dir, dir);
	AUTO_FREE char *want = xasprintf(
		"[qemu-system-x86_64][-name][web1,process=vm:web1][-m][2G][-smp][2][-drive][file=%s/web1.raw,format=raw][-nographic]", dir);
	AUTO_FREE char *later = xasprintf("[qemu-system-x86_64][-name][web1][-m][3G]");

	(void)state;
	put("web1.conf", conf);
	put("vm@.service", unit);
	starts("vm@web1.service", want, dir);
	refuses("vm@.service", "template");
	refuses("vm@other.service", "other.conf");
	put("vm@.service.d/a.conf", "[Service]\nExecStart=\nExecStart=qemu-system-x86_64 -name %i -m ${MEM}\n");
	put("vm@web1.service.d/b.conf", "[Service]\nEnvironmentFile=\nEnvironment=MEM=3G\n");
	starts("vm@web1.service", later, dir);
}

static void a_plain_unit_runs_in_the_root_directory(void **state)
{
	(void)state;
	put("a.service", "[Service]\nExecStart=-!:/usr/bin/qemu-system-x86_64 -name \"a $X\" -append 'x ${Y}' 100%%\n");
	starts("a.service", "[/usr/bin/qemu-system-x86_64][-name][a $X][-append][x ${Y}][100%]", geteuid() ? getenv("HOME") : "/");
}

static void what_a_unit_gives_its_qemu_of_the_host_is_noted(void **state)
{
	AUTO_FREE char *path = in_dir("held.service");
	struct guest g = {.pid = 0};

	(void)state;
	put("held.service", "[Service]\nExecStart=/qemu-kvm\nCPUAffinity=0-3\nNice=5\nNice=-5\nMemoryMax=\nPrivateNetwork=no\n");
	assert_int_equal(unit_read_file(path, &g, &e), 0);
	assert_true(g.notes.count > 1);
	assert_non_null(strstr(g.notes.text[1], " has Nice=-5, CPUAffinity=0-3, which does not go along"));
	guest_fini(&g);
}

static void what_a_unit_has_that_is_not_known_is_refused(void **state)
{
	(void)state;
	service_refuses("Type=oneshot\n", "starts no program");
	service_refuses("ExecStart=\n", "starts no program");
	service_refuses("ExecStart=/a\nExecStart=/b\n", "several programs");
	service_refuses("ExecStart=@/a b\n", "'@'");
	service_refuses("ExecStart=/a %z\n", "(%z)");
	service_refuses("ExecStart=/a $NONE\n", "$NONE");
	service_refuses("ExecStart=/a 'b\n", "quote");
	service_refuses("ExecStart=/a\nEnvironmentFile=/none-of-vmferry\n", "none-of-vmferry");
	service_refuses("ExecStart=/a\nEnvironmentFile=/etc/*.conf\n", "no whole path");
	service_refuses("ExecStart=/a\nRootDirectory=/x\n", "RootDirectory=/x");
	service_refuses("ExecStart=/a\nDynamicUser=yes\n", "DynamicUser");
	service_refuses("ExecStart=/a\nUser=nobody-here\n", "as that user");
	service_refuses("ExecStart=/a file=/tmp/x.raw\nPrivateTmp=yes\n", "PrivateTmp");
	service_refuses("ExecStart=/a\nWorkingDirectory=/none-of-vmferry\n", "is not there");
	service_refuses("ExecStart=/none-of-vmferry start web\n",
			"cannot look at /none-of-vmferry"); /* a script, which would be run to see what it starts */
	put("bad.service", "[Service]\nExecStart=/qemu-kvm\nDynamicUser=no\nUser=\n");
	starts("bad.service", "[/qemu-kvm]", geteuid() ? getenv("HOME") : "/");
}

static void a_unit_that_others_may_write_is_not_believed(void **state)
{
	AUTO_FREE char *path = in_dir("open.service");

	(void)state;
	put("open.service", "[Service]\nExecStart=/a\n");
	chmod(path, 0666);
	refuses("open.service", "others than this user may write");
}

static void what_systemd_reads_otherwise_is_refused(void **state)
{
	const struct unit_names names = {.unit = "a.service", .home = "/", .runtime_dir = "/run"};
	struct kv_list l = {.n = 0};
	struct guest g = {.pid = 0};

	(void)state;
	kv_append(&l, "ExecStart", "/usr/bin/qemu -name 'a b' ${X}");
	kv_append(&l, "Environment", "X=1");
	assert_int_equal(unit_take(&l, &names, "{ path=/usr/bin/qemu ; argv[]=/usr/bin/qemu -name a b ${X} ; ignore_errors=no ; }", &g, &e),
			 0);
	expect_line(&g, "[/usr/bin/qemu][-name][a b][1]");
	guest_fini(&g);
	g = (struct guest){.pid = 0};
	assert_int_equal(unit_take(&l, &names, "{ path=/usr/bin/qemu ; argv[]=/usr/bin/qemu -name a ${X} ; ignore_errors=no ; }", &g, &e),
			 -ENOTSUP);
	guest_fini(&g);
	kv_fini(&l);
}

static int make_dir(void **state)
{
	(void)state;
	return !mkdtemp(dir);
}

static int remove_dir(void **state)
{
	AUTO_FREE char *command = xasprintf("rm -r %s", dir);

	(void)state;
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_template_starts_each_instance_with_its_variables),
		cmocka_unit_test(a_plain_unit_runs_in_the_root_directory),
		cmocka_unit_test(what_a_unit_gives_its_qemu_of_the_host_is_noted),
		cmocka_unit_test(what_a_unit_has_that_is_not_known_is_refused),
		cmocka_unit_test(a_unit_that_others_may_write_is_not_believed),
		cmocka_unit_test(what_systemd_reads_otherwise_is_refused),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
