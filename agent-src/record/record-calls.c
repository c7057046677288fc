/* record-calls.c: what a recorded script may call; see record-private.h. seccomp(2), seccomp_unotify(2). */
#include "record-private.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define NOTIFY_API 5 /* seccomp_api_get(3) */

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

/* Calls that make a directory: it is made where a layer takes it, and otherwise pretended. */
static const struct {
	int call;
	unsigned path;
} makes[] = {{SCMP_SYS(mkdir), 0}, {SCMP_SYS(mkdirat), 1}};

/* Calls that would change a file, or lock one: a script that begins by a log, a copy or a lock goes on to its QEMU. */
static const char *const pretended[] = {"rmdir",     "unlink",	  "unlinkat",	 "rename",	 "renameat",	 "renameat2", "link",
					"linkat",    "symlink",	  "symlinkat",	 "mknod",	 "mknodat",	 "chmod",     "fchmod",
					"fchmodat",  "fchmodat2", "chown",	 "fchown",	 "lchown",	 "fchownat",  "utime",
					"utimes",    "futimesat", "utimensat",	 "truncate",	 "ftruncate",	 "fallocate", "setxattr",
					"lsetxattr", "fsetxattr", "removexattr", "lremovexattr", "fremovexattr", "flock"};

/* Calls that open a file, and which of their arguments has its path, and which says how. */
static const struct {
	int call;
	unsigned path, flags;
} opens[] = {{SCMP_SYS(open), 0, 1}, {SCMP_SYS(openat), 1, 2}};

/* Calls that ask what may be done with a file: which argument has the path, and which what is asked. */
static const struct {
	int call;
	unsigned path, mode;
} questions[] = {{SCMP_SYS(access), 0, 1}, {SCMP_SYS(faccessat), 1, 2}, {SCMP_SYS(faccessat2), 1, 2}};

/* A call that this architecture lacks is no error. */
static int added(int r)
{
	return r == -EDOM || r == -EINVAL ? 0 : r;
}

static int add_calls(scmp_filter_ctx c, const char *const *names, size_t count, bool refuse)
{
	size_t i;
	int r = 0;

	for (i = 0; !r && i < count; i++) {
		int number = seccomp_syscall_resolve_name(names[i]);
		uint32_t code = !refuse ? 0 : !strcmp(names[i], "clone3") ? ENOSYS : EPERM;

		if (number != __NR_SCMP_ERROR)
			r = added(seccomp_rule_add(c, SCMP_ACT_ERRNO(code), number, 0));
	}
	return r;
}

static int add_opens(scmp_filter_ctx c)
{
	static const unsigned how[][2] = {{O_ACCMODE, O_WRONLY}, {O_ACCMODE, O_RDWR}, {O_CREAT, O_CREAT}};
	size_t i, k;
	int r = added(seccomp_rule_add(c, SCMP_ACT_NOTIFY, SCMP_SYS(creat), 0));

	for (i = 0; i < ARRAY_LEN(opens); i++)
		for (k = 0; k < ARRAY_LEN(how) && !r; k++)
			r = added(seccomp_rule_add(c, SCMP_ACT_NOTIFY, opens[i].call, 1,
						   SCMP_CMP(opens[i].flags, SCMP_CMP_MASKED_EQ, how[k][0], how[k][1])));
	return r;
}

static int add_questions(scmp_filter_ctx c)
{
	size_t i;
	int r = 0;

	for (i = 0; i < ARRAY_LEN(questions) && !r; i++)
		r = added(seccomp_rule_add(c, SCMP_ACT_NOTIFY, questions[i].call, 1,
					   SCMP_CMP(questions[i].mode, SCMP_CMP_MASKED_EQ, W_OK, W_OK)));
	return r;
}

static int add_makes(scmp_filter_ctx c, bool notify)
{
	size_t i;
	int r = 0;

	for (i = 0; i < ARRAY_LEN(makes) && !r; i++)
		r = added(seccomp_rule_add(c, notify ? SCMP_ACT_NOTIFY : SCMP_ACT_ERRNO(0), makes[i].call, 0));
	return r;
}

static int load_filter(bool notify, int *asks)
{
	scmp_filter_ctx c = seccomp_init(SCMP_ACT_ALLOW);
	int r = c ? 0 : -ENOMEM;

	r = r ? r : add_calls(c, refused, ARRAY_LEN(refused), true);
	r = r ? r : add_calls(c, pretended, ARRAY_LEN(pretended), false);
	r = r ? r : add_makes(c, notify);
	r = r || !notify ? r : add_opens(c) ?: add_questions(c);
	if (!r)
		r = seccomp_rule_add(c, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff, TIOCSTI));
	if (!r)
		r = seccomp_rule_add(c, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
				     SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_NEWUSER, CLONE_NEWUSER));
	if (!r)
		r = seccomp_load(c);
	if (!r && notify)
		*asks = seccomp_notify_fd(c);
	if (c)
		seccomp_release(c); /* which leaves the descriptor open */
	return r;
}

int record_forbid_calls(int *asks)
{
	*asks = -1;
	if (seccomp_api_get() >= NOTIFY_API && !load_filter(true, asks))
		return 0;
	return load_filter(false, asks); /* as in a container that has such a filter of its own: the kernel allows for one */
}

/* ---- answers ---- */

/* The path that the caller asks about, as it is for us; NULL: it cannot be read. malloc'ed. */
static char *path_asked(const struct seccomp_notif *asked, unsigned path)
{
	AUTO_FREE char *memory = xasprintf("/proc/%u/mem", asked->pid);
	AUTO_CLOSE int fd = open(memory, O_RDONLY | O_CLOEXEC);
	char text[PATH_MAX] = "";
	ssize_t n = fd < 0 ? -1 : pread(fd, text, sizeof(text), (off_t)asked->data.args[path]);

	if (n <= 0 || !memchr(text, 0, (size_t)n) || !*text)
		return NULL;
	if (*text == '/')
		return xstrdup(text);
	return !path || (int)asked->data.args[0] == AT_FDCWD ? xasprintf("/proc/%u/cwd/%s", asked->pid, text) : NULL;
}

/* May a script write to a file? Where it can do nothing the kernel says no of each, and it would give up: so its mode says. */
static bool is_writable(const struct seccomp_notif *asked)
{
	struct stat st;
	size_t i;

	for (i = 0; i < ARRAY_LEN(questions); i++) {
		AUTO_FREE char *path = asked->data.nr == questions[i].call ? path_asked(asked, questions[i].path) : NULL;

		if (path && !stat(path, &st))
			return (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) && (st.st_mode & (st.st_uid == geteuid() ? S_IWUSR : S_IWOTH));
	}
	return false;
}

/* Directories that a script may write to in there are layers of their own. */
static bool is_on_layer(const char *path)
{
	AUTO_FREE char *dir = xstrdup(path);
	struct statvfs fs;
	size_t n = strlen(dir);
	char *slash;

	while (n > 1 && dir[n - 1] == '/')
		dir[--n] = '\0';
	slash = strrchr(dir, '/');
	if (!slash)
		return false;
	slash[slash == dir] = '\0';
	return !statvfs(dir, &fs) && !(fs.f_flag & ST_RDONLY);
}

/* Which of makes[] it is; ARRAY_LEN(makes): none. */
static size_t making(const struct seccomp_data *d)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(makes) && d->nr != makes[i].call; i++)
		;
	return i;
}

static bool is_made(const struct seccomp_notif *asked)
{
	AUTO_FREE char *path = path_asked(asked, makes[making(&asked->data)].path);

	return path && is_on_layer(path);
}

static bool is_question(const struct seccomp_data *d)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(questions); i++)
		if (d->nr == questions[i].call)
			return true;
	return false;
}

/* A recorder whose descriptors were closed opens RECORD_PIPE. */
static void give_file(int asks, int null, int output, const struct seccomp_notif *asked, struct seccomp_notif_resp *answer)
{
	struct seccomp_notif_addfd add = {.id = asked->id, .srcfd = (uint32_t)null};
	size_t i;
	int fd;

	for (i = 0; i < ARRAY_LEN(opens); i++) {
		AUTO_FREE char *path = asked->data.nr == opens[i].call ? path_asked(asked, opens[i].path) : NULL;

		if (path && !strcmp(path, RECORD_PIPE))
			add.srcfd = (uint32_t)output;
		if (asked->data.nr == opens[i].call && asked->data.args[opens[i].flags] & O_CLOEXEC)
			add.newfd_flags = O_CLOEXEC;
	}
	fd = ioctl(asks, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
	answer->error = fd < 0 ? -EROFS : 0;
	answer->val = fd < 0 ? 0 : fd;
}

void record_answer(int asks, int null, int output)
{
	struct seccomp_notif asked;
	struct seccomp_notif_resp answer = {.error = 0};

	memset(&asked, 0, sizeof(asked)); /* the kernel insists */
	if (ioctl(asks, SECCOMP_IOCTL_NOTIF_RECV, &asked))
		return; /* who called has ended */
	answer.id = asked.id;
	if (making(&asked.data) < ARRAY_LEN(makes))
		answer.flags = is_made(&asked) ? SECCOMP_USER_NOTIF_FLAG_CONTINUE : 0; /* otherwise it succeeds, and nothing is there */
	else if (!is_question(&asked.data))
		give_file(asks, null, output, &asked, &answer);
	else if (!is_writable(&asked))
		answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE; /* the kernel says it */
	ioctl(asks, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}
