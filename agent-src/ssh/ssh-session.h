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
	uint64_t until_ns;	    /* for logging in; 0: as long as it takes */
	char *user, *host;
	unsigned port;
	/* what the server sent first: its KEXINIT says which host keys it has */
	uint8_t first[FIRST_BYTES_MAX];
	size_t first_n;
	/* while the user answers the server's questions */
	bool cancelled;
	bool recalls, only_recalls; /* an answer that was right before is given; and nobody is asked */
	uint64_t asked_ns;
	/* from here on: the pump's */
	uint8_t *out; /* NULL: send directly */
	size_t out_at, out_n, out_room;
	int requests; /* our end; the pump has the other */
	pthread_t pump;
	bool pumping;
};

/* What libssh2 said last, for the end of a message. */
const char *session_why(struct ssh_session *s);
/* Does this libssh2 sign with RSA keys in the way that servers of today accept (1.11 and later)? */
bool session_has_rsa_sha2(void);

/* ssh-auth.c: tries every way that is there. */
int session_log_in(struct ssh_session *s, const struct ssh_config *cfg, const char *home, struct err *e);
/* A file's text to its end, at most max bytes, which a NUL follows; *text is malloc'ed. 0 or -errno: -ENOENT means only that there is no such file. */
int session_read_file(const char *path, size_t max, char **text, size_t *bytes);

/* ssh-pump.c: starts the thread; asks it, from another. */
int pump_start(struct ssh_session *s, struct err *e);
int pump_exec(struct ssh *s, const char *command, int fd, int report, struct err *e);
int pump_forward(struct ssh *s, const char *host, unsigned port, int *fd, struct err *e);
/* Ends the session and the thread. */
void pump_stop(struct ssh_session *s);

#endif
