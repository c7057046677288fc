/* agent-talk.c: see agent-talk.h. */
#include "agent-talk.h"
#include "json-text.h"
#include "process.h"
#include "qemu-opts.h"
#include "qemu-props.h"
#include "unix-socket.h"
#include "util.h"
#include "deadline.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DELIMITER 0xff

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

/* ---- talking to it ---- */

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

/* Reads more of what the guest agent says; 0, -ETIMEDOUT, -EPIPE or -EMSGSIZE. */
static int hear(struct agent *a, uint64_t until)
{
	struct pollfd p = {.fd = a->fd, .events = POLLIN};
	ssize_t n;

	if (a->n == AGENT_ANSWER_MAX)
		return -EMSGSIZE;
	if (!ms_left(until)) /* an answer that never stops ends here, too */
		return -ETIMEDOUT;
	if (poll(&p, 1, ms_left(until)) <= 0)
		return 0;
	n = recv(a->fd, a->text + a->n, AGENT_ANSWER_MAX - a->n, 0);
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

/* The next line that the agent says, as JSON. */
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
					 : "sent an invalid reply",
		       what);
}

int agent_connect(struct agent *a, const char *path, pid_t pid, struct err *e)
{
	a->n = 0;
	if (!process_has_socket(pid, path))
		return err_set(e, ESRCH, "its agent's socket %s is not its QEMU's (process %d): another guest may have taken the name",
			       path, (int)pid);
	a->fd = unix_connect(path, SOCK_NONBLOCK);
	return a->fd < 0 ? err_sys(e, -a->fd, "its agent's socket %s", path) : 0;
}

int agent_synchronize(struct agent *a, struct err *e)
{
	uint64_t until = now_ns() + AGENT_SYNC_MS * 1000000ULL;
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

int agent_call(struct agent *a, const char *command, unsigned ms, json_t **ret, struct err *e)
{
	AUTO_FREE char *text = xasprintf("{\"execute\": \"%s\"}\n", command);
	json_t *answer = NULL;
	const char *why;
	int r = send_all(a->fd, text, strlen(text)) ?: next_answer(a, now_ns() + ms * 1000000ULL, &answer);

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

int agent_say(struct agent *a, const char *command)
{
	AUTO_FREE char *text = xasprintf("{\"execute\": \"%s\"}\n", command);

	return send_all(a->fd, text, strlen(text));
}
