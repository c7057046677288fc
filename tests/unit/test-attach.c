/* test-attach.c: another process's main thread is sent through functions of its own, and comes back as if nothing had been (attach.h). */
#include "attach.h"
#include "process.h"
#include "qemu-calls.h"
#include "trace-refusal.h"
#include "util.h"
#include "working-dir.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cmocka.h>

/* ---- a process that stands in for a QEMU ---- */

/* The memory that the process and the test share. */
struct stage {
	volatile unsigned turns, wrong_registers; /* turns of the thread's loop */
	volatile bool holds_lock;		  /* held by its main thread while that waits */
	volatile bool lock_is_taken;		  /* by another of its threads */
	volatile uint64_t chardev;		  /* the result for a character device */
	volatile bool refuses_monitor;
	volatile unsigned locked, unlocked, chardevs, monitors;
	volatile unsigned signals; /* handled */
	volatile unsigned sent;	   /* number of signals sent */
	volatile bool is_enough;   /* no more are to be sent */
	char label[64], socket[512], monitor[256];
	volatile uint64_t monitor_of;
};

static struct stage *stage;
#ifdef __x86_64__

static pid_t other;

static bool fake_is_locked(void)
{
	return stage->holds_lock;
}

static void fake_lock(const char *file, int line)
{
	(void)file;
	(void)line;
	while (stage->lock_is_taken)
		usleep(1000);
	stage->locked++;
}

static void fake_unlock(void)
{
	stage->unlocked++;
}

static void *fake_new_chardev(const char *label, const char *socket, bool mux, void *context)
{
	snprintf(stage->label, sizeof(stage->label), "%s", label);
	snprintf(stage->socket, sizeof(stage->socket), "%s", socket);
	stage->chardevs += !mux && !context;
	return (void *)(uintptr_t)stage->chardev;
}

static void fake_monitor_init(void *chardev, bool pretty, void *errp)
{
	stage->monitor_of = (uintptr_t)chardev;
	stage->monitors += !pretty && !errp;
}

static bool fake_add_object(const char *text, void *errp)
{
	snprintf(stage->monitor, sizeof(stage->monitor), "%s", text);
	stage->monitors += !errp;
	return !stage->refuses_monitor;
}

/* ppoll(2) on nothing for 20 ms. False: a register that a system call leaves alone has another value then. */
static __attribute__((noinline)) bool wait_a_moment(void)
{
	struct timespec ms20 = {.tv_nsec = 20000000};
	register uint64_t sigmask __asm__("r10") = 0, size __asm__("r8") = 8, ninth __asm__("r9") = 0x1234567;
	uint64_t rdi = 0, rsi = 0, rdx = (uintptr_t)&ms20;
	int64_t ret = SYS_ppoll;

	__asm__ volatile("syscall"
			 : "+a"(ret), "+D"(rdi), "+S"(rsi), "+d"(rdx), "+r"(sigmask), "+r"(size), "+r"(ninth)
			 :
			 : "rcx", "r11", "memory");
	return (ret == 0 || ret == -EINTR) && !rdi && !rsi && rdx == (uintptr_t)&ms20 && !sigmask && size == 8 && ninth == 0x1234567;
}

static __attribute__((noinline)) void main_loop(void)
{
	for (;;) {
		stage->wrong_registers += !wait_a_moment();
		stage->turns++;
	}
}

static struct qemu_calls calls_of_other(bool is_object)
{
	return (struct qemu_calls){.is_object = is_object,
				   .is_locked = (uintptr_t)fake_is_locked,
				   .lock = (uintptr_t)fake_lock,
				   .unlock = (uintptr_t)fake_unlock,
				   .new_chardev = (uintptr_t)fake_new_chardev,
				   .new_monitor = is_object ? (uintptr_t)fake_add_object : (uintptr_t)fake_monitor_init,
				   .main_loop = (uintptr_t)main_loop,
				   .main_loop_bytes = 256};
}

static void count_signal(int number)
{
	(void)number;
	stage->signals++;
}

static int begin_other(void **state)
{
	(void)state;
	memset(stage, 0, sizeof(*stage));
	stage->chardev = 0xabcdef0123;
	other = fork();
	if (!other) {
		signal(SIGRTMIN, count_signal);
		main_loop();
	}
	while (!stage->turns)
		usleep(100);
	return 0;
}

static int end_other(void **state)
{
	(void)state;
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
	return 0;
}

/* The process goes on through its loop, and every register is right. */
static void assert_lives_on(void)
{
	unsigned turns = stage->turns;

	while (stage->turns < turns + 3)
		usleep(1000);
	assert_int_equal(stage->wrong_registers, 0);
	assert_int_equal(waitpid(other, NULL, WNOHANG), 0);
}

/* Memory that holds code and belongs to no file. */
static bool has_code_of_no_file(void)
{
	AUTO_FREE char *path = xasprintf("/proc/%d/maps", (int)other);
	char line[512];
	bool yes = false;
	FILE *f = fopen(path, "r");
	int at;

	while (f && fgets(line, sizeof(line), f)) {
		at = 0;
		yes |= sscanf(line, "%*x-%*x r-xp 00000000 00:00 0%n", &at) == 0 && at && line[at + (int)strspn(line + at, " ")] == '\n';
	}
	if (f)
		fclose(f);
	return yes;
}

static void it_makes_a_socket_and_a_monitor_on_it(void **state)
{
	struct qemu_calls c = calls_of_other(false);
	struct attached a = {.path = NULL};
	struct err e;

	(void)state;
	assert_int_equal(attach_try(other, &c, "/run/x,y.qmp", &a, &e), 0);
	assert_int_equal(stage->locked, 1);
	assert_int_equal(stage->unlocked, 1);
	assert_int_equal(stage->chardevs, 1);
	assert_string_equal(stage->socket, "unix:/run/x,,y.qmp,server=on,wait=off");
	assert_int_equal(strncmp(stage->label, "vmferry-attach-", 15), 0);
	assert_int_equal(stage->monitors, 1);
	assert_int_equal(stage->monitor_of, stage->chardev);
	assert_lives_on();
	assert_false(has_code_of_no_file());
}

static void each_has_a_name_of_its_own(void **state)
{
	struct qemu_calls c = calls_of_other(false);
	struct attached a = {.path = NULL};
	AUTO_FREE char *first = NULL;
	struct err e;

	(void)state;
	assert_int_equal(attach_try(other, &c, "/run/x.qmp", &a, &e), 0);
	first = xstrdup(stage->label);
	assert_int_equal(attach_try(other, &c, "/run/x.qmp", &a, &e), 0);
	assert_string_not_equal(stage->label, first);
	assert_lives_on();
}

static void where_a_monitor_is_an_object_it_is_added(void **state)
{
	struct qemu_calls c = calls_of_other(true);
	struct attached a = {.path = NULL};
	struct err e;
	AUTO_FREE char *chardev = NULL;

	(void)state;
	assert_int_equal(attach_try(other, &c, "/run/x.qmp", &a, &e), 0);
	assert_int_equal(stage->monitors, 1);
	assert_int_equal(strncmp(stage->monitor, "monitor-qmp,id=vmferry-qmp-", 27), 0);
	chardev = xasprintf(",chardev=%s", stage->label);
	assert_non_null(strstr(stage->monitor, chardev));
	assert_lives_on();
}

static void a_thread_that_holds_the_lock_is_left_alone(void **state)
{
	struct qemu_calls c = calls_of_other(false);
	struct attached a = {.path = NULL};
	struct err e;

	(void)state;
	stage->holds_lock = true;
	assert_int_equal(attach_try(other, &c, "/run/x.qmp", &a, &e), -EBUSY);
	assert_int_equal(stage->locked + stage->unlocked + stage->chardevs + stage->monitors, 0);
	assert_lives_on();
	assert_false(has_code_of_no_file());
}

static void a_thread_outside_its_main_loop_is_left_alone(void **state)
{
	struct qemu_calls c = calls_of_other(false);
	struct attached a = {.path = NULL};
	struct err e;

	(void)state;
	c.main_loop = (uintptr_t)fake_unlock;
	c.main_loop_bytes = 4;
	assert_int_equal(attach_try(other, &c, "/run/x.qmp", &a, &e), -EBUSY);
	assert_int_equal(stage->locked + stage->chardevs, 0);
	assert_lives_on();
	assert_false(has_code_of_no_file());
}

/* The process is told to do nothing when it gets the lock, and does nothing then. */
static void a_lock_that_is_not_free_in_time_ends_it(void **state)
{
	struct qemu_calls c = calls_of_other(false);
	struct attached a = {.path = NULL};
	struct err e;

	(void)state;
	stage->lock_is_taken = true;
	assert_int_equal(attach_try(other, &c, "/run/x.qmp", &a, &e), -ETIMEDOUT);
	stage->lock_is_taken = false;
	assert_lives_on();
	assert_int_equal(stage->locked, 1);
	assert_int_equal(stage->unlocked, 1);
	assert_int_equal(stage->chardevs + stage->monitors, 0);
}

static void no_socket_and_no_monitor_are_told_apart(void **state)
{
	struct qemu_calls c = calls_of_other(true);
	struct attached a = {.path = NULL};
	struct err e;

	(void)state;
	stage->chardev = 0;
	assert_int_equal(attach_try(other, &c, "/run/x.qmp", &a, &e), -EIO);
	assert_non_null(strstr(e.msg, "could not make the socket"));
	assert_int_equal(stage->monitors, 0);
	stage->chardev = 1;
	stage->refuses_monitor = true;
	assert_int_equal(attach_try(other, &c, "/run/x.qmp", &a, &e), -EIO);
	assert_non_null(strstr(e.msg, "no monitor on it"));
	assert_int_equal(stage->unlocked, 2);
	assert_lives_on();
}

/* Real-time signals, each of which counts: none is lost, and the thread goes on whenever they come. */
__attribute__((unused)) static void signals_that_come_meanwhile_are_its_own(void **state)
{
	struct qemu_calls c = calls_of_other(false);
	struct attached a = {.path = NULL};
	unsigned attached = 0, before;
	struct err e;
	pid_t sender;
	int status, r;

	(void)state;
	sender = fork();
	if (!sender) {
		alarm(60);
		while (!stage->is_enough) {
			if (kill(other, SIGRTMIN))
				_exit(1);
			stage->sent++;
			while (stage->signals < stage->sent)
				sched_yield();
		}
		_exit(0);
	}
	while (attached < 20) {
		before = stage->sent;
		while (stage->sent == before) /* the sender is at work */
			sched_yield();
		r = attach_try(other, &c, "/run/x.qmp", &a, &e);
		if (r)
			assert_int_equal(r, -EBUSY);
		attached += !r;
	}
	stage->is_enough = true;
	assert_int_equal(waitpid(sender, &status, 0), sender);
	assert_int_equal(status, 0);
	assert_lives_on();
	assert_int_equal(stage->signals, stage->sent);
	assert_int_equal(stage->monitors, 20);
}

static void one_that_is_gone_or_traced_is_an_error(void **state)
{
	struct qemu_calls c = calls_of_other(false);
	struct attached a = {.path = NULL};
	struct err e;

	(void)state;
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
	assert_true(attach_try(other, &c, "/run/x.qmp", &a, &e) < 0);
}

static char *directory_of_other(void)
{
	AUTO_FREE char *path = xasprintf("/proc/%d/cwd", (int)other);

	return realpath(path, NULL);
}

static unsigned mappings_of_other(void)
{
	AUTO_FREE char *path = xasprintf("/proc/%d/maps", (int)other);
	FILE *f = fopen(path, "r");
	unsigned n = 0;
	int c;

	while (f && (c = fgetc(f)) != EOF)
		n += c == '\n';
	if (f)
		fclose(f);
	return n;
}

static void it_is_put_into_another_directory(void **state)
{
	AUTO_FREE char *before = directory_of_other(), *now = NULL, *still = NULL;
	unsigned mappings = mappings_of_other();
	struct err e;

	(void)state;
	assert_string_not_equal(before, "/proc");
	assert_int_equal(working_dir_change(other, "/proc", &e), 0);
	now = directory_of_other();
	assert_string_equal(now, "/proc");
	assert_lives_on();
	assert_int_equal(mappings_of_other(), mappings);
	assert_int_equal(working_dir_change(other, "/proc/none/such", &e), -ENOENT);
	still = directory_of_other();
	assert_string_equal(still, "/proc");
	assert_lives_on();
}

#endif

/* ---- what a program's file says ---- */

/* The smallest program that exports a function, "f", and says that it is QEMU 10.0.2. */
struct small_program {
	Elf64_Ehdr header;
	Elf64_Shdr sections[3];
	Elf64_Sym symbols[2];
	char names[8];
	char text[64];
};

static struct small_program small_program(void)
{
	struct small_program p =
		{.header = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64},
#ifdef __aarch64__
			    .e_machine = EM_AARCH64,
#else
			    .e_machine = EM_X86_64,
#endif
			    .e_shoff = offsetof(struct small_program, sections),
			    .e_shentsize = sizeof(Elf64_Shdr),
			    .e_shnum = 3},
		 .sections = {{.sh_type = SHT_NULL},
			      {.sh_type = SHT_DYNSYM,
			       .sh_link = 2,
			       .sh_offset = offsetof(struct small_program, symbols),
			       .sh_size = sizeof(p.symbols)},
			      {.sh_type = SHT_STRTAB, .sh_offset = offsetof(struct small_program, names), .sh_size = sizeof(p.names)}},
		 .symbols = {{.st_name = 0},
			     {.st_name = 1, .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), .st_value = 0x40, .st_size = 7}},
		 .names = "\0f",
		 .text = "QEMU emulator version 10.0.2 (Debian)\n"};

	return p;
}

static char *write_file(const char *name, const void *bytes, size_t n)
{
	char *path = xasprintf("%s/vmferry-test-attach-%d-%s", getenv("TMPDIR") ?: "/tmp", (int)getpid(), name);
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0 && write(fd, bytes, n) == (ssize_t)n);
	return path;
}

static void functions_are_found_by_name(void **state)
{
	struct small_program p = small_program();
	AUTO_FREE char *path = write_file("program", &p, sizeof(p));
	struct exe_symbols s;
	struct qemu_calls c;
	uint64_t size = 0;
	struct err e;

	(void)state;
	assert_int_equal(exe_symbols_read(&s, path, 0x1000, &e), 0);
	assert_int_equal(exe_symbol(&s, "f", &size), 0x1040);
	assert_int_equal(size, 7);
	assert_int_equal(exe_symbol(&s, "g", NULL), 0);
	assert_int_equal(qemu_calls_find(&c, &s, &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "10.0.2 (Debian), was built without"));
	exe_symbols_close(&s);
	unlink(path);
}

/* A QEMU that nobody has tried may take other things, however its functions are called. */
static void versions_that_were_not_tried_are_refused(void **state)
{
	static const char *const versions[] = {"7.1.0", "8.1.5", "9.2.1", "10.1.0", "11.2.0", "12.0.0", "10.0.50", "11.1.91", "x"};
	struct small_program p = small_program();
	struct exe_symbols s;
	struct qemu_calls c;
	struct err e;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(versions); i++) {
		AUTO_FREE char *path = NULL;

		snprintf(p.text, sizeof(p.text), "QEMU emulator version %s\n", versions[i]);
		path = write_file("version", &p, sizeof(p));
		assert_int_equal(exe_symbols_read(&s, path, 0, &e), 0);
		assert_int_equal(qemu_calls_find(&c, &s, &e), -ENOTSUP);
		assert_non_null(strstr(e.msg, *versions[i] == 'x' ? "does not say which version" : versions[i]));
		assert_null(strstr(e.msg, "was built without"));
		exe_symbols_close(&s);
		unlink(path);
	}
}

/* Each was tried: 8.2 is Ubuntu's. */
static void versions_that_were_tried_are_taken(void **state)
{
	static const char *const versions[] = {"7.2.19", "8.2.2", "10.0.2", "11.1.0"};
	struct small_program p = small_program();
	struct exe_symbols s;
	struct qemu_calls c;
	struct err e;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(versions); i++) {
		AUTO_FREE char *path = NULL;

		snprintf(p.text, sizeof(p.text), "QEMU emulator version %s\n", versions[i]);
		path = write_file("version", &p, sizeof(p));
		assert_int_equal(exe_symbols_read(&s, path, 0, &e), 0);
		assert_int_equal(qemu_calls_find(&c, &s, &e), -ENOTSUP);
		assert_non_null(strstr(e.msg, "was built without")); /* this program has none of the functions */
		exe_symbols_close(&s);
		unlink(path);
	}
}

/* Every byte of it, wrong in four ways: an error, or symbols that lie in the file. */
static void headers_that_lie_are_survived(void **state)
{
	static const uint8_t lies[] = {0, 0x7f, 0x80, 0xff};
	struct small_program p = small_program();
	uint8_t *bytes = (uint8_t *)&p;
	struct exe_symbols s;
	struct err e;
	size_t i, k;

	(void)state;
	for (i = 0; i < offsetof(struct small_program, text); i++) {
		uint8_t was = bytes[i];

		for (k = 0; k < ARRAY_LEN(lies); k++) {
			AUTO_FREE char *path = NULL;

			bytes[i] = lies[k];
			path = write_file("lie", &p, sizeof(p));
			if (!exe_symbols_read(&s, path, 0, &e)) {
				exe_symbol(&s, "f", NULL);
				exe_symbols_close(&s);
			}
			unlink(path);
		}
		bytes[i] = was;
	}
}

static void what_is_no_program_is_an_error(void **state)
{
	AUTO_FREE char *empty = write_file("empty", "", 0), *text = write_file("text", "#!/bin/sh\n", 10);
	struct exe_symbols s;
	struct err e;

	(void)state;
	assert_int_equal(exe_symbols_read(&s, empty, 0, &e), -ENOEXEC);
	assert_int_equal(exe_symbols_read(&s, text, 0, &e), -ENOEXEC);
	assert_int_equal(exe_symbols_read(&s, "/dev/null", 0, &e), -ENOEXEC);
	assert_int_equal(exe_symbols_read(&s, "/nonexistent", 0, &e), -ENOENT);
	unlink(empty);
	unlink(text);
}

static void paths_that_cannot_be_are_refused(void **state)
{
	struct qemu_calls c = {.is_object = false};
	struct calls_data d;
	char path[600];
	struct err e;

	(void)state;
	assert_int_equal(qemu_calls_fill(&c, &d, "x.qmp", 1, &e), -EINVAL);
	assert_int_equal(qemu_calls_fill(&c, &d, "/run/a\nb", 1, &e), -EINVAL);
	memset(path, ',', sizeof(path));
	path[0] = '/';
	path[300] = '\0';
	assert_int_equal(qemu_calls_fill(&c, &d, path, 1, &e), -ENAMETOOLONG);
}

struct refusal {
	struct trace_rules rules;
	int error;
	const char *words;
};

static void why_it_may_not_be_traced_is_said(void **state)
{
	static const struct refusal rows[] = {
		{{.tracer = 7, .yama = 1}, EPERM, "is traced by process 7"},
		{{.yama = 1},
		 EACCES,
		 "ptrace_scope is 1, with which only root, and who has started it, may trace it: run vmferry as root, or set it to 0"},
		{{.yama = 2}, EPERM, "ptrace_scope is 2, with which only root may trace it: run vmferry as root"},
		{{.yama = 2, .is_root = true},
		 EPERM,
		 "CAP_SYS_PTRACE may trace it, and vmferry does not have that: run vmferry outside its container"},
		{{.yama = 3, .is_root = true, .has_right = true}, EPERM, "no process may trace another one until this host is booted"},
		{{.yama = 2, .is_root = true, .has_right = true, .its = "libvirt-1 (enforce)"},
		 EACCES,
		 "AppArmor confines it (libvirt-1 (enforce)), or vmferry (unconfined), and the profile of each must have it as \"ptrace\""},
		{{.own = "vmferry (enforce)"}, EACCES, "vmferry (vmferry (enforce))"},
		{{.is_root = true, .has_right = true, .its = "system_u:system_r:svirt_t:s0", .own = "unconfined_t"},
		 EACCES,
		 "SELinux may forbid it (it is system_u:system_r:svirt_t:s0, vmferry is unconfined_t;"},
		{{.is_root = true, .has_right = true}, EPERM, "something forbids ptrace to vmferry"},
		{{.yama = 1}, ESRCH, "cannot be traced (ptrace): No such process"},
	};
	struct err e;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		int r = trace_refusal(&rows[i].rules, 5, rows[i].error, &e);

		assert_true(r < 0 && r == -e.code);
		if (!strstr(e.msg, rows[i].words))
			fail_msg("row %zu says: %s", i, e.msg);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#ifdef __x86_64__
		cmocka_unit_test_setup_teardown(it_makes_a_socket_and_a_monitor_on_it, begin_other, end_other),
		cmocka_unit_test_setup_teardown(each_has_a_name_of_its_own, begin_other, end_other),
		cmocka_unit_test_setup_teardown(where_a_monitor_is_an_object_it_is_added, begin_other, end_other),
		cmocka_unit_test_setup_teardown(a_thread_that_holds_the_lock_is_left_alone, begin_other, end_other),
		cmocka_unit_test_setup_teardown(a_thread_outside_its_main_loop_is_left_alone, begin_other, end_other),
		cmocka_unit_test_setup_teardown(a_lock_that_is_not_free_in_time_ends_it, begin_other, end_other),
		cmocka_unit_test_setup_teardown(no_socket_and_no_monitor_are_told_apart, begin_other, end_other),
#ifndef __SANITIZE_THREAD__ /* ThreadSanitizer puts a handler off until the next call that it knows, and this thread makes none */
		cmocka_unit_test_setup_teardown(signals_that_come_meanwhile_are_its_own, begin_other, end_other),
#endif
		cmocka_unit_test_setup_teardown(it_is_put_into_another_directory, begin_other, end_other),
		cmocka_unit_test_setup(one_that_is_gone_or_traced_is_an_error, begin_other),
#endif
		cmocka_unit_test(why_it_may_not_be_traced_is_said),
		cmocka_unit_test(functions_are_found_by_name),
		cmocka_unit_test(versions_that_were_not_tried_are_refused),
		cmocka_unit_test(versions_that_were_tried_are_taken),
		cmocka_unit_test(headers_that_lie_are_survived),
		cmocka_unit_test(what_is_no_program_is_an_error),
		cmocka_unit_test(paths_that_cannot_be_are_refused)};

	alarm(120); /* the deadline of every wait here */
	stage = mmap(NULL, sizeof(*stage), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return stage == MAP_FAILED ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
