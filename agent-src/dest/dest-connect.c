/* dest-connect.c: see dest-connect.h. */
#include "dest-connect.h"
#include "dest-ssh.h"
#include "log.h"
#include "net.h"
#include "program.h"
#include "psk.h"
#include "ssh.h"
#include "token.h"
#include "util.h"
#include "version.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define CONNECT_MS    10000
#define HELLO_MS      10000
#define START_MS      60000
#define END_MS	      10000
#define MEET_TRIES    4
#define MEET_PAUSE_MS 300

enum dest_kind dest_kind(const char *where)
{
	const char *at = strrchr(where, '@');
	char *host, *port;
	struct err e;

	if (!strcmp(where, "local"))
		return DEST_LOCAL;
	if (at || !strncmp(where, "ssh://", 6) || net_parse(where, &host, &port, &e))
		return DEST_SSH;
	free(host);
	free(port);
	return DEST_STANDING;
}

char *dest_host_name(const char *where)
{
	struct ssh_target target;
	struct err e;
	char *host;

	if (ssh_target_parse(where, &target, &e)) /* a standing agent's HOST:PORT can be parsed so, too */
		return xstrdup(where);
	host = xstrdup(target.host);
	ssh_target_fini(&target);
	return host;
}

/* ---- local: an agent of our own beside us ---- */

static pid_t run_agent(const char *path, const struct dest_config *cfg, int in, int out)
{
	char *argv[12] = {(char *)path,
			  "--listen",
			  "127.0.0.1:0",
			  "--once",
			  "--token-stdin",
			  "--state-dir",
			  (char *)cfg->state_dir,
			  "--runtime-dir",
			  (char *)cfg->runtime_dir,
			  cfg->verbose ? "--verbose" : NULL};
	AUTO_CLOSE int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	struct program p = PROGRAM_NONE;

	p.file = path;
	p.argv = argv;
	p.fd[0] = in;
	p.fd[1] = out;
	p.fd[2] = cfg->background ? null : -1;
	p.how = PROGRAM_OWN_SESSION; /* a Ctrl-C at the terminal is for the source agent to decide on */
	return program_start(&p);
}

static int read_address(int fd, char *line, size_t n, struct err *e)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	size_t have = 0;

	while (have < n - 1 && !memchr(line, '\n', have)) {
		ssize_t r;

		if (poll(&p, 1, START_MS) != 1)
			return err_set(e, ETIMEDOUT, "the local destination agent does not start");
		r = read(fd, line + have, n - 1 - have);
		if (r <= 0)
			return err_set(e, EPIPE, "the local destination agent (vmferry-dst) ended at once");
		have += (size_t)r;
	}
	line[have] = '\0';
	return 0;
}

static int start_local(struct dest *d, const struct dest_config *cfg, const char *path, struct err *e)
{
	char line[256], *at;
	int in[2], out[2], r;

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		return err_sys(e, errno, "pipe");
	token_new(d->token);
	d->agent = run_agent(path, cfg, in[0], out[1]);
	close(in[0]);
	close(out[1]);
	dprintf(in[1], "%s\n", d->token);
	close(in[1]);
	r = d->agent < 0 ? err_sys(e, -d->agent, "cannot start %s", path) : read_address(out[0], line, sizeof(line), e);
	close(out[0]);
	if (r)
		return r;
	line[strcspn(line, "\n")] = '\0';
	at = strstr(line, "listening on ");
	return at ? net_parse(at + 13, &d->host, &d->port, e) : err_set(e, EPROTO, "the local destination agent said: %s", line);
}

/* ---- an agent that stands already ---- */

/* Finds a standing agent. Without a token file of either kind we connect all the same: the agent may want a key instead, and says so. */
static int find_standing(struct dest *d, const struct dest_config *cfg, struct err *e)
{
	AUTO_FREE char *own = xasprintf("%s/token", cfg->state_dir);
	struct tls_key *keys;
	size_t count;
	int r = net_parse(cfg->where, &d->host, &d->port, e);

	if (r)
		return r;
	if (cfg->psk_file) {
		r = psk_read(cfg->psk_file, &keys, &count, e);
		if (r)
			return r;
		d->tls = true;
		d->key = keys[0];
		explicit_bzero(keys, count * sizeof(*keys));
		free(keys);
		return 0;
	}
	free(d->token_origin);
	d->token_origin = xstrdup(cfg->token_file ? cfg->token_file : own);
	return cfg->token_file || !access(own, R_OK) ? token_read(d->token_origin, d->token, e) : 0;
}

/* ---- both ---- */

/* Checks that the agent knows the token, before anything else is said in clear. It never learns the token from us. */
static int exchange_proofs(struct dest *d, struct link *l, const struct hello *mine, const struct hello *theirs, struct err *e)
{
	uint8_t proof[HELLO_PROOF_BYTES];

	if (!*d->token)
		return err_set(e, EPERM,
			       "that vmferry-dst wants a token, and there is none in %s: it lies in the state directory of "
			       "vmferry-dst there; bring a copy, and name it with --token-file",
			       d->token_origin);
	if (!theirs->proves || !hello_proof_is(theirs->proof, HELLO_DESTINATION, d->token, mine, theirs))
		return err_set(e, EPERM,
			       "the program that listens there does not know the token%s%s: it is another vmferry-dst (copy its token, "
			       "and name it with --token-file), or another program has taken the port",
			       d->token_origin ? " in " : "", d->token_origin ? d->token_origin : "");
	hello_prove(HELLO_SOURCE, d->token, mine, theirs, proof);
	return hello_send_proof(l, proof, HELLO_MS, e);
}

/* Checks that the HELLO answers ours, for the same channel. */
static int check_answer(const struct hello *mine, const struct hello *theirs, struct err *e)
{
	if (!memcmp(mine->session, theirs->session, sizeof(mine->session)) && mine->channel == theirs->channel &&
	    mine->generation == theirs->generation)
		return 0;
	return err_set(e, EPROTO, "the destination's HELLO is of another session or channel (%u, where %u was asked for)", theirs->channel,
		       mine->channel);
}

/* An agent with our own host ID: with one key file on two hosts, an attacker between them may have redirected us to our own agent. */
static int check_host(const struct dest *d, const struct link *l, const struct hello *mine, const struct hello *theirs, struct err *e)
{
	if (d->kind != DEST_STANDING || net_peer_is_loopback(l->fd) || memcmp(mine->host, theirs->host, sizeof(mine->host)))
		return 0;
	return err_set(e, ELOOP,
		       "what answers there is a vmferry-dst of this host itself: give each source a key of its own. If you mean "
		       "this host, name it by a loopback address");
}

/* Exchanges how far both sides have come on the channel. */
static int exchange_resumes(struct link *l, const struct hello *mine, struct dest_again *again, struct err *e)
{
	struct hello theirs = *mine;
	int r = hello_send_resume(l, mine, again->timeout_ms, e) ?: hello_receive_resume(l, &theirs, again->timeout_ms, e);

	again->peer_received = theirs.received;
	return r;
}

/* Exchanges HELLO and the proofs that both sides know the secret. again: NULL for a channel's first connection. */
static int say_hello(struct dest *d, struct link *l, unsigned channel, struct dest_again *again, struct err *e)
{
	unsigned timeout_ms = again ? again->timeout_ms : HELLO_MS;
	struct hello mine = d->hello, theirs;
	AUTO_FREE char *way = net_way(l->fd, false);
	int r;

	mine.channel = channel;
	hello_begin(&mine);
	if (again) {
		mine.generation = again->generation;
		mine.received = again->received;
	}
	if (!l->tls && !d->plaintext)
		snprintf(mine.way, sizeof(mine.way), "%s", way);
	r = hello_send(l, &mine, timeout_ms, e) ?: hello_receive(l, &theirs, timeout_ms, e) ?: check_answer(&mine, &theirs, e);
	r = r ?: check_host(d, l, &mine, &theirs, e);
	if (!r && !l->tls)
		r = exchange_proofs(d, l, &mine, &theirs, e);
	return r || !again ? r : exchange_resumes(l, &mine, again, e);
}

static int meet(struct dest *d, const char *port, unsigned channel, struct dest_again *again, struct link *out, struct err *e)
{
	struct link link = LINK_NONE;
	int r;

	if (d->kind == DEST_SSH)
		r = dest_ssh_connect(d, again, port, &link.fd, e);
	else
		r = net_connect(d->address ?: d->host, port, d->plaintext || d->tls, again ? again->timeout_ms : CONNECT_MS, &link.fd, e);
	if (r)
		return r;
	if (d->tls)
		r = link_secure(&link, tls_conn_client(&d->key), now_ns() + (again ? again->timeout_ms : HELLO_MS) * 1000000ULL, e);
	r = r ?: say_hello(d, &link, channel, again, e);
	if (r) {
		link_close(&link);
		return r;
	}
	if (d->kind == DEST_STANDING && !d->address)
		d->address = net_peer_address(link.fd);
	d->met = true;
	*out = link;
	return 0;
}

/* A connection that was broken off does not predict the next: others' connections may have crowded it out there. The first failure is
 * reported. */
static int meet_at_last(struct dest *d, const char *port, unsigned channel, struct link *out, struct err *e)
{
	int first = meet(d, port, channel, NULL, out, e), r = first;
	struct err again;

	for (unsigned i = 1; i < MEET_TRIES && (r == -EPIPE || r == -ECONNRESET); i++) {
		poll(NULL, 0, MEET_PAUSE_MS);
		r = meet(d, port, channel, NULL, out, &again);
	}
	return r ? first : 0;
}

static int start(struct dest *d, const struct dest_config *cfg, struct err *e)
{
	AUTO_FREE char *agent = program_beside("vmferry-dst");

	switch (d->kind) {
	case DEST_LOCAL:
		return start_local(d, cfg, agent, e);
	case DEST_STANDING:
		return find_standing(d, cfg, e);
	case DEST_SSH:
		return dest_ssh_start(d, cfg, agent, e);
	}
	return 0;
}

int dest_connect(struct dest *d, const struct dest_config *cfg, struct link *control, struct err *e)
{
	int r;

	d->plaintext = cfg->plaintext;
	d->kind = dest_kind(cfg->where);
	snprintf(d->hello.software, sizeof(d->hello.software), "vmferry " VMFERRY_VERSION);
	if (getrandom(d->hello.session, sizeof(d->hello.session), 0) != (ssize_t)sizeof(d->hello.session))
		abort();
	r = start(d, cfg, e) ?: meet_at_last(d, d->port, 0, control, e);
	if (r)
		return err_prefix(e, "destination %s", cfg->where);
	net_limit_silence(control->fd);
	return 0;
}

int dest_ask(const struct dest_config *cfg, const char *const *args, char **text, struct err *e)
{
	AUTO_FREE char *program = program_beside("vmferry-dst");
	struct dest d = {.kind = DEST_SSH};
	int r;

	if (dest_kind(cfg->where) != DEST_SSH)
		return err_set(e, ENOTSUP, "%s is not reached by SSH, and only such a host can be asked", cfg->where);
	r = dest_ssh_run(&d, cfg, program, args, text, e);
	dest_fini(&d);
	return r;
}

int dest_connect_data(struct dest *d, unsigned data_port, unsigned number, struct link *link, struct err *e)
{
	char port[16];

	snprintf(port, sizeof(port), "%u", data_port);
	return meet_at_last(d, port, number, link, e) ? err_prefix(e, "data channel %u", number) : 0;
}

int dest_connect_again(struct dest *d, unsigned data_port, unsigned number, struct dest_again *again, struct link *link, struct err *e)
{
	char port[16];

	snprintf(port, sizeof(port), "%u", data_port);
	d->reconnecting = true;
	if (meet(d, port, number, again, link, e))
		return -e->code;
	if (!number)
		net_limit_silence(link->fd);
	return 0;
}

const char *dest_transport(const struct dest *d)
{
	return !d->tls ? "in clear" : d->through_ssh ? TLS_DESCRIPTION ", through SSH" : TLS_DESCRIPTION;
}

void dest_disconnect(struct dest *d)
{
	uint64_t until = now_ns() + END_MS * 1000000ULL;

	if (d->agent > 0) {
		int ended;

		while ((ended = program_wait(d->agent, NULL)) == 0 && now_ns() < until)
			poll(NULL, 0, 5);
		if (!ended)
			log_info("vmferry-dst, process %d, has not ended after %d s", (int)d->agent, END_MS / 1000);
		d->agent = 0;
	}
	dest_ssh_forget_agent(d);
	d->reconnecting = true;
	d->met = false;
	FREE_ALL(d->host, d->port, d->note, d->token_origin);
	d->host = d->port = d->note = d->token_origin = NULL;
	explicit_bzero(&d->key, sizeof(d->key));
	explicit_bzero(d->token, sizeof(d->token));
}

void dest_fini(struct dest *d)
{
	dest_disconnect(d);
	dest_ssh_fini(d);
	free(d->address);
	d->address = NULL;
	explicit_bzero(&d->key, sizeof(d->key));
}
