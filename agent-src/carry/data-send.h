/*
 * data-send.h: one data channel of the source: a thread that turns pages and blocks into frames (encode.h).
 *
 * Producers (ram-capture, disk-read, the conductor) put items into its queue; order per channel is kept. Content
 * stays in the producers' shared buffers, whose number bounds memory: a buffer goes back when the last item that
 * points into it has been encoded.
 */
#ifndef VMFERRY_DATA_SEND_H
#define VMFERRY_DATA_SEND_H

#include "channel.h"
#include "codec-choice.h"
#include "cpu-stage.h"
#include "link.h"
#include "object.h"
#include "recheck.h"
#include "send-item.h"

#include <pthread.h>

/* State shared by all senders of a move; written before their threads start, unless marked atomic. */
struct send_shared {
	struct digest_key key;
	enum codec_mode codec; /* auto: after send_shared_init() */
	struct pacer pacer;    /* atomic inside */
	pthread_mutex_t choosing;
	struct codec_choice choice; /* under the lock: --codec auto */
	int codec_now;		    /* enum data_codec that was chosen last, by any channel; atomic */
	unsigned channels;
	size_t window_bytes;
	struct cpu_meter *cpu;	 /* measures the data plane's threads; NULL: off */
	struct seeds *seeds;	 /* NULL: not looked for */
	struct recheck *recheck; /* NULL: QEMU is trusted; set before the first mark that asks for it */
	uint64_t rechecked_ns;	 /* time when a channel had read its last page again; atomic */
	/* RAM blocks; set before the first page item, and with seeds again before QEMU's first page */
	struct page_table *ram;
	unsigned ram_blocks; /* atomic */
	/* callbacks to the main thread, from the sender's: the channel broke */
	void (*lost)(void *ctx, unsigned channel, const struct err *why);
	/* the channel's connection broke; it waits for one of this generation or later. received: bytes received over earlier ones */
	void (*cut)(void *ctx, unsigned channel, uint32_t generation, uint64_t received, const struct err *why);
	/* the new connection works */
	void (*back)(void *ctx, unsigned channel);
	void *ctx;
	unsigned silence_ms; /* atomic; see channel_config */
	unsigned staying;    /* buffers with contents that stay in place (staying.h); atomic */
	uint64_t kept_ahead; /* bytes; see kept-ahead.h; atomic */
	bool sums_heads;     /* the destination accepts frames whose checksum leaves out the contents; set before the first sender */
};

/* Call before the first sender. */
void send_shared_init(struct send_shared *s);

/* Totals, readable from any thread. */
struct send_stats {
	uint64_t pages, zero_pages, same_pages, seed_pages; /* carried, carried as zero, elided, carried with a disk's content */
	uint64_t rechecked_pages, missed_pages;		    /* pages read again; of these, different from what QEMU had sent */
	uint64_t ram_wire, disk_wire, raw_bytes;
	uint64_t disk_bytes[OBJECT_DISK_MAX + 1]; /* wire bytes per disk */
	uint64_t kept_bytes[OBJECT_DISK_MAX + 1]; /* contents of each disk that an older copy had */
	uint64_t waited_ns;			  /* time spent with the window full: the network or the peer is the bottleneck */
};

struct sender;
/* Takes the connected socket. number: 1-based channel number. */
int sender_start(struct sender **out, struct link link, unsigned number, struct send_shared *shared, struct err *e);
void sender_put(struct sender *s, struct send_item *it);
/* Lets the channel survive lost connections; off at first. Switched off, a channel that waits for a connection is lost. */
void sender_outlive(struct sender *s, bool yes);
/* Goes on over this link: see resume_attach(). */
void sender_resume(struct sender *s, struct link link, uint32_t generation, uint64_t peer_received);
/* Ends the thread and frees. NULL ok. */
void sender_stop(struct sender *s);
void sender_stats(const struct sender *s, struct send_stats *sum /* added to */);
/* Bytes of content, before compression. */
uint64_t sender_contents(const struct sender *s);
uint64_t sender_wire_bytes(const struct sender *s);
/* Bytes of content in its queue, not packed yet. */
uint64_t sender_queued_bytes(const struct sender *s);
/* Bytes queued or sent, not acknowledged. */
uint64_t sender_unacked_bytes(const struct sender *s);
/* Bytes that have arrived. */
uint64_t sender_acked_bytes(const struct sender *s);
uint64_t sender_rechecked_pages(const struct sender *s);
/* Bytes sent again over another connection. */
uint64_t sender_bytes_again(const struct sender *s);

#endif
