/* dest-ssh.c: see dest-ssh.h. */
#include "dest-ssh.h"
#include "log.h"
#include "net.h"
#include "psk.h"
#include "ssh-bootstrap.h"
#include "util.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define REACH_MS  4000	/* time for TCP, before data goes through SSH */
#define LISTEN_MS 60000 /* time for the agent to say where it listens: first it settles what earlier moves have left there */
#define LAST_MS	  2000
#define KEY_NAME  "vmferry"
#define ARGS_MAX  16

/* ---- the connection ---- */

/* connect_ms: 0: as usual. */
static int open_ssh(struct dest *d, const struct dest_config *cfg, unsigned connect_ms, struct err *e)
{
	struct ssh_config sc = {.backend = cfg->openssh ? SSH_OPENSSH : SSH_LIBSSH2,
				.address = d->address,
				.identity = cfg->identity,
				.accept_new = cfg->ssh_accept_new,
				.batch = d->reconnecting,
				.connect_ms = connect_ms,
				.silence_ms = &d->silence_ms};
	int r = ssh_target_parse(cfg->where, &sc.target, e);

	if (r)
		return r;
	if (cfg->ssh_port) {
		free(sc.target.port);
		sc.target.port = xstrdup(cfg->ssh_port);
	}
	free(d->ssh_host);
	d->ssh_host = xstrdup(sc.target.host);
	r = ssh_open(&d->ssh, &sc, e);
	ssh_target_fini(&sc.target);
	if (!r && !d->address && ssh_peer_address(d->ssh))
		d->address = xstrdup(ssh_peer_address(d->ssh));
	return r;
}

/* ---- the agent ---- */

static int run_agent(struct dest *d, const struct dest_config *cfg, const char *agent, struct err *e)
{
	AUTO_FREE char *listen = xasprintf(cfg->listen_address && strchr(cfg->listen_address, ':') ? "[%s]:0" : "%s:0",
					   cfg->listen_address ? cfg->listen_address : "*");
	const char *args[ARGS_MAX] = {"--listen", listen, "--once", "--psk-stdin"};
	struct bootstrap_config bc = {.binary = agent, .args = args, .keep = cfg->keep_agent};
	const char *own = getenv("VMFERRY_DST_DIR");
	AUTO_FREE char *state = xasprintf("%s/state", own ? own : ""), *run = xasprintf("%s/run", own ? own : "");
	unsigned n = 4;

	if (cfg->data_ports) {
		args[n++] = "--data-ports";
		args[n++] = cfg->data_ports;
	}
	if (own && *own) {
		args[n++] = "--state-dir";
		args[n++] = state;
		args[n++] = "--runtime-dir";
		args[n++] = run;
	}
	if (cfg->verbose)
		args[n++] = "--verbose";
	return ssh_bootstrap(d->ssh, &bc, &d->agent_proc, &d->agent_fd, NULL, e);
}

/* Reports the agent's last words after it has ended or misbehaved. */
static int agent_failed(struct dest *d, const char *what, struct err *e)
{
	const char *words;
	struct err ignored;
	int status;

	shutdown(d->agent_fd, SHUT_RDWR);
	ssh_wait(d->agent_proc, LAST_MS, &status, &ignored);
	words = ssh_stderr(d->agent_proc);
	return err_set(e, EREMOTEIO, "the destination agent %s%s%s", what, *words ? ": " : "", words);
}

static int read_line(struct dest *d, char *line, size_t cap, struct err *e)
{
	uint64_t until = now_ns() + LISTEN_MS * 1000000ULL, now;
	struct pollfd p = {.fd = d->agent_fd, .events = POLLIN};
	size_t n = 0;
	ssize_t r;

	while (n < cap - 1) {
		now = now_ns();
		if (now >= until || poll(&p, 1, (int)((until - now) / 1000000) + 1) != 1)
			return agent_failed(d, "does not say where it listens", e);
		r = read(d->agent_fd, line + n, 1); /* a short line, once */
		if (r <= 0)
			return agent_failed(d, "ended at once", e);
		if (line[n] == '\n')
			break;
		n++;
	}
	line[n] = '\0';
	return 0;
}

/* Gives the agent its key, and hears where it listens. */
static int meet_agent(struct dest *d, struct err *e)
{
	static const char prefix[] = "listening on ";
	char line[256], key[PSK_TEXT_MAX + 1], *host;
	size_t n;
	int r;

	psk_new(KEY_NAME, &d->key);
	psk_print(&d->key, key);
	n = strlen(key);
	key[n++] = '\n';
	r = send(d->agent_fd, key, n, MSG_NOSIGNAL) == (ssize_t)n ? 0 : err_sys(e, errno, "cannot talk to the destination agent");
	explicit_bzero(key, sizeof(key));
	r = r ?: read_line(d, line, sizeof(line), e);
	if (r)
		return r;
	if (!text_starts_with(line, prefix) || net_parse(line + strlen(prefix), &host, &d->port, e))
		return err_set(e, EPROTO, "the destination agent said: %s", line);
	free(host);
	d->tls = true;
	return 0;
}

int dest_ssh_start(struct dest *d, const struct dest_config *cfg, const char *agent, struct err *e)
{
	const char *address;
	int r = -ENOTCONN;

	if (d->ssh) {
		r = run_agent(d, cfg, agent, e);
		if (r) {
			log_info("the SSH connection cannot be used again: %s", e->msg);
			ssh_close(d->ssh);
			d->ssh = NULL;
		}
	}
	if (!d->ssh) {
		r = open_ssh(d, cfg, 0, e) ?: run_agent(d, cfg, agent, e);
	}
	r = r ?: meet_agent(d, e);
	if (r)
		return r;
	address = ssh_peer_address(d->ssh);
	d->host = xstrdup(cfg->via ? cfg->via : address ? address : d->ssh_host);
	free(d->forward_host);
	d->forward_host = xstrdup(cfg->listen_address ? cfg->listen_address : "127.0.0.1");
	return 0;
}

#define RUN_MS	 60000
#define TEXT_MAX (4 * 1024 * 1024)

static int read_all(struct dest *d, char **text, struct err *e)
{
	uint64_t until = now_ns() + RUN_MS * 1000000ULL, now;
	struct pollfd p = {.fd = d->agent_fd, .events = POLLIN};
	size_t n = 0, room = 0;
	ssize_t r = 0;

	*text = NULL;
	do {
		if (n + 1 >= room) {
			room = room ? 2 * room : 65536;
			*text = xrealloc(*text, room);
		}
		now = now_ns();
		if (now >= until || poll(&p, 1, (int)((until - now) / 1000000) + 1) != 1)
			return agent_failed(d, "does not answer", e);
		r = read(d->agent_fd, *text + n, room - n - 1);
		n += r > 0 ? (size_t)r : 0;
	} while (r > 0 && n < TEXT_MAX);
	(*text)[n] = '\0';
	return r > 0 ? err_set(e, E2BIG, "it says more than can be taken") : 0;
}

int dest_ssh_run(struct dest *d, const struct dest_config *cfg, const char *program, const char *const *args, char **text, struct err *e)
{
	struct bootstrap_config bc = {.binary = program, .args = args, .keep = cfg->keep_agent};
	int status, r = open_ssh(d, cfg, 0, e);

	*text = NULL;
	r = r ?: ssh_bootstrap(d->ssh, &bc, &d->agent_proc, &d->agent_fd, NULL, e) ?: read_all(d, text, e);
	if (!r && (ssh_wait(d->agent_proc, LAST_MS, &status, e) || status))
		r = agent_failed(d, "has failed", e);
	if (r) {
		free(*text);
		*text = NULL;
	}
	return r;
}

static int forward(struct dest *d, const char *port, int *fd, struct err *e)
{
	return d->ssh ? ssh_forward(d->ssh, d->forward_host, (unsigned)atoi(port), fd, e)
		      : err_set(e, ENOTCONN, "there is no SSH connection");
}

static int log_in_again(struct dest *d, const struct dest_again *again, struct err *e)
{
	dest_ssh_forget_agent(d);
	if (d->ssh)
		ssh_close(d->ssh);
	d->ssh = NULL;
	return open_ssh(d, again->cfg, again->timeout_ms, e);
}

int dest_ssh_connect(struct dest *d, const struct dest_again *again, const char *port, int *fd, struct err *e)
{
	struct err tcp;

	if (!d->through_ssh) {
		if (!net_connect(d->host, port, true, REACH_MS, fd, &tcp))
			return 0;
		if (d->met) /* the port was reached before: this is something else */
			return *e = tcp, -e->code;
		free(d->note);
		d->note = xasprintf(
			"%s: data goes through the SSH connection instead. It is encrypted twice there and by one thread, so it is "
			"slower; open that port there (--data-ports chooses it, --via the address)",
			tcp.msg);
		d->through_ssh = true;
	}
	if (!forward(d, port, fd, e))
		return 0;
	/* refused: it was asked, and nobody listens there any more */
	if (!again || e->code == ECONNREFUSED || log_in_again(d, again, e))
		return -e->code;
	return forward(d, port, fd, e);
}

void dest_ssh_forget_agent(struct dest *d)
{
	if (!d->agent_proc)
		return;
	close(d->agent_fd);
	ssh_proc_free(d->agent_proc);
	d->agent_proc = NULL;
}

void dest_ssh_fini(struct dest *d)
{
	dest_ssh_forget_agent(d);
	if (d->ssh)
		ssh_close(d->ssh);
	d->ssh = NULL;
	free(d->ssh_host);
	free(d->forward_host);
	d->ssh_host = d->forward_host = NULL;
}
