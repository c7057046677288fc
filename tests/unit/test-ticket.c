/* test-ticket.c: never more at work than may be, in the order of arrival, whoever is killed or stopped; and what a host's file says of
 * that. */
#include "host-settings.h"
#include "ticket.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#define PROCESSES 40
#define LIMIT	  2

static char dir[] = "/tmp/vmferry-test-ticket.XXXXXX";
static struct err e;

static int setup(void **state)
{
	(void)state;
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	AUTO_FREE char *cmd = xasprintf("rm -rf '%s'", dir);

	(void)state;
	return system(cmd);
}

static struct ticket *take(void)
{
	struct ticket *t = NULL;

	assert_int_equal(ticket_take(&t, dir, "in", &e), 0);
	return t;
}

static unsigned ahead(const struct ticket *t)
{
	unsigned n = 0;
	int r;

	while ((r = ticket_ahead(t, &n, &e)) == -EAGAIN)
		poll(NULL, 0, 1);
	assert_int_equal(r, 0);
	return n;
}

static unsigned files(void)
{
	AUTO_FREE char *cmd = xasprintf("exit $(ls '%s' | wc -l)", dir);

	return (unsigned)WEXITSTATUS(system(cmd));
}

static void they_are_in_the_order_of_arrival(void **state)
{
	struct ticket *a = take(), *b = take(), *c = take();

	(void)state;
	assert_int_equal(ahead(a), 0);
	assert_int_equal(ahead(b), 1);
	assert_int_equal(ahead(c), 2);
	ticket_return(a);
	assert_int_equal(ahead(c), 1);
	a = take(); /* behind those that wait */
	assert_int_equal(ahead(a), 2);
	ticket_return(b);
	ticket_return(c);
	assert_int_equal(ahead(a), 0);
	ticket_return(a);
	ticket_return(NULL);
	assert_int_equal(files(), 0); /* the last takes the directory along */
}

/* The child has its ticket when this returns. */
static pid_t child_with_ticket(void)
{
	int p[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe(p), 0);
	pid = fork();
	if (!pid) {
		take();
		assert_int_equal(write(p[1], "x", 1), 1);
		for (;;)
			pause();
	}
	close(p[1]);
	assert_int_equal(read(p[0], &c, 1), 1);
	close(p[0]);
	return pid;
}

static void who_is_killed_gives_its_place_up(void **state)
{
	pid_t pid = child_with_ticket();
	struct ticket *t = take();

	(void)state;
	assert_int_equal(ahead(t), 1);
	kill(pid, SIGSTOP); /* a stopped process keeps its ticket */
	waitpid(pid, NULL, WUNTRACED);
	assert_int_equal(ahead(t), 1);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(ahead(t), 0);
	pid = child_with_ticket();
	ticket_return(t);
	ticket_sweep(dir, "in");
	assert_int_equal(files(), 1);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	ticket_sweep(dir, "in");
	assert_int_equal(files(), 0);
}

static json_t *note(const struct ticket *t, const char *text)
{
	json_t *own = json_pack("{s:s}", "guest", text), *others = NULL;

	assert_int_equal(ticket_note(t, dir, "in", own, &others, &e), 0);
	json_decref(own);
	return others;
}

static void assert_notes(json_t *notes /* stolen */, const char *first, const char *second)
{
	const char *const names[] = {first, second};
	size_t i, n = first ? second ? 2 : 1 : 0;

	assert_int_equal(json_array_size(notes), n);
	for (i = 0; i < n; i++)
		assert_true(!strcmp(names[0], json_string_value(json_object_get(json_array_get(notes, i), "guest"))) ||
			    !strcmp(names[n - 1], json_string_value(json_object_get(json_array_get(notes, i), "guest"))));
	json_decref(notes);
}

static void each_sees_what_others_have_noted(void **state)
{
	struct ticket *a = take(), *b = take();
	pid_t pid = child_with_ticket(); /* a ticket without a note */

	(void)state;
	assert_notes(note(a, "a"), NULL, NULL);
	assert_notes(note(b, "b"), "a", NULL);
	assert_notes(note(a, "a, again"), "b", NULL); /* in place of its first */
	assert_notes(note(NULL, "one without a ticket"), "a, again", "b");
	ticket_return(a);
	assert_notes(note(NULL, "x"), "b", NULL);
	ticket_return(b);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	ticket_sweep(dir, "in");
	assert_notes(note(NULL, "x"), NULL, NULL); /* a missing directory */
	assert_int_equal(files(), 0);
}

static void the_note_of_one_that_has_died_does_not_count(void **state)
{
	struct ticket *t = NULL;
	pid_t pid = fork();

	(void)state;
	if (!pid) {
		note(take(), "of one that dies");
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	t = take();
	assert_notes(note(t, "t"), NULL, NULL);
	ticket_return(t);
}

/* A process that lives on with the descriptor, as a guard does. */
static void what_is_returned_is_returned_for_heirs(void **state)
{
	struct ticket *a = take(), *b = take();
	pid_t heir = fork();

	(void)state;
	if (!heir)
		for (;;)
			pause();
	ticket_return(a);
	assert_int_equal(ahead(b), 0);
	kill(heir, SIGKILL);
	waitpid(heir, NULL, 0);
	ticket_return(b);
}

static void who_holds_the_directory_stops_nobody_for_long(void **state)
{
	struct ticket *t = take(), *other;
	AUTO_FREE char *queue = xasprintf("%s/in", dir);
	pid_t pid = fork();
	unsigned n;

	(void)state;
	if (!pid) {
		int fd = open(queue, O_RDONLY);

		flock(fd, LOCK_EX);
		raise(SIGSTOP);
		_exit(0);
	}
	waitpid(pid, NULL, WUNTRACED);
	assert_int_equal(ticket_ahead(t, &n, &e), -EAGAIN);
	assert_int_equal(ticket_take(&other, dir, "in", &e), -EAGAIN);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(ahead(t), 0);
	ticket_return(t);
}

/* The directory cannot be made or written to, or contains other files. */
static void directory_without_room_is_an_error(void **state)
{
	AUTO_FREE char *queue = xasprintf("%s/in", dir);
	AUTO_FREE char *foreign = xasprintf("%s/in/notes", dir);
	AUTO_FREE char *last = xasprintf("%s/in/t99999999", dir);
	struct ticket *t;

	(void)state;
	assert_int_equal(ticket_take(&t, "/proc/self", "in", &e), -ENOENT);
	close(open(queue, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(ticket_take(&t, dir, "in", &e), -ENOTDIR);
	unlink(queue);
	mkdir(queue, 0700);
	close(open(foreign, O_CREAT | O_WRONLY, 0600));
	t = take();
	assert_int_equal(ahead(t), 0);
	ticket_return(t);
	close(open(last, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(ticket_take(&t, dir, "in", &e), -EOVERFLOW);
}

static void full_directory_is_an_error(void **state)
{
	struct ticket *t;

	(void)state;
	if (mount("none", dir, "tmpfs", 0, "size=4k,nr_inodes=2")) {
		print_message("skipped: mounting needs root\n");
		return;
	}
	assert_int_equal(ticket_take(&t, dir, "in", &e), -ENOSPC);
	umount(dir);
}

/* ---- many at once ---- */

struct floor {
	int at_work, most; /* by all processes, atomically */
};

/* Some are killed while they wait, and some at work, with their tickets. */
static _Noreturn void work_once(struct floor *f, unsigned i)
{
	struct ticket *t = take();
	int now;

	if (i % 6 == 2)
		raise(SIGKILL);
	while (ahead(t) >= LIMIT)
		poll(NULL, 0, 2);
	now = __atomic_add_fetch(&f->at_work, 1, __ATOMIC_SEQ_CST);
	if (now > __atomic_load_n(&f->most, __ATOMIC_SEQ_CST))
		__atomic_store_n(&f->most, now, __ATOMIC_SEQ_CST);
	poll(NULL, 0, 5 + (int)(i * 7 % 20));
	__atomic_sub_fetch(&f->at_work, 1, __ATOMIC_SEQ_CST);
	if (i % 3 == 1)
		raise(SIGKILL);
	ticket_return(t);
	_exit(0);
}

static void never_more_are_at_work_than_may_be(void **state)
{
	struct floor *f = mmap(NULL, sizeof(*f), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned i, ended = 0, killed = 0;
	int status;

	(void)state;
	assert_ptr_not_equal(f, MAP_FAILED);
	for (i = 0; i < PROCESSES; i++)
		if (!fork())
			work_once(f, i);
	for (i = 0; i < PROCESSES; i++) {
		assert_true(wait(&status) > 0);
		ended += WIFEXITED(status) && !WEXITSTATUS(status);
		killed += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	}
	assert_int_equal(ended + killed, PROCESSES); /* all got their turn */
	assert_in_range(f->most, 1, LIMIT);
	munmap(f, sizeof(*f));
	ticket_sweep(dir, "in");
	assert_int_equal(files(), 0);
}

/* ---- the host's file ---- */

static int parse(struct host_settings *l, const char *text)
{
	AUTO_FREE char *copy = xstrdup(text);

	*l = (struct host_settings){.in = 2, .out = 2};
	return host_settings_parse(l, copy, "host", &e);
}

static void host_s_file_is_read(void **state)
{
	struct host_settings l;

	(void)state;
	assert_int_equal(parse(&l, "# what this host bears\n\n in 5 \nout\tany\r\n"), 0);
	assert_int_equal(l.in, 5);
	assert_int_equal(l.out, 0);
	assert_int_equal(parse(&l, ""), 0);
	assert_int_equal(l.in, 2);
	assert_int_equal(parse(&l, "in 3\nin"), -EINVAL);
	assert_string_equal(e.msg, "host, line 2: '' is not a number from 1 to 1000, or any");
	assert_int_equal(parse(&l, "in 0"), -EINVAL);
	assert_int_equal(parse(&l, "in -1"), -EINVAL);
	assert_int_equal(parse(&l, "in 1001"), -EINVAL);
	assert_int_equal(parse(&l, "in 2 3"), -EINVAL);
	assert_int_equal(parse(&l, "inn 2"), -EINVAL);
	assert_string_equal(e.msg, "host, line 1: 'inn' is not known: in, out, disk-dir, net and keep-memory are");
}

static void host_s_file_names_places(void **state)
{
	struct host_settings l;

	(void)state;
	assert_int_equal(parse(&l, "disk-dir /srv/vm/%n\ndisk-dir  /a b \nnet br0 lan\nnet br1\tdmz\nkeep-memory 2G\n"), 0);
	assert_int_equal(l.disk_dir_count, 2);
	assert_string_equal(l.disk_dirs[1], "/a b");
	assert_int_equal(l.net_count, 2);
	assert_string_equal(l.nets[1].bridge, "br1");
	assert_string_equal(l.nets[1].label, "dmz");
	assert_int_equal(l.keep_memory, 2 * GIB);
	host_settings_fini(&l);
	assert_int_equal(parse(&l, "disk-dir srv"), -EINVAL);
	assert_int_equal(parse(&l, "net br0"), -EINVAL);
	assert_int_equal(parse(&l, "net br0 a b"), -EINVAL);
	assert_int_equal(parse(&l, "disk-dir /a\nkeep-memory much"), -EINVAL); /* parsing the second line frees the first */
	assert_string_equal(e.msg, "host, line 2: 'much' is not a size such as 2G");
}

static void only_its_owner_may_write_to_it(void **state)
{
	AUTO_FREE char *path = xasprintf("%s/host", dir);
	struct host_settings l;
	FILE *f = fopen(path, "we");

	(void)state;
	fputs("in 7\n", f);
	fclose(f);
	setenv("VMFERRY_HOST", path, 1);
	chmod(path, 0644);
	assert_int_equal(host_settings_read(&l, &e), 0);
	assert_int_equal(l.in, 7);
	assert_int_equal(l.out, HOST_AT_ONCE);
	chmod(path, 0664);
	assert_int_equal(host_settings_read(&l, &e), -EPERM);
	setenv("VMFERRY_HOST", "", 1);
	assert_int_equal(host_settings_read(&l, &e), 0);
	assert_int_equal(l.in, HOST_AT_ONCE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(they_are_in_the_order_of_arrival),
		TEST(who_is_killed_gives_its_place_up),
		TEST(each_sees_what_others_have_noted),
		TEST(the_note_of_one_that_has_died_does_not_count),
		TEST(each_sees_what_others_have_noted),
		TEST(the_note_of_one_that_has_died_does_not_count),
		TEST(what_is_returned_is_returned_for_heirs),
		TEST(who_holds_the_directory_stops_nobody_for_long),
		TEST(directory_without_room_is_an_error),
		TEST(full_directory_is_an_error),
		TEST(never_more_are_at_work_than_may_be),
		TEST(host_s_file_is_read),
		TEST(host_s_file_names_places),
		TEST(only_its_owner_may_write_to_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
