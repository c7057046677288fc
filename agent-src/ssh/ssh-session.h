/*
 * ssh-session.h: one libssh2 session, between the files that make up that back end: ssh-libssh2 (connects, checks the
 * host's key), ssh-auth (logs in), ssh-pump (the thread that carries bytes). Private to them.
 *
 * Theory of operation. Until the user is logged in, the caller's thread drives the session and its socket blocks. After that
 * both belong to the pump. libssh2 demands that a packet of which the socket took only a part is offered again, and the
 * same, before anything else is sent; with many channels that is a trap. So the pump gives it a send function that always
 * takes all (into a buffer that the pump empties), and itself sends nothing new while that buffer is long.
 */
#ifndef VMFERRY_SSH_SESSION_H
#define VMFERRY_SSH_SESSION_H

#include "ssh-backend.h"
#include "ssh-format.h"

#include <libssh2.h>
#include <pthread.h>
#include <stdint.h>

#define FIRST_BYTES_MAX 4096

struct ssh_session {
	struct ssh base;
	LIBSSH2_SESSION *lib;
	int fd;
	unsigned connect_ms;
	const unsigned *silence_ms; /* ssh_config */
	uint64_t until_ns;	    /* deadline for logging in; 0: none */
	char *user, *host;
	unsigned port;
	/* the server's first bytes: its KEXINIT lists its types of host key */
	uint8_t first[FIRST_BYTES_MAX];
	size_t first_n;
	/* set when the user ends the dialog with the server's questions */
	bool cancelled;
	bool recalls, only_recalls; /* use answers that were right before; ask no one */
	uint64_t asked_ns;
	/* members below are the pump's */
	uint8_t *out; /* NULL: send directly */
	size_t out_at, out_n, out_room;
	int requests; /* our end; the pump has the other one */
	pthread_t pump;
	bool pumping;
};

/* libssh2's last error, for the end of a message. */
const char *session_why(struct ssh_session *s);
/* True if this libssh2 signs with RSA keys as today's servers accept it (1.11 and later). */
bool session_has_rsa_sha2(void);

/* ssh-auth.c: tries every way to log in. */
int session_log_in(struct ssh_session *s, const struct ssh_config *cfg, const char *home, struct err *e);
/* Reads a file of at most max bytes and appends a NUL; *text is malloc'ed. 0 or -errno; -ENOENT only if there is no such file. */
int session_read_file(const char *path, size_t max, char **text, size_t *bytes);

/* ssh-pump.c: pump_start() starts the thread; pump_exec() and pump_forward() ask it, from another thread. */
int pump_start(struct ssh_session *s, struct err *e);
int pump_exec(struct ssh *s, const char *command, int fd, int report, struct err *e);
int pump_forward(struct ssh *s, const char *host, unsigned port, int *fd, struct err *e);
/* Ends the session and the thread. */
void pump_stop(struct ssh_session *s);

#endif
