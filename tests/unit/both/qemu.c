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
#define REFUSALS    4 /* an agent tries it three times */
#define GREETING                                                                                                                           \
	"{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 2, \"minor\": 0, \"major\": 10}, \"package\": \"\"}, \"capabilities\": []}}\r\n"

static struct both_qemu *self;
static unsigned side;
static const char *state, *migration; /* query-status, query-migrate */
static bool autostart;
static unsigned passes; /* over memory, of which it tells */
static unsigned refused;
static struct client {
	int fd;
	char text[16384];
	size_t n;
	bool deaf;
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
		if (!clients[i].deaf)
			say(clients[i].fd, json_pack("{s:s,s:{s:i,s:i},s:O*}", "event", event, "timestamp", "seconds", 1, "microseconds", 1,
						     "data", data));
	json_decref(data);
}

static void migrates(const char *status)
{
	migration = status;
	tell("MIGRATION", json_pack("{s:s}", "status", status));
}

static void check_run_at_source(bool ours)
{
	enum handoff_state src = both->journal[SOURCE];

	if (src == HO_SRC_BEGUN || src == HO_SRC_ABORTED)
		return;
	if (ours || !self->let_go)
		both_violation("the guest runs at the source in %s", handoff_state_name(src));
	self->woken = true;
}

static void check_run_at_destination(bool ours)
{
	enum handoff_state src = both->journal[SOURCE], dst = both->journal[DESTINATION];

	if (!ours && dst != HO_DST_START) {
		self->woken = true;
		return;
	}
	self->ran = true;
	if (dst != HO_DST_START)
		both_violation("the guest runs at the destination in %s", handoff_state_name(dst));
	if (src != HO_SRC_COMMITTED && src != HO_SRC_RELEASED && !both->fenced)
		both_violation("the guest runs at the destination, and the source is in %s", handoff_state_name(src));
}

/* QEMU says so before it lets the guest run. ours: an agent wanted it to. */
static void run(bool ours)
{
	if (self->runs)
		return;
	tell("RESUME", NULL);
	state = "running";
	self->runs = true;
	if (side == SOURCE) {
		self->ran = true;
		check_run_at_source(ours);
	} else {
		check_run_at_destination(ours);
	}
	if (ours && both->pause)
		both_violation("a guest that was paused is set going at the %s", side == SOURCE ? "source" : "destination");
}

/* QEMU sets going again what ran before it stopped it. */
static void fall_back(const char *status)
{
	migrates(status);
	if (both->pause)
		state = "paused";
	else
		run(false);
}

static bool is_under_way(void)
{
	return !strcmp(migration, "active") || !strcmp(migration, "pre-switchover") || !strcmp(migration, "device");
}

/* True if the block nodes can be read. */
static bool is_active(void)
{
	return strcmp(migration, "device") && strcmp(migration, "completed");
}

/* While it loads it only takes note of it: then it runs as soon as it has. */
static void cont(bool ours, const char **error)
{
	if (!strcmp(state, "inmigrate"))
		autostart = true;
	else if (!strcmp(state, "shutdown"))
		*error = "Resetting the Virtual Machine is required";
	else if (!strcmp(state, "finish-migrate"))
		*error = "Migration is not finalized yet";
	else if (!ours && side == SOURCE && both->carried && !both->qemu[SOURCE].asked) {
		both->pause = RAN_BEFORE; /* the guest is still at the source */
		run(ours);
	} else {
		run(ours);
	}
}

static json_t *query_migrate(void)
{
	json_t *o = json_pack("{s:s}", "status", migration);

	if (!strcmp(migration, "active"))
		json_object_set_new(o, "ram", json_pack("{s:i,s:i,s:i}", "total", 1 << 20, "remaining", 0, "dirty-pages-rate", 0));
	return o;
}

static json_t *carry_out(const char *command, const json_t *args, bool ours, const char **error)
{
	json_t *list = side == SOURCE && both->carried ? both_disk_command(command, args, self->runs, error) : NULL;

	if (list)
		return list;
	if (!strcmp(command, "query-status"))
		return json_pack("{s:s,s:b}", "status", state, "running", self->runs);
	if (!strcmp(command, "query-migrate"))
		return query_migrate();
	if (!strcmp(command, "query-yank")) {
		list = json_array();
		if (side == SOURCE && is_under_way())
			json_array_append_new(list, json_pack("{s:s}", "type", "migration"));
		return list;
	}
	if (!strcmp(command, "query-block") || !strcmp(command, "query-block-jobs") || !strcmp(command, "qom-list") ||
	    !strcmp(command, "query-migrate-capabilities"))
		return json_array();
	if (!strcmp(command, "migrate")) {
		migrates("active");
	} else if (!strcmp(command, "migrate-continue")) {
		self->gone_on = true;
		migrates("device");
	} else if (!strcmp(command, "migrate_cancel") && is_under_way()) {
		fall_back("cancelled");
	} else if (!strcmp(command, "migrate-set-parameters") && side == SOURCE && both->carried == DISK_AND_OPAQUE) {
		/* held by what is pending: from a limit on that is larger it switches over */
		self->asked |= json_integer_value(json_object_get(args, "downtime-limit")) > 1000;
	} else if (!strcmp(command, "cont")) {
		cont(ours, error);
	} else if (!strcmp(command, "system_reset")) {
		tell("RESET", NULL);
		if (!strcmp(state, "shutdown"))
			state = "prelaunch";
	}
	return json_object();
}

/* An agent's `cont`, and what a fault makes of it. False: there is no answer. */
static bool take_cont(struct client *c, const char **error)
{
	enum both_cont what = self->cont;

	self->cont_failed |= what != CONT_ANSWERED;
	if (what == CONT_REFUSED && refused++ < REFUSALS) {
		*error = "Could not be resumed";
		return true;
	}
	self->cont = CONT_ANSWERED;
	if (what == CONT_REFUSED)
		what = CONT_ANSWERED;
	c->deaf = what == CONT_RAN_DEAF;
	if (what != CONT_LOST)
		cont(true, error);
	return what == CONT_ANSWERED;
}

/* The agents' requests have an id. */
static void take_line(struct client *c, const char *line)
{
	json_t *o = json_loads(line, 0, NULL), *id = json_object_get(o, "id"), *value, *answer;
	const char *command = json_string_value(json_object_get(o, "execute")) ?: "", *error = NULL;

	if (id && !strcmp(command, "cont")) {
		if (!take_cont(c, &error)) {
			json_decref(o);
			return;
		}
		value = json_object();
	} else {
		value = carry_out(command, json_object_get(o, "arguments"), id, &error);
	}
	answer = error ? json_pack("{s:{s:s,s:s}}", "error", "class", "GenericError", "desc", error) : json_pack("{s:O}", "return", value);
	if (id)
		json_object_set(answer, "id", id);
	say(c->fd, answer);
	json_decref(value);
	json_decref(o);
}

/* False: it has gone. */
static bool hear(struct client *c)
{
	ssize_t n = c->deaf ? -1 : recv(c->fd, c->text + c->n, sizeof(c->text) - 1 - c->n, MSG_DONTWAIT);
	char *end;

	if (c->deaf)
		return true;
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
		clients[client_count].deaf = false;
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

static void tell_of_a_pass(void)
{
	tell("MIGRATION_PASS", json_pack("{s:i}", "pass", (int)++passes));
	self->busy = true;
}

/* Switches over: the last pass is done, and the source may. */
static void switch_over(void)
{
	self->busy = true;
	if (self->runs) {
		both_disk_write(true);
		tell("STOP", NULL);
	}
	self->runs = false;
	state = "finish-migrate";
	migrates("pre-switchover");
}

/* The copy. */
static void copy(void)
{
	if (self->runs && !self->asked) /* after the hand-over the guest's writes belong to the other host */
		both_disk_write(false);
	if (strcmp(migration, "active"))
		return;
	if (passes < 2) {
		tell_of_a_pass();
	} else if (self->asked) {
		switch_over();
	} else if (self->unread) {
		self->busy = true;
		fall_back("failed");
	}
}

/* In opaque mode it takes its disks over while it loads. */
static void check_disk_to_load(void)
{
	if (both->carried)
		both_disk_check("the destination QEMU loads", both->carried == DISK_AND_OPAQUE);
}

/* Advances the migration, as it goes on by itself. */
static void go_on(void)
{
	if (side == SOURCE && both->carried)
		copy();
	if (side == DESTINATION && self->arrived && !self->loaded) {
		check_disk_to_load();
		self->loaded = self->busy = true;
		state = "paused";
		migrates("completed");
		if (autostart)
			run(false);
	} else if (side == SOURCE && self->shut && !strcmp(migration, "device")) {
		self->busy = true;
		state = "postmigrate";
		migrates("completed");
	} else if (side == SOURCE && self->unread && !strcmp(migration, "device")) {
		self->busy = true;
		fall_back("failed");
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

static void begin(void)
{
	state = side == SOURCE ? "finish-migrate" : "inmigrate";
	migration = side == SOURCE ? "pre-switchover" : "active";
	if (both->how == WARM) {
		state = side == SOURCE ? "shutdown" : "prelaunch";
		migration = "none";
	}
	if (side == SOURCE && both->carried) {
		self->runs = !both->pause;
		state = self->runs ? "running" : "paused";
		migration = "none";
	}
}

void both_qemu(unsigned which)
{
	int door;

	side = which;
	self = &both->qemu[side];
	begin();
	door = listen_at(self->path);
	for (;;) {
		sem_post(&self->back);
		while (sem_wait(&self->go))
			;
		self->busy = false;
		hear_all(door);
		if (side == SOURCE && both->carried)
			self->busy |= both_disk_serve(is_active());
		go_on();
	}
}
