/* serve.c: see serve.h. */
#include "serve.h"
#include "log.h"
#include "move.h"
#include "net.h"
#include "util.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define HELLO_MS   10000
#define ALONE_MS   3000  /* --once: the source may be waiting behind whoever says nothing */
#define UNUSED_MS  60000 /* --once: nobody came */

/* A connection that is the control channel of a source. Takes over fd. */
static int hear(const struct serve_config *cfg, int fd, struct link *link, struct hello *mine, struct err *e)
{
	struct hello theirs;
	int r = peer_accept(fd, &cfg->access, cfg->once ? ALONE_MS : HELLO_MS, link, &theirs, e);

	if (r)
		return r;
	net_limit_silence(fd);
	*mine = (struct hello){.software = "vmferry-dst"};
	memcpy(mine->session, theirs.session, 16);
	if (theirs.channel) {
		r = err_set(e, EPROTO, "no session here has a data channel %u", theirs.channel);
		hello_refuse(link, e->msg);
	} else {
		r = hello_send(link, mine, HELLO_MS, e);
	}
	if (r)
		link_close(link);
	return r;
}

/* listen_fd: where data is to come in, too; -1: on a port of its own. */
static int session(const struct serve_config *cfg, int listen_fd, struct link link, const struct hello *hello, struct err *e)
{
	struct move_config mc = {.state_dir = cfg->state_dir,
				 .runtime_dir = cfg->runtime_dir,
				 .plaintext = cfg->plaintext,
				 .access = &cfg->access,
				 .listen_host = cfg->host,
				 .listen_fd = listen_fd,
				 .data_ports = cfg->data_ports,
				 .hello = *hello};

	return move_run(&mc, link, e);
}

static void session_process(const struct serve_config *cfg, int listen_fd, int fd)
{
	struct hello hello;
	struct link link;
	struct err e;
	int r;

	close(listen_fd);
	signal(SIGCHLD, SIG_DFL);
	r = hear(cfg, fd, &link, &hello, &e);
	if (!r)
		r = session(cfg, -1, link, &hello, &e);
	if (r < 0)
		log_error("session: %s", e.msg);
	_exit(r < 0 ? 1 : r);
}

static _Noreturn void serve_many(const struct serve_config *cfg, int listen_fd)
{
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
		pid_t pid;

		if (fd < 0) {
			poll(NULL, 0, 100); /* out of descriptors, say */
			continue;
		}
		pid = fork();
		if (pid == 0)
			session_process(cfg, listen_fd, fd);
		if (pid < 0)
			log_error("cannot start a session: %s", strerror(errno));
		close(fd);
	}
}

/* Whoever else finds the port does not keep the source from coming. */
static int serve_one(const struct serve_config *cfg, const char *address, int listen_fd, struct err *e)
{
	uint64_t until = now_ns() + UNUSED_MS * 1000000ULL, now;
	struct pollfd p = {.fd = listen_fd, .events = POLLIN};
	struct hello hello;
	struct link link;
	int fd, r;

	do {
		now = now_ns();
		if (now >= until || poll(&p, 1, (int)((until - now) / 1000000) + 1) != 1) {
			close(listen_fd);
			return err_set(e, ETIMEDOUT, "nobody connected to %s", address);
		}
		fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
		r = fd < 0 ? err_sys(e, errno, "accept") : hear(cfg, fd, &link, &hello, e);
		if (r)
			log_error("a connection was refused: %s", e->msg);
	} while (r);
	return session(cfg, listen_fd, link, &hello, e);
}

int serve(const struct serve_config *cfg, struct err *e)
{
	struct move_config mc = {.state_dir = cfg->state_dir, .runtime_dir = cfg->runtime_dir};
	AUTO_FREE char *address = NULL;
	int fd, r;

	r = net_listen(cfg->host, cfg->ports, cfg->plaintext || cfg->access.key_count, &fd, &address, e);
	if (r)
		return r;
	move_recover_all(&mc);
	printf("listening on %s\n", address);
	fflush(stdout);
	if (!cfg->once)
		serve_many(cfg, fd);
	return serve_one(cfg, address, fd, e);
}
