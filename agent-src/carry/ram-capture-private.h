/*
 * ram-capture-private.h: what ram-capture.c (QEMU's connections) and ram-route.c (what goes where) share. Nobody else's.
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
	struct conn *holder; /* opaque: whose bytes it has */
	uint8_t *data;
};

enum conn_state {
	CONN_FIRST,   /* its first four bytes are read: which kind is it? */
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

struct capture {
	struct capture_config cfg;
	struct loop *loop;
	pthread_t thread;
	int listen_fd;
	struct op accept_op;
	bool accepting;
	struct conn conn[CONNS_MAX];
	unsigned conns;
	struct conn *main;
	struct packet packets[PACKETS];
	struct queue returned;
	struct packet *free_packet[PACKETS];
	unsigned free_count;
	struct qemu_stream *walker;
	const struct ram_block *blocks;
	size_t block_count;
	struct page_table *tables; /* by object */
	uint32_t *object;	   /* of each block, from OBJECT_RAM_BASE */
	unsigned seeded;	   /* so many first objects are those of the seeds: announced, and their tables not ours */
	/* items under construction, one per sender: data and zero pages of the packet at hand */
	struct send_item *open[CHANNELS_MAX];
	struct packet *stage; /* of the main channel */
	unsigned stage_pages, stage_zero;
	struct task task_unstall, task_stop, task_end;
	bool stopping;
	bool failed, walking, ram_done, ram_told, opened_thin;
	struct runstate_scan scan; /* of stream 0 */
	/* shared with the conductor's thread: atomic, and away from the rest */
	int stall, cut, drain; /* drain: 1 begin, 2 end */
	int main_fd;	       /* -1: not connected yet */
	unsigned round;
	enum qemu_runstate runstate;
	bool joined; /* the conductor's alone */
};

/* ---- ram-capture.c ---- */

/* Reads on, unless the connection waits for something; all of them. */
void capture_arm(struct conn *k);
void capture_arm_all(struct capture *c);
void capture_tell(struct capture *c, enum capture_event ev, const struct err *e);
void capture_give_up(struct capture *c, const struct err *e);

/* ---- ram-route.c ---- */

extern const struct qemu_stream_handlers route_handlers; /* of the walker; ctx: the capture */
/* A buffer came back, as queue.ready. */
void route_returned(struct queue *q);
void route_packet_release(struct shared_buf *b);
/* One of the pool, or NULL: then capture_arm_all() follows when one comes back. Opaque mode takes from its share. */
struct packet *route_packet(struct capture *c);
struct packet *route_packet_share(struct conn *k);
/* Pushes what is buffered of the main channel; false when it must wait for the others or for a packet. */
bool route_main(struct capture *c);
/* A whole multifd header is there. False: not now (no block list yet, no packet free). */
bool route_multifd_header(struct conn *k);
/* The pages of the packet at hand are there. */
void route_multifd_end(struct conn *k);
/* Streams: announces one; the next bytes of one, in b. */
void route_open_stream(struct capture *c, unsigned stream, const char *name);
void route_stream(struct capture *c, unsigned stream, struct shared_buf *b, const uint8_t *p, size_t n);

#endif
