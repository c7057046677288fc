/*
 * data-receive-private.h: what data-receive.c (frames) shares with ram-, disk-, stream- and seed-receive.c (what is in them). Nobody
 * else's.
 */
#ifndef VMFERRY_DATA_RECEIVE_PRIVATE_H
#define VMFERRY_DATA_RECEIVE_PRIVATE_H

#include "codec.h"
#include "data-receive.h"
#include "ram-feed.h"
#include "unit-set.h"

#include <pthread.h>
#include "xxh.h"

#define WRITE_BUFS_ALL 64 /* buffers of DATA_RAW_MAX, over all channels */
#define WRITE_BUFS_MIN 4
#define ZEROS_MAX      256 /* requests without a buffer; with so many under way no further frame is taken */

struct block {
	struct ram_target *target;
	struct unit_set round; /* placed in this round */
	struct hash128 sum;
	uint64_t units;
	bool ended;
};

/* RAM, as far as this channel brings it. */
struct received_ram {
	struct block *blocks; /* blocks by object id - OBJECT_RAM_BASE */
	unsigned count;
	uint64_t delta_in; /* pages named by this round's deltas */
	uint32_t round;	   /* the last that began */
	bool in_round;
	struct hash128 zero_page;
};

/* A disk, as far as this channel brings it. */
struct received_disk {
	struct receiver *receiver;
	struct disk_io *io, *old;
	struct hash128 sum;
	uint64_t units, round_units, delta_units;
	uint32_t round, next; /* the last that began, and the one that may */
	unsigned in_flight;
	struct disk_req sync_req;
	struct disk_req save_req; /* request that saves, counted among those in flight */
	uint64_t saved_ns;	  /* time when the last such request began */
	bool saving;
	bool open, in_round, ending, syncing, ended; /* ending: the round's end waits for its writes; then syncing, for the sync of these */
};

struct stream {
	bool open, ended;
	XXH3_state_t *state;
	uint64_t bytes;
	struct feed *feed;
};

/* A disk's DATA being written: a buffer and a request per extent. */
struct write_batch {
	struct write_batch *next;
	uint8_t *buf;
	unsigned refs;
};

struct write_req {
	struct disk_req req;
	struct receiver *r;
	struct write_batch *batch; /* NULL for zeros */
	uint32_t object;
	struct hash128 hash;
};

struct write_pool {
	struct write_batch *all, *free;
	unsigned count, free_count;
	bool busy;	/* fewer than half of them are free */
	unsigned zeros; /* requests under way that have no batch */
};

/* opaque: bytes that wait for the main stream's connection; NULL: none do. */
struct held_bytes {
	uint8_t *bytes;
	size_t n;
	uint32_t object;
};

/* A DATA message, checked. */
struct data {
	struct msg_data m;
	struct slice payload;
	struct data_extent x[DATA_EXTENTS_MAX];
	struct seed_extent seed[SEEDS_MAX];
	unsigned seeds;
};

struct receiver {
	struct receive_shared *shared;
	unsigned number;
	struct loop *loop;
	struct channel *ch;
	pthread_t thread;
	bool ended;    /* the thread */
	bool complete; /* END(GROUP_RAM, last) came */
	bool marked;   /* STREAM_MARK did */
	struct task stop, retry, let_go;
	struct queue links; /* struct next_link */
	struct codec *codec;
	uint8_t *scratch;
	struct data data; /* the one at hand */
	struct received_ram ram;
	struct received_disk disk[OBJECT_DISK_MAX + 1];
	struct stream stream[OBJECT_STREAM_MAX];
	struct write_pool writes;
	bool failed;
	bool end_waits; /* an END, for the rounds of disks to be written */
	bool feeding;	/* QEMU has not yet taken what it was given */
	struct held_bytes held;
	struct receive_stats stats;
};

/* ---- data-receive.c ---- */

struct receive_event *receive_event_new(struct receiver *r, enum receive_kind kind, const void *data, size_t n);
void receive_tell(struct receiver *r, struct receive_event *ev);
void receive_tell_round(struct receiver *r, enum receive_kind kind, uint32_t group, uint32_t number);
void receive_lost(struct receiver *r, const struct err *why);
/* Sets a counter of the statistics, which other threads read. */
void receive_count(uint64_t *counter, uint64_t v);
/* Takes frames again, unless something else still holds them back. */
void receive_go_on(struct receiver *r);
/* -EPROTO, in a sentence about what the source said (the message's name) of which object: "DATA of disk /srv/a.raw: …". */
int receive_refuse(const struct receiver *r, const char *message, uint32_t object, struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
/* Fills d's extents and payload, all within the object. */
int receive_decode(struct receiver *r, struct data *d, uint64_t object_bytes, unsigned shift, struct err *e);
/* The raw contents: the payload itself, or unpacked into buf. NULL: *e. */
const uint8_t *receive_contents(struct receiver *r, const struct data *d, uint8_t *buf, struct err *e);

/* END: what arrived is what was sent. -EBADMSG. what: for people. */
int receive_digest_equal(const struct msg_end *m, uint64_t units, struct hash128 h, const char *what, struct err *e);
/* -EPROTO: END comes where it may not. */
int receive_ended_before(const struct receiver *r, uint32_t object, struct err *e);

/* ---- ram-receive.c ---- */

int receive_block_open(struct receiver *r, const struct msg_object *m, const char *name, struct err *e);
int receive_ram_round_begin(struct receiver *r, const struct msg_round_begin *m, struct err *e);
int receive_ram_data(struct receiver *r, struct data *d, struct err *e);
/* Accounts for a page that is in place, by the hash of its contents. */
void receive_account(struct receiver *r, uint32_t object, uint64_t offset, struct hash128 content);
int receive_ram_delta(struct receiver *r, const struct msg_delta *m, struct err *e);
int receive_ram_round_end(struct receiver *r, const struct msg_round_end *m, struct err *e);
int receive_block_end(struct receiver *r, const struct msg_end *m, struct err *e);

/* ---- seed-receive.c ---- */

/* DATA_ALSO: its seeds into r->data; *data is the DATA behind them. */
int receive_seeds_decode(struct receiver *r, const uint8_t *p, size_t n, struct slice *data, struct err *e);
/* The seeds that come along with a disk's DATA of that many bytes. */
struct brought {
	uint32_t object, bytes;
	unsigned seeds;
	const struct seed_extent *seed;
};

/* Places the seeds; raw: the contents. */
int receive_seeds(struct receiver *r, const struct brought *b, const uint8_t *raw, struct err *e);

/* ---- disk-receive.c ---- */

int receive_disk_open(struct receiver *r, const struct msg_object *m, struct err *e);
/* A round of a disk on this channel is not written yet. */
bool receive_disks_ending(const struct receiver *r);
int receive_disk_round_begin(struct receiver *r, const struct msg_round_begin *m, struct err *e);
int receive_disk_data(struct receiver *r, struct data *d, struct err *e);
int receive_disk_delta(struct receiver *r, const struct msg_delta *m, struct err *e);
/* A dirty bitmap of the guest's. */
int receive_disk_bitmap(struct receiver *r, const struct msg_bitmap *m, struct err *e);
int receive_disk_round_end(struct receiver *r, const struct msg_round_end *m, struct err *e);
int receive_disk_end(struct receiver *r, const struct msg_end *m, struct err *e);

/* ---- stream-receive.c ---- */

int receive_stream_open(struct receiver *r, const struct msg_object *m);
int receive_stream_data(struct receiver *r, struct data *d, struct err *e);
/* The main stream's connection stands: what waited for it goes on. */
void receive_stream_retry(struct task *t);
int receive_stream_mark(struct receiver *r, const struct msg_stream_mark *m, struct err *e);
int receive_stream_end(struct receiver *r, const struct msg_end *m, struct err *e);

#endif
