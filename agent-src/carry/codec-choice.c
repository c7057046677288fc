/* codec-choice.c: see codec-choice.h. Codecs are in order of cost: none, LZ4, zstd. */
#include "codec-choice.h"
#include "util.h"

#define MS		1000000ULL
#define FIRST_CHOICE_NS (100 * MS)
#define CHOICE_NS	(200 * MS)
#define IDLE_NS		(2 * CHOICE_NS) /* whoever comes that late had nothing to send, if it did not wait either */
#define WAITS		5		/* at least this part of the time: the link is what is slow */
/* One channel slower than this is worth so much work; */
#define LZ4_BELOW_BPS  (400.0 * 1000 * 1000)
#define ZSTD_BELOW_BPS (200.0 * 1000 * 1000)
/* and slower than this, at any rate: then it may carry a little less than a cheaper codec did, else it has to carry more. */
#define SURELY_LZ4_BPS	(150.0 * 1000 * 1000)
#define SURELY_ZSTD_BPS (80.0 * 1000 * 1000)
#define LOSS		0.9
#define GAIN		1.1
#define FADING		0.95 /* of what is remembered, per choice */
#define PARDON_MIN_NS	(1000 * MS)
#define PARDON_MAX_NS	(16000 * MS)

void codec_choice_init(struct codec_choice *c, uint64_t now_ns)
{
	*c = (struct codec_choice){.now = CODEC_RAW, .at.now_ns = now_ns};
}

static enum data_codec for_link(enum data_codec now, double wire_bps, bool waits)
{
	if (!waits) /* the link keeps up with what we produce: spend less on each byte */
		return now == CODEC_ZSTD ? CODEC_LZ4 : CODEC_RAW;
	return wire_bps < ZSTD_BELOW_BPS ? CODEC_ZSTD : wire_bps < LZ4_BELOW_BPS ? CODEC_LZ4 : CODEC_RAW;
}

/* A codec without more than this is not worth its work, beside what a cheaper one carried lately. */
static double part_needed(enum data_codec codec, double wire_bps)
{
	return wire_bps < (codec == CODEC_ZSTD ? SURELY_ZSTD_BPS : SURELY_LZ4_BPS) ? LOSS : GAIN;
}

/* The cheaper one that carried most lately, if this one is not worth its work beside it; else this one. */
static enum data_codec better(const struct codec_choice *c, double wire_bps, double content_bps)
{
	enum data_codec best = c->now, k;

	for (k = CODEC_RAW; k < c->now; k++)
		if (content_bps < c->lately_bps[k] * part_needed(c->now, wire_bps) &&
		    (best == c->now || c->lately_bps[k] > c->lately_bps[best]))
			best = k;
	return best;
}

static void remember(struct codec_choice *c, double content_bps)
{
	unsigned k;

	for (k = CODEC_RAW; k <= CODEC_ZSTD; k++)
		c->lately_bps[k] *= FADING;
	c->lately_bps[c->now] = MAX(c->lately_bps[c->now], content_bps);
}

static void choose(struct codec_choice *c, enum data_codec wanted, double wire_bps, double content_bps, uint64_t now_ns)
{
	enum data_codec back = better(c, wire_bps, content_bps);

	remember(c, content_bps);
	if (back < c->now) {
		c->refused = c->now;
		c->now = back;
		c->pardon_ns = MIN(MAX(2 * c->pardon_ns, PARDON_MIN_NS), PARDON_MAX_NS);
		c->pardon_at_ns = now_ns + c->pardon_ns;
		return;
	}
	if (c->now >= c->refused) /* it carries enough after all */
		c->pardon_ns -= c->pardon_ns / 8;
	if (wanted <= c->now || now_ns >= c->pardon_at_ns)
		c->now = wanted;
}

bool codec_choice_step(struct codec_choice *c, const struct codec_sample *s)
{
	uint64_t ns = s->now_ns - c->at.now_ns;
	bool first = !c->at.wire_bytes; /* the window was filled, too: more than can be kept up, and nothing to compare with */
	bool waits = s->waited_ns - c->at.waited_ns >= ns / WAITS;
	enum data_codec wanted;
	double seconds = (double)ns / 1e9, wire_bps = (double)(s->wire_bytes - c->at.wire_bytes) / seconds;

	if (ns < (first ? FIRST_CHOICE_NS : CHOICE_NS))
		return false;
	if (!waits && ns > IDLE_NS) {
		c->at = *s;
		return false;
	}
	wanted = for_link(c->now, wire_bps, waits);
	if (first)
		c->now = wanted;
	else
		choose(c, wanted, wire_bps, (double)(s->raw_bytes - c->at.raw_bytes) / seconds, s->now_ns);
	c->at = *s;
	return true;
}
