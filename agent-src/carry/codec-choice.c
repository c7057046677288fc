/* codec-choice.c: see codec-choice.h. */
#include "codec-choice.h"
#include "util.h"

#define MS	     1000000ULL
#define UP_S	     0.020
#define DOWN_S	     0.005
#define DRY_PART     0.25 /* share of DOWN_S below which the network is about to wait */
#define UP_PART	     0.5  /* share of the window, if that is less: on a fast link it holds less than UP_S */
#define DOWN_PART    0.125
#define STAY_BATCHES 4 /* batches until what was chosen shows in what waits */
#define DRAIN_NS     (10 * MS)
#define OLD_PART     0.7 /* weight of earlier measurements against a new one */
#define DRY_BYTES    65536
#define FAR_S	     1.0       /* limit of the look ahead: a channel on which hardly anything leaves may give no more samples */
#define PEER_NS	     (50 * MS) /* time for which the peer may be slow with what is expensive to unpack */

/* A slower network than this is worth the effort; on a faster one, the backlog decides. */
#define HARD_BPS 40e6
#define ZSTD_BPS 130e6

/* Shares of samples that found the network idle. Above WAITS_PART it is not the bottleneck, above IDLE_PART it gets less than it takes,
 * below BUSY_PART all that it takes. */
#define WAITS_PART 0.8
#define IDLE_PART  0.6
#define BUSY_PART  0.3

#define SETTLE_NS     (20 * MS)	 /* time until what leaves was made with the new effort */
#define TRIAL_NS      (100 * MS) /* length of a trial, to see how fast an effort leaves */
#define TRIAL_BYTES   (4 * MIB)	 /* minimum to tell one effort from another */
#define FADING	      0.95	 /* factor by which the network's measured rate fades, per trial */
#define PARDON_MIN_NS (500 * MS)
#define PARDON_MAX_NS (8000 * MS)
#define SLACK	      0.9 /* tolerance of a measurement */
#define BALANCE_PART  0.8 /* rates within this factor count as equal */
#define BALANCED_MAX  20  /* balanced stretches before less work is tried */
#define DOUBTS	      5	  /* stretches in a row */

/* Size of the output of an effort, relative to the next lower effort. */
static const double part_of_less[CODEC_EFFORTS] = {[EFFORT_ZSTD] = 0.76, [EFFORT_ZSTD_HARD] = 0.93};

void codec_choice_init(struct codec_choice *c, uint64_t now_ns)
{
	*c = (struct codec_choice){.now = EFFORT_LZ4, .since_ns = now_ns, .refused = CODEC_EFFORTS};
	for (unsigned i = 0; i < CHANNELS_MAX; i++)
		c->channel[i].at_ns = now_ns;
}

/* ---- what leaves ---- */

/* An idle channel shows less than the network can take. */
static void measure_drain(struct codec_channel *k, const struct codec_sample *s)
{
	uint64_t ns = s->now_ns - k->at_ns;
	double bps;

	k->ran_dry |= s->backlog_bytes < DRY_BYTES;
	if (ns < DRAIN_NS)
		return;
	bps = (double)(k->left - k->at_left) / ((double)ns / 1e9);
	if (k->ran_dry)
		k->drain_bps = MAX(k->drain_bps, bps);
	else
		k->drain_bps = k->drain_bps > 0 ? OLD_PART * k->drain_bps + (1 - OLD_PART) * bps : bps;
	k->at_ns = s->now_ns;
	k->at_left = k->left;
	k->ran_dry = false;
}

static void note_left(struct codec_choice *c, const struct codec_sample *s)
{
	struct codec_channel *k = &c->channel[s->channel];
	uint64_t left = s->given_bytes - MIN(s->backlog_bytes, s->given_bytes);

	if (left > k->left) {
		c->left += left - k->left;
		k->left = left;
	}
	measure_drain(k, s);
	k->dry_ns = s->now_ns + (k->drain_bps > 0 ? (uint64_t)(MIN((double)s->backlog_bytes / k->drain_bps, FAR_S) * 1e9) : 0);
}

/* Time until no channel has anything that waits: what one should carry may be in the way of another. */
static double waits_s(const struct codec_choice *c, uint64_t now_ns)
{
	uint64_t last = now_ns;

	for (unsigned i = 0; i < CHANNELS_MAX; i++)
		last = MAX(last, c->channel[i].dry_ns);
	return (double)(last - now_ns) / 1e9;
}

/* ---- more or less ---- */

static void use(struct codec_choice *c, enum codec_effort effort, uint64_t now_ns)
{
	if (effort == c->now)
		return;
	c->now = effort;
	c->since_ns = now_ns + SETTLE_NS;
	c->busy_left = c->busy_ns = 0;
	c->balanced = 0;
}

/* Notes how fast it leaves, over many frames: of a slow network a stretch sees a few. True when it was told. */
static bool note_leaves(struct codec_choice *c, double bps)
{
	double *leaves = &c->leaves_bps[c->now], busy_bps;

	c->busy_left += (uint64_t)(bps * TRIAL_NS / 1e9);
	c->busy_ns += TRIAL_NS;
	if (c->busy_left < TRIAL_BYTES)
		return false;
	busy_bps = (double)c->busy_left / ((double)c->busy_ns / 1e9);
	c->busy_left = c->busy_ns = 0;
	*leaves = *leaves > 0 ? (*leaves + busy_bps) / 2 : busy_bps;
	return true;
}

/* True if this effort saves more than it costs. */
static bool is_worth_it(const struct codec_choice *c)
{
	double before = c->leaves_bps[c->now - 1];

	return before <= 0 || c->leaves_bps[c->now] > before * part_of_less[c->now] * SLACK;
}

/* True if network and processors are equally busy, which is best of all: neither is waited for, so the network looks idle, but as much
 * leaves as it takes. The same holds for a network that takes more than it did; less work then shows that in time. */
static bool has_balance(const struct codec_choice *c, double bps)
{
	return bps > c->takes_bps * BALANCE_PART && bps * BALANCE_PART < c->takes_bps;
}

static void give_up(struct codec_choice *c, uint64_t now_ns)
{
	c->refused = c->now;
	c->pardon_ns = MIN(MAX(2 * c->pardon_ns, PARDON_MIN_NS), PARDON_MAX_NS);
	c->pardon_at_ns = now_ns + c->pardon_ns;
	use(c, (enum codec_effort)(c->now - 1), now_ns);
}

/* Chooses less work: processors were the bottleneck, or there was nothing to send. In balance neither is known, so less is tried only
 * now and then. */
static void do_less(struct codec_choice *c, double bps, double idle, uint64_t now_ns)
{
	if (has_balance(c, bps)) {
		if (++c->balanced < BALANCED_MAX)
			return;
		c->pardon_ns = 0;
	}
	if (idle > IDLE_PART)
		give_up(c, now_ns);
	else
		use(c, (enum codec_effort)(c->now - 1), now_ns);
}

static bool is_slow(const struct codec_choice *c)
{
	return c->takes_bps > 0 && c->takes_bps < ZSTD_BPS;
}

/* Takes one step towards the effort that the network's rate is worth, unless it was given up recently. */
static void follow_network(struct codec_choice *c, uint64_t now_ns)
{
	enum codec_effort worth = c->takes_bps < HARD_BPS ? EFFORT_ZSTD_HARD : c->takes_bps < ZSTD_BPS ? EFFORT_ZSTD : EFFORT_LZ4;

	if (worth > c->now && ((int)c->now + 1 < (int)c->refused || now_ns >= c->pardon_at_ns))
		use(c, (enum codec_effort)(c->now + 1), now_ns);
	else if (worth < c->now)
		use(c, (enum codec_effort)(c->now - 1), now_ns);
}

/* Ends a stretch. Returns the bytes per second that left in it (0: none, or too early), and the share in which the network was idle.
 * *paused: for a moment there was nothing to send. */
static double end_stretch(struct codec_choice *c, uint64_t now_ns, double *idle, bool *paused)
{
	double bps = now_ns <= c->since_ns ? 0 : (double)(c->left - c->since_left) / ((double)(now_ns - c->since_ns) / 1e9);

	*idle = (double)c->idle / c->looks;
	*paused = c->ran_dry;
	c->network_waits = c->idle >= WAITS_PART * c->looks && !is_slow(c);
	c->since_ns = MAX(c->since_ns, now_ns);
	c->since_left = c->left;
	c->ran_dry = false;
	c->looks = c->idle = 0;
	return bps;
}

/* A slow network that is idle while there is more to send is no slow one: it had only begun, or others have left it. */
static void doubt_slowness(struct codec_choice *c, double idle)
{
	c->doubts = c->now <= EFFORT_LZ4 && idle > IDLE_PART ? c->doubts + 1 : 0;
	if (c->doubts < DOUBTS)
		return;
	c->doubts = 0;
	c->takes_bps = 0;
}

/* Measures how fast data leaves with the present effort, over a stretch in which the network had all that it takes. */
static void judge_network(struct codec_choice *c, const struct codec_sample *s, double waits)
{
	double bps, idle;
	bool paused;

	c->ran_dry |= waits <= 0 && s->backlog_bytes < DRY_BYTES;
	if (s->limit_bps)
		c->takes_bps = MIN(c->takes_bps, (double)s->limit_bps);
	c->looks++;
	c->idle += s->network_is_idle;
	if (s->now_ns >= c->since_ns && s->now_ns - c->since_ns < TRIAL_NS)
		return;
	bps = end_stretch(c, s->now_ns, &idle, &paused);
	if (bps > 0 && !paused)
		doubt_slowness(c, idle);
	if (c->now > EFFORT_LZ4 && bps > 0 && (paused || idle > IDLE_PART))
		do_less(c, bps, idle, s->now_ns);
	if (bps <= 0 || paused || idle > BUSY_PART)
		return;
	c->takes_bps = MAX(c->takes_bps * FADING, bps);
	if (note_leaves(c, bps) && c->now > EFFORT_LZ4 && !is_worth_it(c))
		give_up(c, s->now_ns);
	else if (!s->peer_is_slow)
		follow_network(c, s->now_ns);
}

/* Gives up efforts that are expensive for a slow peer to unpack. */
static void spare_peer(struct codec_choice *c, uint64_t now_ns)
{
	if (!c->peer_slow_ns)
		c->peer_slow_ns = now_ns;
	if (now_ns - c->peer_slow_ns < PEER_NS)
		return;
	if (c->now > EFFORT_LZ4)
		use(c, (enum codec_effort)(c->now - 1), now_ns);
	c->peer_slow_ns = now_ns;
}

/* Chooses between LZ4 and no compression: on a fast network a mixture of both is best. */
static void judge_backlog(struct codec_choice *c, const struct codec_sample *s, double waits)
{
	double drain = c->channel[s->channel].drain_bps, window_s = (double)s->window_bytes / drain;
	double up = MIN(UP_S, UP_PART * window_s), down = MIN(DOWN_S, DOWN_PART * window_s);
	bool rises = waits >= c->waited_s, falls = waits <= c->waited_s, quick = waits < DRY_PART * down;
	enum codec_effort least = is_slow(c) ? EFFORT_LZ4 : EFFORT_NONE;

	if (c->now > EFFORT_LZ4 || (c->batches < STAY_BATCHES && !quick))
		return;
	if (c->network_waits)
		c->now = least;
	c->batches = 0;
	c->waited_s = waits;
	if (!c->network_waits && rises && (waits > up || (s->window_was_full && waits > down)))
		c->now = EFFORT_LZ4;
	else if (waits < down && (falls || quick))
		c->now = least;
}

enum codec_effort codec_choice_step(struct codec_choice *c, const struct codec_sample *s)
{
	double waits;

	note_left(c, s);
	c->batches++;
	if (c->channel[s->channel].drain_bps <= 0)
		return c->now;
	waits = waits_s(c, s->now_ns);
	judge_network(c, s, waits);
	if (s->peer_is_slow) {
		spare_peer(c, s->now_ns);
	} else {
		c->peer_slow_ns = 0;
		judge_backlog(c, s, waits);
	}
	return c->now;
}
