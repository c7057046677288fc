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

/* Of the channel whose next batch it is. */
struct codec_sample {
	unsigned channel;	/* from 0 */
	uint64_t now_ns;	/* any clock */
	uint64_t given_bytes;	/* to the channel, since it began */
	uint64_t backlog_bytes; /* of these, what has not left yet */
	uint64_t window_bytes;	/* what may be on its way or wait */
	bool window_was_full;	/* since the last sample */
	bool peer_is_slow;
	bool network_is_idle; /* it has taken all that it was given */
	uint64_t limit_bps;   /* bytes a second that may leave, by --bwlimit: a network that takes no more; 0: as many as it takes */
};

struct codec_channel {
	/* how fast the network takes bytes from this channel, per second; 0: not known yet */
	double drain_bps;
	uint64_t at_ns, at_left; /* when that was measured last; what had left by then */
	uint64_t left;
	uint64_t dry_ns; /* when it will have nothing that waits */
	bool ran_dry;	 /* since then: it could have taken more */
};

struct codec_choice {
	enum codec_effort now;
	unsigned batches; /* since what waits was last judged */
	double waited_s;  /* how long it did then */
	struct codec_channel channel[CHANNELS_MAX];
	/* all channels together, since a moment in which the effort had settled */
	uint64_t since_ns, since_left, left;
	bool ran_dry;
	unsigned looks, idle;	     /* samples since then; those that found the network idle */
	bool network_waits;	     /* it was idle for most of the last stretch, and is not known to be slow */
	uint64_t busy_left, busy_ns; /* in stretches with this effort in which the network had all that it takes, until they are judged */
	double leaves_bps[CODEC_EFFORTS]; /* with each effort; 0: not known */
	double takes_bps;		  /* the network, at best, fading; 0: not known */
	unsigned balanced;		  /* stretches with this effort in which the network seemed idle, and took all that it takes */
	unsigned doubts;		  /* that it is slow: stretches in a row in which it had far less than it takes */
	uint64_t pardon_at_ns, pardon_ns; /* no more than `refused` until then; how long that is the last time */
	enum codec_effort refused;	  /* too much */
	uint64_t peer_slow_ns;		  /* since when it is; 0: it is not */
};

void codec_choice_init(struct codec_choice *c, uint64_t now_ns);
/* For the next batch: once for each. */
enum codec_effort codec_choice_step(struct codec_choice *c, const struct codec_sample *s);

#endif
