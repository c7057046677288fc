/*
 * ram-capture-private.h: shared by ram-capture.c (QEMU's connections) and ram-route.c (routing to channels) only.
 */
#ifndef VMFERRY_RAM_CAPTURE_PRIVATE_H
#define VMFERRY_RAM_CAPTURE_PRIVATE_H

#include "keep.h"
#include "qemu-multifd.h"
#include "qemu-stream.h"
#include "ram-capture.h"

#include <pthread.h>

#define PACKET_BYTES   (MULTIFD_PAGES_MAX * PAGE_BYTES)
#define PACKETS	       16
#define MAIN_IN_BYTES  (128 * 1024)
#define ZERO_PER_STAGE 2048
#define CONNS_MAX      KEEP_CONNS_MAX

/* A buffer of the pool; pages in it are pointed to by items on several channels. */
struct packet {
	struct shared_buf shared;
	struct qnode node;
	struct capture *cap;
	struct conn *holder; /* opaque: connection whose bytes it has */
	uint8_t *data;
};

enum conn_state {
	CONN_FIRST,   /* reading its first four bytes, which tell its kind */
	CONN_MAIN,    /* walked as it comes */
	CONN_INIT,    /* multifd: init packet */
	CONN_HEADER,  /* multifd: packet header */
	CONN_PAYLOAD, /* multifd: pages */
	CONN_OPAQUE,  /* carried as it is */
	CONN_CLOSED,
};

struct conn {
	struct capture *cap;
	struct op op;
	int fd;
	enum conn_state state;
	bool reading, at_sync;
	unsigned stream; /* opaque: number of its stream */
	unsigned held;	 /* opaque: buffers of the pool with its bytes */
	uint8_t first[4];
	uint8_t head[MULTIFD_PACKET_BYTES];
	size_t have, want;
	struct multifd_packet mp;
	unsigned block;
	struct packet *packet; /* being filled */
	/* main */
	uint8_t *in;
	size_t in_at, in_n;
};

/* QEMU's connections, in the order in which it made them. */
struct qemu_conns {
	int listen_fd;
	struct op accept_op;
	bool accepting;
	struct conn conn[CONNS_MAX];
	unsigned count;
	struct conn *main; /* NULL: not known yet */
};

/* The number of packets bounds what is captured and not sent: with none free, QEMU is not read. */
struct packet_pool {
	struct packet packets[PACKETS];
	struct queue returned; /* senders put packets there */
	struct packet *free[PACKETS];
	unsigned free_count;
};

/* Mode pages: the guest's memory as QEMU lists it, and the progress. */
struct captured_ram {
	const struct ram_block *blocks; /* the walker's; NULL: not listed yet */
	size_t block_count;
	struct page_table *tables; /* tables by object */
	uint32_t *object;	   /* object of each block, from OBJECT_RAM_BASE */
	unsigned seeded;	   /* number of first objects that the seeds have announced, and whose tables are not ours */
	bool done, told;	   /* QEMU has sent all of it; CAPTURE_RAM_DONE was reported */
};

/* Mode pages: the packet into which pages are copied from the main channel. */
struct main_stage {
	struct packet *packet;
	unsigned pages, zero_pages;
};

/* Stream 0: QEMU's main channel, or its rest without pages. */
struct main_stream {
	bool opened; /* mode pages: announced with its first bytes */
	struct runstate_scan scan;
};

/* Requests from the conductor's thread to the capture thread: tasks, and atomic flags. */
struct capture_asked {
	struct task to_stall, to_stop, to_end;
	int stall, cut, drain; /* drain: 1 begin, 2 end */
};

/* State that the capture thread publishes at any time: atomic. */
struct capture_seen {
	int main_fd; /* start of the return path; -1: not connected yet */
	unsigned round;
	uint64_t unread; /* 0 unless stalled */
	enum qemu_runstate runstate;
};

/* Members belong to the capture thread unless marked otherwise. */
struct capture {
	struct capture_config cfg;
	struct loop *loop;
	pthread_t thread;
	bool stopping, failed;
	struct qemu_conns qemu;
	struct packet_pool pool;
	struct qemu_stream *walker;
	bool walking; /* the walker is being called now */
	struct captured_ram ram;
	struct main_stage stage;
	struct main_stream thin;
	struct send_item *open[CHANNELS_MAX]; /* items under construction, one per sender: data and zero pages of the packet at hand */
	struct capture_asked asked;
	struct capture_seen seen;
	bool joined; /* the conductor's own, apart from what the thread writes */
};

/* ---- ram-capture.c ---- */

/* Starts reading from all connections again, except those that wait for something. */
void capture_arm_all(struct capture *c);
void capture_tell(struct capture *c, enum capture_event ev, const struct err *e);
void capture_give_up(struct capture *c, const struct err *e);

/* ---- ram-route.c ---- */

extern const struct qemu_stream_handlers route_handlers; /* handlers of the walker; ctx: the capture */
/* queue.ready: takes back a buffer. */
void route_returned(struct queue *q);
void route_packet_release(struct shared_buf *b);
/* Takes a packet from the channel's own share of the pool, in opaque mode; NULL: none, and capture_arm_all() follows when one comes back. */
struct packet *route_packet_share(struct conn *k);
/* Pushes buffered bytes of the main channel; false when it must wait for the other channels or for a packet. */
bool route_main(struct capture *c);
/* Handles a complete multifd header. False: not possible yet (no block list, no packet free). */
bool route_multifd_header(struct conn *k);
/* Handles the pages of the current packet, which are complete. */
void route_multifd_end(struct conn *k);
/* Announces a stream; sends its next bytes, which are in b. */
void route_open_stream(struct capture *c, unsigned stream, const char *name);
void route_stream(struct capture *c, unsigned stream, struct shared_buf *b, const uint8_t *p, size_t n);

#endif
