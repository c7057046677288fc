/* arriving-data.h: the data channels that a move comes over: who may connect, and what of each round is here. */
#ifndef VMFERRY_ARRIVING_DATA_H
#define VMFERRY_ARRIVING_DATA_H

#include "attempt.h"
#include "config.h"
#include "data-receive.h"
#include "peer-accept.h"

struct data_plane {
	struct attempt *a;
	const struct move_config *cfg;
	struct receive_shared shared;
	unsigned channels;
	int listen_fd; /* -1: not yet, or no more */
	bool ready;    /* COPY_READY is said: data channels may connect */
	struct door *door;
	struct op door_op;
	bool door_watched;
	struct receiver *receivers[CHANNELS_MAX];
	unsigned connected;
	struct queue work;
	struct round_count {
		unsigned applied, durable; /* channels */
	} rounds[OBJECT_DISK_MAX + 1];
	unsigned unsynced; /* rounds of disks that are written, and not yet on stable storage */
	unsigned complete; /* channels whose content is whole */
	uint64_t complete_ns;
};

/* listen_fd: a socket that listens already, or -1. */
void data_plane_init(struct data_plane *d, struct attempt *a, const struct move_config *cfg);
int data_plane_listen(struct data_plane *d, struct err *e);
/* Lets the session's channels in, once it is ready for data, until all are; and again, if they outlive their connections. */
int data_plane_open_door(struct data_plane *d, struct err *e);
/* A channel's part of a round: tells the source when it was the last. */
void data_plane_count(struct data_plane *d, const struct receive_event *rev);
/* Ends the receivers' threads. */
void data_plane_stop(struct data_plane *d);
void data_plane_fini(struct data_plane *d);

#endif
