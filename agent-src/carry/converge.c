/* converge.c: see converge.h. */
#include "converge.h"
#include "util.h"

#define PASSES_WITHOUT_GAIN 6
/* time that must pass, too: near the end QEMU passes a thousand times a second, while a disk's round is carried */
#define WITHOUT_GAIN_MS 2000.0
#define GAIN		0.95 /* less than this of the best so far counts as better */
#define FIXED_MS	25.0 /* stop, last disk round, device state, load, cont: measured 20 to 30 where nobody else is busy */
#define BUSY_MS		15.0 /* more of it, for each thread of others that waits for a processor: measured 12 to 18 with 3 to 10 beside 2 */
#define URGENT_FIXED_MS 14.0 /* FIXED_MS where our threads come before those of others (urgent.h): measured 9 to 20 with nobody else */
#define URGENT_BUSY_MS                                                                                                                     \
	0.75 /* BUSY_MS then: measured 0 to 1 with 8 threads that only compute beside 2 processors, 1 to 7 with 7 to 17 of tests */
#define LIBVIRT_MS	20.0 /* libvirt there takes the guest over: measured 8 to 21, and its QEMU has more devices to load */
#define LIBVIRT_BUSY_MS 8.0  /* BUSY_MS of libvirt, which waits for others though we do not */
#define ROUND_TRIPS	3    /* measured as 3.0 at 50, 100 and 200 ms */
#define LEFT_SHARE	0.25 /* share of the limit that what is left may take where the rest takes nearly all of it, or more */
#define LITTLE_MS	4.0
#define MOMENT_MS	200

void converge_init(struct converge *c, double max_downtime_ms)
{
	*c = (struct converge){.max_downtime_ms = max_downtime_ms, .limit_ms = max_downtime_ms, .best_ms = -1};
}

static double stretch(const struct converge_fixed *f)
{
	return MAX(f->stretch, 1.0);
}

double converge_recheck_ms(const struct converge_fixed *f)
{
	return f->recheck_ms * (f->urgent ? 1 : stretch(f));
}

double converge_busy(const struct converge_fixed *f)
{
	return MAX(stretch(f) - 1, f->busy_there);
}

double converge_fixed_ms(const struct converge_fixed *f)
{
	double fixed_ms = f->urgent ? URGENT_FIXED_MS + URGENT_BUSY_MS * converge_busy(f) : FIXED_MS + BUSY_MS * converge_busy(f);

	if (f->libvirts)
		fixed_ms += LIBVIRT_MS + LIBVIRT_BUSY_MS * converge_busy(f);
	return fixed_ms + ROUND_TRIPS * f->round_trip_ms + f->journals_ms + converge_recheck_ms(f);
}

/* 0 if no rate is known. */
static double ms_of(uint64_t bytes, double bps)
{
	return bps > 0 ? (double)bytes / bps * 1000 : 0;
}

/* A rate shows only while there is something to carry: a guest that writes nothing at all has none, and needs none. */
static bool lacks_rate(const struct converge_sample *s)
{
	return s->rate_bps <= 0 && s->ram_left + s->disk_left + s->queue_left > 0;
}

static double left_ms(const struct converge_sample *s)
{
	return lacks_rate(s) ? 1e9 : ms_of(s->ram_left + s->disk_left, s->rate_bps);
}

static double queue_ms(const struct converge_sample *s)
{
	/* everything is on its way for a round trip, however little there is: that time is in the fixed part */
	double wire_ms = ms_of(s->wire_left, s->wire_bps) - s->fixed.round_trip_ms;

	return ms_of(s->queue_left, s->rate_bps) + MAX(wire_ms, 0.0);
}

bool converge_is_dry(const struct converge *c)
{
	return c->queue_ms <= LITTLE_MS;
}

static void predict(struct converge *c, const struct converge_sample *s)
{
	double fixed_ms = converge_fixed_ms(&s->fixed), left = left_ms(s);

	c->fixed = s->fixed;
	c->queue_ms = queue_ms(s);
	c->predicted_ms = fixed_ms + left + c->queue_ms;
	c->dry_ms = fixed_ms + left + c->queue_ms * (s->rate_bps > 0 ? MIN(s->dirty_bps / s->rate_bps, 1.0) : 1.0);
	c->limit_ms = MAX(c->max_downtime_ms, fixed_ms + LEFT_SHARE * c->max_downtime_ms); /* no waiting makes it shorter */
}

/* A guest that writes little is worth a moment more: what is left would only be carried while it stands still. */
static bool worth_waiting(struct converge *c, const struct converge_sample *s)
{
	if (!c->within)
		c->within_ms = s->now_ms;
	c->within = true;
	return left_ms(s) > LITTLE_MS && s->dirty_bps < s->rate_bps * CONVERGE_CALM &&
	       s->now_ms - c->within_ms < 4 * c->max_downtime_ms + MOMENT_MS;
}

enum converge_verdict converge_step(struct converge *c, const struct converge_sample *s)
{
	predict(c, s);
	if (s->pass < 2 || lacks_rate(s))
		return CONVERGE_GO_ON;
	if (c->dry_ms <= c->limit_ms)
		return worth_waiting(c, s) ? CONVERGE_GO_ON : CONVERGE_SWITCH;
	if (c->best_ms < 0 || c->dry_ms < c->best_ms * GAIN) {
		c->best_ms = c->dry_ms;
		c->best_pass = s->pass;
		c->best_at_ms = s->now_ms;
	}
	if (s->pass < c->best_pass + PASSES_WITHOUT_GAIN || s->now_ms < c->best_at_ms + WITHOUT_GAIN_MS)
		return CONVERGE_GO_ON;
	return CONVERGE_STALLED;
}
