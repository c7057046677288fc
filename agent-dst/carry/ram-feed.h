/*
 * ram-feed.h: one connection to the destination QEMU's incoming migration socket.
 *
 * Opened only when its first bytes are in hand (a silent connection blocks QEMU's main loop). Used in its loop's
 * thread. The main connection also carries QEMU's return path, whose messages are told.
 */
#ifndef VMFERRY_RAM_FEED_H
#define VMFERRY_RAM_FEED_H

#include "err.h"
#include "loop.h"
#include "qemu-rp.h"

struct feed;

struct feed_handlers {
	void (*drained)(void *ctx);				/* QEMU has taken everything that was written */
	void (*message)(void *ctx, const struct rp_message *m); /* return path */
	void (*closed)(void *ctx, const struct err *why);	/* called once */
};

int feed_open(struct feed **out, struct loop *l, const char *socket_path, const struct feed_handlers *h, void *ctx, struct err *e);
/* Copies. */
void feed_write(struct feed *f, const void *p, size_t n);
/* Closes; no callback comes any more. Pumps the loop. NULL ok. */
void feed_close(struct feed *f);

#endif
