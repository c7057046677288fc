/*
 * move-estimate.c: what a move would cost, measured for `vmferry check`: the link by frames that are there to be acknowledged,
 * the guest by QEMU's own sampling of its dirty pages. Takes about two seconds and changes nothing.
 */
#include "move.h"
#include "process.h"
#include "util.h"

#include <errno.h>
#include <string.h>

#define FRAME_BYTES  (256 * KIB)
#define PROBE_MIN    (64 * KIB)
#define PROBE_MAX    (4 * MIB)
#define PROBE_MS     600
#define ROUND_TRIPS  5
#define SILENCE_MS   60000
#define SAMPLE_S     1
#define SAMPLE_MS    10000
#define SAMPLES	     8192  /* pages looked at in all, within what QEMU accepts per GiB (qapi/migration.json) */
#define SAMPLES_MIN  512
#define SAMPLES_MAX  16384
#define LAST_PASS_S  0.05 /* so long does a pass over little memory take at least */

static int wait_acknowledged(struct move *m, struct err *e)
{
	uint64_t until = now_ns() + SILENCE_MS * 1000000ULL;

	while (!channel_idle(m->control)) {
		if (!channel_open(m->control) || now_ns() > until)
			return err_set(e, ETIMEDOUT, "the destination does not acknowledge what is sent");
		if (loop_step(m->loop, 100, e))
			return -e->code;
	}
	return 0;
}

/* The shortest of some round trips, in milliseconds. */
static int measure_round_trip(struct move *m, double *best_ms, struct err *e)
{
	unsigned i;

	*best_ms = 1e9;
	for (i = 0; i < ROUND_TRIPS; i++) {
		uint64_t t0 = now_ns();

		channel_post(m->control, MSG_PROBE, "", 0);
		if (wait_acknowledged(m, e))
			return -e->code;
		*best_ms = MIN(*best_ms, (double)(now_ns() - t0) / 1e6);
	}
	return 0;
}

static int send_and_wait(struct move *m, uint64_t bytes, struct err *e)
{
	uint8_t *p;

	while (bytes) {
		uint64_t n = MIN(bytes, FRAME_BYTES);

		p = channel_begin(m->control, n);
		if (!p) { /* more than the window: never, with PROBE_MAX */
			if (wait_acknowledged(m, e))
				return -e->code;
			continue;
		}
		memset(p, 0, n);
		channel_commit(m->control, MSG_PROBE, n);
		bytes -= n;
	}
	return wait_acknowledged(m, e);
}

/* More and more at a time, so that a slow link is not blocked for long and a fast one is filled: the best of it. */
static int measure_link(struct move *m, double *bps, struct err *e)
{
	uint64_t begin = now_ns(), bytes = PROBE_MIN;

	*bps = 0;
	while (now_ns() - begin < PROBE_MS * 1000000ULL) {
		uint64_t t0 = now_ns(), took;

		if (send_and_wait(m, bytes, e))
			return -e->code;
		took = MAX(now_ns() - t0, 1);
		*bps = MAX(*bps, (double)bytes * 1e9 / (double)took);
		if (took < PROBE_MS * 1000000ULL / 6)
			bytes = MIN(2 * bytes, PROBE_MAX);
	}
	return 0;
}

/* Bytes per second that the guest writes to; 0 when QEMU cannot tell, or the guest is paused. */
static double measure_dirty(struct move *m)
{
	uint64_t until = now_ns() + SAMPLE_MS * 1000000ULL;
	uint64_t per_gib = MAX(SAMPLES_MIN, MIN(SAMPLES_MAX, SAMPLES * GIB / MAX(m->guest.ram_bytes, MIB)));
	const char *status = "measuring";
	json_t *info = NULL;
	double rate = 0;
	struct err e;

	if (!m->was_running || qmp_call(m->qmp, "calc-dirty-rate", json_pack("{s:i,s:I}", "calc-time", SAMPLE_S, "sample-pages", (json_int_t)per_gib), NULL, &e))
		return 0;
	while (now_ns() < until) {
		uint64_t pause = now_ns() + 100000000ULL;

		while (now_ns() < pause)
			if (loop_step(m->loop, 20, &e))
				return 0;
		if (qmp_call(m->qmp, "query-dirty-rate", NULL, &info, &e))
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

int move_estimate(struct move *m, struct err *e)
{
	uint64_t ram = process_resident_bytes(m->guest.pid), disks = 0;
	double bps = 0, round_trip_ms = 0, dirty, growth, downtime;
	unsigned i;

	if (measure_round_trip(m, &round_trip_ms, e) || measure_link(m, &bps, e))
		return -e->code;
	if (m->opt->bwlimit)
		bps = MIN(bps, (double)m->opt->bwlimit);
	dirty = measure_dirty(m);
	ram = ram ? MIN(ram, m->guest.ram_bytes) : m->guest.ram_bytes;
	for (i = 0; i < m->disk_count; i++)
		disks += m->disks[OBJECT_DISK_BASE + i].guest->allocated;
	growth = dirty < 0.9 * bps ? 1 / (1 - dirty / bps) : 10; /* of RAM: what is written while it is copied is copied again */
	downtime = converge_fixed_ms(round_trip_ms) + dirty * LAST_PASS_S / bps * 1000;
	report_emit(&m->report,
		    json_pack("{s:s,s:f,s:f,s:f,s:I,s:I,s:I,s:f,s:f,s:b}", "event", "estimate", "link_bps", bps, "round_trip_ms",
			      round_trip_ms, "dirty_bps", dirty, "ram_bytes", (json_int_t)ram, "disk_bytes", (json_int_t)disks, "bytes",
			      (json_int_t)((double)disks + (double)ram * growth), "total_s",
			      ((double)disks + (double)ram * growth) / bps, "downtime_ms", downtime, "converges",
			      dirty < 0.9 * bps || downtime <= m->opt->max_downtime_ms));
	return 0;
}
