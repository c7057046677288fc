/*
 * confine.c: see confine.h.
 *
 * There are two filters, and for each call the kernel applies the stricter verdict: one allows calls by name, the other refuses calls by
 * name and argument. libseccomp knows the numbers, so this is the same for each architecture; a name that it does not know, or that
 * this architecture does not have, is left out.
 */
#include "confine.h"
#include "log.h"
#include "loop.h"
#include "program.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

/* ---- calls that are allowed ---- */

/* clang-format off */
static const char *const let_through[] = {
	/* files and directories */
	"access", "chdir", "chmod", "chown", "chown32", "close", "close_range", "copy_file_range", "creat", "dup", "dup2", "dup3",
	"faccessat", "faccessat2", "fadvise64", "fadvise64_64", "fallocate", "fchdir", "fchmod", "fchmodat", "fchown", "fchown32",
	"fchownat", "fcntl", "fcntl64", "fdatasync", "fgetxattr", "flistxattr", "flock", "fsetxattr", "fstat", "fstat64",
	"fstatat64", "fstatfs", "fstatfs64", "fsync", "ftruncate", "ftruncate64", "futimesat", "getcwd", "getdents", "getdents64",
	"getxattr", "ioctl", "lchown", "lchown32", "lgetxattr", "link", "linkat", "listxattr", "llistxattr", "_llseek",
	"lseek", "lstat", "lstat64", "memfd_create", "mkdir", "mkdirat", "mknod", "mknodat", "name_to_handle_at",
	"newfstatat", "open", "openat", "pipe", "pipe2", "pread64", "preadv", "preadv2", "pwrite64", "pwritev", "pwritev2", "read",
	"readahead", "readlink", "readlinkat", "readv", "rename", "renameat", "renameat2", "rmdir", "sendfile",
	"sendfile64", "splice", "stat", "stat64", "statfs", "statfs64", "statx", "symlink", "symlinkat", "sync",
	"sync_file_range", "sync_file_range2", "syncfs", "truncate", "truncate64", "umask", "unlink", "unlinkat", "utime",
	"utimensat", "utimensat_time64", "utimes", "write", "writev",
	/* memory */
	"brk", "madvise", "membarrier", "mincore", "mlock", "mlock2", "mmap", "mmap2", "mprotect", "mremap", "msync", "munlock", "munmap",
	/* waiting */
	"epoll_create", "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_pwait2", "epoll_wait", "eventfd", "eventfd2", "futex",
	"futex_time64", "futex_waitv", "inotify_add_watch", "inotify_init1", "inotify_rm_watch", "io_uring_enter", "io_uring_register",
	"io_uring_setup", "poll", "ppoll", "ppoll_time64", "pselect6", "pselect6_time64", "select", "_newselect", "signalfd", "signalfd4",
	"timerfd_create", "timerfd_gettime", "timerfd_gettime64", "timerfd_settime", "timerfd_settime64",
	/* sockets */
	"accept", "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt", "listen", "recv", "recvfrom", "recvmmsg",
	"recvmmsg_time64", "recvmsg", "send", "sendmmsg", "sendmsg", "sendto", "setsockopt", "shutdown", "socket", "socketpair",
	/* processes and threads, ours and QEMU's */
	"clone", "exit", "exit_group", "fork", "vfork", "kill", "pidfd_open", "pidfd_send_signal", "process_vm_readv", "process_vm_writev",
	"tgkill", "tkill", "wait4", "waitid", "waitpid", "setpgid", "setsid", "arch_prctl", "prctl", "rseq", "set_robust_list",
	"get_robust_list", "set_thread_area", "set_tid_address", "set_tls", "sched_getaffinity", "sched_getparam", "sched_getscheduler",
	"sched_setaffinity", "sched_setscheduler", "sched_yield", "getpriority", "ioprio_get", "setpriority", "prlimit64", "getrlimit", "setrlimit", "ugetrlimit",
	"seccomp", /* seccomp can only restrict further */
	/* identity and properties of this process */
	"capget", "getcpu", "getegid", "getegid32", "geteuid", "geteuid32", "getgid", "getgid32", "getgroups", "getgroups32", "getpgid",
	"getpgrp", "getpid", "getppid", "getresgid", "getresgid32", "getresuid", "getresuid32", "getsid", "gettid", "getuid", "getuid32",
	"getrusage", "sysinfo", "times", "uname", "getrandom",
	/* signals and clocks */
	"alarm", "pause", "restart_syscall", "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn",
	"rt_sigsuspend", "rt_sigtimedwait", "rt_sigtimedwait_time64", "rt_tgsigqueueinfo", "sigaltstack", "sigreturn", "clock_getres",
	"clock_getres_time64", "clock_gettime", "clock_gettime64", "clock_nanosleep", "clock_nanosleep_time64", "getitimer",
	"gettimeofday", "nanosleep", "setitimer", "time", "timer_create", "timer_delete", "timer_gettime", "timer_settime",
	"timer_settime64",
#ifdef __SANITIZE_ADDRESS__ /* LeakSanitizer searches with ptrace */
	"ptrace",
#endif
};

/* ---- calls that are refused ---- */

/* Calls that the first filter does not allow either; they are listed so that they fail with EPERM, and show in the kernel's log. */
static const char *const refused[] = {
	"acct", "add_key", "bpf", "chroot", "clock_settime", "clock_settime64", "delete_module", "execve", "execveat", "finit_module",
	"fremovexattr", "fsmount", "fsopen", "init_module", "ioperm", "iopl", "kcmp", "kexec_file_load", "kexec_load", "keyctl", "lremovexattr", "lsetxattr", "mount", "mount_setattr",
	"move_mount", "open_by_handle_at", "open_tree", "perf_event_open", "personality", "pidfd_getfd", "pivot_root",
	"process_madvise", "quotactl", "reboot", "removexattr", "removexattrat", "request_key", "setdomainname", "setfsuid", "setgid", "setgroups", "sethostname", "setns",
	"setregid", "setresgid", "setresuid", "setreuid", "settimeofday", "setuid", "setxattr", "setxattrat", "swapoff", "swapon", "syslog", "umount2", "unshare",
	"userfaultfd", "vhangup",
#ifndef __SANITIZE_ADDRESS__
	"ptrace",
#endif
};

/* A call that is refused if an argument, or two of them, have bits as here. */
struct rule {
	const char *name;
	unsigned count;
	struct {
		unsigned arg;
		uint64_t mask, value;
	} is[2];
};

#define ALL 0xffffffffULL /* the bits that the kernel uses of an int */
#define HAS(name, arg, bits) {name, 1, {{arg, bits, bits}}}
#define MADE_WITH(name, flags, mode, bit) {name, 2, {{flags, O_CREAT, O_CREAT}, {mode, bit, bit}}}
/* clang-format on */

static const struct rule rules[] = {
	/* typing into the terminal that we were started from */
	{"ioctl", 1, {{1, ALL, TIOCSTI}}},
	{"ioctl", 1, {{1, ALL, 0x541c /* TIOCLINUX */}}},
	/* namespaces; the flags of clone3 cannot be seen, and libc goes on without it */
	HAS("clone", 0, CLONE_NEWNS),
	HAS("clone", 0, CLONE_NEWUTS),
	HAS("clone", 0, CLONE_NEWIPC),
	HAS("clone", 0, CLONE_NEWUSER),
	HAS("clone", 0, CLONE_NEWPID),
	HAS("clone", 0, CLONE_NEWNET),
	HAS("clone", 0, CLONE_NEWCGROUP),
	HAS("clone", 0, CLONE_NEWTIME),
	/* devices */
	{"mknod", 1, {{1, S_IFMT, S_IFCHR}}},
	{"mknod", 1, {{1, S_IFMT, S_IFBLK}}},
	{"mknodat", 1, {{2, S_IFMT, S_IFCHR}}},
	{"mknodat", 1, {{2, S_IFMT, S_IFBLK}}},
	/* files that give away rights */
	HAS("chmod", 1, S_ISUID),
	HAS("chmod", 1, S_ISGID),
	HAS("fchmod", 1, S_ISUID),
	HAS("fchmod", 1, S_ISGID),
	HAS("fchmodat", 2, S_ISUID),
	HAS("fchmodat", 2, S_ISGID),
	HAS("creat", 1, S_ISUID),
	HAS("creat", 1, S_ISGID),
	HAS("mknod", 1, S_ISUID),
	HAS("mknod", 1, S_ISGID),
	HAS("mknodat", 2, S_ISUID),
	HAS("mknodat", 2, S_ISGID),
	MADE_WITH("open", 1, 2, S_ISUID),
	MADE_WITH("open", 1, 2, S_ISGID),
	MADE_WITH("openat", 2, 3, S_ISUID),
	MADE_WITH("openat", 2, 3, S_ISGID),
#ifdef VMFERRY_STATIC /* otherwise libc loads modules that resolve names */
	/* code that was not in the program */
	HAS("mmap", 2, PROT_EXEC),
	HAS("mmap2", 2, PROT_EXEC),
	HAS("mprotect", 2, PROT_EXEC),
#endif
};

static int refuse(scmp_filter_ctx c, const struct rule *rule)
{
	struct scmp_arg_cmp cmp[2];
	int number = seccomp_syscall_resolve_name(rule->name), r;

	if (number == __NR_SCMP_ERROR)
		return 0;
	for (unsigned i = 0; i < rule->count; i++)
		cmp[i] = (struct scmp_arg_cmp){rule->is[i].arg, SCMP_CMP_MASKED_EQ, rule->is[i].mask, rule->is[i].value};
	r = seccomp_rule_add_array(c, SCMP_ACT_ERRNO(EPERM), number, rule->count, cmp);
	return r == -EDOM || r == -EINVAL ? 0 : r; /* not on this architecture */
}

/* Refuses sockets other than unix, TCP and the one by which libc asks for addresses of this host. */
static int refuse_sockets(scmp_filter_ctx c)
{
	int r = 0;

	for (unsigned family = 0; !r && family < AF_NETLINK; family++)
		if (family != AF_UNIX && family != AF_INET && family != AF_INET6)
			r = refuse(c, &(struct rule){"socket", 1, {{0, ALL, family}}});
	return r ?: seccomp_rule_add(c, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_GT, AF_NETLINK, 0));
}

/* Refuses io_uring_register() except to restrict a ring once (loop.c); we use no other registration. */
static int refuse_registering(scmp_filter_ctx c)
{
	int r = seccomp_rule_add(c, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(io_uring_register), 1,
				 SCMP_A1(SCMP_CMP_LT, IORING_REGISTER_RESTRICTIONS, 0));

	return r ? r
		 : seccomp_rule_add(c, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(io_uring_register), 1,
				    SCMP_A1(SCMP_CMP_GT, IORING_REGISTER_ENABLE_RINGS, 0));
}

/* ---- the filters ---- */

static bool is_said(const char *word)
{
	const char *said = getenv(CONFINE_ENV);

	return said && !strcmp(said, word);
}

static int load(scmp_filter_ctx c, bool log)
{
	int r = seccomp_attr_set(c, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));

	/* an older kernel or libseccomp that lacks one of these does without */
	seccomp_attr_set(c, SCMP_FLTATR_CTL_SSB, 1); /* no Spectre mitigation that would slow us down: we run no guest's code */
	seccomp_attr_set(c, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	seccomp_attr_set(c, SCMP_FLTATR_CTL_LOG, log);
	return r ?: seccomp_attr_set(c, SCMP_FLTATR_CTL_TSYNC, 1) ?: seccomp_load(c);
}

static int load_refusals(bool writes_memory)
{
	scmp_filter_ctx c = seccomp_init(SCMP_ACT_ALLOW);
	int r = c ? 0 : -ENOMEM;

	for (size_t i = 0; !r && i < ARRAY_LEN(refused); i++)
		r = refuse(c, &(struct rule){.name = refused[i]});
	for (size_t i = 0; !r && i < ARRAY_LEN(rules); i++)
		r = refuse(c, &rules[i]);
	if (!r && !writes_memory)
		r = refuse(c, &(struct rule){.name = "process_vm_writev"});
	r = r ?: refuse_sockets(c) ?: refuse_registering(c) ?: load(c, true);
	if (c)
		seccomp_release(c);
	return r;
}

static int load_permits(void)
{
	scmp_filter_ctx c = seccomp_init(is_said("log") ? SCMP_ACT_LOG : SCMP_ACT_ERRNO(ENOSYS));
	int r = c ? 0 : -ENOMEM;

	for (size_t i = 0; !r && i < ARRAY_LEN(let_through); i++) {
		int number = seccomp_syscall_resolve_name(let_through[i]);

		if (number != __NR_SCMP_ERROR)
			r = seccomp_rule_add(c, SCMP_ACT_ALLOW, number, 0);
		if (r == -EDOM || r == -EINVAL) /* not on this architecture */
			r = 0;
	}
	/* clone3 fails so anyway, except with `log` */
	seccomp_rule_add(c, SCMP_ACT_ERRNO(ENOSYS), seccomp_syscall_resolve_name("clone3"), 0);
	r = r ?: load(c, false);
	if (c)
		seccomp_release(c);
	return r;
}

/*
 * A filter cannot see which attribute fsetxattr() sets, and access control lists need that call. So we give up the rights of root to set
 * attributes that others trust: CAP_SETFCAP (security.capability) and CAP_SYS_ADMIN (all other labels and signatures: security.*,
 * trusted.*). We then have fewer rights than our QEMU, and only CAP_SYS_PTRACE lets us examine that: without it both are kept.
 */
static void give_up_trusted_attributes(void)
{
	static const unsigned rights[] = {CAP_SETFCAP, CAP_SYS_ADMIN};
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &head, data) || !(data[CAP_TO_INDEX(CAP_SYS_PTRACE)].effective & CAP_TO_MASK(CAP_SYS_PTRACE)))
		return;
	for (size_t i = 0; i < ARRAY_LEN(rights); i++) {
		struct __user_cap_data_struct *word = &data[CAP_TO_INDEX(rights[i])];

		word->effective &= ~CAP_TO_MASK(rights[i]);
		word->permitted &= ~CAP_TO_MASK(rights[i]);
		word->inheritable &= ~CAP_TO_MASK(rights[i]);
	}
	syscall(SYS_capset, &head, data);
}

int confine_prepare(bool as_ours, struct err *e)
{
	int r = is_said("off") ? 0 : launcher_begin(as_ours, e);

	if (!r && !is_said("off"))
		give_up_trusted_attributes(); /* while there is one thread; the launcher keeps them */
	program_take_files();
	return r;
}

void confine_here(bool writes_memory)
{
	static bool done;
	int r;

	if (done || is_said("off")) {
		log_info("sandbox: %s", done ? "as before" : "switched off (" CONFINE_ENV "=off)");
		return;
	}
	done = true;
	r = load_permits();
	if (!r)
		r = load_refusals(writes_memory); /* last, as among equal verdicts the newest filter's errno and log count */
	if (r)
		log_info("sandbox: none, as this kernel or host does not allow for it: %s", strerror(-r));
	else
		log_info("sandbox: seccomp, no new privileges%s; programs are started by the launcher",
			 loop_restrict_thread() ? "" : ", restricted rings");
}

/* ---- for tests, and for --version ---- */

int confine_try(struct err *e)
{
	char *const argv[] = {"nothing", NULL};

	if (execve("/nonexistent", argv, argv) && errno != EPERM)
		return err_set(e, ENOTSUP, "the sandbox lets us start programs");
#ifndef __SANITIZE_ADDRESS__
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != -1 || errno != EPERM)
		return err_set(e, ENOTSUP, "the sandbox lets us be traced");
#endif
	if (unshare(CLONE_NEWNS) != -1 || errno != EPERM)
		return err_set(e, ENOTSUP, "the sandbox lets us have a namespace");
	if (socket(AF_PACKET, SOCK_RAW, 0) != -1 || errno != EPERM)
		return err_set(e, ENOTSUP, "the sandbox lets us read packets");
	if (mknod("/nonexistent/device", S_IFCHR, 0) != -1 || errno != EPERM)
		return err_set(e, ENOTSUP, "the sandbox lets us make devices");
	if (chmod("/nonexistent/file", S_ISUID) != -1 || errno != EPERM)
		return err_set(e, ENOTSUP, "the sandbox lets us make setuid files");
	if (setxattr("/nonexistent/file", "security.capability", "", 0, 0) != -1 || errno != EPERM)
		return err_set(e, ENOTSUP, "the sandbox lets us set attributes of files by name");
	log_info("sandbox: what is refused is refused");
	return 0;
}

char *confine_library(void)
{
	const struct scmp_version *v = seccomp_version();

	return xasprintf(", libseccomp %u.%u.%u", v->major, v->minor, v->micro);
}
