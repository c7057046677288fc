/* record-calls.c: what a recorded script may call; see record-private.h. seccomp(2), seccomp_unotify(2). */
#include "record-private.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/ioctl.h>

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

/* Calls that would change a file, or lock one: a script that begins by a log, a copy or a lock goes on to its QEMU. */
static const char *const pretended[] = {"mkdir",     "mkdirat",	  "rmdir",	 "unlink",	 "unlinkat",	 "rename",
					"renameat",  "renameat2", "link",	 "linkat",	 "symlink",	 "symlinkat",
					"mknod",     "mknodat",	  "chmod",	 "fchmod",	 "fchmodat",	 "fchmodat2",
					"chown",     "fchown",	  "lchown",	 "fchownat",	 "utime",	 "utimes",
					"futimesat", "utimensat", "truncate",	 "ftruncate",	 "fallocate",	 "setxattr",
					"lsetxattr", "fsetxattr", "removexattr", "lremovexattr", "fremovexattr", "flock"};

/* Calls that open a file, and which of their arguments says how. */
static const struct {
	int call;
	unsigned flags;
} opens[] = {{SCMP_SYS(open), 1}, {SCMP_SYS(openat), 2}};

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

int record_forbid_calls(int *asks)
{
	scmp_filter_ctx c = seccomp_init(SCMP_ACT_ALLOW);
	bool notify = seccomp_api_get() >= NOTIFY_API;
	int r = c ? 0 : -ENOMEM;

	*asks = -1;
	r = r ? r : add_calls(c, refused, ARRAY_LEN(refused), true);
	r = r ? r : add_calls(c, pretended, ARRAY_LEN(pretended), false);
	r = r || !notify ? r : add_opens(c);
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

static bool closes_on_exec(const struct seccomp_data *d)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(opens); i++)
		if (d->nr == opens[i].call)
			return d->args[opens[i].flags] & O_CLOEXEC;
	return false;
}

void record_answer(int asks, int null)
{
	struct seccomp_notif asked;
	struct seccomp_notif_resp answer = {.error = -EROFS};
	struct seccomp_notif_addfd add = {.srcfd = (uint32_t)null};
	int fd;

	memset(&asked, 0, sizeof(asked)); /* the kernel insists */
	if (ioctl(asks, SECCOMP_IOCTL_NOTIF_RECV, &asked))
		return; /* who called has ended */
	add.id = answer.id = asked.id;
	add.newfd_flags = closes_on_exec(&asked.data) ? O_CLOEXEC : 0;
	fd = ioctl(asks, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
	if (fd >= 0) {
		answer.error = 0;
		answer.val = fd;
	}
	ioctl(asks, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}
