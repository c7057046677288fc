/*
 * codec-choice.h: which codec suits a data channel (--codec auto). Pure: counters in, a codec out.
 *
 * A channel that waits for its link has time to compress. It tries a costlier codec then, and keeps it only if it carries as much
 * contents as before, or more where the link is fast: a channel may also be slow because this machine, or the other one, is busy.
 */
#ifndef VMFERRY_CODEC_CHOICE_H
#define VMFERRY_CODEC_CHOICE_H

#include "messages.h"

#include <stdbool.h>
#include <stdint.h>

/* All since the channel began. */
struct codec_sample {
	uint64_t now_ns;     /* any clock */
	uint64_t wire_bytes; /* sent by this channel */
	uint64_t raw_bytes;  /* contents that it has encoded, before they were compressed */
	uint64_t waited_ns;  /* with the window full: the mean of all channels, as one that waits holds the producers' buffers, for
			      * which the others go without work */
};

struct codec_choice {
	enum data_codec now;
	struct codec_sample at;		   /* of the last choice */
	double lately_bps[CODEC_ZSTD + 1]; /* contents that each carried at best, fading, in bytes per second */
	/* no costlier one until then; how long the last time */
	uint64_t pardon_at_ns, pardon_ns;
	enum data_codec refused; /* the last that was given up */
};

void codec_choice_init(struct codec_choice *c, uint64_t now_ns);
/* Called whenever there is something to send. True when c->now may have changed: it chooses every 200 ms, but not by a
 * stretch in which there was nothing to send. */
bool codec_choice_step(struct codec_choice *c, const struct codec_sample *s);

#endif
