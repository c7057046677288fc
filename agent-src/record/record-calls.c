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
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define NOTIFY_API 5 /* seccomp_api_get(3) */

static const char *const refused[] = {"io_uring_setup",
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
static const char *const pretended[] = {"rmdir",	"unlink",	"unlinkat",  "link",	 "linkat",    "symlink",   "symlinkat",
					"mknod",	"mknodat",	"chmod",     "fchmod",	 "fchmodat",  "fchmodat2", "chown",
					"fchown",	"lchown",	"fchownat",  "utime",	 "utimes",    "futimesat", "utimensat",
					"truncate",	"ftruncate",	"fallocate", "setxattr", "lsetxattr", "fsetxattr", "removexattr",
					"lremovexattr", "fremovexattr", "flock"};

/* Calls that reach somebody. A kernel without answers of ours refuses them without a word. */
static const char *const reaches[] = {"socket", "connect"};

/* A call that this architecture lacks is no error. */
static int added(int r)
{
	return r == -EDOM || r == -EINVAL ? 0 : r;
}

static int add_calls(scmp_filter_ctx c, const char *const *names, size_t count, bool refuse)
{
	int r = 0;

	for (size_t i = 0; !r && i < count; i++) {
		int number = seccomp_syscall_resolve_name(names[i]);
		uint32_t code = !refuse ? 0 : !strcmp(names[i], "clone3") ? ENOSYS : EPERM;

		if (number != __NR_SCMP_ERROR)
			r = added(seccomp_rule_add(c, SCMP_ACT_ERRNO(code), number, 0));
	}
	return r;
}

static int notify_of(scmp_filter_ctx c, int call)
{
	return added(seccomp_rule_add(c, SCMP_ACT_NOTIFY, call, 0));
}

/* A call is answered if one of its arguments has bits that must, or must not, be set. */
static int add_answered(scmp_filter_ctx c)
{
	const struct answered_call *k;
	int r = 0;

	for (size_t i = 0; (k = answered_call(i)) && !r; i++) {
		unsigned bits = k->kind == ANSWER_MAY_WRITE ? W_OK : AT_EMPTY_PATH;
		bool some = k->kind == ANSWER_MAY_WRITE || (k->kind == ANSWER_LOOK && k->how != NO_ARGUMENT);

		if (!some && k->kind != ANSWER_SEND)
			r = notify_of(c, k->call);
		else if (k->kind == ANSWER_SEND)
			r = added(seccomp_rule_add(c, SCMP_ACT_NOTIFY, k->call, 1, SCMP_CMP(k->path, SCMP_CMP_NE, 0, 0)));
		else
			r = added(seccomp_rule_add(c, SCMP_ACT_NOTIFY, k->call, 1,
						   SCMP_CMP(k->how, SCMP_CMP_MASKED_EQ, bits, k->kind == ANSWER_MAY_WRITE ? bits : 0)));
	}
	return r;
}

static int add_unanswered(scmp_filter_ctx c)
{
	static const char *const makes[] = {"mkdir", "mkdirat", "rename", "renameat", "renameat2"};

	return add_calls(c, makes, ARRAY_LEN(makes), false) ?: add_calls(c, reaches, ARRAY_LEN(reaches), true);
}

/* Limits that root raises outside, and without which a script may end (ulimit -l unlimited || exit), are said to be raised: none of them bounds
 * what it does here. */
static int add_limits(scmp_filter_ctx c)
{
	static const int limits[] = {RLIMIT_MEMLOCK, RLIMIT_NOFILE, RLIMIT_CORE, RLIMIT_NICE, RLIMIT_RTPRIO};
	int r = 0;

	for (size_t i = 0; !r && i < ARRAY_LEN(limits); i++) {
		unsigned limit = (unsigned)limits[i];

		r = added(seccomp_rule_add(c, SCMP_ACT_ERRNO(0), SCMP_SYS(prlimit64), 2, SCMP_A1(SCMP_CMP_EQ, limit, 0),
					   SCMP_A2(SCMP_CMP_NE, 0, 0)))
			    ?: added(seccomp_rule_add(c, SCMP_ACT_ERRNO(0), SCMP_SYS(setrlimit), 1, SCMP_A0(SCMP_CMP_EQ, limit, 0)));
	}
	return r;
}

static int load_filter(bool notify, int *asks)
{
	scmp_filter_ctx c = seccomp_init(SCMP_ACT_ALLOW);
	int r = c ? 0 : -ENOMEM;

	r = r ?: add_calls(c, refused, ARRAY_LEN(refused), true) ?: add_calls(c, pretended, ARRAY_LEN(pretended), false) ?: add_limits(c);
	r = r ?: notify ? add_answered(c) : add_unanswered(c);
	r = r ?: seccomp_rule_add(c, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff, TIOCSTI));
	if (!r)
		r = seccomp_rule_add(c, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
				     SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_NEWUSER, CLONE_NEWUSER));
	r = r ?: seccomp_load(c);
	if (!r && notify)
		*asks = seccomp_notify_fd(c);
	if (c)
		seccomp_release(c); /* the descriptor stays open */
	return r;
}

int record_forbid_calls(int *asks)
{
	*asks = -1;
	if (seccomp_api_get() >= NOTIFY_API && !load_filter(true, asks))
		return 0;
	return load_filter(false, asks); /* a container that has such a filter of its own leaves no room: the kernel allows for one */
}

/* ---- the descriptor by which answers are given ---- */

/* SECCOMP_IOCTL_NOTIF_SET_FLAGS and SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP: who asks and who answers take turns on one processor */
#define NOTIF_SET_FLAGS	   _IOW('!', 4, uint64_t)
#define NOTIF_SYNC_WAKE_UP 1UL

#define ASKS_ROOM CMSG_SPACE(sizeof(int))

int record_send_asks(int to, int asks)
{
	char byte = 'y';
	union {
		struct cmsghdr align;
		char room[ASKS_ROOM];
	} control = {.room = {0}};
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	if (asks >= 0) {
		m.msg_control = control.room;
		m.msg_controllen = sizeof(control.room);
		*CMSG_FIRSTHDR(&m) = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &asks, sizeof(asks));
	}
	return sendmsg(to, &m, 0) == 1 ? 0 : -errno;
}

int record_receive_asks(int from, int *asks)
{
	char byte = 0;
	union {
		struct cmsghdr align;
		char room[ASKS_ROOM];
	} control = {.room = {0}};
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof(control.room)};
	ssize_t n = recvmsg(from, &m, MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = n == 1 ? CMSG_FIRSTHDR(&m) : NULL;

	*asks = -1;
	if (n != 1)
		return n ? -errno : -EPERM; /* the other one has ended: it could not be held */
	if (c && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(asks, CMSG_DATA(c), sizeof(*asks));
	if (*asks >= 0)
		ioctl(*asks, NOTIF_SET_FLAGS, NOTIF_SYNC_WAKE_UP); /* Linux 6.6; an older one is slower */
	return 0;
}
