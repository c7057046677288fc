/*
 * keep.h: QEMU's migration connections outlive the agent, as a process beside it (the guard) has copies of them.
 *
 * Closed under a thread of multifd's they may leave QEMU's migration waiting for that thread for ever; read away until the migration is
 * over they do not. While the agent lives its keeper only holds them, and nothing depends on when it lets go: what the agent has done
 * with it shuts down, and that counts for all copies.
 *
 * Likewise the locks of the disks that the guest has left here: they last for as long as anybody has a copy of what they were taken with.
 */
#ifndef VMFERRY_KEEP_H
#define VMFERRY_KEEP_H

#include "object.h"

#include <stdbool.h>

#define KEEP_CONNS_MAX (1 + CHANNELS_MAX)

/* ---- reading away ---- */

struct drain {
	int listen_fd; /* connections to it are read, too; -1: none */
	int keeper;    /* receives copies of these connections; -1: none */
	int fd[KEEP_CONNS_MAX];
	bool ended[KEEP_CONNS_MAX]; /* connections that are not read any more */
	bool deaf;		    /* further connections are not accepted */
	unsigned n;
};

/* Reads and discards everything while *go_on is 1; another thread changes that. */
void drain_run(struct drain *d, const int *go_on);

/* ---- the agent's side ---- */

enum keep_word {
	KEEP_LISTENER = 'l',
	KEEP_CONNECTION = 'c',
	KEEP_NOTHING = 'n', /* drop all of them */
	KEEP_STANDS = 's',  /* the agent may have stopped the guest from now on */
	KEEP_RUNS = 'r',    /* the guest is not stopped by the agent any more, and has its disks' locks itself */
	KEEP_LOCK = 'k',    /* a disk that is locked, until KEEP_RUNS */
	KEEP_GOODBYE = 'g', /* the agent ends in order */
};

/* sock: a SOCK_SEQPACKET to the keeper; -1: no keeper. fd: to be passed, or -1. Any thread; does not wait. False: the keeper is gone. */
bool keep_tell(int sock, enum keep_word word, int fd);

/* ---- the keeper's side ---- */

struct keep;
/*
 * Holds the connections until sock's other end closes. NULL: after a goodbye. look (may be NULL) is called every look_ms in which the agent
 * is silent; stands: the agent may have stopped the guest.
 */
struct keep *keep_wait(int sock, void (*look)(void *ctx, bool stands), unsigned look_ms, void *ctx);
/* Starts a thread that reads everything away; without a thread, closes all. A second call and NULL are fine. */
void keep_drain(struct keep *k);
/* Writes to QEMU on its first connection. -EPIPE: that is closed. */
int keep_return_path(struct keep *k, const void *p, size_t n);
/* Closes all connections, and removes the listener's socket. A second call and NULL are fine. */
void keep_end(struct keep *k);
/* Closes what it has of locked disks. NULL is fine. */
void keep_unlock(struct keep *k);
bool keep_has_locks(const struct keep *k);
void keep_free(struct keep *k);

#endif
