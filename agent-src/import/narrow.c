/* narrow.c: see narrow.h. Landlock: landlock(7); its older versions leave out what the filter below refuses. */
#include "narrow.h"
#include "confine.h"
#include "fault.h"
#include "narrow-mounts.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define NOBODY	     65534u
#define MEMORY_BYTES GIB
#define STACK_BYTES  (2 * MIB) /* a thread's, too: QEMU has up to 64, and all of them count */

#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif
#ifndef LANDLOCK_ACCESS_FS_IOCTL_DEV
#define LANDLOCK_ACCESS_FS_IOCTL_DEV (1ULL << 15)
#endif

#define READS (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_EXECUTE)
#define OF_FILE                                                                                                                            \
	(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_TRUNCATE |         \
	 LANDLOCK_ACCESS_FS_IOCTL_DEV)

/* Paths that every program needs. */
static const char *const everybody_s[] = {
	"/usr",	 "/lib", "/lib64", "/bin", "/sys/devices/system/cpu", "/etc/ld.so.cache", "/etc/ld.so.preload", "/dev/urandom",
#ifdef __SANITIZE_ADDRESS__ /* LeakSanitizer looks at the threads there, with ptrace */
	"/proc",
#endif
};

/* ---- files ---- */

/* Accesses that this kernel's Landlock governs; 0: no Landlock. */
static uint64_t governed(void)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	if (version < 1 || fault_point("no-landlock"))
		return 0;
	return (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1 + (version >= 2 ? LANDLOCK_ACCESS_FS_MAKE_SYM << 1 : 0) /* REFER */ +
	       (version >= 3 ? LANDLOCK_ACCESS_FS_TRUNCATE : 0) + (version >= 5 ? LANDLOCK_ACCESS_FS_IOCTL_DEV : 0);
}

/* Adds a rule for the path, if it exists. */
static int allow(int rules, const char *path, uint64_t access)
{
	AUTO_CLOSE int fd = open(path, O_PATH | O_CLOEXEC);
	struct landlock_path_beneath_attr a = {.parent_fd = fd, .allowed_access = access};
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return 0;
	if (!S_ISDIR(st.st_mode))
		a.allowed_access &= OF_FILE;
	return syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &a, 0) ? -errno : 0;
}

/* A directory of programs, and not one where a user has, or a file system begins with, whatever there is. */
bool narrow_may_have(const char *dir)
{
	AUTO_FREE char *real = realpath(dir, NULL), *above = real ? xasprintf("%s/..", real) : NULL;
	AUTO_FREE char *home = getenv("HOME") ? realpath(getenv("HOME"), NULL) : NULL;
	struct stat st, up;

	return real && strcmp(real, "/") != 0 && !(home && !strcmp(real, home)) && !stat(real, &st) && !stat(above, &up) &&
	       st.st_dev == up.st_dev;
}

/* Ours reads archives itself, and needs nothing that lies beside it. */
static bool is_own_program(const char *real)
{
	AUTO_FREE char *self = realpath("/proc/self/exe", NULL);

	return real && self && !strcmp(real, self);
}

/* The program and what belongs to it: beside it, and its libraries. */
static int allow_program(int rules, const char *program)
{
	AUTO_FREE char *real = realpath(program, NULL);
	const char *each[] = {program, real};
	int r = real ? allow(rules, real, READS) : 0;

	for (size_t i = 0; i < ARRAY_LEN(each) && !r && !is_own_program(real); i++) {
		const char *slash = each[i] ? strrchr(each[i], '/') : NULL;
		AUTO_FREE char *dir = slash ? xasprintf("%.*s", (int)(slash - each[i]) + 1, each[i]) : NULL;
		AUTO_FREE char *libraries = dir ? xasprintf("%s../lib", dir) : NULL;

		r = dir && narrow_may_have(dir) ? allow(rules, dir, READS) : 0;
		if (!r && libraries && narrow_may_have(libraries))
			r = allow(rules, libraries, READS);
	}
	return r;
}

static int restrict_files(const char *program, const struct narrow *n, uint64_t access)
{
	const struct landlock_ruleset_attr attr = {.handled_access_fs = access};
	AUTO_CLOSE int rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr.handled_access_fs), 0);
	int r = rules < 0 ? -errno : allow_program(rules, program);

	for (size_t i = 0; i < ARRAY_LEN(everybody_s) && !r; i++)
		r = allow(rules, everybody_s[i], READS);
	for (size_t i = 0; i < n->read_count && !r; i++)
		r = allow(rules, n->read[i],
			  LANDLOCK_ACCESS_FS_READ_FILE | (LANDLOCK_ACCESS_FS_IOCTL_DEV & access)); /* the size of a device's sectors */
	r = r ?: allow(rules, "/dev/null", (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE) & access);
	if (!r && n->write)
		r = allow(rules, n->write, OF_FILE & ~(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_IOCTL_DEV) & access);
	return r ? r : syscall(SYS_landlock_restrict_self, rules, 0) ? -errno : 0;
}

/* Hides files without Landlock, for root. Where there may be no mount namespace either, all files are left. */
static int hide_files(const char *program, const struct narrow *n)
{
	AUTO_FREE char *real = realpath(program, NULL), *libraries = NULL, *dir = NULL, *real_dir = NULL, *beside = NULL;
	AUTO_FREE struct left *l = xcalloc(ARRAY_LEN(everybody_s) + n->read_count + 7, sizeof(*l));
	bool is_own = real && is_own_program(real);
	size_t count = 0, i;
	int r;

	for (i = 0; i < ARRAY_LEN(everybody_s); i++)
		l[count++].path = everybody_s[i];
	l[count++].path = "/proc/self"; /* the process's own; libraries that lie beside a program are found by it */
	l[count++].path = "/dev/fd";
	if (*program == '/' && real) {
		dir = xasprintf("%.*s", (int)(strrchr(program, '/') - program), program);
		real_dir = xasprintf("%.*s", (int)(strrchr(real, '/') - real), real);
		beside = xasprintf("%s/../lib", real_dir);
		libraries = realpath(beside, NULL);
		l[count++].path = is_own || !narrow_may_have(dir) ? program : dir;
		l[count++].path = is_own || !narrow_may_have(real_dir) ? real : real_dir;
		if (libraries && !is_own && narrow_may_have(libraries))
			l[count++].path = libraries;
	}
	l[count++] = (struct left){"/dev/null", true};
	for (i = 0; i < n->read_count; i++)
		l[count++].path = n->read[i];
	if (n->write)
		l[count++] = (struct left){n->write, true};
	r = narrow_mounts(l, count);
	return r == -ENOTSUP ? 0 : r;
}

/* ---- calls ---- */

/* Calls that nothing which looks at a foreign image needs: those that Landlock does not govern, that lead to a network or into another process, or whose
 * effect a filter does not see (rings). */
static const char *const refused_calls[] = {
	"socket",
	"socketpair",
	"io_uring_setup",
	"io_uring_enter",
	"io_uring_register",
#ifndef __SANITIZE_ADDRESS__
	"ptrace",
#endif
	"process_vm_readv",
	"process_vm_writev",
	"bpf",
	"perf_event_open",
	"userfaultfd",
	"unshare",
	"setns",
	"mount",
	"umount2",
	"open_tree",
	"move_mount",
	"fsopen",
	"fsmount",
	"fsconfig",
	"fspick",
	"mount_setattr",
	"open_tree_attr",
	"fanotify_init",
	"pivot_root",
	"chroot",
	"keyctl",
	"add_key",
	"request_key",
	"open_by_handle_at",
	"truncate",
	"truncate64",
	"creat",
	"setxattr",
	"lsetxattr",
	"fsetxattr",
	"removexattr",
	"lremovexattr",
	"chmod",
	"fchmodat",
	"fchmodat2",
	"chown",
	"lchown",
	"fchownat",
	"utimensat",
	"utimes",
	"futimesat",
	"utime",
	"kill",
	"tkill",
	"rt_sigqueueinfo",
	"rt_tgsigqueueinfo",
	"setpriority",
	"ioprio_set",
	"process_madvise",
	"process_mrelease",
	"migrate_pages",
	"move_pages",
	"kcmp",
	"shmget",
	"shmat",
	"shmctl",
	"semget",
	"semctl",
	"semop",
	"semtimedop",
	"msgget",
	"msgctl",
	"msgsnd",
	"msgrcv",
	"mq_open",
	"mq_unlink",
	"pidfd_open",
	"pidfd_getfd",
	"pidfd_send_signal",
	"kexec_load",
	"init_module",
	"finit_module",
	"delete_module",
	"swapon",
	"swapoff",
	"reboot",
};

/* Calls that a process may make about itself alone, and new namespaces. The process stays the same when it begins the program. */
static int refuse_some(scmp_filter_ctx c)
{
	static const scmp_datum_t spaces[] = {CLONE_NEWNS,  CLONE_NEWUTS, CLONE_NEWIPC,	   CLONE_NEWUSER,
					      CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWCGROUP, CLONE_NEWTIME};
	scmp_datum_t self = (scmp_datum_t)getpid();
	int r = seccomp_rule_add(c, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_NE, self, 0));

	r = r ?: seccomp_rule_add(c, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(prlimit64), 1, SCMP_A0(SCMP_CMP_NE, 0, 0));
	for (size_t i = 0; !r && i < ARRAY_LEN(spaces); i++)
		r = seccomp_rule_add(c, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, spaces[i], spaces[i]));
	/* clone3's flags cannot be seen by a filter; libc goes on without it */
	return r ?: seccomp_rule_add(c, SCMP_ACT_ERRNO(ENOSYS), seccomp_syscall_resolve_name("clone3"), 0);
}

static int refuse_calls(void)
{
	scmp_filter_ctx c = seccomp_init(SCMP_ACT_ALLOW);
	int r = c ? seccomp_attr_set(c, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS)) : -ENOMEM;

	for (size_t i = 0; !r && i < ARRAY_LEN(refused_calls); i++) {
		int number = seccomp_syscall_resolve_name(refused_calls[i]);

		if (number != __NR_SCMP_ERROR)
			r = seccomp_rule_add(c, SCMP_ACT_ERRNO(EPERM), number, 0);
		if (r == -EDOM || r == -EINVAL) /* not on this architecture */
			r = 0;
	}
	r = r ?: refuse_some(c);
	/* a file that may be read must not be emptied */
	if (!r)
		r = seccomp_rule_add(c, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(openat), 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, O_TRUNC | O_ACCMODE, O_TRUNC));
	if (!r)
		seccomp_rule_add(c, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(open), 1, SCMP_A1(SCMP_CMP_MASKED_EQ, O_TRUNC | O_ACCMODE, O_TRUNC));
	if (!r && seccomp_syscall_resolve_name("openat2") != __NR_SCMP_ERROR)
		seccomp_rule_add(c, SCMP_ACT_ERRNO(ENOSYS), seccomp_syscall_resolve_name("openat2"), 0);
	r = r ?: seccomp_load(c);
	if (c)
		seccomp_release(c);
	return r;
}

/* ---- bounds ---- */

static int bound(int what, rlim_t most)
{
	/* the hard limit of time is higher, as the kernel kills there, without SIGXCPU */
	rlim_t hard = what == RLIMIT_CPU ? most + 1 : most;
	struct rlimit l;

	if (getrlimit((__rlimit_resource_t)what, &l))
		return -errno;
	l.rlim_max = MIN(l.rlim_max, hard);
	l.rlim_cur = MIN(l.rlim_cur, most);
	return setrlimit((__rlimit_resource_t)what, &l) ? -errno : 0;
}

/* A sanitizer in our own program has terabytes of addresses. */
static rlim_t memory_of(bool is_own)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return is_own ? RLIM_INFINITY : MEMORY_BYTES;
#else
	(void)is_own;
	return MEMORY_BYTES;
#endif
}

static int set_bounds(const struct narrow *n, bool is_own)
{
	int r = bound(RLIMIT_AS, memory_of(is_own)) ?: bound(RLIMIT_STACK, STACK_BYTES) ?: bound(RLIMIT_CORE, 0);

	return r ?: bound(RLIMIT_CPU, NARROW_LOOK_S + n->more_s) ?: bound(RLIMIT_FSIZE, n->write_bytes);
}

/* ---- rights ---- */

/* The process has these capabilities, a bit each, and no more. */
static int keep_capabilities(uint32_t bits)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2] = {{.effective = bits, .permitted = bits, .inheritable = bits}};

	return syscall(SYS_capset, &h, d) ? -errno : 0;
}

/* True in a user namespace that has no such user and group (unshare -r): its root is an ordinary user outside. */
static bool lacks_nobody(void)
{
	return setresgid((gid_t)-1, NOBODY, (gid_t)-1) && errno == EINVAL && setresuid((uid_t)-1, NOBODY, (uid_t)-1) && errno == EINVAL;
}

/* Becomes an unprivileged user, or stays the one that root is in a user namespace. The caller's files may be readable by nobody else, so the process keeps the right to open files, but only
 * those above are within its reach; the same holds for its target. */
static int become_nobody(const struct narrow *n)
{
	bool may_read = !n->write && prctl(PR_CAPBSET_READ, CAP_DAC_READ_SEARCH) == 1;
	unsigned right = may_read ? CAP_DAC_READ_SEARCH : CAP_DAC_OVERRIDE;

	if (geteuid())
		return 0;
	if (lacks_nobody()) /* without new privileges a program of this root gets none of them back */
		return keep_capabilities(0);
	if (prctl(PR_SET_KEEPCAPS, 1) || setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY))
		return -errno;
	if (keep_capabilities(1u << right))
		return -EPERM;
	return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, right, 0, 0) ? -errno : 0;
}

/* ---- ---- */

struct narrowing {
	const char *program;
	bool is_own; /* program is our own, which cannot be told any more when files are hidden */
	const struct narrow *n;
};

static int narrow_all(const struct narrowing *x)
{
	uint64_t access = governed();
	int r = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? -errno : 0;

	if (!r && access)
		r = restrict_files(x->program, x->n, access);
	else if (!r && !geteuid())
		r = hide_files(x->program, x->n);
	r = r ?: become_nobody(x->n) ?: refuse_calls();
	if (!r && chdir("/"))
		r = -errno;
	if (!r && setenv("MALLOC_ARENA_MAX", "1", 1)) /* an arena of each thread's would use up the bound */
		r = -errno;
	return r ?: set_bounds(x->n, x->is_own); /* last: there may be no more memory for us within them */
}

/* Narrows the child, which says why if it does not begin. */
static int make_narrow(void *ctx)
{
	int r = narrow_all(ctx);

	if (!r)
		return 0;
	dprintf(2, "the program cannot be confined: %s\n", strerror(-r));
	_exit(127);
}

int narrow_run(char *const *argv, const struct narrow *n, program_said_fn output, void *ctx, struct err *e)
{
	AUTO_FREE char *real = realpath(argv[0], NULL);
	const char *said = getenv(CONFINE_ENV);
	struct narrowing x = {argv[0], is_own_program(real), n};

	return child_run_in(argv, said && !strcmp(said, "off") ? NULL : make_narrow, &x, output, ctx, e);
}
