/*
 * codec-choice.h: how much work contents are worth, from batch to batch (--codec auto). Pure: counters in, an effort out. One choice
 * for all data channels of a move, as they share the network and this machine's processors.
 *
 * How fast bytes leave while some wait all along is how much the network takes. A slow one is worth zstd, a very slow one more of it. But
 * things also wait to leave when it is processors that are short, here or at the peer, and then more work makes it worse: a network that has
 * mostly taken all that it was given is not what is waited for. An effort that makes it so, or that costs more of how fast bytes leave than
 * it saves of them, is given up, and not tried again for a while. If as much leaves as the network takes it is kept all the same: where
 * network and processors are equally busy neither is waited for, and nothing could be better.
 *
 * On a faster network it is LZ4 or nothing: nothing while it is idle most of the time, else by what waits: if the network takes longer
 * than UP_S over that, there is time for more work on each byte; if it would soon run dry, for less. So what is sent is a mixture of both
 * when the best lies between them. A network that is known to be slow gets LZ4 at least: what is sent without, as nothing waits at the moment,
 * waits behind each other soon.
 */
#ifndef VMFERRY_CODEC_CHOICE_H
#define VMFERRY_CODEC_CHOICE_H

#include "codec.h"
#include "object.h"

#include <stdbool.h>
#include <stdint.h>

/* State of the channel whose next batch it is. */
struct codec_sample {
	unsigned channel;	/* number of the channel, from 0 */
	uint64_t now_ns;	/* time by any clock */
	uint64_t given_bytes;	/* given to the channel, since it began */
	uint64_t backlog_bytes; /* bytes among these that were not sent yet */
	uint64_t window_bytes;	/* limit for bytes in flight or waiting */
	bool window_was_full;	/* since the last sample */
	bool peer_is_slow;
	bool network_is_idle; /* the network has taken all that it was given */
	uint64_t limit_bps;   /* --bwlimit, in bytes a second, which the network counts as taking; 0: none */
};

struct codec_channel {
	/* rate at which the network takes bytes from this channel, per second; 0: not known yet */
	double drain_bps;
	uint64_t at_ns, at_left; /* last measurement: when, and bytes sent by then */
	uint64_t left;
	uint64_t dry_ns; /* time when its backlog will be empty */
	bool ran_dry;	 /* the backlog was empty since then: the network could have taken more */
};

struct codec_choice {
	enum codec_effort now;
	unsigned batches; /* since the backlog was judged last */
	double waited_s;  /* backlog then, in seconds */
	struct codec_channel channel[CHANNELS_MAX];
	/* sums of all channels since a moment when the effort had settled */
	uint64_t since_ns, since_left, left;
	bool ran_dry;
	unsigned looks, idle;		  /* samples since then; those that found the network idle */
	bool network_waits;		  /* the network was idle for most of the last stretch, and is not known to be slow */
	uint64_t busy_left, busy_ns;	  /* bytes and time of stretches with this effort and a busy network, until they are judged */
	double leaves_bps[CODEC_EFFORTS]; /* output rate of each effort; 0: not known */
	double takes_bps;		  /* best rate of the network, fading; 0: not known */
	unsigned balanced;		  /* stretches with this effort in which the network seemed idle, and took its full rate */
	unsigned doubts;		  /* whether the network is slow: stretches in a row far below its rate */
	uint64_t pardon_at_ns, pardon_ns; /* time until which `refused` is not tried again; length of the last such time */
	enum codec_effort refused;	  /* efforts from this one on are too expensive */
	uint64_t peer_slow_ns;		  /* since when the peer is slow; 0: it is not */
};

void codec_choice_init(struct codec_choice *c, uint64_t now_ns);
/* Chooses the effort for the next batch; call once for each. */
enum codec_effort codec_choice_step(struct codec_choice *c, const struct codec_sample *s);

#endif
