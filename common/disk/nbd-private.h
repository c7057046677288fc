/*
 * nbd-private.h: a connection to an NBD server, as nbd.c (the connection: requests, sending, its end) and nbd-reply.c (the server's
 * replies) share it. No other file includes this.
 */
#ifndef VMFERRY_NBD_PRIVATE_H
#define VMFERRY_NBD_PRIVATE_H

#include "nbd-handshake.h"

#include <sys/socket.h>
#include <sys/uio.h>

#define STAGE_SIZE (8 * 1024) /* holds any header, and any error chunk whole */
#define TX_IOV	   256

enum {
	NBD_CMD_READ = 0,
	NBD_CMD_WRITE = 1,
	NBD_CMD_DISC = 2,
	NBD_CMD_FLUSH = 3,
	NBD_CMD_WRITE_ZEROES = 6,
	NBD_CMD_BLOCK_STATUS = 7,
};

struct slot {
	struct nbd_req *req; /* NULL: free */
	uint32_t generation, next_free;
};

/* Requests that wait for their reply. */
struct slots {
	struct slot *at;
	uint32_t count, free;
	uint32_t in_flight, reads_in_flight;
};

struct sending {
	struct nbd_req *first, **tail, *unmapped; /* the queue, and its first entry not in iov */
	size_t gone;				  /* bytes of the first one sent */
	struct op op;
	bool busy;
	struct msghdr msg;
	struct iovec iov[TX_IOV];
};

enum rx_state {
	RX_HEADER,  /* a reply's header is next, in the stage */
	RX_DATA,    /* `left` bytes of req's data, to ptr */
	RX_EXTENTS, /* `left` bytes of extents for req, through the stage */
};

/* The reply that is being read. */
struct receiving {
	struct op op;
	bool busy;
	struct msghdr msg;
	struct iovec iov[2];
	enum rx_state state;
	struct nbd_req *req;
	unsigned char *ptr;
	uint32_t left;
	bool last; /* the chunk being received is its reply's last */
	unsigned ctx;
	uint64_t offset; /* offset of the next extent */
	size_t want;	 /* bytes the parser needs in the stage to go on */
	size_t pos, end; /* bounds of the unread bytes in the stage */
	unsigned char stage[STAGE_SIZE];
};

struct nbd {
	struct loop *loop;
	struct nbd_session session;
	struct err err; /* code != 0: connection lost */
	bool closed;
	unsigned draining; /* calls of drain() on the stack */
	struct nbd_req *finished, **finished_tail;
	struct timer late; /* calls drain() for what finished outside of an op */
	struct slots slots;
	struct sending tx;
	struct receiving rx;
};

/* ---- nbd.c ---- */

/* The request that this reply is for; NULL: there is none. */
struct nbd_req *nbd_find(const struct nbd *n, uint64_t cookie);
/* The reply to r is complete; done() comes from the loop. */
void nbd_replied(struct nbd *n, struct nbd_req *r, int res);
/* Notes why the connection is lost (the first reason stays), and stops its operations. -code of that reason. */
int nbd_lose(struct nbd *n, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* ---- nbd-reply.c ---- */

/* Sets rx.iov, the place for the next bytes: the reader's buffer if data is due, and behind it the stage, with room for no more than one
 * data chunk's header if another read's data may follow. */
void nbd_reply_room(struct nbd *n);
/* Takes so many bytes that have arrived. This may complete requests, or lose the connection; done() is not called. */
void nbd_reply_take(struct nbd *n, size_t bytes);

#endif
