/*
 * peer-accept.h: the door: a socket that listens, and everybody who came there and has not proved yet that they may. The counterpart of the
 * source's dest-connect.h.
 *
 * The peers are heard side by side, without waiting for any: TLS, HELLO, and in clear the proof of the token. There are at most
 * DOOR_PEERS_MAX, of one address DOOR_SAME_MAX; whoever comes then takes the place of the oldest of those that have said least: one that
 * shows a key, or says its HELLO, outlasts any number that cannot. Each has timeout_ms in all. A stranger costs some tens of KiB, no
 * process and, after a few, no line in the log.
 */
#ifndef VMFERRY_PEER_ACCEPT_H
#define VMFERRY_PEER_ACCEPT_H

#include "hello.h"
#include "log.h"

#include <stddef.h>

#define DOOR_PEERS_MAX 64
#define DOOR_SAME_MAX  32

/* The sources that may move guests here: those with one of these keys (TLS), or, without keys, those that know the token (in clear). */
struct access {
	const struct tls_key *keys;
	size_t key_count;
	const char *token; /* "" with keys */
	bool relayed;	   /* other programs may stand between the source and us, in clear */
};

struct door_config {
	const struct access *access;
	unsigned timeout_ms;
	enum log_level level; /* level of log lines about strangers */
	/* 0: a peer with this HELLO is expected; else it is told e. In clear it has not proved anything yet. */
	int (*wanted)(void *ctx, const struct hello *theirs, struct err *e);
	/* Lets a peer in: both HELLOs have been exchanged, and its RESUME if this is not the channel's first connection. Takes over *link.
	 * May not free the door. */
	void (*enter)(void *ctx, struct link *link, const struct hello *theirs);
	void *ctx;
};

struct door;

/* listen_fd stays the caller's. */
int door_new(struct door **out, int listen_fd, const struct door_config *cfg, struct err *e);
/* Can be read from (poll(2)) when door_step() has something to do. */
int door_fd(const struct door *d);
void door_step(struct door *d);
/* Forgets whoever stands there, without a word: their connections may be another process's. NULL ok. */
void door_free(struct door *d);

#endif
