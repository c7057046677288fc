/* test-output.c: whoever writes never waits for who reads; what is lost is told, and bounded. */
#include "output.h"
#include "report.h"
#include "util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_S 20
#define EVENTS	   20000 /* events of more than 1 KiB each: more than is kept */

static int ends[2];

/* In a process of its own, with standard output and standard error a pipe: what it returns is 0 if all is well. */
static pid_t begin(int (*what)(void))
{
	pid_t pid;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid) {
		close(ends[1]);
		return pid;
	}
	alarm(PATIENCE_S);
	dup2(ends[1], 1);
	dup2(ends[1], 2);
	close(ends[1]);
	close(ends[0]);
	_exit(what());
}

static void assert_ended_well(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status)); /* the process ended by itself, not by its alarm */
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* A line of what it said; false at the end. */
static bool next_line(FILE *f, char line[4096])
{
	return fgets(line, 4096, f) != NULL;
}

/* ---- */

static int says_a_result_after_too_many_events(void)
{
	struct report r;
	char text[1100];
	unsigned i;

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	report_init(&r, true, true);
	for (i = 0; i < EVENTS; i++) {
		report_emit(&r, json_pack("{s:s,s:i}", "event", "progress", "number", (int)i));
		report_emit(&r, json_pack("{s:s,s:i,s:s}", "event", "notice", "number", (int)i, "text", text));
	}
	report_emit(&r, json_pack("{s:s}", "event", "result"));
	kill(getppid(), SIGUSR1);
	output_flush(PATIENCE_S * 1000);
	return 0;
}

static volatile sig_atomic_t told;

static void on_told(int n)
{
	(void)n;
	told = 1;
}

static void slow_reader_gets_the_result_and_how_many_events_it_missed(void **state)
{
	int i, notices = 0, progress = 0, lost = 0, last = -1;
	bool result = false;
	char line[4096];
	pid_t pid;
	FILE *f;

	(void)state;
	told = 0;
	signal(SIGUSR1, on_told);
	pid = begin(says_a_result_after_too_many_events);
	for (i = 0; i < PATIENCE_S * 100 && !told; i++)
		poll(NULL, 0, 10);
	assert_true(told); /* all was said while nobody read */
	f = fdopen(ends[0], "r");
	while (next_line(f, line)) {
		json_t *ev = json_loads(line, 0, NULL);
		const char *kind = json_string_value(json_object_get(ev, "event"));
		int number = (int)json_integer_value(json_object_get(ev, "number"));

		assert_non_null(kind); /* no line is torn */
		assert_false(result);
		result = !strcmp(kind, "result");
		if (!strcmp(kind, "notice")) {
			assert_int_equal(number, last + 1); /* the first ones, with none missing */
			last = number;
			notices++;
		}
		progress += !strcmp(kind, "progress");
		if (!strcmp(kind, "events-lost"))
			lost += (int)json_integer_value(json_object_get(ev, "count"));
		json_decref(ev);
	}
	assert_true(result);
	assert_in_range(notices, OUTPUT_TEXT_BYTES / 2048, OUTPUT_TEXT_BYTES / 1024);
	assert_in_range(progress, 1, notices / 10); /* progress was lost first */
	assert_int_equal(lost, 2 * EVENTS - notices - progress);
	fclose(f);
	assert_ended_well(pid);
}

static int says_passing_things(void)
{
	int i, taken = 0;
	char line[128];

	memset(line, 'y', sizeof(line));
	line[127] = '\n';
	for (i = 0; i < 100000; i++)
		taken += output_put(2, OUTPUT_PASSING, line, sizeof(line));
	return taken < 2000 ? 0 : 1; /* about 512 events fit into the pipe */
}

static void passing_lines_are_dropped_while_one_waits(void **state)
{
	(void)state;
	assert_ended_well(begin(says_passing_things));
	close(ends[0]);
}

static int says_much_to_nobody(void)
{
	char line[4096] = "";
	int i;

	poll(NULL, 0, 50);
	for (i = 0; i < 10000; i++)
		output_put(1, OUTPUT_TEXT, line, sizeof(line));
	output_flush(PATIENCE_S * 1000);
	return 0;
}

static void closed_pipe_is_no_reason_to_end_or_to_wait(void **state)
{
	pid_t pid;

	(void)state;
	signal(SIGPIPE, SIG_DFL);
	pid = begin(says_much_to_nobody);
	close(ends[0]);
	assert_ended_well(pid);
}

static int waits_no_longer_than_it_is_told(void)
{
	static char text[256 * 1024];
	uint64_t began;

	output_put(1, OUTPUT_LAST, text, sizeof(text));
	began = now_ns();
	output_flush(100);
	return now_ns() - began > 90000000ULL && now_ns() - began < 5000000000ULL ? 0 : 1;
}

static void end_waits_so_long_and_no_longer_for_a_reader(void **state)
{
	(void)state;
	assert_ended_well(begin(waits_no_longer_than_it_is_told));
	close(ends[0]);
}

#ifndef __SANITIZE_THREAD__
static int child_speaks_while_its_parent_cannot(void)
{
	static char text[256 * 1024];
	int status, null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	struct pollfd pipe = {.fd = 1, .events = POLLOUT};
	pid_t pid;

	output_put(1, OUTPUT_LAST, text, sizeof(text));
	while (poll(&pipe, 1, 0) == 1 &&
	       pipe.revents & POLLOUT) /* until its thread stands in write(): before, it may have what no fork gives back */
		poll(NULL, 0, 1);
	pid = fork();
	if (!pid) {
		alarm(PATIENCE_S);
		dup2(null, 1);
		output_put(1, OUTPUT_LAST, text, sizeof(text));
		output_flush(PATIENCE_S * 1000);
		_exit(0);
	}
	return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : 1;
}

static void forked_child_has_nothing_of_its_parent_s_to_write(void **state)
{
	(void)state;
	assert_ended_well(begin(child_speaks_while_its_parent_cannot));
	close(ends[0]);
}

#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slow_reader_gets_the_result_and_how_many_events_it_missed),
		cmocka_unit_test(passing_lines_are_dropped_while_one_waits),
		cmocka_unit_test(closed_pipe_is_no_reason_to_end_or_to_wait),
		cmocka_unit_test(end_waits_so_long_and_no_longer_for_a_reader),
#ifndef __SANITIZE_THREAD__ /* ThreadSanitizer permits no threads after such a fork */
		cmocka_unit_test(forked_child_has_nothing_of_its_parent_s_to_write),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
