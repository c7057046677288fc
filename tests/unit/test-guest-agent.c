/* test-guest-agent.c: file systems that were frozen for a moment are thawed, whoever dies (guest-agent.h). The guest's agent is played by a thread. */
#include "guest-agent.h"
#include "json-text.h"
#include "util.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/test-guest-agent-XXXXXX", *path;
static int listener;
static atomic_int is_frozen, thaws, freezes;
static pthread_t thread;

static json_t *answer(const char *command, const json_t *args)
{
	if (!strcmp(command, "guest-sync-delimited"))
		return json_incref(json_object_get(args, "id"));
	if (!strcmp(command, "guest-fsfreeze-status"))
		return json_string(is_frozen ? "frozen" : "thawed");
	if (!strcmp(command, "guest-fsfreeze-freeze")) {
		is_frozen = 1;
		freezes++;
	} else if (!strcmp(command, "guest-fsfreeze-thaw")) {
		is_frozen = 0;
		thaws++;
	}
	return json_integer(1);
}

static void answer_line(FILE *to, const char *line)
{
	json_t *asked = json_loads(*line == '\xff' ? line + 1 : line, 0, NULL);
	const char *command = json_text(asked, "execute");
	json_t *out = json_pack("{s:o}", "return", answer(command ?: "", json_object_get(asked, "arguments")));
	AUTO_FREE char *text = json_dumps(out, JSON_COMPACT);

	fprintf(to, "%s%s\n", command && strstr(command, "sync") ? "\xff" : "", text);
	fflush(to);
	json_decref(out);
	json_decref(asked);
}

static void *play(void *arg)
{
	char line[4096];
	int fd;

	(void)arg;
	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		FILE *from = fdopen(fd, "r"), *to = fdopen(dup(fd), "w");

		while (fgets(line, sizeof(line), from))
			answer_line(to, line);
		fclose(from);
		fclose(to);
	}
	return NULL;
}

static int begin(void **state)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	if (!mkdtemp(dir))
		return -1;
	path = xasprintf("%s/qga", dir);
	memcpy(at.sun_path, path, strlen(path));
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return bind(listener, (struct sockaddr *)&at, sizeof(at)) || listen(listener, 4) || pthread_create(&thread, NULL, play, NULL) ? -1
																      : 0;
}

static int end(void **state)
{
	(void)state;
	shutdown(listener, SHUT_RDWR);
	pthread_join(thread, NULL);
	close(listener);
	unlink(path);
	free(path);
	return rmdir(dir);
}

static int forget(void **state)
{
	(void)state;
	is_frozen = thaws = freezes = 0;
	return 0;
}

static void a_moment_is_frozen_and_no_more(void **state)
{
	struct freeze f = {.thaws = {.pid = 0}};
	struct err e;

	(void)state;
	assert_int_equal(freeze_begin(&f, path, getpid(), &e), 0);
	assert_int_equal(is_frozen, 1);
	assert_int_equal(freeze_end(&f, &e), 0);
	assert_int_equal(is_frozen, 0);
	assert_int_equal(thaws, 1);
}

/* The OOM killer takes it. */
static void whoever_was_to_thaw_has_died(void **state)
{
	struct freeze f = {.thaws = {.pid = 0}};
	struct err e;

	(void)state;
	assert_int_equal(freeze_begin(&f, path, getpid(), &e), 0);
	assert_int_equal(kill(f.thaws.pid, SIGKILL), 0);
	assert_int_equal(freeze_end(&f, &e), -ETIMEDOUT); /* the guest may have thawed by itself before */
	assert_int_equal(is_frozen, 0);
	assert_int_equal(thaws, 1);
}

static void a_freeze_of_others_is_left_alone(void **state)
{
	struct freeze f = {.thaws = {.pid = 0}};
	struct err e;

	(void)state;
	is_frozen = 1;
	assert_int_equal(freeze_begin(&f, path, getpid(), &e), -EREMOTEIO);
	assert_int_equal(freeze_end(&f, &e), 0);
	assert_int_equal(thaws, 0);
}

static void what_a_journal_says_is_thawed(void **state)
{
	json_t *entry = freeze_entry(path, getpid());
	struct err e;

	(void)state;
	assert_int_equal(freeze_settle(entry, &e), 0); /* the freeze had not begun, or was over */
	assert_int_equal(thaws, 0);
	is_frozen = 1;
	assert_int_equal(freeze_settle(entry, &e), 0);
	assert_int_equal(is_frozen, 0);
	is_frozen = 1;
	json_object_set_new(entry, "start_time", json_integer(1)); /* another guest's QEMU has the pid */
	assert_int_equal(freeze_settle(entry, &e), 0);
	assert_int_equal(is_frozen, 1);
	json_decref(entry);
}

static void an_agent_that_cannot_be_reached_is_told(void **state)
{
	json_t *entry = freeze_entry("/nowhere/qga", getpid());
	struct err e;

	(void)state;
	assert_true(freeze_settle(entry, &e) < 0);
	assert_non_null(strstr(e.msg, "guest-fsfreeze-thaw"));
	json_decref(entry);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {cmocka_unit_test_setup(a_moment_is_frozen_and_no_more, forget),
						  cmocka_unit_test_setup(whoever_was_to_thaw_has_died, forget),
						  cmocka_unit_test_setup(a_freeze_of_others_is_left_alone, forget),
						  cmocka_unit_test_setup(what_a_journal_says_is_thawed, forget),
						  cmocka_unit_test_setup(an_agent_that_cannot_be_reached_is_told, forget)};

	return cmocka_run_group_tests(tests, begin, end);
}
