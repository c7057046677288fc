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
#define UNUSED_MS  60000 /* --once: nobody came */

static char *host_of(const char *address)
{
	char *host, *port;
	struct err e;

	if (net_parse(address, &host, &port, &e))
		return xstrdup("127.0.0.1");
	free(port);
	return host;
}

static int session(const struct serve_config *cfg, const char *address, int fd, struct err *e)
{
	struct move_config mc = {.state_dir = cfg->state_dir,
				 .runtime_dir = cfg->runtime_dir,
				 .plaintext = cfg->plaintext,
				 .token = (char *)cfg->token};
	AUTO_FREE char *host = host_of(address);
	struct hello theirs;
	int r;

	net_tune(fd);
	net_limit_silence(fd);
	mc.listen_host = host;
	r = hello_receive(fd, &theirs, HELLO_MS, e);
	if (!r && (theirs.channel || strcmp(theirs.token, cfg->token)))
		r = err_set(e, EPERM, "the peer does not know this agent's token: it is in %s/token on this host; give vmferry a copy "
			    "with --token-file",
			    cfg->state_dir);
	if (r) {
		hello_refuse(fd, e->msg);
		close(fd);
		return r;
	}
	memcpy(mc.hello.session, theirs.session, 16);
	snprintf(mc.hello.software, sizeof(mc.hello.software), "vmferry-dst");
	r = hello_send(fd, &mc.hello, HELLO_MS, e);
	if (r) {
		close(fd);
		return r;
	}
	return move_run(&mc, fd, e);
}

static void session_process(const struct serve_config *cfg, const char *address, int listen_fd, int fd)
{
	struct err e;
	int r;

	close(listen_fd);
	signal(SIGCHLD, SIG_DFL);
	r = session(cfg, address, fd, &e);
	if (r < 0)
		log_error("session: %s", e.msg);
	_exit(r < 0 ? 1 : r);
}

static _Noreturn void serve_many(const struct serve_config *cfg, const char *address, int listen_fd)
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
			session_process(cfg, address, listen_fd, fd);
		if (pid < 0)
			log_error("cannot start a session: %s", strerror(errno));
		close(fd);
	}
}

static int serve_one(const struct serve_config *cfg, const char *address, int listen_fd, struct err *e)
{
	struct pollfd p = {.fd = listen_fd, .events = POLLIN};
	int fd;

	if (poll(&p, 1, UNUSED_MS) != 1)
		return err_set(e, ETIMEDOUT, "nobody connected to %s", address);
	fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
	close(listen_fd);
	if (fd < 0)
		return err_sys(e, errno, "accept");
	return session(cfg, address, fd, e);
}

int serve(const struct serve_config *cfg, struct err *e)
{
	struct move_config mc = {.state_dir = cfg->state_dir, .runtime_dir = cfg->runtime_dir};
	AUTO_FREE char *address = NULL;
	int fd, r;

	r = net_listen(cfg->listen, cfg->plaintext, &fd, &address, e);
	if (r)
		return r;
	move_recover_all(&mc);
	printf("listening on %s\n", address);
	fflush(stdout);
	if (!cfg->once)
		serve_many(cfg, address, fd);
	return serve_one(cfg, address, fd, e);
}
