/* record.c: see record.h. namespaces(7), mount_setattr(2), capabilities(7), landlock(7). */
#include "record.h"
#include "open-regular.h"
#include "util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define OWN_DIR	   "/run/.vmferry"
#define RECORD_FD  9
#define SCRIPT_MAX MIB
#define MEMORY_MAX GIB
#define CPU_S	   10
#define ALL_S	   17 /* by the clock, whatever becomes of who asked */
#define ORPHANS_MS 2000
#define FILE_MAX   (64 * MIB)
#define QEMUS_MAX  256

/* ---- the programs that it finds ---- */

static const char recorder[] =
	"#!/bin/sh\n"
	"printf '%s\\0' " RECORD_MARK " \"$#\" \"$(pwd -P)\" \"${LD_LIBRARY_PATH-}\" \"${QEMU_MODULE_DIR-}\" \"$0\" \"$@\" >&9\n";

/* What prepares a host for a guest, or comes after it. */
static const char *const nothing_s[] = {"ip",	  "brctl", "ifconfig", "tunctl",  "ovs-vsctl", "modprobe",  "sysctl",	     "systemctl",
					"chmod",  "chown", "mkdir",    "rm",	  "mv",	       "ln",	    "touch",	     "socat",
					"nc",	  "sleep", "wait",     "virsh",	  "screen",    "tmux",	    "virtiofsd",     "mount",
					"umount", "kill",  "pkill",    "killall", "xdg-open",  "vncviewer", "remote-viewer", "spicy"};

/* Those that run another program after their own words. */
static const struct {
	const char *name, *text;
} wrappers[] = {
	{"sudo",
	 "while :; do case $1 in -u | -g | -C | -h) shift 2 ;; --) shift; break ;; -* | *=*) shift ;; *) break ;; esac; done\nexec \"$@\"\n"},
	{"doas", "while :; do case $1 in -u | -C) shift 2 ;; -*) shift ;; *) break ;; esac; done\nexec \"$@\"\n"},
	{"chrt", "while :; do case $1 in -*) shift ;; *) break ;; esac; done\nshift\nexec \"$@\"\n"},
};

static bool is_qemu(const char *name)
{
	return !strncmp(name, "qemu-system-", strlen("qemu-system-")) || !strcmp(name, "qemu-kvm") || !strcmp(name, "kvm");
}

static int write_program(const char *name, const char *head, const char *text)
{
	AUTO_FREE char *path = xasprintf(OWN_DIR "/%s", name);
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);

	return fd >= 0 && dprintf(fd, "%s%s", head, text) >= 0 && !fchmod(fd, 0755) ? 0 : -errno;
}

static int write_programs(void)
{
	size_t i;
	int r = mkdir(OWN_DIR, 0755) ? -errno : write_program("record", recorder, "");

	for (i = 0; i < ARRAY_LEN(nothing_s) && !r; i++)
		r = write_program(nothing_s[i], "#!/bin/sh\n", "exit 0\n");
	for (i = 0; i < ARRAY_LEN(wrappers) && !r; i++)
		r = write_program(wrappers[i].name, "#!/bin/sh\n", wrappers[i].text);
	return r ? r : write_program("swtpm", recorder, "");
}

/* ---- QEMUs of this host ---- */

struct qemus {
	char *paths[QEMUS_MAX];
	size_t count;
};

static void add_qemu(struct qemus *q, const char *path)
{
	struct stat st;

	if (q->count < QEMUS_MAX && !stat(path, &st) && S_ISREG(st.st_mode))
		q->paths[q->count++] = xstrdup(path);
}

static void add_directory(struct qemus *q, const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *x;

	while (d && (x = readdir(d))) {
		AUTO_FREE char *path = is_qemu(x->d_name) ? xasprintf("%s/%s", dir, x->d_name) : NULL;

		if (path)
			add_qemu(q, path);
	}
	if (d)
		closedir(d);
}

static void add_path(struct qemus *q, const char *list)
{
	AUTO_FREE char *copy = xstrdup(list);
	char *rest = copy, *dir;

	while ((dir = strsep(&rest, ":")))
		if (*dir == '/')
			add_directory(q, dir);
}

/* Those that the script names by whole paths. */
static void add_named(struct qemus *q, char *text)
{
	static const char ends[] = " \t\n'\"`=;&|()<>";
	char *word, *rest = text;

	while ((word = strsep(&rest, ends))) {
		const char *slash = strrchr(word, '/');

		if (*word != '/' || !slash)
			continue;
		if (is_qemu(slash + 1)) {
			add_qemu(q, word);
		} else { /* of D=/opt/qemu; "$D/bin/qemu-system-x86_64" */
			AUTO_FREE char *bin = xasprintf("%s/bin", word);

			add_directory(q, word);
			add_directory(q, bin);
		}
	}
}

/* ---- what it sees of this host ---- */

static int mount_over(const char *from, const char *to, unsigned long flags)
{
	return mount(from, to, NULL, flags, NULL) ? -errno : 0;
}

static int set_mount(const char *path, unsigned flags, uint64_t set, uint64_t clear)
{
	struct mount_attr a = {.attr_set = set, .attr_clr = clear};

	return mount_setattr(AT_FDCWD, path, flags, &a, sizeof(a)) ? -errno : 0;
}

/* Devices that a script may open; what is not there is not missed. */
static int keep_devices(bool begin)
{
	static const char *const kept[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"};
	size_t i;
	int r = 0;

	for (i = 0; i < ARRAY_LEN(kept) && !r; i++)
		if (!access(kept[i], F_OK))
			r = begin ? mount_over(kept[i], kept[i], MS_BIND) : set_mount(kept[i], 0, 0, MOUNT_ATTR_NODEV);
	return r;
}

static int arrange_mounts(const struct qemus *q)
{
	size_t i;
	int r = mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
				mount("none", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=4m")
			? -errno
			: write_programs();

	for (i = 0; i < q->count && !r; i++)
		r = mount_over(OWN_DIR "/record", q->paths[i], MS_BIND);
	r = r ? r : keep_devices(true);
	r = r ? r : set_mount("/", AT_RECURSIVE, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, 0);
	r = r ? r : keep_devices(false);
	return r ? r : set_mount("/run", 0, 0, MOUNT_ATTR_RDONLY);
}

static int write_text(const char *path, const char *text)
{
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -errno;
}

/* Of a user who is not root: root in there is this user. */
static int become_root_there(uid_t uid, gid_t gid)
{
	AUTO_FREE char *uids = xasprintf("%u %u 1", (unsigned)uid, (unsigned)uid),
		       *gids = xasprintf("%u %u 1", (unsigned)gid, (unsigned)gid);
	int r = prctl(PR_SET_DUMPABLE, 1) ? -errno : write_text("/proc/self/setgroups", "deny"); /* otherwise these files are root's */

	r = r ? r : write_text("/proc/self/uid_map", uids);
	r = r ? r : write_text("/proc/self/gid_map", gids);
	return prctl(PR_SET_DUMPABLE, 0) ? -errno : r;
}

static int separate(void)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int all = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;

	if (unshare(all | (uid ? CLONE_NEWUSER : 0)))
		return -errno;
	return uid ? become_root_there(uid, gid) : 0;
}

/* ---- what it may do ---- */

static int drop_capabilities(void)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {{.effective = 0}};
	unsigned i;

	for (i = 0; i < 64 && prctl(PR_CAPBSET_READ, i) >= 0; i++)
		if (prctl(PR_CAPBSET_DROP, i))
			return -errno;
	return syscall(SYS_capset, &h, none) ? -errno : 0;
}

/* A named pipe can be written to on a file system that is read-only. A kernel without Landlock leaves that. */
static void forbid_writing(void)
{
	static const char *const left[] = {"/run", "/dev/null", "/dev/full"};
	const struct landlock_ruleset_attr attr = {.handled_access_fs = LANDLOCK_ACCESS_FS_WRITE_FILE};
	AUTO_CLOSE int rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr.handled_access_fs), 0);
	size_t i;

	if (rules < 0)
		return;
	for (i = 0; i < ARRAY_LEN(left); i++) {
		AUTO_CLOSE int fd = open(left[i], O_PATH | O_CLOEXEC);
		struct landlock_path_beneath_attr a = {.parent_fd = fd, .allowed_access = LANDLOCK_ACCESS_FS_WRITE_FILE};

		if (fd >= 0)
			syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &a, 0);
	}
	syscall(SYS_landlock_restrict_self, rules, 0);
}

static int refuse_calls(void)
{
	static const char *const refused[] = {"socket",
					      "connect",
					      "io_uring_setup",
					      "io_uring_enter",
					      "io_uring_register",
					      "mount",
					      "umount2",
					      "mount_setattr",
					      "move_mount",
					      "open_tree",
					      "fsopen",
					      "fspick",
					      "fsconfig",
					      "open_tree_attr",
					      "fsmount",
					      "pivot_root",
					      "chroot",
					      "unshare",
					      "setns",
					      "clone3",
					      "ptrace",
					      "process_vm_readv",
					      "process_vm_writev",
					      "bpf",
					      "perf_event_open",
					      "userfaultfd",
					      "keyctl",
					      "add_key",
					      "request_key",
					      "open_by_handle_at",
					      "kexec_load",
					      "kexec_file_load",
					      "init_module",
					      "finit_module",
					      "delete_module",
					      "swapon",
					      "swapoff",
					      "reboot",
					      "settimeofday",
					      "clock_settime",
					      "clock_adjtime",
					      "adjtimex",
					      "sethostname",
					      "setdomainname",
					      "quotactl",
					      "acct",
					      "syslog",
					      "personality",
					      "iopl",
					      "ioperm",
					      "mq_open",
					      "nfsservctl",
					      "vhangup",
					      "pidfd_getfd"};
	scmp_filter_ctx c = seccomp_init(SCMP_ACT_ALLOW);
	size_t i;
	int r = c ? 0 : -ENOMEM;

	for (i = 0; !r && i < ARRAY_LEN(refused); i++) {
		int number = seccomp_syscall_resolve_name(refused[i]);

		if (number != __NR_SCMP_ERROR)
			r = seccomp_rule_add(c, SCMP_ACT_ERRNO((uint32_t)(!strcmp(refused[i], "clone3") ? ENOSYS : EPERM)), number, 0);
		r = r == -EDOM || r == -EINVAL ? 0 : r; /* not on this architecture */
	}
	if (!r)
		r = seccomp_rule_add(c, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff, TIOCSTI));
	if (!r)
		r = seccomp_rule_add(c, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
				     SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_NEWUSER, CLONE_NEWUSER));
	if (!r)
		r = seccomp_rule_add(c, SCMP_ACT_ERRNO(0), SCMP_SYS(flock),
				     0); /* as if it had the lock, which others then do not wait for */
	if (!r)
		r = seccomp_load(c);
	if (c)
		seccomp_release(c);
	return r;
}

static int bound(__rlimit_resource_t what, rlim_t most)
{
	struct rlimit l;

	if (getrlimit(what, &l))
		return -errno;
	l.rlim_cur = l.rlim_max = MIN(l.rlim_max, most);
	return setrlimit(what, &l) ? -errno : 0;
}

static int give_up_rights(void)
{
	int r = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? -errno : 0;

	if (!r && mount("none", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, NULL))
		r = -errno;
	r = r ? r : drop_capabilities();
	if (!r)
		forbid_writing();
	r = r ? r : bound(RLIMIT_CPU, CPU_S);
	r = r ? r : bound(RLIMIT_FSIZE, FILE_MAX);
	r = r ? r : bound(RLIMIT_CORE, 0);
	return r ? r : refuse_calls();
}

/* ---- the script ---- */

/* The shell of a script that is no program: what its first line asks for, as far as that is a shell. */
static const char *shell_of(const char *text)
{
	AUTO_FREE char *first = xstrndup(text, strcspn(text, "\n"));

	return !strncmp(first, "#!", 2) && strstr(first, "bash") ? "/bin/bash" : "/bin/sh";
}

static int run_script(const char *path, const char *text, int output)
{
	AUTO_FREE char *list = xasprintf(OWN_DIR ":%s", getenv("PATH") ?: "/usr/sbin:/usr/bin:/sbin:/bin");
	AUTO_CLOSE int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	const char *const direct[] = {path, NULL}, *const by_shell[] = {shell_of(text), path, NULL};

	if (null < 0 || dup2(null, 0) < 0 || dup2(output, RECORD_FD) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0)
		return -errno;
	close_range(RECORD_FD + 1, ~0U, 0);
	setenv("PATH", list, 1);
	if (bound(RLIMIT_AS, MEMORY_MAX)) /* last: we may need more, with a sanitizer */
		return -errno;
	if (!access(path, X_OK))
		execv(path, (char *const *)direct);
	execv(by_shell[0], (char *const *)by_shell);
	return -errno;
}

/* For the script, and then for a moment for what it has left in the background: QEMU, perhaps. */
static void wait_for_all(pid_t script)
{
	uint64_t until = 0;
	pid_t ended;

	while ((ended = waitpid(-1, NULL, until ? WNOHANG : 0)) >= 0 || errno == EINTR) {
		if (ended == script)
			until = now_ns() + ORPHANS_MS * 1000000ULL;
		if (until && now_ns() > until)
			return;
		if (!ended)
			usleep(1000);
	}
}

/* In the first process of the new namespace of processes, with which all others end. */
static int be_first(const char *path, const char *text, int output)
{
	/* not dumpable: through /proc/1 a script would come to files of this program, at mounts that are none of its own */
	int r = prctl(PR_SET_PDEATHSIG, SIGKILL) || prctl(PR_SET_DUMPABLE, 0) ? -errno : give_up_rights();
	pid_t script;

	if (r)
		return r;
	script = fork();
	if (!script) {
		r = setsid() < 0 ? -errno : run_script(path, text, output); /* a process group is one of the host, too */
		_exit(r ? 127 : 0);
	}
	if (script < 0)
		return -errno;
	wait_for_all(script);
	return 0;
}

static int fail(const char *path, const char *what, int r)
{
	AUTO_FREE char *shown = text_shown(path);

	fprintf(stderr, "%s %s: %s\n", shown, what, strerror(-r));
	return 1;
}

int record_script(const char *path)
{
	AUTO_CLOSE int fd = open_regular(path), output = fcntl(1, F_DUPFD_CLOEXEC, RECORD_FD + 1);
	AUTO_FREE char *text = NULL, *copy = NULL;
	struct qemus q = {.count = 0};
	struct stat st;
	size_t n;
	pid_t first;
	int status, r = fd < 0 ? fd : read_regular(fd, SCRIPT_MAX, &text, &n);

	alarm(ALL_S); /* which ends us, and so the others */
	if (r || output < 0)
		return fail(path, "cannot be read", r ? r : -errno);
	if (fstat(fd, &st) || (st.st_uid && st.st_uid != geteuid()) || (st.st_mode & (S_IWGRP | S_IWOTH)))
		return fail(path, "is not run to see what it starts, as others than this user may write to it", -EPERM);
	copy = xstrdup(text);
	add_path(&q, getenv("PATH") ?: "");
	add_path(&q, "/usr/bin:/usr/local/bin:/usr/libexec");
	add_named(&q, copy);
	r = separate();
	if (r)
		return fail(path, "is not run to see what it starts, as this host gives it no namespaces of its own", r);
	r = arrange_mounts(&q);
	first = r ? -1 : fork();
	if (!first)
		_exit(be_first(path, text, output) ? 1 : 0);
	if (first < 0 || waitpid(first, &status, 0) != first || !WIFEXITED(status) || WEXITSTATUS(status))
		return fail(path, "is not run to see what it starts, as it cannot be kept from doing anything else", r ? r : -EPERM);
	return 0;
}
