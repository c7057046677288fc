/*
 * played-qemu.h: a QEMU that a unit test plays: on a thread of its own it greets, and answers each command as `answer` says. To be
 * included once; the test's setup and teardown call played_begin and played_end.
 */
#ifndef VMFERRY_PLAYED_QEMU_H
#define VMFERRY_PLAYED_QEMU_H

#include "qmp.h"
#include "util.h"

#include <pthread.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <sys/socket.h>

#define PLAYED_VERSION "\"micro\": 2, \"minor\": 0, \"major\": 10"

static struct {
	int fd;
	pthread_t thread;
	const char *version;
	json_t *(*answer)(const char *command, const json_t *args);
	pthread_mutex_t turn;
} played = {.turn = PTHREAD_MUTEX_INITIALIZER};

static struct loop *loop;
static struct qmp *q;
static struct err e;

__attribute__((unused)) static json_t *error(const char *desc)
{
	return json_pack("{s:{s:s,s:s}}", "error", "class", "GenericError", "desc", desc);
}

static json_t *done(json_t *value)
{
	return json_pack("{s:o}", "return", value);
}

static void *play(void *arg)
{
	FILE *f = fdopen(played.fd, "r+");
	char line[4096];

	(void)arg;
	setvbuf(f, NULL, _IONBF, 0);
	__fsetlocking(f, FSETLOCKING_BYCALLER); /* without this, fflush(NULL) before a fork waits for the next command */
	fprintf(f, "{\"QMP\": {\"version\": {\"qemu\": {%s}, \"package\": \"\"}, \"capabilities\": []}}\r\n", played.version);
	while (fgets(line, sizeof(line), f)) {
		json_t *o = json_loads(line, 0, NULL);
		AUTO_FREE char *text = NULL;
		json_t *answer;

		pthread_mutex_lock(&played.turn);
		answer = played.answer(json_string_value(json_object_get(o, "execute")), json_object_get(o, "arguments"));
		pthread_mutex_unlock(&played.turn);
		json_object_set(answer, "id", json_object_get(o, "id"));
		text = json_dumps(answer, JSON_COMPACT);
		fprintf(f, "%s\r\n", text);
		json_decref(answer);
		json_decref(o);
	}
	fclose(f);
	return NULL;
}

/* After this the test may look at what it was asked before its last answer: ThreadSanitizer does not see that the answer came first. */
__attribute__((unused)) static void played_has_answered(void)
{
	pthread_mutex_lock(&played.turn);
	pthread_mutex_unlock(&played.turn);
}

/* q is connected to it. 0, or an error for cmocka. version: members of its greeting, as PLAYED_VERSION has them. */
static int played_begin_as(const char *version, json_t *(*answer)(const char *command, const json_t *args))
{
	int fds[2];

	if (loop_new(&loop, 16, &e) || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		return -1;
	played.version = version;
	played.answer = answer;
	played.fd = fds[1];
	if (pthread_create(&played.thread, NULL, play, NULL))
		return -1;
	return qmp_open_fd(&q, loop, fds[0], "played", 5000, NULL, NULL, &e);
}

__attribute__((unused)) static int played_begin(json_t *(*answer)(const char *command, const json_t *args))
{
	return played_begin_as(PLAYED_VERSION, answer);
}

static void played_end(void)
{
	qmp_close(q);
	pthread_join(played.thread, NULL);
	loop_free(loop);
}

#endif
