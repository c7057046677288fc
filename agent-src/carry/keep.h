/*
 * keep.h: QEMU's migration connections outlive the agent, as a process beside it (the guard) has copies of them.
 *
 * Closed under a thread of multifd's they may leave QEMU's migration waiting for that thread for ever; read away until the migration is
 * over they do not. While the agent lives its keeper only holds them, and nothing depends on when it lets go: what the agent has done
 * with it shuts down, and that counts for all copies.
 */
#ifndef VMFERRY_KEEP_H
#define VMFERRY_KEEP_H

#include "object.h"

#include <stdbool.h>

#define KEEP_CONNS_MAX (1 + CHANNELS_MAX)

/* ---- reading away ---- */

struct drain {
	int listen_fd; /* connections that come to it are read, too; -1: none */
	int keeper;    /* is told of these; -1: nobody */
	int fd[KEEP_CONNS_MAX];
	bool ended[KEEP_CONNS_MAX]; /* not read any more */
	bool deaf;		    /* nobody is accepted any more */
	unsigned n;
};

/* What comes is read and thrown away, while *go_on, which another thread changes, is 1. */
void drain_run(struct drain *d, const int *go_on);

/* ---- the agent's side ---- */

enum keep_word {
	KEEP_LISTENER = 'l',
	KEEP_CONNECTION = 'c',
	KEEP_NOTHING = 'n', /* let go of all of them */
	KEEP_STANDS = 's',  /* from now on the guest may stand still, by the agent's doing */
	KEEP_RUNS = 'r',    /* it does not, any more */
	KEEP_GOODBYE = 'g', /* the agent ends in order */
};

/* sock: a SOCK_SEQPACKET to the keeper; -1: there is none. fd: to be copied, or -1. Any thread; does not wait. False: the keeper is gone. */
bool keep_tell(int sock, enum keep_word word, int fd);

/* ---- the keeper's side ---- */

struct keep;
/*
 * Holds what it is told to until sock's other end goes. NULL: after a goodbye. look (may be NULL) is called every look_ms in which the agent
 * says nothing; stands: the guest may stand still by its doing.
 */
struct keep *keep_wait(int sock, void (*look)(void *ctx, bool stands), unsigned look_ms, void *ctx);
/* From now on all is read away, by a thread, or closed if there can be none. A second call and NULL are fine. */
void keep_drain(struct keep *k);
/* Writes to QEMU, on the connection that it made first. -EPIPE: there is none any more. */
int keep_return_path(struct keep *k, const void *p, size_t n);
/* Closes all, and removes the listener's socket. A second call and NULL are fine. */
void keep_end(struct keep *k);
void keep_free(struct keep *k);

#endif
