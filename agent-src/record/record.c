/* record.c: see record.h. namespaces(7), mount_setattr(2), capabilities(7), landlock(7). */
#include "record.h"
#include "record-private.h"
#include "open-regular.h"
#include "util.h"
#include "words.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define SCRIPT_MAX MIB
#define MEMORY_MAX GIB
#define CPU_S	   60 /* CPU time of one process; the clock ends all of them before, so that it is known */
#define ALL_S	   17 /* time by the clock, whatever becomes of the caller */
#define ORPHANS_MS 2000
#define REAP_MS	   5
#define FILE_MAX   (64 * MIB)

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
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(kept) && !r; i++)
		if (!access(kept[i], F_OK))
			r = begin ? mount_over(kept[i], kept[i], MS_BIND) : set_mount(kept[i], 0, 0, MOUNT_ATTR_NODEV);
	return r;
}

/* A file of the host's /run, which is open as run. A file that cannot be had, as on some file systems of a user's, is not there. */
static void keep_in_run(int run, const char *name)
{
	AUTO_FREE char *from = xasprintf("/proc/self/fd/%d/%s", run, name), *to = xasprintf("/run/%s", name);
	char target[PATH_MAX];
	struct stat st;
	ssize_t n;

	if (fstatat(run, name, &st, AT_SYMLINK_NOFOLLOW))
		return;
	if (S_ISLNK(st.st_mode)) {
		n = readlinkat(run, name, target, sizeof(target) - 1);
		target[n < 0 ? 0 : n] = '\0';
		if (n > 0 && symlink(target, to))
			return;
	} else if (S_ISDIR(st.st_mode) ? !mkdir(to, 0755) : !mknod(to, S_IFREG | 0444, 0)) {
		if (mount(from, to, NULL, MS_BIND | MS_REC, NULL))
			(S_ISDIR(st.st_mode) ? rmdir : unlink)(to);
	}
}

/* A /run where our programs can be, and which has what the host's has: a script may ask for a disk in it. */
static int arrange_run(void)
{
	AUTO_CLOSE int run = open("/run", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int list = run < 0 ? -1 : fcntl(run, F_DUPFD_CLOEXEC, 0);
	DIR *d = list < 0 ? NULL : fdopendir(list);
	struct dirent *x;

	if (!d || mount("none", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=4m"))
		return -errno;
	while ((x = readdir(d)))
		if (strcmp(x->d_name, ".") && strcmp(x->d_name, ".."))
			keep_in_run(run, x->d_name);
	closedir(d);
	return 0;
}

/* Arranges the mounts that the script sees. where: the script's directory, which is ours. */
static int arrange_mounts(const struct record_qemus *q, const char *where, const char *script, int output, struct record_layers *layers)
{
	AUTO_FREE char *beside = xasprintf("%.*s", (int)(strrchr(script, '/') ? strrchr(script, '/') - script : 0), script);
	const char *const dirs[] = {"/tmp", "/var/tmp", getenv("TMPDIR") ?: "/tmp", where, *beside ? beside : where, NULL};
	int r = mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ? -errno : arrange_run() ?: record_write_programs(q, output);

	if (!r)
		record_lay(layers, dirs);
	r = r || !chdir(where) ? r : -errno; /* on top of the layer */
	r = r ?: record_mount_programs(q) ?: keep_devices(true);
	r = r ?: set_mount("/", AT_RECURSIVE, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, 0) ?: keep_devices(false);
	return r ?: record_open_layers(layers) ?: set_mount("/run", 0, 0, MOUNT_ATTR_RDONLY);
}

static int write_text(const char *path, const char *text)
{
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -errno;
}

/* Maps root in the namespace to this user, who is not root. */
static int become_root_there(uid_t uid, gid_t gid)
{
	AUTO_FREE char *uids = xasprintf("%u %u 1", (unsigned)uid, (unsigned)uid),
		       *gids = xasprintf("%u %u 1", (unsigned)gid, (unsigned)gid);
	int r = prctl(PR_SET_DUMPABLE, 1) ? -errno : write_text("/proc/self/setgroups", "deny"); /* otherwise these files are root's */

	r = r ?: write_text("/proc/self/uid_map", uids) ?: write_text("/proc/self/gid_map", gids);
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

	for (unsigned i = 0; i < 64 && prctl(PR_CAPBSET_READ, i) >= 0; i++)
		if (prctl(PR_CAPBSET_DROP, i))
			return -errno;
	return syscall(SYS_capset, &h, none) ? -errno : 0;
}

static void leave(int rules, const char *path)
{
	AUTO_CLOSE int fd = open(path, O_PATH | O_CLOEXEC);
	struct landlock_path_beneath_attr a = {.parent_fd = fd, .allowed_access = LANDLOCK_ACCESS_FS_WRITE_FILE};

	if (fd >= 0)
		syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &a, 0);
}

/* A named pipe can be written to on a file system that is read-only. A kernel without Landlock leaves that. */
static void forbid_writing(const struct record_layers *layers)
{
	static const char *const left[] = {RECORD_DIR, "/dev/null", "/dev/full"};
	const struct landlock_ruleset_attr attr = {.handled_access_fs = LANDLOCK_ACCESS_FS_WRITE_FILE};
	AUTO_CLOSE int rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr.handled_access_fs), 0);

	if (rules < 0)
		return;
	for (size_t i = 0; i < ARRAY_LEN(left); i++)
		leave(rules, left[i]);
	for (size_t i = 0; i < layers->count; i++) /* named pipes in these are none of the host's */
		leave(rules, layers->at[i]);
	syscall(SYS_landlock_restrict_self, rules, 0);
}

static int bound(__rlimit_resource_t what, rlim_t most)
{
	struct rlimit l;

	if (getrlimit(what, &l))
		return -errno;
	l.rlim_cur = l.rlim_max = MIN(l.rlim_max, most);
	return setrlimit(what, &l) ? -errno : 0;
}

static int give_up_rights(const struct record_layers *layers)
{
	int r = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? -errno : 0;

	if (!r && mount("none", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, NULL))
		r = -errno;
	r = r ?: drop_capabilities();
	if (!r)
		forbid_writing(layers);
	return r ?: bound(RLIMIT_CPU, CPU_S) ?: bound(RLIMIT_FSIZE, FILE_MAX) ?: bound(RLIMIT_CORE, 0);
}

/* ---- the script ---- */

/* The shell of a script that is no program: what its first line asks for, as far as that is a shell. */
static const char *shell_of(const char *text)
{
	AUTO_FREE char *first = xstrndup(text, strcspn(text, "\n"));

	return !strncmp(first, "#!", 2) && strstr(first, "bash") ? "/bin/bash" : "/bin/sh";
}

/* words: the program's path, and its own. */
static int run_script(char **words, const char *text, int output)
{
	AUTO_FREE char *list = xasprintf(RECORD_DIR ":%s", getenv("PATH") ?: "/usr/sbin:/usr/bin:/sbin:/bin");
	AUTO_CLOSE int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	char *shell = (char *)shell_of(text), **by_shell;
	size_t n = 0;

	while (words[n])
		n++;
	by_shell = xcalloc(n + 2, sizeof(*by_shell)); /* this process ends, or begins another program */
	by_shell[0] = shell;
	memcpy(by_shell + 1, words, n * sizeof(*words));
	if (null < 0 || dup2(null, 0) < 0 || dup2(2, 1) < 0) /* the output is read: it may say why the script gives up */
		return -errno;
	for (int fd = RECORD_FD_FIRST; fd <= RECORD_FD_LAST; fd++)
		if (dup2(output, fd) < 0)
			return -errno;
	close_range(RECORD_FD_LAST + 1, ~0U, 0);
	setenv("PATH", list, 1);
	if (bound(RLIMIT_AS, MEMORY_MAX)) /* last: we may need more, with a sanitizer */
		return -errno;
	if (!access(words[0], X_OK))
		execv(words[0], words);
	execv(shell, by_shell);
	return -errno;
}

/* Could it start a QEMU still? Not what only passes on what others say. */
static bool may_start_more(const char *pid)
{
	static const char *const passive[] = {"cat", "grep", "inotifywait", "less", "sleep", "tail", "tee", NULL};
	AUTO_FREE char *path = xasprintf("/proc/%s/comm", pid);
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	char name[32] = "";
	ssize_t n = fd < 0 ? -1 : read(fd, name, sizeof(name) - 1);

	name[n > 0 ? (size_t)n - 1 : 0] = '\0'; /* the text ends with a newline */
	return n > 0 /* otherwise it has ended */ && word_index(passive, name) < 0;
}

static bool is_there_more(void)
{
	DIR *d = opendir("/proc");
	struct dirent *x;
	bool more = !d;

	while (!more && d && (x = readdir(d)))
		more = *x->d_name >= '1' && *x->d_name <= '9' && strcmp(x->d_name, "1") && may_start_more(x->d_name);
	if (d)
		closedir(d);
	return more;
}

/* True if a signal that is not one of the usual ones ended the script: its trap may send itself the usual ones, with its group. */
static bool was_killed(int status)
{
	static const int usual[] = {SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGTERM, SIGALRM, SIGUSR1, SIGUSR2};

	for (size_t i = 0; i < ARRAY_LEN(usual); i++)
		if (WIFSIGNALED(status) && WTERMSIG(status) == usual[i])
			return false;
	return WIFSIGNALED(status);
}

/* Waits for the script, and then for a moment for what it has left in the background: QEMU, perhaps. False: it was ended before it had
 * done everything. */
static bool wait_for_all(pid_t script, struct record_watch *w)
{
	struct pollfd p = {.fd = w->asks, .events = POLLIN};
	uint64_t until = 0;
	bool killed = false;
	int status;
	pid_t ended;

	while ((ended = waitpid(-1, &status, WNOHANG)) >= 0 || errno == EINTR) {
		if (ended == script) {
			until = now_ns() + ORPHANS_MS * 1000000ULL;
			killed = was_killed(status);
		}
		if (until && now_ns() > until)
			return !killed && !is_there_more();
		if (!ended && poll(&p, 1, REAP_MS) > 0)
			record_answer(w);
	}
	return !killed;
}

/* The script's process, which is held to what it may call; whoever answers to these calls, which are what that one does itself, is not. */
static int be_script(char **words, const char *text, int output, int to_first)
{
	int asks = -1, r = setsid() < 0 ? -errno : record_forbid_calls(&asks); /* a process group is one of the host, too */

	return r ?: record_send_asks(to_first, asks) ?: run_script(words, text, output);
}

static int fork_script(pid_t *script, char **words, const char *text, struct record_watch *w)
{
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	*script = fork();
	r = *script < 0 ? -errno : 0;
	if (!*script)
		_exit(be_script(words, text, w->output, pair[1]) ? 127 : 0);
	close(pair[1]);
	r = r ?: record_receive_asks(pair[0], &w->asks);
	close(pair[0]);
	return r;
}

/* Runs in the first process of the new namespace of processes, with which all others end. */
static int be_first(char **words, const char *text, int output, const struct record_layers *layers)
{
	static const char cut[] = RECORD_NOTE "\0" RECORD_CUT "\0\0\0", deaf[] = RECORD_NOTE "\0" RECORD_DEAF "\0\0\0";
	/* this process is made not dumpable: otherwise a script could reach files of this program through /proc/1, at mounts that are not
	 * its own */
	AUTO_CLOSE int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct record_watch w = {.asks = -1, .null = null, .output = output};
	int r = null < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) || prctl(PR_SET_DUMPABLE, 0) ? -errno : give_up_rights(layers);
	pid_t script;

	r = r ?: fork_script(&script, words, text, &w);
	if (r)
		return r;
	if (w.asks < 0 && write(output, deaf, sizeof(deaf)) != (ssize_t)sizeof(deaf))
		return -EIO;
	if (!wait_for_all(script, &w) && write(output, cut, sizeof(cut)) != (ssize_t)sizeof(cut))
		return -EIO;
	return 0;
}

static int fail(const char *path, const char *what, int r)
{
	AUTO_FREE char *shown = text_shown(path);

	fprintf(stderr, "%s %s: %s\n", shown, what, strerror(-r));
	return 1;
}

/* The text of a file that this user or root alone may write to; "", malloc'ed, of a compiled program. -EPERM: others may. */
static int read_script(const char *path, char **text)
{
	AUTO_CLOSE int fd = open_regular(path);
	char head[4] = "";
	struct stat st;
	size_t n;

	*text = NULL;
	if (fd < 0 || fstat(fd, &st))
		return fd < 0 ? fd : -errno;
	if ((st.st_uid && st.st_uid != geteuid()) || (st.st_mode & (S_IWGRP | S_IWOTH)))
		return -EPERM;
	if (pread(fd, head, sizeof(head), 0) != sizeof(head) || memcmp(head, "\177ELF", sizeof(head)))
		return read_regular(fd, SCRIPT_MAX, text, &n);
	*text = xstrdup("");
	return 0;
}

/* QEMUs that a word may name, or the script that it is the path of, as of `bash SCRIPT`. */
static int look_at_word(struct record_qemus *q, const char *path, const char *word)
{
	AUTO_FREE char *text = NULL, *copy = xstrdup(word);
	struct stat st;
	int r;

	record_add_named(q, copy, path);
	if (stat(word, &st) || !S_ISREG(st.st_mode) || st.st_size > (off_t)SCRIPT_MAX)
		return 0;
	r = read_script(word, &text);
	if (!r)
		record_add_named(q, text, word);
	return r == -EPERM ? r : 0;
}

static int look_at_words(struct record_qemus *q, char **words, char **text)
{
	AUTO_FREE char *copy = NULL;
	int r = read_script(words[0], text);

	if (r)
		return r;
	record_add_path(q, getenv("PATH") ?: "");
	record_add_path(q, "/usr/bin:/usr/local/bin:/usr/libexec");
	copy = xstrdup(*text);
	record_add_named(q, copy, words[0]);
	for (size_t i = 1; words[i] && !r; i++)
		r = look_at_word(q, words[0], words[i]);
	return r;
}

int record_script(const char *dir, char **words)
{
	AUTO_CLOSE int output = fcntl(1, F_DUPFD_CLOEXEC, RECORD_FD_LAST + 1);
	struct record_qemus q = {.count = 0};
	struct record_layers layers = {.count = 0};
	AUTO_FREE char *text = NULL;
	const char *path = words[0];
	pid_t first;
	int status, r = chdir(dir) ? -errno : look_at_words(&q, words, &text);
	AUTO_FREE char *where = getcwd(NULL, 0);

	alarm(ALL_S); /* the alarm ends us, and so the others */
	if (r == -EPERM)
		return fail(path, "is not run to see what it starts, as others than this user may write to it", r);
	if (r || output < 0)
		return fail(path, "cannot be read", r ? r : -errno);
	r = separate();
	if (r)
		return fail(path, "is not run to see what it starts, as this host gives it no namespaces of its own", r);
	r = where ? arrange_mounts(&q, where, path, output, &layers) : -ENOENT;
	first = r ? -1 : fork();
	if (!first)
		_exit(be_first(words, text, output, &layers) ? 1 : 0);
	if (first < 0 || waitpid(first, &status, 0) != first || !WIFEXITED(status) || WEXITSTATUS(status))
		return fail(path, "is not run to see what it starts, as it cannot be kept from doing anything else", r ? r : -EPERM);
	return 0;
}
