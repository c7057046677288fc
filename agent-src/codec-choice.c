/* codec-choice.c: see codec-choice.h. Codecs are in order of cost: none, LZ4, zstd. */
#include "codec-choice.h"
#include "util.h"

#define MS		1000000ULL
#define FIRST_CHOICE_NS (100 * MS)
#define CHOICE_NS	(200 * MS)
#define WAITS		5 /* at least this part of the time: the link is what is slow */
/* One channel slower than this is worth so much work. */
#define LZ4_BELOW_BPS  (150.0 * 1000 * 1000)
#define ZSTD_BELOW_BPS (80.0 * 1000 * 1000)
#define LOSS	       0.9 /* of what was carried before */
#define PARDON_MIN_NS  (1000 * MS)
#define PARDON_MAX_NS  (16000 * MS)

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

static void go_back(struct codec_choice *c, uint64_t now_ns)
{
	c->now = c->before;
	c->before_bps = 0;
	c->pardon_ns = MIN(MAX(2 * c->pardon_ns, PARDON_MIN_NS), PARDON_MAX_NS);
	c->pardon_at_ns = now_ns + c->pardon_ns;
}

static void choose(struct codec_choice *c, enum data_codec wanted, double content_bps, uint64_t now_ns)
{
	if (c->before_bps > 0 && content_bps < c->before_bps * LOSS) {
		go_back(c, now_ns);
		return;
	}
	c->before_bps = 0;
	if (wanted > c->now && now_ns < c->pardon_at_ns)
		return;
	if (wanted > c->now) {
		c->before = c->now;
		c->before_bps = content_bps;
	}
	c->now = wanted;
}

bool codec_choice_step(struct codec_choice *c, const struct codec_sample *s)
{
	uint64_t ns = s->now_ns - c->at.now_ns;
	bool first = !c->at.wire_bytes; /* the window was filled, too: more than can be kept up, and nothing to compare with */
	double seconds = (double)ns / 1e9;

	if (ns < (first ? FIRST_CHOICE_NS : CHOICE_NS))
		return false;
	choose(c,
	       for_link(c->now, (double)(s->wire_bytes - c->at.wire_bytes) / seconds, s->waited_ns - c->at.waited_ns >= ns / WAITS),
	       first ? 0 : (double)(s->raw_bytes - c->at.raw_bytes) / seconds, s->now_ns);
	c->at = *s;
	return true;
}
