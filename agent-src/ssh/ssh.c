/* ssh.c: see ssh.h and ssh-backend.h. */
#include "ssh-backend.h"
#include "util.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

struct ssh_proc {
	int report; /* we read here */
	bool ended;
	struct ssh_report last;
};

/* ---- USER@HOST:PORT ---- */

static int refuse_target(const char *text, const char *why, struct err *e)
{
	return err_set(e, EINVAL, "'%s' is not [USER@]HOST[:PORT]: %s", text, why);
}

static bool is_port(const char *s)
{
	return text_is_digits(s) && strlen(s) <= 5 && atoi(s) > 0 && atoi(s) <= 65535;
}

/* True if s has only letters, digits and characters of `more`. Only such words reach the ssh program, a shell or a known_hosts file, so
 * that none of them is taken for an option or a command. */
static bool is_plain(const char *s, const char *more)
{
	for (; *s; s++) {
		bool word = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9');

		if (!word && !strchr(more, *s))
			return false;
	}
	return true;
}

static bool is_v6(const char *host)
{
	AUTO_FREE char *address = xstrndup(host, strcspn(host, "%")); /* without the zone */
	struct in6_addr ignored;

	return inet_pton(AF_INET6, address, &ignored) == 1;
}

/* Splits "HOST", "HOST:PORT", "[V6]", "[V6]:PORT" or a bare V6 in place. */
static const char *split_host(char *rest, char **host, char **port)
{
	char *end, *colon = strchr(rest, ':');

	*host = rest;
	*port = NULL;
	if (*rest == '[') {
		end = strchr(rest, ']');
		if (!end || (end[1] && end[1] != ':'))
			return "a bracket is missing";
		*end = '\0';
		*host = rest + 1;
		*port = end[1] ? end + 2 : NULL;
	} else if (colon && !strchr(colon + 1, ':')) {
		*colon = '\0';
		*port = colon + 1;
	}
	return *port && !is_port(*port) ? "a port is a number from 1 to 65535" : NULL;
}

int ssh_target_parse(const char *text, struct ssh_target *out, struct err *e)
{
	const char *from = strncmp(text, "ssh://", 6) ? text : text + 6;
	AUTO_FREE char *copy = xstrdup(from);
	char *at, *rest = copy, *host, *port;
	const char *wrong;
	size_t n = strlen(copy);

	if (from != text && n && copy[n - 1] == '/')
		copy[n - 1] = '\0';
	at = strrchr(copy, '@');
	if (at) {
		*at = '\0';
		rest = at + 1;
	}
	wrong = split_host(rest, &host, &port);
	if (wrong)
		return refuse_target(text, wrong, e);
	if (!*host || *host == '-' || !is_plain(host, "._-:%") || (strchr(host, ':') && !is_v6(host)))
		return refuse_target(text, *host ? "not a host name" : "there is no host name", e);
	if (at && (!*copy || *copy == '-' || !is_plain(copy, "._-+@$\\")))
		return refuse_target(text, *copy ? "not a user name" : "there is no user name before the @", e);
	out->user = at ? xstrdup(copy) : NULL;
	out->host = xstrdup(host);
	out->port = xstrdup(port);
	return 0;
}

void ssh_target_fini(struct ssh_target *t)
{
	FREE_ALL(t->user, t->host, t->port);
	memset(t, 0, sizeof(*t));
}

/* ---- reports ---- */

int ssh_pair(int type, int fds[2], struct err *e)
{
	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds))
		return err_sys(e, errno, "socketpair");
	return 0;
}

void ssh_report_send(int fd, const struct ssh_report *r)
{
	if (send(fd, r, sizeof(*r), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return;
}

int ssh_report_receive(int fd, int timeout_ms, struct ssh_report *out)
{
	uint64_t until = now_ns() + (uint64_t)MAX(timeout_ms, 0) * 1000000;
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int r, left = timeout_ms;

	while ((r = poll(&p, 1, left)) < 0 && errno == EINTR)
		left = timeout_ms < 0 ? -1 : (int)((MAX(until, now_ns()) - now_ns()) / 1000000);
	if (r == 0)
		return -ETIMEDOUT;
	return recv(fd, out, sizeof(*out), 0) == (ssize_t)sizeof(*out) ? 0 : -EPIPE;
}

void ssh_tail_append(struct ssh_tail *t, const char *data, size_t n)
{
	size_t keep;

	if (n > sizeof(t->text)) {
		data += n - sizeof(t->text);
		n = sizeof(t->text);
	}
	keep = MIN(t->n, sizeof(t->text) - n);
	memmove(t->text, t->text + t->n - keep, keep);
	memcpy(t->text + keep, data, n);
	t->n = keep + n;
}

void ssh_tail_text(const struct ssh_tail *t, char out[SSH_STDERR_MAX + 1])
{
	size_t i, n = t->n;

	while (n && strchr("\r\n", t->text[n - 1]))
		n--;
	for (i = 0; i < n; i++)
		out[i] = t->text[i] && t->text[i] != '\r' ? t->text[i] : ' ';
	out[n] = '\0';
	text_make_utf8(out);
}

/* ---- the interface ---- */

int ssh_open(struct ssh **out, const struct ssh_config *cfg, struct err *e)
{
	return cfg->backend == SSH_OPENSSH ? ssh_openssh_open(out, cfg, e) : ssh_libssh2_open(out, cfg, e);
}

void ssh_close(struct ssh *s)
{
	AUTO_FREE char *text = NULL, *address = NULL;

	if (!s)
		return;
	text = s->text;
	address = s->address;
	s->ops->close(s);
}

const char *ssh_host_text(const struct ssh *s)
{
	return s->text;
}

const char *ssh_peer_address(const struct ssh *s)
{
	return s->address;
}

static int exec_opened(struct ssh *s, int report, struct err *e)
{
	struct ssh_report r;
	int got = ssh_report_receive(report, SSH_OPEN_MS, &r);

	if (got)
		return err_set(e, -got, "%s does not start a command: %s", s->text, strerror(-got));
	return r.code ? err_set(e, r.code, "%s: %s", s->text, r.message) : 0;
}

int ssh_exec(struct ssh *s, const char *command, struct ssh_proc **proc, int *fd, struct err *e)
{
	int data[2], report[2], r = ssh_pair(SOCK_STREAM, data, e);

	if (r)
		return r;
	r = ssh_pair(SOCK_SEQPACKET, report, e);
	if (r) {
		close(data[0]);
		close(data[1]);
		return r;
	}
	r = s->ops->exec(s, command, data[1], report[1], e) ?: exec_opened(s, report[0], e);
	if (r) {
		close(data[0]);
		close(report[0]);
		return r;
	}
	*proc = xcalloc(1, sizeof(**proc));
	(*proc)->report = report[0];
	*fd = data[0];
	return 0;
}

int ssh_wait(struct ssh_proc *p, int timeout_ms, int *status, struct err *e)
{
	int r = p->ended ? 0 : ssh_report_receive(p->report, timeout_ms, &p->last);

	if (r == -ETIMEDOUT)
		return err_set(e, ETIMEDOUT, "the command at the other host has not ended after %d ms", timeout_ms);
	if (r)
		return err_set(e, EPIPE, "the SSH connection ended before the command did");
	p->ended = true;
	if (p->last.code)
		return err_set(e, p->last.code, "%s", p->last.message);
	*status = p->last.status;
	return 0;
}

const char *ssh_stderr(const struct ssh_proc *p)
{
	return p->ended ? p->last.said : "";
}

void ssh_proc_free(struct ssh_proc *p)
{
	if (!p)
		return;
	close(p->report);
	free(p);
}

int ssh_forward(struct ssh *s, const char *host, unsigned port, int *fd, struct err *e)
{
	return s->ops->forward(s, host, port, fd, e);
}
