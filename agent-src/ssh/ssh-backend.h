/*
 * ssh-backend.h: what a back end of ssh.h provides, and the reports that it sends to whoever waits. Private to ssh*.c.
 *
 * A report travels over a SOCK_SEQPACKET pair, so that the waiting and the reporting thread share nothing else. An opened
 * command gives two of them (opened or failed; then ended), a forwarded stream gives one.
 */
#ifndef VMFERRY_SSH_BACKEND_H
#define VMFERRY_SSH_BACKEND_H

#include "ssh.h"

#include <sys/types.h>

#define SSH_OPEN_MS 60000 /* time that a command or a stream may take to be opened */

struct ssh_ops {
	void (*close)(struct ssh *s);
	/* Take over fd, the back end's end of the stream, and report, the writing end for reports; whatever they return. */
	int (*exec)(struct ssh *s, const char *command, int fd, int report, struct err *e);
	int (*forward)(struct ssh *s, const char *host, unsigned port, int *fd, struct err *e);
};

struct ssh { /* the first member of each back end's own */
	const struct ssh_ops *ops;
	char *text;    /* ssh_host_text */
	char *address; /* ssh_peer_address */
};

struct ssh_report {
	int code; /* 0, or errno: message says why */
	int status;
	char message[512];
	char said[SSH_STDERR_MAX + 1];
};

int ssh_libssh2_open(struct ssh **out, const struct ssh_config *cfg, struct err *e);
int ssh_openssh_open(struct ssh **out, const struct ssh_config *cfg, struct err *e);

/* A reader that has gone is no error. */
void ssh_report_send(int fd, const struct ssh_report *r);
/* 0, -ETIMEDOUT, or -EPIPE: nobody will report any more. */
int ssh_report_receive(int fd, int timeout_ms, struct ssh_report *out);
/* A pair of sockets, close-on-exec; type is SOCK_STREAM or SOCK_SEQPACKET. */
int ssh_pair(int type, int fds[2], struct err *e);

/* The last SSH_STDERR_MAX bytes of what was appended. */
struct ssh_tail {
	char text[SSH_STDERR_MAX];
	size_t n;
};
void ssh_tail_append(struct ssh_tail *t, const char *data, size_t n);
/* Into a C string of valid UTF-8, without newlines at its end. */
void ssh_tail_text(const struct ssh_tail *t, char out[SSH_STDERR_MAX + 1]);

#endif
