/*
 * fuzz-proc.c: libFuzzer on what /proc tells of a process that calls itself a QEMU (agent-src/guest): its command line, its environment and
 * its cgroups, which 0xff and a byte keep apart: 1 begins the environment, 2 the cgroups.
 */
#include "../../agent-src/guest/guest-line.c"
#include "../../agent-src/guest/guest-unit.c"
#include "../../agent-src/guest/qemu-discover.c"

#include "seed.h"

static void expect_whole(char *const *v, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		require(v[i]);
	require(!v[n]);
}

static void try_line(const char *text, size_t n)
{
	struct guest g = {.cwd = xstrdup("/nowhere"), .deadline_ms = 1};
	size_t i;

	split_argv(&g.line, text, n);
	expect_whole(g.line.argv, g.line.argc);
	g.line.configs = xcalloc(1, sizeof(*g.line.configs)); /* no file that it names is opened */
	expand_line(&g.line);
	find_monitors(&g);
	g.name = qemu_args_name(g.line.expanded, g.line.expanded_count);
	for (i = 0; i < g.qmp.count; i++)
		require(g.qmp.all[i][0] == '/');
	argv_mentions(&g, "/run/qemu-server/");
	guest_fini(&g);
}

static void try_environment(const char *text, size_t n)
{
	free(environment_value(text, n, "LD_LIBRARY_PATH"));
	free(environment_value(text, n, "PWD"));
}

static void try_cgroups(const char *text)
{
	struct guest_unit u = {.name = NULL};
	AUTO_FREE char *cgroup = own_cgroup(text);

	if (!cgroup)
		return;
	require(!strchr(cgroup, '\n'));
	find_unit(&u, cgroup);
	require(u.name ? strlen(u.name) > strlen(".service") && !strchr(u.name, '/') : !u.is_user);
	free(u.name);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	const uint8_t *end;
	uint8_t which = 0;
	char *text;
	size_t len;

	while (n) {
		end = memchr(p, 0xff, n);
		len = end ? (size_t)(end - p) : n;
		text = xmalloc(len + 1);
		memcpy(text, p, len);
		text[len] = '\0';
		if (which == 1)
			try_environment(text, len);
		else if (which == 2)
			try_cgroups(text);
		else
			try_line(text, len);
		free(text);
		len = MIN(len + 2, n);
		which = p[len - 1];
		p += len;
		n -= len;
	}
	return 0;
}

static const char seed[] = "/usr/bin/qemu-system-x86_64\0-name\0guest=vm1,debug-threads=on\0-qmp\0unix:vm1.qmp,server=on\0-chardev\0"
			   "socket,id=c,path=/run/c\0-mon\0chardev=c,mode=control\0-set\0device.d.x=y\0-device\0x,id=d\0-daemonize\0"
			   "\xff\1LD_LIBRARY_PATH=/opt/lib\0PWD=/srv\0\xff\2"
			   "12:pids:/\n1:name=systemd:/user.slice/user@1000.service/app.slice/vm1.service\n0::/system.slice/a.service\n";

ONE_SEED(seed)
