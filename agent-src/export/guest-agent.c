/* guest-agent.c: see guest-agent.h. The protocol: QEMU's docs/interop/qemu-ga-ref. */
#include "guest-agent.h"
#include "json-text.h"
#include "qemu-opts.h"
#include "qemu-props.h"
#include "unix-socket.h"
#include "util.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define ANSWER_MAX   65536
#define SYNC_MS	     3000  /* a guest without a running agent does not answer at all */
#define FREEZE_MS    20000 /* what is dirty is written before */
#define THAW_MS	     10000
#define DELIMITER    0xff
#define CHILD_END_MS (FREEZE_MAX_MS + THAW_MS + 1000)

/* ---- where it is ---- */

/* The value of key in an option of that name where another key is so; malloc'ed, or NULL. */
static char *find(const struct guest *g, const char *option, const char *where, const char *is, const char *key)
{
	char *found = NULL;
	struct qemu_opt opt;
	size_t i = 1;

	while (!found && qemu_opt_next(g->line.expanded, g->line.expanded_count, &i, &opt)) {
		const char *value;
		struct props p;

		if (!opt.value || strcmp(opt.name, option))
			continue;
		props_parse(&p, opt.value);
		value = kv_get(&p.l, where, NULL);
		if (value && !strcmp(value, is) && kv_get(&p.l, key, NULL))
			found = xstrdup(kv_get(&p.l, key, NULL));
		props_fini(&p);
	}
	return found;
}

char *guest_agent_path(const struct guest *g)
{
	AUTO_FREE char *chardev = find(g, "device", "name", "org.qemu.guest_agent.0", "chardev");
	AUTO_FREE char *path = chardev ? find(g, "chardev", "id", chardev, "path") : NULL;

	return path ? guest_path(g, path) : NULL;
}

/* ---- talking to it: in the child, which may block ---- */

struct agent {
	int fd;
	char text[ANSWER_MAX];
	size_t n;
};

static int left_ms(uint64_t until)
{
	uint64_t now = now_ns();

	return until > now ? (int)((until - now) / 1000000) + 1 : 0;
}

static int send_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t w = send(fd, p, n, MSG_NOSIGNAL);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -errno;
		p += w;
		n -= (size_t)w;
	}
	return 0;
}

/* More of what it says; 0, -ETIMEDOUT, -EPIPE, -EMSGSIZE. */
static int hear(struct agent *a, uint64_t until)
{
	struct pollfd p = {.fd = a->fd, .events = POLLIN};
	ssize_t n;

	if (a->n == ANSWER_MAX)
		return -EMSGSIZE;
	if (poll(&p, 1, left_ms(until)) <= 0)
		return now_ns() >= until ? -ETIMEDOUT : 0;
	n = recv(a->fd, a->text + a->n, ANSWER_MAX - a->n, 0);
	if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
		return -EPIPE;
	a->n += n > 0 ? (size_t)n : 0;
	return 0;
}

static void forget(struct agent *a, size_t n)
{
	memmove(a->text, a->text + n, a->n - n);
	a->n -= n;
}

/* One line of what it says, as JSON. */
static int next_answer(struct agent *a, uint64_t until, json_t **out)
{
	const char *end;
	int r = 0;

	while (!(end = memchr(a->text, '\n', a->n)) && !r)
		r = hear(a, until);
	if (r)
		return r;
	*out = json_loadb(a->text, (size_t)(end - a->text), 0, NULL);
	forget(a, (size_t)(end - a->text) + 1);
	return *out ? 0 : -EPROTO;
}

static int say_why(int r, const char *what, struct err *e)
{
	return err_set(e, -r, "its agent %s (%s)",
		       r == -ETIMEDOUT	 ? "does not answer"
		       : r == -EPIPE	 ? "has closed the connection"
		       : r == -EREMOTEIO ? "refuses"
					 : "answers what is no answer",
		       what);
}

/* What was said to others, and was not heard, is behind us when the delimiter comes (guest-sync-delimited). */
static int synchronize(struct agent *a, struct err *e)
{
	uint64_t until = now_ns() + SYNC_MS * 1000000ULL;
	int id = (int)getpid(), r;
	AUTO_FREE char *text = xasprintf("%c{\"execute\": \"guest-sync-delimited\", \"arguments\": {\"id\": %d}}\n", (char)DELIMITER, id);
	json_t *answer = NULL;

	r = send_all(a->fd, text, strlen(text));
	while (!r) {
		const char *at = memchr(a->text, DELIMITER, a->n);

		forget(a, at ? (size_t)(at - a->text) + 1 : a->n);
		r = at ? next_answer(a, until, &answer) : hear(a, until);
		if (!r && at && json_integer_value(json_object_get(answer, "return")) == id)
			break;
		json_decref(answer);
		answer = NULL;
		if (r == -EPROTO)
			r = 0; /* an answer of before, cut in two */
	}
	json_decref(answer);
	return r ? say_why(r, "guest-sync-delimited", e) : 0;
}

/* *ret: what it returns. -EREMOTEIO: it refuses, and says why. */
static int call(struct agent *a, const char *command, unsigned ms, json_t **ret, struct err *e)
{
	AUTO_FREE char *text = xasprintf("{\"execute\": \"%s\"}\n", command);
	json_t *answer = NULL;
	const char *why;
	int r = send_all(a->fd, text, strlen(text));

	if (!r)
		r = next_answer(a, now_ns() + ms * 1000000ULL, &answer);
	if (r)
		return say_why(r, command, e);
	why = json_text(json_object_get(answer, "error"), "desc");
	if (why)
		r = err_set(e, EREMOTEIO, "its agent refuses %s: %.300s", command, why);
	else
		*ret = json_incref(json_object_get(answer, "return"));
	json_decref(answer);
	return r;
}

/* Nobody else's freeze is ended by us. */
static int check_thawed(struct agent *a, struct err *e)
{
	json_t *status = NULL;
	int r = call(a, "guest-fsfreeze-status", SYNC_MS, &status, e);
	const char *is = json_string_value(status);

	if (!r && is && strcmp(is, "thawed"))
		r = err_set(e, EBUSY, "its file systems are frozen already, by somebody else (guest-fsfreeze-thaw ends that)");
	json_decref(status);
	return r;
}

/* It is said in any case: an agent that is still busy with freezing hears it then. */
static int thaw(struct agent *a, struct err *e)
{
	json_t *count = NULL;
	struct err ignored;
	int r = synchronize(a, e);

	if (!r)
		r = call(a, "guest-fsfreeze-thaw", THAW_MS, &count, e);
	else
		call(a, "guest-fsfreeze-thaw", 1, &count, &ignored);
	json_decref(count);
	return r;
}

/* ---- the process that freezes ---- */

/* STUCK: nothing says that they are not frozen. */
enum word { WORD_FROZEN = 'F', WORD_THAWED = 'T', WORD_LATE = 'L', WORD_FAILED = 'E', WORD_STUCK = 'S' };

static void tell(char word, const struct err *e)
{
	AUTO_FREE char *text = xasprintf("%c%s", word, e ? e->msg : "");

	send(RESCUER_SOCK, text, strlen(text), MSG_NOSIGNAL);
}

/* True: in time; also when the other end has died. */
static bool wait_for_end(void)
{
	uint64_t until = now_ns() + FREEZE_MAX_MS * 1000000ULL;
	struct pollfd p = {.fd = RESCUER_SOCK, .events = POLLIN};
	char word;

	while (poll(&p, 1, left_ms(until)) < 0 && errno == EINTR)
		;
	return p.revents && recv(RESCUER_SOCK, &word, 1, MSG_DONTWAIT) >= 0; /* what is not read would take our answer with it */
}

/* In that process. */
static void freeze_and_thaw(void *path)
{
	struct agent *a = xcalloc(1, sizeof(*a));
	json_t *count = NULL;
	struct err e, why;
	bool in_time, refused;
	int r;

	a->fd = unix_connect(path, SOCK_NONBLOCK);
	r = a->fd < 0 ? err_sys(&e, -a->fd, "its agent's socket %s", (const char *)path) : synchronize(a, &e);
	if (!r)
		r = check_thawed(a, &e);
	if (r) {
		tell(WORD_FAILED, &e);
		return;
	}
	r = call(a, "guest-fsfreeze-freeze", FREEZE_MS, &count, &e);
	json_decref(count);
	if (!r)
		tell(WORD_FROZEN, NULL);
	in_time = r || wait_for_end();
	refused = r == -EREMOTEIO;     /* then the agent itself thaws what it has frozen */
	if (thaw(a, &why) && !refused) /* whatever became of the freeze */
		tell(WORD_STUCK, &why);
	else if (r)
		tell(WORD_FAILED, &e);
	else
		tell(in_time ? WORD_THAWED : WORD_LATE, NULL);
}

/* ---- ours ---- */

/* Its next word, with what it says of it in e; 0: it has died. */
static char listen_to(struct freeze *f, unsigned ms, struct err *e)
{
	struct pollfd p = {.fd = f->thaws.fd, .events = POLLIN};
	uint64_t until = now_ns() + ms * 1000000ULL;
	char text[ERR_MAX + 2] = "";
	ssize_t n = -1;

	while (poll(&p, 1, left_ms(until)) < 0 && errno == EINTR)
		;
	if (p.revents)
		n = recv(f->thaws.fd, text, sizeof(text) - 1, 0);
	if (n <= 0) {
		err_set(e, EIO, "what was to freeze the guest's file systems for a moment does not answer");
		return 0;
	}
	if (*text == WORD_FAILED || *text == WORD_STUCK)
		err_set(e, EIO, "%s", text + 1);
	return *text;
}

int freeze_begin(struct freeze *f, const char *path, struct err *e)
{
	int r = rescuer_start(&f->thaws, "vmferry-thaw", freeze_and_thaw, (void *)(uintptr_t)path, e);
	char word;

	if (r)
		return r;
	word = listen_to(f, 3 * SYNC_MS + FREEZE_MS + THAW_MS, e);
	if (word == WORD_FROZEN)
		return 0;
	rescuer_leave(&f->thaws, true); /* it ends by itself, when it has thawed */
	return word == WORD_FAILED ? -EREMOTEIO : -EIO;
}

int freeze_end(struct freeze *f, struct err *e)
{
	char word;

	if (!f->thaws.pid)
		return 0;
	send(f->thaws.fd, "", 1, MSG_NOSIGNAL);
	word = listen_to(f, CHILD_END_MS, e);
	rescuer_leave(&f->thaws, true);
	return word == WORD_THAWED ? 0
	       : word == WORD_LATE
		       ? err_set(e, ETIMEDOUT, "the guest's file systems were thawed before the disks' moment, which took too long")
		       : err_prefix(e, "nothing says that the guest's file systems are thawed");
}
