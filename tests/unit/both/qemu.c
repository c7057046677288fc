/*
 * qemu.c: a QEMU that is played by a process of its own, which can be held and killed: as much of its monitor as the hand-off asks for, and what
 * QEMU 10 does then. It goes on only when it is its turn.
 */
#include "both.h"
#include "util.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CLIENTS_MAX 16
#define GREETING                                                                                                                           \
	"{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 2, \"minor\": 0, \"major\": 10}, \"package\": \"\"}, \"capabilities\": []}}\r\n"

static struct both_qemu *self;
static unsigned side;
static const char *state, *migration; /* query-status, query-migrate */
static struct client {
	int fd;
	char text[16384];
	size_t n;
} clients[CLIENTS_MAX];
static unsigned client_count;

static void say(int fd, json_t *o)
{
	AUTO_FREE char *text = json_dumps(o, JSON_COMPACT);
	AUTO_FREE char *line = xasprintf("%s\r\n", text);

	if (send(fd, line, strlen(line), MSG_NOSIGNAL) < 0 && errno != EPIPE)
		abort();
	json_decref(o);
}

static void tell(const char *event, json_t *data)
{
	unsigned i;

	for (i = 0; i < client_count; i++)
		say(clients[i].fd,
		    json_pack("{s:s,s:{s:i,s:i},s:O*}", "event", event, "timestamp", "seconds", 1, "microseconds", 1, "data", data));
	json_decref(data);
}

static void migrates(const char *status)
{
	migration = status;
	tell("MIGRATION", json_pack("{s:s}", "status", status));
}

/* QEMU says so before it lets the guest run. */
static void run(void)
{
	enum handoff_state src = both->journal[SOURCE], dst = both->journal[DESTINATION];

	tell("RESUME", NULL);
	state = "running";
	self->runs = self->ran = true;
	if (side == SOURCE && src != HO_SRC_BEGUN && src != HO_SRC_ABORTED)
		both_violation("the guest runs at the source in %s", handoff_state_name(src));
	if (side == DESTINATION && dst != HO_DST_START)
		both_violation("the guest runs at the destination in %s", handoff_state_name(dst));
	if (side == DESTINATION && src != HO_SRC_COMMITTED && src != HO_SRC_RELEASED)
		both_violation("the guest runs at the destination, and the source is in %s", handoff_state_name(src));
}

static bool is_under_way(void)
{
	return !strcmp(migration, "pre-switchover") || !strcmp(migration, "device");
}

static json_t *carry_out(const char *command, const char **error)
{
	json_t *list;

	if (!strcmp(command, "query-status"))
		return json_pack("{s:s,s:b}", "status", state, "running", self->runs);
	if (!strcmp(command, "query-migrate"))
		return json_pack("{s:s}", "status", migration);
	if (!strcmp(command, "query-yank")) {
		list = json_array();
		if (side == SOURCE && is_under_way())
			json_array_append_new(list, json_pack("{s:s}", "type", "migration"));
		return list;
	}
	if (!strcmp(command, "query-block") || !strcmp(command, "query-block-jobs") || !strcmp(command, "qom-list"))
		return json_array();
	if (!strcmp(command, "migrate-continue")) {
		migrates("device");
	} else if (!strcmp(command, "migrate_cancel") && is_under_way()) {
		migrates("cancelled");
		run();
	} else if (!strcmp(command, "cont") && !self->runs) {
		if (!strcmp(state, "finish-migrate") || !strcmp(state, "inmigrate"))
			*error = "Migration is not finalized yet";
		else
			run();
	}
	return json_object();
}

static void take_line(struct client *c, const char *line)
{
	json_t *o = json_loads(line, 0, NULL), *answer;
	const char *error = NULL;
	json_t *value = carry_out(json_string_value(json_object_get(o, "execute")) ?: "", &error);

	answer = error ? json_pack("{s:{s:s,s:s}}", "error", "class", "GenericError", "desc", error) : json_pack("{s:O}", "return", value);
	if (json_object_get(o, "id"))
		json_object_set(answer, "id", json_object_get(o, "id"));
	say(c->fd, answer);
	json_decref(value);
	json_decref(o);
}

/* False: it has gone. */
static bool hear(struct client *c)
{
	ssize_t n = recv(c->fd, c->text + c->n, sizeof(c->text) - 1 - c->n, MSG_DONTWAIT);
	char *end;

	if (n <= 0)
		return n < 0 && errno == EAGAIN;
	self->busy = true;
	c->n += (size_t)n;
	c->text[c->n] = '\0';
	while ((end = strchr(c->text, '\n'))) {
		*end = '\0';
		take_line(c, c->text);
		c->n -= (size_t)(end + 1 - c->text);
		memmove(c->text, end + 1, c->n + 1);
	}
	return true;
}

static void hear_all(int door)
{
	unsigned i;
	int fd;

	while (client_count < CLIENTS_MAX && (fd = accept4(door, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		clients[client_count].fd = fd;
		clients[client_count++].n = 0;
		if (send(fd, GREETING, strlen(GREETING), MSG_NOSIGNAL) < 0 && errno != EPIPE)
			abort();
		self->busy = true;
	}
	for (i = 0; i < client_count; i++)
		if (!hear(&clients[i])) {
			close(clients[i].fd);
			clients[i--] = clients[--client_count];
		}
}

/* Its migration, as it goes on by itself. */
static void go_on(void)
{
	if (side == DESTINATION && self->arrived && !self->loaded) {
		self->loaded = self->busy = true;
		state = "paused";
		migrates("completed");
	} else if (side == SOURCE && self->shut && !strcmp(migration, "device")) {
		self->busy = true;
		state = "postmigrate";
		migrates("completed");
	} else if (side == SOURCE && self->unread && is_under_way()) {
		self->busy = true;
		migrates("failed");
		run();
	}
}

static int listen_at(const char *path)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, CLIENTS_MAX))
		abort();
	return fd;
}

void both_qemu(unsigned which)
{
	int door;

	side = which;
	self = &both->qemu[side];
	state = side == SOURCE ? "finish-migrate" : "inmigrate";
	migration = side == SOURCE ? "pre-switchover" : "active";
	door = listen_at(self->path);
	for (;;) {
		sem_post(&self->back);
		while (sem_wait(&self->go))
			;
		self->busy = false;
		hear_all(door);
		go_on();
	}
}
