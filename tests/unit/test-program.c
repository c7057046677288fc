/* test-program.c: programs, started by ourselves and by a launcher; and what is left to a process that is confined. */
#include "confine.h"
#include "loop.h"
#include "process.h"
#include "program-run.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include <cmocka.h>

/* ---- in a process of its own, as launchers and filters are for good ---- */

static void in_a_process(void (*what)(void))
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		what();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

#define require(yes)                                                                                                                       \
	do {                                                                                                                               \
		if (!(yes)) {                                                                                                              \
			fprintf(stderr, "%s:%d: not so: %s (errno %d)\n", __FILE__, __LINE__, #yes, errno);                                \
			_exit(1);                                                                                                          \
		}                                                                                                                          \
	} while (0)

/* closed: a bit for each of the three descriptors that is closed. */
static void fills(unsigned closed)
{
	struct stat null, is, was[3];
	int fd;

	require(!stat("/dev/null", &null));
	for (fd = 0; fd < 3; fd++)
		require(!fstat(fd, &was[fd]));
	for (fd = 0; fd < 3; fd++)
		if (closed & 1u << fd)
			close(fd);
	if (process_open_standard())
		_exit(1);
	for (fd = 0; fd < 3; fd++)
		if (fstat(fd, &is) || is.st_rdev != (closed & 1u << fd ? null : was[fd]).st_rdev ||
		    is.st_ino != (closed & 1u << fd ? null : was[fd]).st_ino || fcntl(fd, F_GETFD) & FD_CLOEXEC)
			_exit(2);
	if (closed & 2 && write(1, "x", 1) != -1)
		_exit(3);
	if (closed & 4 && write(2, "x", 1) != 1)
		_exit(4);
}

static void none_closed(void)
{
	fills(0);
}

static void input_closed(void)
{
	fills(1);
}

static void both_outputs_closed(void)
{
	fills(6);
}

static void all_closed(void)
{
	fills(7);
}

static void standard_descriptors_that_are_closed_lead_to_nobody(void **state)
{
	(void)state;
	in_a_process(none_closed);
	in_a_process(input_closed);
	in_a_process(both_outputs_closed);
	in_a_process(all_closed);
}

static void with_launcher(bool as_ours)
{
	struct err e;

	require(launcher_begin(as_ours, &e) == 0);
}

/* ---- programs ---- */

static program_before_fn before_it; /* hook that start_sh() gives to its programs */

/* Starts sh with a script; its standard output is `out`. */
static pid_t start_sh(const char *script, int out, char *const *env, unsigned how, int gate)
{
	char *argv[] = {"sh", "-c", (char *)(uintptr_t)script, "zero", "one", NULL};
	struct program p = PROGRAM_NONE;

	p.file = "sh";
	p.argv = argv;
	p.env = env;
	p.fd[1] = out;
	p.how = how;
	p.gate = gate;
	p.before = before_it;
	return program_start(&p);
}

static void read_all(int fd, char *text, size_t cap)
{
	size_t n = 0;
	ssize_t got;

	while ((got = read(fd, text + n, cap - 1 - n)) > 0)
		n += (size_t)got;
	text[n] = '\0';
}

static void says(const char *script, char *const *env, unsigned how, const char *expected, int expected_status)
{
	char text[4096];
	int fds[2], status;
	pid_t pid;

	require(!pipe2(fds, O_CLOEXEC));
	pid = start_sh(script, fds[1], env, how, -1);
	close(fds[1]);
	require(pid > 0);
	read_all(fds[0], text, sizeof(text));
	close(fds[0]);
	require(program_wait_end(pid, &status) == pid);
	if (strcmp(text, expected))
		fprintf(stderr, "said %s\n", text);
	require(!strcmp(text, expected));
	require(WIFEXITED(status) && WEXITSTATUS(status) == expected_status);
}

static void has_words_and_descriptors(void)
{
	char *env[] = {"A=b c", "PATH=/usr/bin:/bin", NULL};
	int not_theirs = fcntl(2, F_DUPFD, 20);

	signal(SIGPIPE, SIG_IGN);
	says("echo \"$0 $1 $A\"; exit 7", env, 0, "zero one b c\n", 7);
	says("exec ls /proc/self/fd", env, 0, "0\n1\n2\n3\n", 0); /* the last is ls's own */
	/* all signals except the two that libc reserves, which a parent's posix_spawn(3) may have left ignored */
	says("m=$(grep SigIgn /proc/self/status | cut -f2); echo $((0x$m & ~0x180000000))", env, 0, "0\n", 0);
	says("pwd", env, PROGRAM_AT_ROOT, "/\n", 0);
	says("test $(cut -d' ' -f6 /proc/$$/stat) = $$", env, PROGRAM_OWN_SESSION, "", 0);
	says("test $(cut -d' ' -f5 /proc/$$/stat) = $$", env, PROGRAM_OWN_GROUP, "", 0);
	close(not_theirs);
}

static void cannot_begin(void)
{
	char *argv[] = {"nothing", NULL};
	struct program p = PROGRAM_NONE;

	p.file = "/nonexistent/program";
	p.argv = argv;
	require(program_begin(&p) == -ENOENT);
	p.file = "nonexistent-program";
	require(program_begin(&p) == -ENOENT);
}

static void waits_at_its_gate(void)
{
	int gate[2], fds[2], status;
	char c;
	pid_t pid;

	require(!pipe2(gate, O_CLOEXEC) && !pipe2(fds, O_CLOEXEC));
	pid = start_sh("echo", fds[1], NULL, 0, gate[0]);
	close(fds[1]);
	close(gate[0]);
	require(pid > 0 && program_wait(pid, &status) == 0);
	close(gate[1]); /* the gate closes without a word */
	require(read(fds[0], &c, 1) == 0);
	require(program_wait_end(pid, &status) == pid && WEXITSTATUS(status) == 127);
	close(fds[0]);
}

static void long_words(void)
{
	char *word = xmalloc(100001), *env[] = {word, NULL};

	memset(word, 'x', 100000);
	word[1] = '=';
	word[100000] = '\0';
	says("exit 3", env, 0, "", 3);
	free(word);
}

static void all_of_it(void)
{
	has_words_and_descriptors();
	cannot_begin();
	waits_at_its_gate();
	long_words();
}

static void ours(void)
{
	with_launcher(true);
	all_of_it();
}

static void theirs(void)
{
	with_launcher(false);
	all_of_it();
}

static void *many_in_a_thread(void *arg)
{
	unsigned i;

	(void)arg;
	for (i = 0; i < 20; i++)
		says("exit 5", NULL, 0, "", 5);
	return NULL;
}

static void from_threads(void)
{
	pthread_t thread[3];
	size_t i;

	with_launcher(false);
	for (i = 0; i < ARRAY_LEN(thread); i++)
		require(!pthread_create(&thread[i], NULL, many_in_a_thread, NULL));
	for (i = 0; i < ARRAY_LEN(thread); i++)
		pthread_join(thread[i], NULL);
}

static void programs_have_what_they_are_given(void **state)
{
	(void)state;
	in_a_process(all_of_it);
}

static void a_launcher_starts_them_as_our_children(void **state)
{
	(void)state;
	in_a_process(ours);
}

static void a_launcher_starts_them_as_its_own(void **state)
{
	(void)state;
	in_a_process(theirs);
}

static void threads_do_not_hear_each_others_answers(void **state)
{
	(void)state;
	in_a_process(from_threads);
}

/* ---- how a launcher ends ---- */

static void is_a_child(void)
{
	with_launcher(true);
	require(start_sh("test $PPID = $TEST_PARENT", -1, (char *[]){xasprintf("TEST_PARENT=%d", (int)getpid()), NULL}, 0, -1) > 0);
	{
		int status;

		require(wait(&status) > 0 && status == 0);
	}
}

static void whose_child_it_is(void **state)
{
	(void)state;
	in_a_process(is_a_child);
}

/* Starts one that would sleep, and ends itself; fd: where that one's pid goes. */
static void leaves_one_behind(int fd, unsigned how, bool another)
{
	int begun[2];
	struct err e;
	pid_t pid;
	char c;

	if (!before_it)
		with_launcher(false);
	if (another)
		require(launcher_begin_another(&e) == 0);
	require(!pipe2(begun, O_CLOEXEC));
	pid = start_sh("echo; exec sleep 1000", begun[1], NULL, PROGRAM_OWN_SESSION | how, -1);
	require(pid > 0 && read(begun[0], &c, 1) == 1);
	require(write(fd, &pid, sizeof(pid)) == sizeof(pid));
}

static void left_by_a_dead_agent(unsigned how, bool another, bool ends)
{
	int fds[2], pidfd;
	pid_t agent, pid;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	agent = fork();
	if (!agent) {
		leaves_one_behind(fds[1], how, another);
		pause();
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], &pid, sizeof(pid)), sizeof(pid));
	close(fds[0]);
	pidfd = pidfd_open(pid, 0);
	assert_true(pidfd >= 0);
	kill(agent, SIGKILL);
	waitpid(agent, NULL, 0);
	assert_int_equal(poll(&(struct pollfd){.fd = pidfd, .events = POLLIN}, 1, ends ? 10000 : 200), ends);
	pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
	close(pidfd);
}

static void what_dies_with_us_does_and_the_rest_lives_on(void **state)
{
	(void)state;
	left_by_a_dead_agent(PROGRAM_DIES_WITH_US, false, true);
	left_by_a_dead_agent(PROGRAM_DIES_WITH_US, true, true);
	left_by_a_dead_agent(0, false, false);
	left_by_a_dead_agent(0, true, false);
}

static int become_nobody(void *ctx)
{
	(void)ctx;
	return setresuid(65534, 65534, 65534) ? -errno : 0;
}

static void what_becomes_another_users_dies_with_us(void **state)
{
	(void)state;
	if (geteuid()) {
		print_message("skipped: need root\n");
		skip();
	}
	before_it = become_nobody;
	left_by_a_dead_agent(PROGRAM_DIES_WITH_US, false, true);
	before_it = NULL;
}

/* ---- to their end ---- */

static int refuse(void *ctx)
{
	(void)ctx;
	return -EPERM;
}

static void what_is_done_before_a_program_may_refuse_it(void **state)
{
	char *argv[] = {"true", NULL};
	const struct program_run run = {.argv = argv, .before = refuse};
	struct err e;
	int status;

	(void)state;
	assert_int_equal(program_run(&run, &status, &e), -EPERM);
	assert_non_null(strstr(e.msg, "cannot run true"));
}

static void gather(void *ctx, const char *text, size_t n)
{
	strncat(ctx, text, n);
}

static void what_a_program_says_is_heard_by_stream(void **state)
{
	char *argv[] = {"sh", "-c", "echo out; echo error >&2; exit 3", NULL};
	char out[64] = "", error[64] = "";
	const struct program_run run = {.argv = argv, .output = gather, .output_ctx = out, .error = gather, .error_ctx = error};
	struct err e;
	int status;

	(void)state;
	assert_int_equal(program_run(&run, &status, &e), 0);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 3);
	assert_string_equal(out, "out\n");
	assert_string_equal(error, "error\n");
}

static char said[64];

static bool once_it_has_spoken(void)
{
	return *said;
}

/* Whether it still says something, or has closed its streams. */
static void a_program_is_stopped_when_that_is_wanted(void **state)
{
	char *speaks[] = {"sh", "-c", "echo $$; sleep 1000", NULL}, *is_silent[] = {"sh", "-c", "echo $$; exec >&- 2>&-; sleep 1000", NULL};
	char **both[] = {speaks, is_silent};
	struct err e;
	int status;
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		const struct program_run run = {.argv = both[i], .output = gather, .output_ctx = said, .stop = once_it_has_spoken};

		said[0] = '\0';
		assert_int_equal(program_run(&run, &status, &e), -ECANCELED);
		assert_true(kill(atoi(said), 0) && errno == ESRCH);
	}
}

static void another(void)
{
	struct err e;

	with_launcher(false);
	require(launcher_begin_another(&e) == 0);
	all_of_it();
}

static void a_process_of_the_agents_has_a_launcher_of_its_own(void **state)
{
	(void)state;
	in_a_process(another);
}

/* ---- what is left to us ---- */

static bool has_handle(const char *path)
{
	struct file_handle h = {.handle_bytes = 0};
	int mount;

	/* the mapping fails, unless its size is 0 */
	errno = 0;
	if (name_to_handle_at(AT_FDCWD, path, &h, &mount, 0) && (errno == EOVERFLOW || errno == EOPNOTSUPP))
		errno = 0;
	return !errno;
}

static void confined(void)
{
	struct err e;

	require(confine_prepare(false, &e) == 0);
	confine_here(true);
	require(confine_try(&e) == 0);
	all_of_it();		  /* none of these bytes are the program's */
	require(has_handle(".")); /* by which our own files are known where none has a time of birth */
	says("grep -cE '^(Seccomp|NoNewPrivs):\\s*0$' /proc/self/status", NULL, 0, "2\n", 0);
}

static int begin[2];

/* Once it is told to. */
static void *try_in_thread(void *arg)
{
	struct err e;
	char c;

	(void)arg;
	require(read(begin[0], &c, 1) == 0);
	require(confine_try(&e) == 0);
	return NULL;
}

/* Needs root with the right to examine processes that have more rights. */
static void without_file_capabilities(void)
{
	const struct vfs_cap_data cap = {.magic_etc = VFS_CAP_REVISION_2};
	char path[] = "/tmp/vmferry-confined-XXXXXX";
	int fd = mkstemp(path);
	struct err e;

	require(fd >= 0 && !unlink(path));
	if (fsetxattr(fd, "security.capability", &cap, sizeof(cap), 0)) {
		puts("skipped: no file capabilities can be set here");
		return;
	}
	require(confine_prepare(false, &e) == 0);
	confine_here(true);
	require(fsetxattr(fd, "security.capability", &cap, sizeof(cap), 0) == -1 && errno == EPERM);
}

static void a_confined_agent_gives_no_file_capabilities(void **state)
{
	(void)state;
	in_a_process(without_file_capabilities);
}

/* Needs root, too: labels and signatures that others trust. */
static void without_trusted_attributes(void)
{
	static const char *const names[] = {"security.vmferry-test", "trusted.vmferry-test"};
	char path[] = "/var/tmp/vmferry-confined-XXXXXX";
	bool could[ARRAY_LEN(names)];
	int fd = mkstemp(path);
	struct err e;
	size_t i;

	require(fd >= 0 && !unlink(path));
	for (i = 0; i < ARRAY_LEN(names); i++)
		could[i] = !fsetxattr(fd, names[i], "x", 1, 0);
	require(confine_prepare(false, &e) == 0);
	confine_here(true);
	for (i = 0; i < ARRAY_LEN(names); i++) {
		if (!could[i])
			printf("skipped: no attribute %s can be set here\n", names[i]);
		else
			require(fsetxattr(fd, names[i], "y", 1, 0) == -1 && errno == EPERM);
	}
}

static void a_confined_agent_sets_no_attributes_that_others_trust(void **state)
{
	(void)state;
	in_a_process(without_trusted_attributes);
}

/* Loops have their rings all the same. */
static void with_rings(void)
{
	uint64_t any = 0;
	struct loop *l;
	struct err e;
	int fd;

	require(confine_prepare(false, &e) == 0);
	confine_here(true);
	require(loop_new(&l, 8, &e) == 0);
	if (!loop_has_io_uring(l))
		puts("skipped: there is no io_uring here");
	fd = (int)syscall(SYS_io_uring_register, -1, IORING_REGISTER_PERSONALITY, NULL, 0);
	require(fd == -1 && errno == EPERM);
	require(syscall(SYS_io_uring_register, -1, IORING_REGISTER_BUFFERS, &any, 1) == -1 && errno == EPERM);
	require(loop_step(l, 0, &e) == 0);
	loop_free(l);
}

static void a_confined_agent_has_rings_and_registers_nothing(void **state)
{
	(void)state;
	in_a_process(with_rings);
}

static void confined_in_each_thread(void)
{
	char from = 1, to = 0;
	struct iovec local = {.iov_base = &from, .iov_len = 1}, remote = {.iov_base = &to, .iov_len = 1};
	pthread_t before, after;
	struct err e;

	require(!pipe2(begin, O_CLOEXEC));
	require(confine_prepare(true, &e) == 0);
	require(!pthread_create(&before, NULL, try_in_thread, NULL));
	confine_here(false);
	require(!pthread_create(&after, NULL, try_in_thread, NULL));
	close(begin[1]);
	pthread_join(before, NULL);
	pthread_join(after, NULL);
	require(process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == 1);
	require(process_vm_writev(getpid(), &local, 1, &remote, 1, 0) == -1 && errno == EPERM);
}

/* All that there are, where who started us has 100 and may have 200. */
static void many_files(void)
{
	struct rlimit few = {.rlim_cur = 100, .rlim_max = 200}, ours;
	struct err e;

	require(setrlimit(RLIMIT_NOFILE, &few) == 0);
	require(confine_prepare(false, &e) == 0);
	require(getrlimit(RLIMIT_NOFILE, &ours) == 0 && ours.rlim_cur == 200 && ours.rlim_max == 200);
	says("ulimit -Sn; ulimit -Hn", NULL, 0, "100\n200\n", 0);
	says("ulimit -Sn; ulimit -Hn", NULL, PROGRAM_MANY_FILES, "200\n200\n", 0);
}

static void many_files_without_a_launcher(void)
{
	setenv(CONFINE_ENV, "off", 1);
	many_files();
}

static void switched_off(void)
{
	struct err e;

	setenv(CONFINE_ENV, "off", 1);
	require(confine_prepare(false, &e) == 0);
	confine_here(true);
	require(confine_try(&e) == -ENOTSUP);
}

/* Calls that a libc newer than the list would try first, and can do without. */
static void unknown_calls(void)
{
	char dir[] = "/tmp/test-program-XXXXXX";
	struct err e;

	require(mkdtemp(dir));
	require(confine_prepare(false, &e) == 0);
	confine_here(true);
	require(syscall(SYS_openat2, -1, NULL, NULL, 0) == -1 && errno == ENOSYS);
	require(syscall(435 /* clone3 */, NULL, 0) == -1 && errno == ENOSYS);
	require(syscall(100000) == -1 && errno == ENOSYS);
	require(chmod(dir, 0755) == 0);
	require(chmod(dir, 02755) == -1 && errno == EPERM);
	require(socket(AF_UNIX, SOCK_STREAM, 0) >= 0 && socket(AF_INET6, SOCK_STREAM, 0) >= 0);
	require(rmdir(dir) == 0);
}

/* Calls that agents do make, with what they never ask for. Each fails in another way where it is not refused. */
static void refused_by_argument(void)
{
	static const unsigned long spaces[] = {CLONE_NEWNS,  CLONE_NEWUTS, CLONE_NEWIPC,    CLONE_NEWUSER,
					       CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWCGROUP, 0x80 /* CLONE_NEWTIME */};
	static const unsigned rights[] = {S_ISUID, S_ISGID}, devices[] = {S_IFCHR, S_IFBLK};
	const char *no = "/nonexistent/file";
	struct err e;
	size_t i;

	require(confine_prepare(false, &e) == 0);
	confine_here(true);
#define REFUSED(...) require(syscall(__VA_ARGS__) == -1 && errno == EPERM)
	REFUSED(SYS_ioctl, -1, TIOCSTI, "x");
	REFUSED(SYS_ioctl, -1, 0x541c /* TIOCLINUX */, "x");
	for (i = 0; i < ARRAY_LEN(spaces); i++)
		REFUSED(SYS_clone, spaces[i] | CLONE_SIGHAND, 0, 0, 0, 0); /* CLONE_SIGHAND needs CLONE_VM */
	for (i = 0; i < ARRAY_LEN(devices); i++) {
#ifdef SYS_mknod
		REFUSED(SYS_mknod, no, devices[i], 0);
#endif
		REFUSED(SYS_mknodat, AT_FDCWD, no, devices[i], 0);
	}
	for (i = 0; i < ARRAY_LEN(rights); i++) {
#ifdef SYS_open
		REFUSED(SYS_open, no, O_WRONLY | O_CREAT, rights[i] | 0700);
		REFUSED(SYS_creat, no, rights[i] | 0700);
		REFUSED(SYS_mknod, no, S_IFREG | rights[i], 0);
		REFUSED(SYS_chmod, no, rights[i] | 0700);
#endif
		REFUSED(SYS_openat, AT_FDCWD, no, O_WRONLY | O_CREAT, rights[i] | 0700);
		REFUSED(SYS_mknodat, AT_FDCWD, no, S_IFREG | rights[i], 0);
		REFUSED(SYS_fchmod, -1, rights[i] | 0700);
		REFUSED(SYS_fchmodat, AT_FDCWD, no, rights[i] | 0700);
	}
	REFUSED(SYS_socket, AF_PACKET, SOCK_RAW, 0);
	REFUSED(SYS_socket, AF_VSOCK, SOCK_STREAM, 0);
#undef REFUSED
}

#ifdef __x86_64__
static void ends_well(int number)
{
	(void)number;
	_exit(0);
}

/* By its numbers, which mean other calls, all of them could be had. A kernel that has none of it ends the process. */
static void of_another_architecture(void)
{
	struct err e;
	long r;

	signal(SIGSEGV, ends_well);
	require(confine_prepare(false, &e) == 0);
	confine_here(true);
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(20L /* getpid */) : "memory", "cc", "r8", "r9", "r10", "r11");
	require((int)r == -ENOSYS);
}
#endif

static void what_an_agent_never_asks_for_is_refused(void **state)
{
	(void)state;
	in_a_process(refused_by_argument);
#ifdef __x86_64__
	in_a_process(of_another_architecture);
#endif
}

static void a_confined_agent_starts_nothing_itself(void **state)
{
	(void)state;
	in_a_process(confined);
}

static void every_thread_is_confined(void **state)
{
	(void)state;
	in_a_process(confined_in_each_thread);
}

static void an_agent_may_open_many_files_and_its_programs_what_its_user_may(void **state)
{
	(void)state;
	in_a_process(many_files);
	in_a_process(many_files_without_a_launcher);
}

static void it_can_be_switched_off(void **state)
{
	(void)state;
	in_a_process(switched_off);
}

static void what_is_not_known_fails_as_on_an_older_kernel(void **state)
{
	(void)state;
	in_a_process(unknown_calls);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(standard_descriptors_that_are_closed_lead_to_nobody),
		cmocka_unit_test(programs_have_what_they_are_given),
		cmocka_unit_test(a_launcher_starts_them_as_our_children),
		cmocka_unit_test(a_launcher_starts_them_as_its_own),
		cmocka_unit_test(threads_do_not_hear_each_others_answers),
		cmocka_unit_test(whose_child_it_is),
		cmocka_unit_test(what_dies_with_us_does_and_the_rest_lives_on),
		cmocka_unit_test(what_becomes_another_users_dies_with_us),
		cmocka_unit_test(what_is_done_before_a_program_may_refuse_it),
		cmocka_unit_test(what_a_program_says_is_heard_by_stream),
		cmocka_unit_test(a_program_is_stopped_when_that_is_wanted),
		cmocka_unit_test(a_process_of_the_agents_has_a_launcher_of_its_own),
		cmocka_unit_test(a_confined_agent_starts_nothing_itself),
		cmocka_unit_test(a_confined_agent_gives_no_file_capabilities),
		cmocka_unit_test(what_an_agent_never_asks_for_is_refused),
		cmocka_unit_test(a_confined_agent_sets_no_attributes_that_others_trust),
		cmocka_unit_test(a_confined_agent_has_rings_and_registers_nothing),
		cmocka_unit_test(every_thread_is_confined),
		cmocka_unit_test(an_agent_may_open_many_files_and_its_programs_what_its_user_may),
		cmocka_unit_test(it_can_be_switched_off),
		cmocka_unit_test(what_is_not_known_fails_as_on_an_older_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
