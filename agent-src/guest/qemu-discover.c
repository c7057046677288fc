/*
 * qemu-discover.c: see qemu-discover.h.
 *
 * A QEMU is a process whose executable (or argv[0]) is called qemu-system-*, qemu-kvm or kvm. What
 * /proc tells comes first, since it needs no one's cooperation; QMP fills in the rest.
 */
#include "qemu-discover.h"
#include "cluster-resource.h"
#include "deleted-file.h"
#include "guest-brought.h"
#include "guest-of-libvirt.h"
#include "guest-ptys.h"
#include "nearest.h"
#include "process.h"
#include "qmp-advice.h"
#include "qemu-args.h"
#include "start-dir.h"
#include "unix-socket.h"
#include "util.h"
#include "words.h"
#include "whereabouts.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* /proc/PID/cmdline and environ: ARG_MAX is 2 MiB by default, and this is a bound, not an
 * allocation. */
#define PROC_FILE_MAX (16U << 20)
/* Bytes of another user's command line that are read, to find the guest's name. */
#define FOREIGN_MAX   65536
#define RUN_DIR_CHARS 12 /* hexadecimal digits in the name of an attempt's runtime directory */

/* /proc */

/* Reads the file, or its first `most` bytes, and appends a NUL, which *len does not count. NULL and errno on failure. */
static char *read_proc(pid_t pid, const char *name, size_t most, size_t *len)
{
	AUTO_FREE char *path = xasprintf("/proc/%d/%s", (int)pid, name);
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t size = 4096, n = 0;
	char *buf;
	ssize_t r;

	if (fd < 0)
		return NULL;
	buf = xmalloc(size + 1);
	while ((r = read(fd, buf + n, size - n)) > 0) {
		n += (size_t)r;
		if (n < size)
			continue;
		if (size >= most)
			break;
		size *= 2;
		buf = xrealloc(buf, size + 1);
	}
	if (r < 0) {
		free(buf);
		return NULL;
	}
	buf[n] = '\0';
	*len = n;
	return buf;
}

static char *read_proc_link(pid_t pid, const char *name)
{
	AUTO_FREE char *path = xasprintf("/proc/%d/%s", (int)pid, name);
	char target[PATH_MAX];
	ssize_t n = readlink(path, target, sizeof(target) - 1);

	if (n < 0)
		return NULL;
	target[n] = '\0';
	return xstrdup(target);
}

static bool is_qemu_name(const char *path)
{
	const char *base = path_base(path);

	return text_starts_with(base, "qemu-system-") || !strcmp(base, "qemu-kvm") || !strcmp(base, "kvm");
}

/* NUL-separated strings to an argv of its own memory. */
static void split_argv(struct guest_line *l, const char *text, size_t len)
{
	const char *p;

	l->argv = xcalloc(1, sizeof(*l->argv));
	for (p = text; p < text + len; p += strlen(p) + 1) {
		l->argv = xrealloc(l->argv, (l->argc + 2) * sizeof(*l->argv));
		l->argv[l->argc++] = xstrdup(p);
		l->argv[l->argc] = NULL;
	}
}

static char *environment_value(const char *text, size_t len, const char *key)
{
	size_t n = strlen(key);
	const char *p;

	for (p = text; p && p < text + len; p += strlen(p) + 1)
		if (!strncmp(p, key, n) && p[n] == '=')
			return xstrdup(p + n + 1);
	return NULL;
}

static void read_environment(struct guest *g)
{
	size_t len = 0;
	AUTO_FREE char *text = read_proc(g->pid, "environ", PROC_FILE_MAX, &len);
	char *pwd;

	g->env.ld_library_path = environment_value(text, len, "LD_LIBRARY_PATH");
	g->env.module_dir = environment_value(text, len, "QEMU_MODULE_DIR");
	/* -daemonize goes to / once everything is open: relative paths were against where the shell
	 * stood */
	if (!qemu_args_has(g->line.argv, g->line.argc, "daemonize"))
		return;
	pwd = start_dir_find(g->pid, g->line.argv, g->line.argc) ?: environment_value(text, len, "PWD");
	if (pwd && *pwd == '/') {
		free(g->cwd);
		g->cwd = pwd;
	} else {
		free(pwd);
	}
}

static bool argv_mentions(const struct guest *g, const char *text)
{
	for (size_t i = 1; i < g->line.argc; i++)
		if (strstr(g->line.argv[i], text))
			return true;
	return false;
}

static void find_owner(struct guest *g)
{
	AUTO_FREE char *cgroup = guest_cgroup(g->pid);

	guest_unit_of(&g->unit, g->pid);
	if ((cgroup && strstr(cgroup, "machine-qemu")) || argv_mentions(g, "/var/lib/libvirt/qemu/domain-") ||
	    argv_mentions(g, "/libvirt/qemu/lib/domain-"))
		g->owner_hint = xstrdup("libvirt");
	else if (argv_mentions(g, "/run/qemu-server/") || (cgroup && strstr(cgroup, "/qemu.slice/")))
		g->owner_hint = xstrdup("proxmox");
	g->resource = cluster_resource_of(g->pid, g->start_time);
}

/* The path of a file that a process names by its own descriptor (/dev/fd/N, /proc/self), as others see it; malloc'ed, or NULL: it is no such name. */
static char *own_path(pid_t pid, const char *path)
{
	static const char *const own[][2] = {{"/dev/fd/", "fd/"},
					     {"/proc/self/", ""},
					     {"/dev/stdin", "fd/0"},
					     {"/dev/stdout", "fd/1"},
					     {"/dev/stderr", "fd/2"}};

	for (size_t i = 0; pid && i < ARRAY_LEN(own); i++)
		if (!strncmp(path, own[i][0], strlen(own[i][0])))
			return xasprintf("/proc/%d/%s%s", (int)pid, own[i][1], path + strlen(own[i][0]));
	return NULL;
}

char *guest_path(const struct guest *g, const char *path)
{
	char *own = own_path(g->pid, path);

	if (own)
		return own;
	if (*path == '/' || !g->cwd)
		return xstrdup(path);
	return xasprintf("%s/%s", g->cwd, path);
}

char *guest_attached_path(pid_t pid)
{
	AUTO_FREE char *base = xasprintf(ATTACHED_PREFIX "%d" ATTACHED_SUFFIX, (int)pid);
	char *path = process_socket_called(pid, base);

	if (path && access(path, F_OK)) { /* somebody has removed it: QEMU listens, and nobody finds it */
		free(path);
		path = NULL;
	}
	return path;
}

bool guest_is_attached_path(const struct guest *g, const char *path)
{
	AUTO_FREE char *base = xasprintf("/" ATTACHED_PREFIX "%d" ATTACHED_SUFFIX, (int)g->pid);
	const char *slash = strrchr(path, '/');

	return slash && !strcmp(slash, base);
}

void guest_remove_attached(const struct guest *g)
{
	for (size_t i = 0; i < g->qmp.count; i++)
		if (guest_is_attached_path(g, g->qmp.all[i]))
			unlink(g->qmp.all[i]);
}

/* The one that it was given, which nobody else looks for, and those on its line. */
static void find_monitors(struct guest *g)
{
	char **paths, **ports, **ptys, *attached = guest_attached_path(g->pid);
	size_t i, on_line = qemu_args_qmp_paths(g->line.expanded, g->line.expanded_count, &paths),
		  of_tcp = qemu_args_qmp_ports(g->line.expanded, g->line.expanded_count, &ports), of_ptys = guest_qmp_ptys(g, &ptys);

	g->qmp.all = xcalloc(on_line + of_tcp + of_ptys + 1, sizeof(*g->qmp.all));
	if (attached)
		g->qmp.all[g->qmp.count++] = attached;
	for (i = 0; i < on_line; i++)
		g->qmp.all[g->qmp.count++] = guest_path(g, paths[i]);
	for (i = 0; i < of_tcp; i++)
		g->qmp.all[g->qmp.count++] = xstrdup(ports[i]);
	for (i = 0; i < of_ptys; i++)
		g->qmp.all[g->qmp.count++] = ptys[i];
	free(ptys);
	args_free_strings(paths, on_line);
	args_free_strings(ports, of_tcp);
	if (g->qmp.count)
		g->qmp.path = xstrdup(g->qmp.all[0]);
}

/* True if this is still the same process, and ours: while we looked at it, it may have become another one, or another user's. */
static bool is_ours(const struct guest *g)
{
	uint64_t start;

	return process_is_ours(g->pid) > 0 && !process_start_time(g->pid, &start) && start == g->start_time;
}

static void drop_argv(struct guest *g)
{
	args_free_strings(g->line.argv, g->line.argc);
	g->line.argv = xcalloc(1, sizeof(*g->line.argv));
	g->line.argc = 0;
}

/* Believes only a process of ours: another user's, or one that another user controls, may name any file. */
static void believe(struct guest *g)
{
	guest_write_in_taps(g);
	guest_expand_line(g);
	find_monitors(g);
	free(g->name);
	g->name = qemu_args_name(g->line.expanded, g->line.expanded_count);
}

/* Fills *g with everything in /proc/PID. -ESRCH (gone), -EACCES, or -EINVAL (not a QEMU); *g is empty then. */
static int describe(struct guest *g, pid_t pid)
{
	AUTO_FREE char *cmdline = NULL;
	size_t len = 0;
	int r;

	*g = (struct guest){.pid = pid};
	r = process_start_time(pid, &g->start_time);
	g->foreign = r || !is_ours(g);
	g->exe = process_program(pid);
	cmdline = read_proc(pid, "cmdline", g->foreign ? FOREIGN_MAX : PROC_FILE_MAX, &len);
	if (r || !cmdline || !len) {
		r = r ?: !cmdline ? -errno : -ESRCH;
		guest_fini(g);
		return r;
	}
	split_argv(&g->line, cmdline, len);
	/* a process whose link cannot be read cannot be accessed at all */
	if (!g->exe || (!is_qemu_name(g->exe) && (g->foreign || !is_qemu_name(g->line.argv[0])))) {
		r = !g->exe && is_qemu_name(g->line.argv[0]) ? -EACCES : -EINVAL;
		guest_fini(g);
		return r;
	}
	g->cwd = g->foreign ? NULL : read_proc_link(pid, "cwd");
	if (!g->foreign)
		read_environment(g);
	g->name = qemu_args_name(g->line.argv, g->line.argc);
	if (!is_ours(g)) {
		g->foreign = true;
		drop_argv(g);
	} else {
		believe(g);
	}
	if (!g->name)
		g->name = xasprintf("qemu-%d", (int)pid);
	find_owner(g);
	if (g->foreign)
		guest_take_if_libvirts(g);
	return 0;
}

/* The clean-up process of -run-with async-teardown=on looks like a second QEMU: it shares everything with its parent but the name. */
static bool is_teardown_of_another(const struct guest *g)
{
	static const char name[] = "cleanup/";
	AUTO_FREE char *parent = process_program(process_parent(g->pid));
	AUTO_FREE char *comm = NULL;
	size_t n;

	comm = read_proc(g->pid, "comm", 64, &n);
	return comm && n > sizeof(name) && !memcmp(comm, name, sizeof(name) - 1) && parent && g->exe && !strcmp(parent, g->exe);
}

/* True if one of the guest's monitors has that name and lies in an attempt's directory. */
static bool has_monitor_of_ours(const struct guest *g, const char *name)
{
	for (size_t i = 0; i < g->qmp.count; i++) {
		const char *base = strrchr(g->qmp.all[i], '/'), *dir = base;

		while (dir && dir > g->qmp.all[i] && dir[-1] != '/')
			dir--;
		if (base && !strcmp(base + 1, name) && base - dir == RUN_DIR_CHARS && strspn(dir, "0123456789abcdef") == RUN_DIR_CHARS)
			return true;
	}
	return false;
}

/* An agent's launcher starts its programs. Both hide their memory from other processes, and so which program they are: only root sees more than
 * a name. */
static bool is_agent_there(pid_t pid)
{
	AUTO_FREE char *exe = process_program(pid);
	AUTO_FREE char *comm = NULL;
	size_t n;

	if (exe)
		return strstr(exe, "/vmferry-dst");
	comm = read_proc(pid, "comm", 64, &n);
	return comm && (text_starts_with(comm, "vmferry-dst") || text_starts_with(comm, "vmferry-launch"));
}

bool guest_is_arriving(const struct guest *g)
{
	return (has_monitor_of_ours(g, "vmferry.qmp") && is_agent_there(process_parent(g->pid))) || guest_is_brought(g);
}

/* A QEMU that answers an agent's questions, or writes disks for it, has no guest. */
static bool is_helper(const struct guest *g)
{
	return has_monitor_of_ours(g, "helper.qmp");
}

/* True if another user owns the process's directory: nothing in it is read. */
static bool is_another_users(DIR *proc, const char *pid)
{
	struct stat st;

	return fstatat(dirfd(proc), pid, &st, 0) || st.st_uid != geteuid();
}

struct listing {
	bool (*wanted)(pid_t pid, const void *ctx);
	const void *ctx;
	struct guest *list;
	size_t count, foreign;
	bool cut_off;
};

/* 0, or -EMFILE and the like: this one cannot be looked at, nor can the next. One that is gone, or is not a QEMU, is none of the list. */
static int look_at(struct listing *l, pid_t pid)
{
	struct guest g;
	int r = describe(&g, pid);

	if (r)
		return r == -EMFILE || r == -ENFILE || r == -ENOMEM ? r : 0;
	if (is_teardown_of_another(&g) || is_helper(&g) || (g.foreign && l->foreign == GUESTS_FOREIGN_MAX)) {
		l->cut_off |= g.foreign;
		guest_fini(&g);
		return 0;
	}
	l->foreign += g.foreign;
	l->list = xrealloc(l->list, (l->count + 1) * sizeof(*l->list));
	l->list[l->count++] = g;
	return 0;
}

static void free_list(struct guest *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		guest_fini(&list[i]);
	free(list);
}

/* Lists the guests. Only the number of other users' processes is bounded, so that none of them keeps us from finding our own. */
static int list_guests(struct listing *l, struct err *e)
{
	DIR *proc = opendir("/proc");
	struct dirent *d;
	int r = proc ? 0 : -errno;

	while (!r && (errno = 0, d = readdir(proc))) {
		pid_t pid = (pid_t)strtol(d->d_name, NULL, 10);

		if (!isdigit((unsigned char)d->d_name[0]) || (l->wanted && !l->wanted(pid, l->ctx)))
			continue;
		if (l->foreign == GUESTS_FOREIGN_MAX && is_another_users(proc, d->d_name))
			l->cut_off = true;
		else
			r = look_at(l, pid);
	}
	if (!r && errno)
		r = -errno;
	if (proc)
		closedir(proc);
	if (!r)
		return 0;
	free_list(l->list, l->count);
	return err_sys(e, -r, "cannot look at all processes of this host, to find its guests");
}

int guest_list(struct guest **out, size_t *count, bool *cut_off, struct err *e)
{
	struct listing l = {.wanted = NULL};
	int r = list_guests(&l, e);

	*out = r ? NULL : l.list;
	*count = r ? 0 : l.count;
	*cut_off = l.cut_off;
	return r;
}

int guest_list_of(struct guest **out, size_t *count, bool (*wanted)(pid_t pid, const void *ctx), const void *ctx, struct err *e)
{
	struct listing l = {.wanted = wanted, .ctx = ctx};
	int r = list_guests(&l, e);

	if (!r && l.cut_off) {
		free_list(l.list, l.count);
		r = err_set(e, E2BIG, "more than %d processes of other users call themselves QEMU: not all can be looked at",
			    GUESTS_FOREIGN_MAX);
	}
	*out = r ? NULL : l.list;
	*count = r ? 0 : l.count;
	return r;
}

/* Choosing one */

static bool is_path(const char *vm)
{
	struct stat st;

	return strchr(vm, '/') || (stat(vm, &st) == 0 && S_ISSOCK(st.st_mode));
}

/* "vm1 (pid 12), vm2 (pid 34)": ours before others', and no more than a message takes. */
static char *name_all(const struct guest *list, size_t count)
{
	char *text = xcalloc(1, ERR_MAX);
	size_t i, n = 0;
	bool foreign;

	for (foreign = false;; foreign = true) {
		for (i = 0; i < count && n < ERR_MAX; i++)
			if (list[i].foreign == foreign)
				n += (size_t)snprintf(text + n, ERR_MAX - n, "%s%s (pid %d)", n ? ", " : "", list[i].name,
						      (int)list[i].pid);
		if (foreign)
			return text;
	}
}

static bool matches(const struct guest *g, const char *vm, bool foreign)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", (int)g->pid);
	return g->foreign == foreign && (!strcmp(g->name, vm) || !strcmp(pid, vm));
}

static int nobody_is_called(const char *vm, const struct guest *list, size_t count, const char *all, struct err *e)
{
	AUTO_FREE const char **ours = xcalloc(count + 1, sizeof(*ours));
	AUTO_FREE char *libvirts = guest_libvirts_word(vm);
	AUTO_FREE char *gone = whereabouts_gone(NULL, vm);
	const char *semicolon = gone ? "; " : "", *meant;
	size_t i;

	for (i = 0; i < count; i++)
		ours[i] = list[i].foreign ? NULL : list[i].name;
	meant = gone || *libvirts ? NULL : nearest_word(vm, ours, count);
	if (meant)
		return err_set(e, ENOENT, "no guest %s runs on this host; did you mean %s?", vm, meant);
	return count ? err_set(e, ENOENT, "no guest %s runs on this host%s%s; guests here: %s%s", vm, semicolon, gone ?: "", all, libvirts)
		     : err_set(e, ENOENT, "no guest %s: no QEMU that this user may look at runs on this host%s%s%s%s", vm,
			       geteuid() ? " (root sees all, and moves libvirt's: sudo vmferry ...)" : "", semicolon, gone ?: "", libvirts);
}

/* Moves the one guest that matches into *g. */
static int choose(struct guest *g, struct guest *list, size_t count, const char *vm, struct err *e)
{
	AUTO_FREE char *all = name_all(list, count);
	size_t i, found = count, hits = 0;
	bool foreign;

	/* guests of other users come second: none can stand in front of ours with a name like it */
	for (foreign = false;; foreign = true) {
		for (i = 0; i < count; i++)
			if (matches(&list[i], vm, foreign)) {
				found = i;
				hits++;
			}
		if (hits || foreign)
			break;
	}
	if (hits > 1)
		return err_set(e, EEXIST, "more than one guest is called %s: give its pid instead; guests here: %s", vm, all);
	if (!hits)
		return nobody_is_called(vm, list, count, all, e);
	*g = list[found];
	list[found] = (struct guest){.pid = 0};
	return 0;
}

static int find_by_name(struct guest *g, const char *vm, struct err *e)
{
	struct guest *list;
	size_t count;
	bool cut_off;
	int r = guest_list(&list, &count, &cut_off, e);

	if (r < 0)
		return r;
	r = choose(g, list, count, vm, e);
	if (r == -ENOENT && cut_off) /* a caller must not take that for "it does not run" */
		e->code = E2BIG;
	if (r == -ENOENT && cut_off)
		r = err_prefix(e, "not all processes that call themselves QEMU were looked at, as those of other users are too many");
	free_list(list, count);
	if (r == 0)
		r = guest_check_user(g, e);
	if (r == 0 && !g->qmp.path && g->owner_hint)
		return err_set(
			e, ENXIO,
			"guest %s (pid %d) belongs to %s, which has its only QMP monitor: vmferry moves it, and what else is to be done with it is "
			"done there",
			g->name, (int)g->pid, g->owner_hint);
	if (r == 0 && !g->qmp.path) {
		AUTO_FREE char *options = qmp_advice(g->name, g->line.expanded, g->line.expanded_count);

		r = err_set(
			e, ENXIO,
			"guest %s (pid %d) has no QMP monitor that vmferry can reach. While it runs it can be given one: vmferry attach %d. Or restart "
			"it, with: %s",
			g->name, (int)g->pid, (int)g->pid, options);
	}
	return r;
}

/* SO_PEERCRED says who listens even while another client is being served. */
static int listener_of(const char *path, pid_t *pid, struct err *e)
{
	AUTO_CLOSE int fd = unix_connect(path, SOCK_NONBLOCK);
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (fd == -ECONNREFUSED)
		return err_set(e, ENOENT, "no process listens on %s any more: the QEMU that made it is gone", path);
	if (fd == -EAGAIN)
		return err_set(e, EBUSY, "%s is occupied, and more clients are waiting for it", path);
	if (fd < 0)
		return err_sys(e, -fd, "cannot connect to %s", path);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return err_sys(e, errno, "cannot tell who listens on %s", path);
	if (peer.pid <= 0)
		return err_set(e, ENOENT, "cannot see from here which process listens on %s (another pid namespace)", path);
	*pid = peer.pid;
	return 0;
}

static int find_by_socket(struct guest *g, const char *vm, struct err *e)
{
	char *path = realpath(vm, NULL);
	pid_t pid = 0;
	int r;

	if (!path)
		return err_sys(e, errno, "cannot find the QMP socket %s", vm);
	r = listener_of(path, &pid, e);
	if (r == 0) {
		r = describe(g, pid);
		if (r == -EINVAL)
			err_set(e, EINVAL, "%s belongs to process %d, which is not a QEMU", path, (int)pid);
		else if (r < 0)
			err_sys(e, -r, "cannot look at process %d, which listens on %s", (int)pid, path);
	}
	if (r < 0) {
		free(path);
		return r;
	}
	free(g->qmp.path);
	g->qmp.path = path;
	return guest_check_user(g, e);
}

int guest_find(struct guest *g, const char *vm, struct err *e)
{
	*g = (struct guest){.pid = 0};
	return is_path(vm) ? find_by_socket(g, vm, e) : find_by_name(g, vm, e);
}

bool guest_is_libvirts(const struct guest *g)
{
	return g->owner_hint && !strcmp(g->owner_hint, "libvirt");
}

int guest_check_user(const struct guest *g, struct err *e)
{
	struct passwd *pw;
	uid_t user;
	int r = process_user(g->pid, &user);

	if (r)
		return err_sys(e, -r, "cannot tell whose process %d is", (int)g->pid);
	if (!g->foreign && (user == geteuid() || guest_is_run_by_libvirt(g)))
		return 0;
	if (user == geteuid())
		return err_set(
			e, EPERM,
			"its QEMU runs in a container (another pid or user namespace), where names of files and processes mean others: run "
			"vmferry in there");
	pw = getpwuid(user);
	return err_set(e, EPERM, "its QEMU runs as another user (%s%suid %u): run vmferry as that user", pw ? pw->pw_name : "",
		       pw ? ", " : "", (unsigned)user);
}

/* QMP */

static int open_one(struct guest *g, const char *path, struct qmp **out, struct loop *l, unsigned timeout_ms, const struct qmp_handlers *h,
		    void *ctx, struct err *e)
{
	if (guest_pty_is_taken(g, path))
		return err_set(e, EBUSY, "another process has the QMP monitor %s open", path);
	return qmp_open_of(out, l, path, g->pid, timeout_ms, h, ctx, e);
}

int guest_open_qmp(struct guest *g, struct qmp **out, struct loop *l, unsigned timeout_ms, const struct qmp_handlers *h, void *ctx,
		   struct err *e)
{
	struct err other;
	int r;

	if (guest_check_user(g, e))
		return -e->code;
	if (!g->qmp.path)
		return err_set(e, ENXIO, "guest %s has no QMP monitor", g->name);
	r = open_one(g, g->qmp.path, out, l, timeout_ms, h, ctx, e);
	for (size_t i = 0; r < 0 && i < g->qmp.count; i++) {
		if (!strcmp(g->qmp.all[i], g->qmp.path))
			continue;
		r = open_one(g, g->qmp.all[i], out, l, timeout_ms, h, ctx, &other);
		if (r < 0)
			continue;
		free(g->qmp.path);
		g->qmp.path = xstrdup(g->qmp.all[i]);
	}
	return r < 0 ? -e->code : 0;
}

void guest_fini(struct guest *g)
{
	guest_forget_query(g);
	for (size_t i = 0; i < g->line.config_count; i++) {
		free((char *)g->line.configs[i].path);
		free((char *)g->line.configs[i].text);
	}
	free(g->line.configs);
	args_free_strings(g->line.argv, g->line.argc);
	args_free_strings(g->line.expanded, g->line.expanded_count);
	args_free_strings(g->notes.text, g->notes.count);
	args_free_strings(g->qmp.all, g->qmp.count);
	FREE_ALL(g->name, g->exe, g->cwd, g->qmp.path, g->env.ld_library_path, g->env.module_dir, g->unit.name, g->owner_hint, g->resource,
		 g->makes);
	swtpm_fini(&g->tpm);
	*g = (struct guest){.pid = 0};
}
