/* codec-choice.c: see codec-choice.h. */
#include "codec-choice.h"
#include "util.h"

#define MS	     1000000ULL
#define UP_S	     0.020
#define DOWN_S	     0.005
#define LONG_S	     0.100 /* too much by far */
#define DRY_PART     0.25  /* of DOWN_S: the network is about to wait */
#define UP_PART	     0.5   /* of the window, if that is less: on a fast link it holds less than UP_S */
#define DOWN_PART    0.125
#define STAY_BATCHES 4 /* until what was chosen shows in what waits */
#define MEASURE_NS   (10 * MS)
#define OLD_PART     0.7 /* of a measurement and those before */
#define DRY_BYTES    65536
#define PEER_NS	     (50 * MS) /* for so long the peer may be slow with what is dear to unpack */

void codec_choice_init(struct codec_choice *c, uint64_t now_ns)
{
	*c = (struct codec_choice){.now = EFFORT_NONE, .at_ns = now_ns};
}

/* A channel that had nothing to send shows less than the network can take. */
static void measure(struct codec_choice *c, const struct codec_sample *s)
{
	uint64_t left = s->given_bytes - MIN(s->backlog_bytes, s->given_bytes), ns = s->now_ns - c->at_ns;
	double bps;

	c->ran_dry |= s->backlog_bytes < DRY_BYTES;
	if (ns < MEASURE_NS)
		return;
	bps = (double)(left - MIN(c->left_bytes, left)) / ((double)ns / 1e9);
	if (c->ran_dry)
		c->drain_bps = MAX(c->drain_bps, bps);
	else
		c->drain_bps = c->drain_bps > 0 ? OLD_PART * c->drain_bps + (1 - OLD_PART) * bps : bps;
	c->at_ns = s->now_ns;
	c->left_bytes = MAX(left, c->left_bytes);
	c->ran_dry = false;
}

static void step(struct codec_choice *c, int by)
{
	c->now = (enum codec_effort)MIN(MAX((int)c->now + by, EFFORT_NONE), EFFORT_ZSTD_HARD);
}

/* What is dear to unpack is given up. */
static void spare_peer(struct codec_choice *c, uint64_t now_ns)
{
	if (!c->peer_slow_ns)
		c->peer_slow_ns = now_ns;
	if (now_ns - c->peer_slow_ns < PEER_NS)
		return;
	if (c->now > EFFORT_LZ4)
		step(c, -1);
	c->peer_slow_ns = now_ns;
}

/* More work is worth it, 1, or less, -1. */
static int verdict(struct codec_choice *c, const struct codec_sample *s)
{
	double waits = (double)s->backlog_bytes, window = (double)s->window_bytes;
	double up = MIN(UP_S * c->drain_bps, UP_PART * window), down = MIN(DOWN_S * c->drain_bps, DOWN_PART * window);
	bool more = waits >= c->waited, less = waits <= c->waited;

	if (waits > LONG_S * c->drain_bps)
		return 1;
	if (waits < DRY_PART * down)
		return -1;
	if (c->batches < STAY_BATCHES)
		return 0;
	c->batches = 0;
	c->waited = waits;
	if (waits > up || (s->window_was_full && waits > down))
		return more;
	return waits < down && less ? -1 : 0;
}

enum codec_effort codec_choice_step(struct codec_choice *c, const struct codec_sample *s)
{
	measure(c, s);
	c->batches++;
	if (c->drain_bps > 0 && s->peer_is_slow)
		spare_peer(c, s->now_ns);
	else if (c->drain_bps > 0)
		step(c, verdict(c, s));
	if (!s->peer_is_slow)
		c->peer_slow_ns = 0;
	return c->now;
}
