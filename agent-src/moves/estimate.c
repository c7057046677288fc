/*
 * estimate.c: what a move would cost, measured for `vmferry check`: the link by frames that are there to be acknowledged,
 * the guest by QEMU's own sampling of its dirty pages, at the same time. Takes about two seconds and changes nothing.
 *
 * A link that is shaped lets a burst pass at another rate, some MiB of it, and TCP needs a moment to fill one that is long. So it
 * is kept full for SETTLE_MS and some round trips, and what then arrives at the destination in MEASURE_MS counts: from one
 * acknowledgement to another.
 */
#include "transfer.h"
#include "process.h"
#include "util.h"

#include <errno.h>
#include <string.h>

#define FRAME_SMALL   (64 * KIB) /* a few milliseconds of a slow link */
#define FRAME_LARGE   (512 * KIB)
#define QUICK_BYTES   (32 * MIB) /* from so much on, frames are large */
#define ON_WAY_MIN    (256 * KIB)
#define ON_WAY_MAX    (7 * MIB) /* less than the channel's window */
#define ON_WAY_MS     100	/* so much of the link's time is on the way, twice over: it stays full */
#define SETTLE_MS     500
#define SETTLE_TRIPS  10 /* and so many round trips */
#define SETTLE_MAX_MS 2000
#define MEASURE_MS    1200
#define ROUND_TRIPS   5
#define SILENCE_MS    60000
#define SAMPLE_S      1
#define SAMPLE_MS     10000
#define SAMPLES	      8192 /* pages looked at in all, within what QEMU accepts per GiB (qapi/migration.json) */
#define SAMPLES_MIN   512
#define SAMPLES_MAX   16384
#define LAST_PASS_S   0.05 /* so long does a pass over little memory take at least */

static int wait_acknowledged(struct transfer *t, struct err *e)
{
	uint64_t until = now_ns() + SILENCE_MS * 1000000ULL;

	while (!channel_idle(t->a.control)) {
		if (!channel_open(t->a.control) || now_ns() > until)
			return err_set(e, ETIMEDOUT, "the destination does not acknowledge what is sent");
		if (loop_step(t->a.loop, 100, e))
			return -e->code;
	}
	return 0;
}

/* The shortest of some round trips, in milliseconds. */
static int measure_round_trip(struct transfer *t, double *best_ms, struct err *e)
{
	unsigned i;

	*best_ms = 1e9;
	for (i = 0; i < ROUND_TRIPS; i++) {
		uint64_t t0 = now_ns();

		channel_post(t->a.control, MSG_PROBE, "", 0);
		if (wait_acknowledged(t, e))
			return -e->code;
		*best_ms = MIN(*best_ms, (double)(now_ns() - t0) / 1e6);
	}
	return 0;
}

struct link_meter {
	uint64_t begin_ns, sent;	    /* bytes of all frames */
	uint64_t acked, acked_ns;	    /* as the last acknowledgement had it */
	uint64_t from, from_ns;		    /* when it had settled */
	uint64_t lately, lately_ns, on_way; /* acked a while ago, and what that allows to be on the way */
	uint64_t while_ns, settle_ns;
};

static void send_frames(struct transfer *t, struct link_meter *k)
{
	size_t n = k->acked < QUICK_BYTES ? FRAME_SMALL : FRAME_LARGE;
	uint8_t *p;

	while (k->sent - k->acked < k->on_way && (p = channel_begin(t->a.control, n))) {
		memset(p, 0, n);
		channel_commit(t->a.control, MSG_PROBE, n);
		k->sent += n;
	}
}

static void note_acknowledged(struct transfer *t, struct link_meter *k)
{
	uint64_t now = now_ns(), unacked = channel_bytes_unacked(t->a.control), acked = k->sent - MIN(k->sent, unacked);

	if (acked > k->acked) {
		k->acked = acked;
		k->acked_ns = now;
		if (!k->from_ns && now - k->begin_ns >= k->settle_ns) {
			k->from = acked;
			k->from_ns = now;
		}
	}
	k->on_way = MAX(k->on_way, MIN(2 * (acked - k->lately) + ON_WAY_MIN, ON_WAY_MAX));
	if (now - k->lately_ns >= k->while_ns) {
		k->on_way = MAX(ON_WAY_MIN, MIN(2 * (acked - k->lately), ON_WAY_MAX));
		k->lately = acked;
		k->lately_ns = now;
	}
}

static int measure_link(struct transfer *t, double round_trip_ms, double *bps, struct err *e)
{
	struct link_meter k = {.begin_ns = now_ns(), .on_way = ON_WAY_MIN};

	k.lately_ns = k.begin_ns;
	k.while_ns = (uint64_t)((ON_WAY_MS + round_trip_ms) * 1e6);
	k.settle_ns = (uint64_t)((SETTLE_MS + MIN(SETTLE_TRIPS * round_trip_ms, SETTLE_MAX_MS)) * 1e6);
	while (now_ns() - k.begin_ns < k.settle_ns + MEASURE_MS * 1000000ULL) {
		if (!channel_open(t->a.control))
			return err_set(e, EPIPE, "the connection to the destination broke while the link was measured");
		send_frames(t, &k);
		if (loop_step(t->a.loop, 10, e))
			return -e->code;
		note_acknowledged(t, &k);
	}
	if (wait_acknowledged(t, e))
		return -e->code;
	if (k.from_ns && k.acked > k.from) {
		*bps = (double)(k.acked - k.from) * 1e9 / (double)(k.acked_ns - k.from_ns);
	} else { /* so slow that all of it is but a few frames */
		*bps = (double)k.sent * 1e9 / (double)(now_ns() - k.begin_ns);
	}
	return 0;
}

static bool dirty_begin(struct transfer *t)
{
	uint64_t per_gib = MAX(SAMPLES_MIN, MIN(SAMPLES_MAX, SAMPLES * GIB / MAX(t->src.guest.ram_bytes, MIB)));
	struct err e;

	return t->src.was_running &&
	       !qmp_call(t->src.qmp, "calc-dirty-rate", json_pack("{s:i,s:I}", "calc-time", SAMPLE_S, "sample-pages", (json_int_t)per_gib),
			 NULL, &e);
}

/* Bytes per second that the guest writes to; 0 when QEMU cannot tell. */
static double dirty_result(struct transfer *t)
{
	uint64_t until = now_ns() + SAMPLE_MS * 1000000ULL;
	const char *status = "measuring";
	json_t *info = NULL;
	double rate = 0;
	struct err e;

	while (now_ns() < until) {
		uint64_t pause = now_ns() + 100000000ULL;

		while (now_ns() < pause)
			if (loop_step(t->a.loop, 20, &e))
				return 0;
		if (qmp_call(t->src.qmp, "query-dirty-rate", NULL, &info, &e))
			return 0;
		status = json_string_value(json_object_get(info, "status"));
		rate = json_number_value(json_object_get(info, "dirty-rate")) * MIB;
		if (!status || !strcmp(status, "measured"))
			break;
		json_decref(info);
		info = NULL;
	}
	if (!info)
		return 0;
	json_decref(info);
	return rate > 0 ? rate : 0;
}

int estimate(struct transfer *t, struct err *e)
{
	uint64_t ram = process_resident_bytes(t->src.guest.pid), disks = disks_allocated(&t->disks);
	double bps = 0, round_trip_ms = 0, dirty, growth, downtime;
	bool sampling;

	if (measure_round_trip(t, &round_trip_ms, e))
		return -e->code;
	sampling = dirty_begin(t);
	if (measure_link(t, round_trip_ms, &bps, e))
		return -e->code;
	if (t->opt->bwlimit)
		bps = MIN(bps, (double)t->opt->bwlimit);
	dirty = sampling ? dirty_result(t) : 0;
	ram = ram ? MIN(ram, t->src.guest.ram_bytes) : t->src.guest.ram_bytes;
	growth = dirty < 0.9 * bps ? 1 / (1 - dirty / bps) : 10; /* of RAM: what is written while it is copied is copied again */
	downtime = converge_fixed_ms(round_trip_ms) + dirty * LAST_PASS_S / bps * 1000;
	report_emit(&t->report,
		    json_pack("{s:s,s:f,s:f,s:f,s:I,s:I,s:I,s:f,s:f,s:b}", "event", "estimate", "link_bps", bps, "round_trip_ms",
			      round_trip_ms, "dirty_bps", dirty, "ram_bytes", (json_int_t)ram, "disk_bytes", (json_int_t)disks, "bytes",
			      (json_int_t)((double)disks + (double)ram * growth), "total_s", ((double)disks + (double)ram * growth) / bps,
			      "downtime_ms", downtime, "converges", dirty < 0.9 * bps || downtime <= t->opt->max_downtime_ms));
	return 0;
}
