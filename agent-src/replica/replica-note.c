/* replica-note.c: see replica-note.h. */
#include "replica-note.h"
#include "history.h"
#include "hooks.h"
#include "json-text.h"
#include "replica-ask.h"
#include "replica-show.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define PLAN_S 60 /* QEMU is started for it there */

static json_int_t whole_number(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static void set_number(json_t *o, const char *key, uint64_t n)
{
	json_object_set_new(o, key, json_integer((json_int_t)n));
}

bool replica_asks_plan(const struct replica_conf *c, const char *guest)
{
	json_auto_t *state = replica_state_load(c->settings_dir, guest);
	const json_t *known = json_object_get(state, "would_start");
	json_int_t age = (json_int_t)time(NULL) - whole_number(state, "planned_at");

	return !json_is_true(json_object_get(known, "start")) || age < 0 || age >= PLAN_S;
}

json_t *replica_told(const struct replica_conf *c, const char *guest)
{
	json_t *state = replica_state_load(c->settings_dir, guest), *out = json_array();

	json_array_extend(out, json_object_get(json_object_get(state, "would_start"), "why"));
	json_array_extend(out, json_object_get(state, "warnings"));
	json_decref(state);
	return out;
}

/* ---- what is noted ---- */

static void add_to(json_t *state, const char *key, json_int_t more)
{
	json_object_set_new(state, key, json_integer(whole_number(state, key) + more));
}

static void note_point(const struct replica_sync *s, json_t *o)
{
	set_number(o, "point", s->outcome.number);
	set_number(o, "at_ms", (uint64_t)s->outcome.at_ms);
	set_number(o, "delta_bytes", s->outcome.delta_bytes);
	json_object_set_new(o, "frozen", json_boolean(s->outcome.frozen));
	json_object_set_new(o, "shut_down", json_boolean(s->outcome.shut_down));
	json_object_set_new(o, "whole", json_boolean(s->outcome.was_whole));
}

static void note_failure(json_t *state, const char *reason, json_int_t now)
{
	add_to(state, "failed", 1);
	add_to(state, "failed_in_a_row", 1);
	if (!json_object_get(state, "failing_since"))
		json_object_set_new(state, "failing_since", json_integer(now));
	json_object_set_new(state, "reason", json_string(reason ?: "?"));
}

static void note_success(const struct replica_sync *s, json_t *state)
{
	note_point(s, state);
	set_number(state, "points", s->outcome.points);
	add_to(state, "made", 1);
	add_to(state, "delta_bytes_total", (json_int_t)s->outcome.delta_bytes);
}

/* Meaning of a failure for the guest, which its reason leaves out; NULL: the reason says all. */
static const char *what_a_failure_means(const struct replica_sync *s, const json_t *state)
{
	if (json_is_true(json_object_get(state, "replaced")) && !s->outcome.replaced)
		return "the guest was taken over at the host of its replica, as far as is known here: what lies here is the old copy";
	return s->outcome.absent
		       ? "what it has written since its newest point is in no point, until one is made once its QEMU runs again; that may stand "
			 "(-S, or virsh start --paused), and the point then has the disks as they were left"
		       : NULL;
}

/* Members that list, status and metrics show. */
static void note_state(const struct replica_sync *s, json_t *state, int code, json_int_t now)
{
	json_object_set_new(state, "tried_at", json_integer(now));
	json_object_set_new(state, "exit_code", json_integer(code));
	if (s->outcome.replaced || s->outcome.durable) /* any other attempt says nothing about this */
		json_object_set_new(state, "replaced", json_boolean(s->outcome.replaced));
	if (s->outcome.disks)
		json_object_set(state, "disks", s->outcome.disks);
	if (s->outcome.would_start) {
		json_object_set(state, "would_start", s->outcome.would_start);
		json_object_set_new(state, "planned_at", json_integer(now));
	}
	if (s->outcome.warnings)
		json_object_set(state, "warnings", s->outcome.warnings);
	add_to(state, "bytes_total", whole_number(s->outcome.event, "bytes_wire"));
	if (s->outcome.durable)
		note_success(s, state);
	if (code) {
		const char *more = what_a_failure_means(s, state);
		AUTO_FREE char *reason = more ? xasprintf("%s: %s", json_text(s->outcome.event, "reason") ?: "?", more) : NULL;

		if (more)
			fprintf(stderr, "vmferry: %s\n", more);
		note_failure(state, reason ?: json_text(s->outcome.event, "reason"), now);
	} else {
		json_object_del(state, "reason");
		json_object_del(state, "failing_since");
		json_object_del(state, "failed_in_a_row");
	}
}

static json_t *entry_of(const struct replica_sync *s, int code, json_int_t now)
{
	json_t *o = json_pack("{s:I,s:i,s:O*,s:O*,s:O*}", "at", now, "exit_code", code, "total_ms",
			      json_object_get(s->outcome.event, "total_ms"), "bytes_wire", json_object_get(s->outcome.event, "bytes_wire"),
			      "reason", json_object_get(s->outcome.event, "reason"));

	if (s->outcome.durable)
		note_point(s, o);
	return o;
}

static int add_to_history(const struct replica_conf *c, const char *guest, int code, json_int_t now, struct err *e)
{
	AUTO_FREE char *path = replica_path(c->settings_dir, guest, "history");
	json_auto_t *entry = entry_of(&c->sync, code, now);

	return history_append(path, entry, e);
}

json_t *replica_history(const char *dir, const char *guest)
{
	AUTO_FREE char *path = replica_path(dir, guest, "history");

	return history_lines(path);
}

void replica_forget(const char *dir, const char *guest)
{
	static const char *const suffixes[] = {"json", "history"}; /* lock files stay: the next would lock another one */

	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
		AUTO_FREE char *path = replica_path(dir, guest, suffixes[i]);

		unlink(path);
	}
}

/* ---- who hears of it ---- */

static void tell_hooks(const struct replica_conf *c, const char *guest, const json_t *row, const char *was)
{
	const char *is = json_text(row, "health") ?: "?";
	const struct hook_about about = {.guest = guest, .destination = c->to, .how = "replica", .health = is, .health_before = was};
	struct err e;

	if (json_object_get(row, "point") && strcmp(is, was) && hooks_run("replica.d", &about, row, &e))
		fprintf(stderr, "vmferry: a hook has failed: %s\n", e.msg);
}

/* Locks a guest's note, so that two attempts at once, one of which is refused, do not lose each other's counts. */
int replica_note_lock(const char *dir, const char *guest)
{
	AUTO_FREE char *path = replica_path(dir, guest, "lock");
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd >= 0)
		flock(fd, LOCK_EX);
	return fd;
}

int replica_take_turn(const char *dir, const char *guest)
{
	AUTO_FREE char *path = replica_path(dir, guest, "turn");
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET}; /* of the process: what it starts has no part in it */
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd >= 0 && fcntl(fd, F_SETLK, &whole) && (errno == EAGAIN || errno == EACCES)) {
		fprintf(stderr, "vmferry: a point of guest %s is being made, or it goes to its replica: this begins when that is over\n",
			guest);
		while (fcntl(fd, F_SETLKW, &whole) && errno == EINTR)
			;
	}
	return fd;
}

static int note(const struct replica_conf *c, const char *guest, int code, char **was, json_t **row, struct err *e)
{
	json_auto_t *state = replica_state_load(c->settings_dir, guest) ?: json_object();
	json_int_t now = (json_int_t)time(NULL);

	*was = xstrdup(json_text(state, "health") ?: "none");
	note_state(&c->sync, state, code, now);
	*row = replica_row(c, guest, state);
	json_object_set(state, "health", json_object_get(*row, "health"));
	return replica_state_save(c->settings_dir, guest, state, e) ?: add_to_history(c, guest, code, now, e);
}

void replica_note(const struct replica_conf *c, const char *guest, int code)
{
	AUTO_FREE char *was = NULL, *alone = NULL, *conf = replica_path(c->settings_dir, guest, "conf");
	json_auto_t *row = NULL;
	struct err e;
	int lock;

	if (access(conf, F_OK)) /* the replica was removed meanwhile */
		return;
	if (c->sync.outcome.absent && !c->goes_on && replica_check_not_taken(c, guest, &alone, &e))
		fprintf(stderr, "vmferry: guest %s: %s\n", guest, e.msg);
	lock = replica_note_lock(c->settings_dir, guest);
	if (note(c, guest, code, &was, &row, &e))
		fprintf(stderr, "vmferry: %s\n", e.msg);
	if (lock >= 0)
		close(lock);
	tell_hooks(c, guest, row, was);
}
