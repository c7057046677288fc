/*
 * ssh.h: runs commands and opens byte streams at the destination, over SSH.
 *
 * Two back ends behind one interface: libssh2 in this process (the default), and the user's own `ssh` (--ssh=openssh),
 * which brings their whole configuration: aliases, ProxyJump, hardware keys. Whatever is opened is a connected stream
 * socket; the back end carries bytes between it and the other host by itself, so the caller needs no SSH in its loop.
 *
 * An open connection may be used by one thread at a time. Opening anything blocks; the sockets are as fast or slow as the
 * network. When the connection is lost, all its sockets end.
 */
#ifndef VMFERRY_SSH_H
#define VMFERRY_SSH_H

#include "err.h"

#include <stdbool.h>

#define SSH_STREAMS_MAX 32   /* commands and forwarded streams of one connection at a time */
#define SSH_STDERR_MAX	4096 /* bytes that are kept of a command's stderr, from its end */
#define SSH_CONNECT_MS	15000
#define SSH_LOGIN_STEPS 4

enum ssh_backend { SSH_LIBSSH2, SSH_OPENSSH };

struct ssh_target {
	char *user, *host, *port; /* user, port: NULL when not given. An IPv6 address has no brackets */
};

/* "[ssh://][USER@]HOST[:PORT]"; an IPv6 address with a port needs brackets. -EINVAL: *out is untouched. */
int ssh_target_parse(const char *text, struct ssh_target *out, struct err *e);
void ssh_target_fini(struct ssh_target *t);

struct ssh_config {
	struct ssh_target target; /* copied */
	enum ssh_backend backend;
	const char *address;  /* address to connect to instead of the host's; NULL: the host's. For libssh2 */
	const char *identity; /* a private key; NULL: the agent and the usual ones under HOME/.ssh */
	bool accept_new;      /* add a host that is not in known_hosts; a changed key is refused all the same */
	bool batch;	      /* never ask at the terminal */
	/* time for TCP, and again for the key exchange; with batch, SSH_LOGIN_STEPS times that for logging in. 0: SSH_CONNECT_MS */
	unsigned connect_ms;
	const char *home; /* directory of .ssh; NULL: $HOME. For libssh2 */
	/* ms; atomic: the connection is lost when sent data stay unanswered by TCP for that long. NULL, or 0: 15 s; with OpenSSH always
	 * 15 s */
	const unsigned *silence_ms;
	const char *known_hosts; /* file in place of HOME/.ssh/known_hosts and /etc/ssh/ssh_known_hosts; NULL: these */
};

struct ssh;
struct ssh_proc;

/* Connects, checks the host's key, logs in; asks at the terminal where that is needed and allowed. -EACCES: the host's key
 * or every way to log in was refused; -ECANCELED: the user did not want to answer; otherwise as the network says. */
int ssh_open(struct ssh **out, const struct ssh_config *cfg, struct err *e);
/* Closes the connection and all its sockets. Commands there are not killed: their input ends. */
void ssh_close(struct ssh *s);

/* USER@HOST:PORT, as far as known, for messages. Lives as long as s. */
const char *ssh_host_text(const struct ssh *s);
/* The numeric address that data connections can be made to; NULL: not known, or behind a proxy. */
const char *ssh_peer_address(const struct ssh *s);

/* Runs a command line through the remote login shell. Writes to *fd are its stdin, reads are its stdout; shutdown(SHUT_WR)
 * is the end of stdin. The caller owns *fd and *proc. With OpenSSH the end of stdout shows when the command ends. */
int ssh_exec(struct ssh *s, const char *command, struct ssh_proc **proc, int *fd, struct err *e);
/* Waits until the command has ended and its output was delivered to the socket. *status is its exit status, 128 + N after
 * a signal (with OpenSSH 255). -ETIMEDOUT: still running (may be asked again); -EPIPE: the connection ended first. */
int ssh_wait(struct ssh_proc *p, int timeout_ms, int *status, struct err *e);
/* End of the command's stderr, in UTF-8 without the last newline; complete once ssh_wait() has succeeded, "" before. */
const char *ssh_stderr(const struct ssh_proc *p);
/* Frees the handle; the command goes on running. */
void ssh_proc_free(struct ssh_proc *p);

/* A byte stream to HOST:PORT as seen from there. *fd is the caller's. With OpenSSH a refused connection is not an error
 * here, but an end of the stream at the first read. */
int ssh_forward(struct ssh *s, const char *host, unsigned port, int *fd, struct err *e);

#endif
