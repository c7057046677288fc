/*
 * codec-choice.h: how much work contents are worth on a data channel, from batch to batch (--codec auto). Pure: counters in,
 * an effort out.
 *
 * What waits to leave is the measure. If the network takes longer than UP_NS over it, there is time for more work on each byte; if
 * it would soon run dry, less work is done. So what is sent is a mixture of two neighbours when the best lies between them. A peer
 * that takes less than the network carries is short of something else, which more work here does not help.
 */
#ifndef VMFERRY_CODEC_CHOICE_H
#define VMFERRY_CODEC_CHOICE_H

#include "codec.h"

#include <stdbool.h>
#include <stdint.h>

/* All of this channel. */
struct codec_sample {
	uint64_t now_ns;	/* any clock */
	uint64_t given_bytes;	/* to the channel, since it began */
	uint64_t backlog_bytes; /* of these, what has not left yet */
	uint64_t window_bytes;	/* what may be on its way or wait */
	bool window_was_full;	/* since the last sample */
	bool peer_is_slow;
};

struct codec_choice {
	enum codec_effort now;
	unsigned batches; /* since what waits was last judged */
	double waited;	  /* bytes that did then */
	/* how fast the network takes bytes from this channel, per second; 0: not known yet */
	double drain_bps;
	uint64_t at_ns, left_bytes; /* when that was measured last; what had left by then */
	bool ran_dry;		    /* since then: it could have taken more */
	uint64_t peer_slow_ns;	    /* since when it is; 0: it is not */
};

void codec_choice_init(struct codec_choice *c, uint64_t now_ns);
/* For the next batch: once for each. */
enum codec_effort codec_choice_step(struct codec_choice *c, const struct codec_sample *s);

#endif
