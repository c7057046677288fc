/*
 * ask-tool.c: asks a QEMU, or the witness in its guest, one thing. Tests do so thousands of times, for which Python starts too slowly.
 *
 *   ask-tool qmp SOCKET COMMAND-JSON [EVENT]    prints what QEMU returns; with EVENT that one's data, when it has come
 *   ask-tool state SOCKET                       QEMU's run state, one word
 *   ask-tool settings SOCKET PROBE              what a move changes in a QEMU, one line each, to be compared with the same of before
 *   ask-tool order SOCKET ORDER [DEADLINE_S]    the witness's answer to an order, without its closing `ok`
 *
 * It ends with 1, and a reason, when the answer is an error or has not come in a minute, or DEADLINE_S. PROBE is a path for a socket: QEMU does not
 * tell whether its NBD server runs, so one is started there and stopped, if none runs. An order carries a word of its own, which the witness repeats
 * before each line of the answer: what an earlier, abandoned order left in the line is not taken for the answer.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <libgen.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_S = 60, RETRY_MS = 20, READ_BYTES = 65536, TEXT_BYTES = 256 };

static struct {
	const char *path;
	int fd;
	int64_t deadline_ms;
	char *text; /* input; bytes from `at` on are not read yet */
	size_t at, length, room;
	json_t *messages;    /* all that was read, as what is returned is part of it */
	const char *awaited; /* an event */
	json_t *event;	     /* the first of that name */
} peer;

static _Noreturn void __attribute__((format(printf, 1, 2))) give_up(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

static _Noreturn void peer_failed(const char *why)
{
	give_up("%s: %s", peer.path, why);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* --- the connection --- */

/* A path that is too long for an address (that of a host within a host, say) goes by way of its directory. */
static struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t room = sizeof address.sun_path, length;
	char *directory = strdup(path);
	int fd;

	if (!directory)
		abort();
	length = (size_t)snprintf(address.sun_path, room, "%s", path);
	if (length >= room) {
		fd = open(dirname(directory), O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			peer_failed(strerror(errno));
		length = (size_t)snprintf(address.sun_path, room, "/proc/self/fd/%d%s", fd, strrchr(path, '/'));
	}
	if (length >= room)
		peer_failed("too long a name for a socket");
	free(directory);
	return address;
}

/* patient: a socket that is not there yet is waited for. */
static void peer_connect(const char *path, double patience_s, bool patient)
{
	struct sockaddr_un address;

	peer.path = path;
	peer.deadline_ms = now_ms() + (int64_t)(patience_s * 1000);
	address = address_of(path);
	peer.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	while (peer.fd < 0 || connect(peer.fd, (struct sockaddr *)&address, sizeof address) != 0) {
		if (peer.fd < 0 || !patient || (errno != ENOENT && errno != ECONNREFUSED) || now_ms() > peer.deadline_ms)
			peer_failed(strerror(errno));
		poll(NULL, 0, RETRY_MS);
	}
}

static void peer_say(const char *text)
{
	size_t left = strlen(text);

	while (left > 0) {
		ssize_t put = send(peer.fd, text, left, MSG_NOSIGNAL);

		if (put < 0 && errno != EINTR)
			peer_failed(strerror(errno));
		if (put > 0) {
			text += put;
			left -= (size_t)put;
		}
	}
}

static void peer_read(void)
{
	struct pollfd wait = {.fd = peer.fd, .events = POLLIN};
	int64_t left_ms = peer.deadline_ms - now_ms();
	ssize_t got;

	if (poll(&wait, 1, left_ms > 0 ? (int)left_ms : 0) != 1)
		peer_failed("no answer in time");
	if (peer.at > 0)
		memmove(peer.text, peer.text + peer.at, peer.length - peer.at);
	peer.length -= peer.at;
	peer.at = 0;
	if (peer.room - peer.length < READ_BYTES) {
		peer.room += READ_BYTES * 2;
		peer.text = realloc(peer.text, peer.room);
		if (!peer.text)
			peer_failed("out of memory");
	}
	got = read(peer.fd, peer.text + peer.length, READ_BYTES);
	if (got <= 0)
		peer_failed(got < 0 ? strerror(errno) : "closed before the answer was complete");
	peer.length += (size_t)got;
}

/* Without its end; valid until the next. */
static char *peer_line(void)
{
	char *line, *end = NULL;

	while (peer.length == peer.at || !(end = memchr(peer.text + peer.at, '\n', peer.length - peer.at)))
		peer_read();
	line = peer.text + peer.at;
	peer.at = (size_t)(end - peer.text) + 1;
	*end = '\0';
	return line;
}

/* --- QEMU --- */

static json_t *qmp_read(void)
{
	json_error_t error;
	json_t *message = json_loads(peer_line(), 0, &error);
	const char *name;

	if (!message)
		peer_failed(error.text);
	json_array_append_new(peer.messages, message);
	name = json_string_value(json_object_get(message, "event"));
	if (name && peer.awaited && !peer.event && strcmp(name, peer.awaited) == 0)
		peer.event = message;
	return message;
}

/* The command's `return`, or NULL and its error's description in *error. */
static json_t *qmp_try(const char *command, const char **error)
{
	char *line;

	if (asprintf(&line, "%s\n", command) < 0) /* in one piece: a QEMU that is told to quit may be gone after the last brace */
		peer_failed("out of memory");
	peer_say(line);
	free(line);
	for (;;) {
		json_t *message = qmp_read(), *failed = json_object_get(message, "error"), *value = json_object_get(message, "return");

		if (failed) {
			*error = json_string_value(json_object_get(failed, "desc"));
			return NULL;
		}
		if (value)
			return value;
	}
}

static json_t *qmp_ask(const char *command)
{
	const char *error;
	json_t *value = qmp_try(command, &error);

	if (!value)
		give_up("QMP %s: %s", command, error);
	return value;
}

static void qmp_open(const char *path)
{
	peer_connect(path, PATIENCE_S, false);
	peer.messages = json_array();
	qmp_read(); /* the greeting */
	qmp_ask("{\"execute\": \"qmp_capabilities\"}");
}

static void value_print(const json_t *value, const char *end)
{
	json_dumpf(value, stdout, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
	fputs(end, stdout);
}

static void ask_qmp(const char *path, const char *command, const char *event)
{
	json_t *value;

	peer.awaited = event;
	qmp_open(path);
	value = qmp_ask(command);
	while (event && !peer.event)
		qmp_read();
	if (event)
		value = json_object_get(peer.event, "data");
	if (value)
		value_print(value, "\n");
	else
		puts("{}"); /* an event without data */
}

static void ask_state(const char *path)
{
	qmp_open(path);
	puts(json_string_value(json_object_get(qmp_ask("{\"execute\": \"query-status\"}"), "status")));
}

static void node_print(const json_t *node)
{
	const json_t *bitmap;
	size_t i;

	printf("node %s bitmaps", json_string_value(json_object_get(node, "drv")));
	json_array_foreach(json_object_get(node, "dirty-bitmaps"), i, bitmap)
		printf(" %s", json_string_value(json_object_get(bitmap, "name")));
	printf(" active %d iops ", json_is_true(json_object_get(node, "active")));
	value_print(json_object_get(node, "iops"), " ");
	value_print(json_object_get(node, "bps"), "\n");
}

/* Without how far it is. */
static void job_print(json_t *job)
{
	json_object_del(job, "current-progress");
	json_object_del(job, "total-progress");
	fputs("jobs ", stdout);
	value_print(job, "\n");
}

static void ask_settings(const char *path, const char *probe)
{
	json_t *value, *list, *message;
	char *command;
	const char *key, *error;
	size_t i;

	qmp_open(path);
	list = qmp_ask("{\"execute\": \"query-migrate-capabilities\"}");
	json_array_foreach(list, i, value)
		printf("%s %d\n", json_string_value(json_object_get(value, "capability")), json_is_true(json_object_get(value, "state")));
	list = qmp_ask("{\"execute\": \"query-migrate-parameters\"}");
	json_object_foreach(list, key, value) {
		if (!strcmp(key, "block-bitmap-mapping") && !json_array_size(value))
			continue; /* QEMU cannot unset it: as good as it gets */
		printf("%s ", key);
		value_print(value, "\n");
	}
	fputs("exports ", stdout);
	value_print(qmp_ask("{\"execute\": \"query-block-exports\"}"), "\n");
	list = qmp_ask("{\"execute\": \"query-jobs\"}");
	json_array_foreach(list, i, value)
		job_print(value);
	list = qmp_ask("{\"execute\": \"query-named-block-nodes\"}");
	json_array_foreach(list, i, value)
		node_print(value);
	message = json_pack("{s:s,s:{s:{s:s,s:{s:s}}}}", "execute", "nbd-server-start", "arguments", "addr", "type", "unix", "data", "path",
			    probe);
	command = json_dumps(message, 0);
	if (!command)
		peer_failed("out of memory");
	if (qmp_try(command, &error)) {
		qmp_ask("{\"execute\": \"nbd-server-stop\"}");
		puts("NBD server was off");
	} else {
		printf("NBD server: %s\n", error);
	}
	free(command);
	json_decref(message);
}

/* --- the witness --- */

static void ask_order(const char *path, const char *order, double patience_s)
{
	char tag[TEXT_BYTES], text[TEXT_BYTES * 2];
	size_t length;

	peer_connect(path, patience_s, true);
	length = (size_t)snprintf(tag, sizeof tag, "@%d.%d ", (int)getpid(), (int)(now_ms() % 1000000));
	if ((size_t)snprintf(text, sizeof text, "\n%s%s\n", tag, order) >= sizeof text)
		give_up("too long an order: %s", order);
	peer_say(text);
	for (;;) {
		const char *line = peer_line();

		if (strncmp(line, tag, length) != 0)
			continue;
		line += length;
		if (strcmp(line, "ok") == 0)
			return;
		if (strncmp(line, "err", 3) == 0)
			give_up("witness, on '%s': %s", order, line + (line[3] ? 4 : 3));
		puts(line);
	}
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (strcmp(what, "qmp") == 0 && (argc == 4 || argc == 5))
		ask_qmp(argv[2], argv[3], argv[4]);
	else if (strcmp(what, "state") == 0 && argc == 3)
		ask_state(argv[2]);
	else if (strcmp(what, "settings") == 0 && argc == 4)
		ask_settings(argv[2], argv[3]);
	else if (strcmp(what, "order") == 0 && (argc == 4 || argc == 5))
		ask_order(argv[2], argv[3], argc == 5 ? strtod(argv[4], NULL) : PATIENCE_S);
	else
		give_up("usage: ask-tool qmp|state|settings|order SOCKET …");
	return fflush(stdout) == 0 ? 0 : 1;
}
