/*
 * ram-capture.h: takes the guest's RAM and device state from the source QEMU's own migration.
 *
 * QEMU is told to migrate to a unix socket that this module listens on. One thread reads all of QEMU's channels:
 *   pages   the main stream is walked, pages are routed to the data channels, and only the thin stream is left;
 *   opaque  every channel is carried byte for byte as a stream of its own.
 * All channels of QEMU meet here at each sync point, which is what keeps two versions of a page in order.
 */
#ifndef VMFERRY_RAM_CAPTURE_H
#define VMFERRY_RAM_CAPTURE_H

#include "data-send.h"
#include "qemu-runstate.h"

enum ram_mode { RAM_MODE_PAGES, RAM_MODE_OPAQUE };

enum capture_event {
	CAPTURE_BLOCKS,	  /* the block list is known (pages) */
	CAPTURE_RAM_DONE, /* every page has been queued; device state follows (pages) */
	CAPTURE_CLOSED,	  /* QEMU closed a channel; why in *e */
	CAPTURE_FAILED,	  /* the stream cannot be understood; why in *e */
};

struct capture_config {
	const char *socket_path; /* created, mode 0600, by capture_start; removed by capture_stop */
	uid_t user;		 /* owner of the socket, so that QEMU may connect to it; 0: our user */
	enum ram_mode mode;
	unsigned multifd; /* QEMU's multifd channels; 0: single stream */
	struct sender **senders;
	unsigned sender_count;
	struct send_shared *shared;
	int keeper; /* receives copies of QEMU's connections (keep.h) until capture_stop; -1: none */
	/* called in the capture thread: must only hand over */
	void (*event)(void *ctx, enum capture_event ev, const struct err *e);
	void *ctx;
};

struct capture;
int capture_start(struct capture **out, const struct capture_config *cfg, struct err *e);
/* Closes every socket towards QEMU (or QEMU would wait for ever) and ends the thread. NULL and a second
 * call are fine. */
void capture_stop(struct capture *c);
/* Captures nothing more, but keeps QEMU's connections open and reads them until capture_stop(): for a migration that is to be cancelled.
 * NULL, or one that was stopped, is fine. */
void capture_drain(struct capture *c);
/* Frees the capture, after capture_stop() and after the senders, which hold its buffers, have stopped. NULL ok. */
void capture_free(struct capture *c);

/* The functions below are for the conductor's thread. */
/* Stops or resumes reading from QEMU: back-pressure. Stopping again looks again at what is unread. */
void capture_stall(struct capture *c, bool stall);
/* Ends the RAM round at the next sync point. */
void capture_cut_round(struct capture *c);
/* Queues END for all streams: only the destination QEMU knows where they end. */
void capture_end_streams(struct capture *c);
/* Writes to QEMU's return path. -errno when the channel is gone. */
int capture_return_path(struct capture *c, const void *p, size_t n);
/* Bytes that QEMU had written and that were unread, shortly after the last capture_stall(c, true). */
uint64_t capture_unread(const struct capture *c);
unsigned capture_rounds(const struct capture *c);
/* Run state in which QEMU found the guest when it stopped it; valid once the destination QEMU has loaded all. */
enum qemu_runstate capture_runstate(const struct capture *c);

#endif
