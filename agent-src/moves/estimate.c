/*
 * estimate.c: what a move would cost, measured for `vmferry check`: the link by frames that are there to be acknowledged,
 * the guest by QEMU's own sampling of its dirty pages, at the same time; then what it has in memory and on its disks by looking at some
 * of it (sample.h). What follows from all that is estimate-model.c's. Takes about two seconds and changes nothing.
 *
 * A link that is shaped lets a burst pass at another rate, some MiB of it, and TCP needs a moment to fill one that is long. So it
 * is kept full for SETTLE_MS and some round trips, and what then arrives at the destination in MEASURE_MS counts: from one
 * acknowledgement to another.
 */
#include "transfer.h"
#include "estimate-model.h"
#include "json-members.h"
#include "json-text.h"
#include "log.h"
#include "process.h"
#include "sample.h"
#include "util.h"

#include <errno.h>
#include <string.h>

#define PLACE_NS_MAX   1e6 /* larger values cannot be measurements */
#define STORE_BPS_MAX  1e15
#define QEMU_MS_MAX    1e5
#define READ_SINGLY    1.2	  /* factor: a move reads pages one by one, a sample in longer runs */
#define FRAME_SMALL    (64 * KIB) /* a few milliseconds of a slow link */
#define FRAME_LARGE    (512 * KIB)
#define QUICK_BYTES    (32 * MIB) /* frames are large once so many bytes were acknowledged */
#define ON_WAY_MIN     (256 * KIB)
#define ON_WAY_MAX     (7 * MIB) /* less than the channel's window */
#define ON_WAY_MS      100	 /* data in flight: so much of the link's time, twice, which keeps the link full */
#define SETTLE_MS      500
#define SETTLE_TRIPS   10 /* plus so many round trips */
#define SETTLE_MAX_MS  2000
#define MEASURE_MS     1200
#define ROUND_TRIPS    5
#define SILENCE_MS     60000
#define SAMPLE_S       1
#define SAMPLE_MS      10000
#define SAMPLES	       8192 /* pages looked at in all, within what QEMU accepts per GiB (qapi/migration.json) */
#define SAMPLES_MIN    512
#define SAMPLES_MAX    16384
#define LAST_ROUND     (8.0 * MIB) /* last round of the disks while a guest shuts down, as in warm.c */
#define QEMU_STARTS_MS 300
#define LAST_PASS_S    0.05 /* minimum duration of a pass over memory */

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
	*best_ms = 1e9;
	for (unsigned i = 0; i < ROUND_TRIPS; i++) {
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
	uint64_t acked, acked_ns;	    /* bytes acknowledged, and the time of the last acknowledgement */
	uint64_t from, from_ns;		    /* bytes, and time, at which the rate had settled */
	uint64_t lately, lately_ns, on_way; /* acked a while ago; limit of data in flight that follows from it */
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
	} else { /* a link so slow that only a few frames were sent */
		*bps = (double)k.sent * 1e9 / (double)(now_ns() - k.begin_ns);
	}
	return 0;
}

static bool dirty_begin(struct transfer *t)
{
	uint64_t per_gib = MAX(SAMPLES_MIN, MIN(SAMPLES_MAX, SAMPLES * GIB / MAX(t->src.guest.ram_bytes, MIB)));
	struct err e;

	return t->src.run.was_running && t->src.traits.carries_memory && !t->src.traits.stops_first &&
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

/* ---- what there is ---- */

static void look_at_disks(struct sampler *s, const struct disks *ds)
{
	struct sample_file files[OBJECT_DISK_MAX + 1];
	unsigned i, n = 0;

	for (i = 0; i < ds->count; i++) {
		const struct guest_disk *g = ds->list[i]->guest;
		bool plain = !strcmp(g->format, "raw") || (!strcmp(g->format, "qcow2") && !g->lacks.encrypted && !g->lacks.data_file);

		if (ds->list[i]->by_word)
			continue;
		files[n++] = (struct sample_file){.path = g->real_path, .allocated = g->allocated, .readable = plain};
	}
	sample_disks(s, files, n);
}

/* True if the guest has memory: it runs or is paused. */
static bool is_running(const struct transfer *t)
{
	return t->src.qmp != NULL;
}

/* -errno: memory cannot be read, *e says why. */
static int look_at_memory(struct transfer *t, struct sampler *s, struct err *e)
{
	struct seed_block blocks[SEED_BLOCKS_MAX];
	unsigned count;
	int r = is_running(t) ? ram_readable_blocks(&t->ram, blocks, &count, e) : err_set(e, ENOENT, "the guest is shut down");

	if (!r && !count)
		r = err_set(e, ENOTSUP, "this QEMU does not tell where it has the guest's memory");
	return r ?: sample_memory(s, t->src.guest.pid, blocks, count, e);
}

static void contents_of(struct model_contents *c, const struct sample_of *of)
{
	c->zero = of->looked_at ? (double)of->zero / (double)of->looked_at : 0;
	for (unsigned i = 0; i < CODEC_EFFORTS && of->tried; i++) {
		c->packed[i] = (double)of->packed[i] / (double)of->tried;
		c->pack_ns[i] = (double)of->pack_ns[i] / (double)of->tried;
		c->unpack_ns[i] = of->unpacked[i] ? (double)of->unpack_ns[i] / (double)of->unpacked[i] : 0;
	}
	c->packed[EFFORT_NONE] = 1;
}

/* Contents that were not sampled are taken to compress as the other kind does. */
static void contents_as(struct model_contents *c, const struct model_contents *other)
{
	memcpy(c->packed, other->packed, sizeof(c->packed));
	memcpy(c->pack_ns, other->pack_ns, sizeof(c->pack_ns));
	memcpy(c->unpack_ns, other->unpack_ns, sizeof(c->unpack_ns));
}

/* True if a move would look for seeds: see copy.c, ram.c. */
static bool wants_seeds(const struct transfer *t)
{
	return is_running(t) && t->src.traits.carries_memory && !t->opt->carry.no_dedup && t->opt->carry.ram_mode != RAM_WISH_OPAQUE &&
	       disks_allocated(&t->disks) >= t->src.guest.ram_bytes / SEEDS_WORTH;
}

/* A number from the peer, if plausible; else 0: not known. */
static double told(const struct transfer *t, const char *name, double least, double most)
{
	double n = json_number_value(json_object_get(t->told.plan, name));

	return n >= least && n <= most ? n : 0;
}

/* The guest's, and one for each image that is more than a file of zeros. */
static double qemus_started(const struct transfer *t)
{
	double n = 1;

	for (unsigned i = 0; i < t->disks.count; i++)
		n += is_running(t) && !t->disks.list[i]->begun && strcmp(t->disks.list[i]->guest->format, "raw") != 0;
	return n;
}

static void destination(const struct transfer *t, struct model_input *in)
{
	json_int_t there = json_integer_value(json_object_get(t->told.plan, "processors"));
	const char *boot_there = json_text(t->told.plan, "boot_id");
	AUTO_FREE char *boot = boot_id();

	in->processors = own_processors();
	in->processors_there = there > 0 ? (double)there : in->processors;
	in->place_ns = told(t, "place_ns", 0, PLACE_NS_MAX);
	in->starts_s = told(t, "qemu_ms", 0, QEMU_MS_MAX) / 1000 * qemus_started(t);
	in->store_bps = told(t, "store_bps", 1, STORE_BPS_MAX);
	in->one_machine = boot && boot_there && !strcmp(boot, boot_there);
}

static void log_contents(const char *name, const struct model_contents *c)
{
	log_info("%s: %.0f bytes, %.3f zero; packed lz4 %.3f (%.2f ns, %.2f ns back), zstd %.3f (%.2f, %.2f), harder %.3f (%.2f, %.2f)",
		 name, c->bytes, c->zero, c->packed[EFFORT_LZ4], c->pack_ns[EFFORT_LZ4], c->unpack_ns[EFFORT_LZ4], c->packed[EFFORT_ZSTD],
		 c->pack_ns[EFFORT_ZSTD], c->unpack_ns[EFFORT_ZSTD], c->packed[EFFORT_ZSTD_HARD], c->pack_ns[EFFORT_ZSTD_HARD],
		 c->unpack_ns[EFFORT_ZSTD_HARD]);
}

/* Contents, and what it takes to carry them. *why: memory cannot be looked at. */
static void look(struct transfer *t, struct model_input *in, double *seeded_error, struct err *why)
{
	struct sampler *s = sampler_new(model_highest_effort(in->mode, in->link_bps));
	bool memory = !look_at_memory(t, s, why);
	uint64_t resident = process_resident_bytes(t->src.guest.pid);

	look_at_disks(s, &t->disks);
	sample_what_travels(s, wants_seeds(t));
	contents_of(&in->ram, sampled_memory(s));
	contents_of(&in->disks, sampled_disks(s));
	if (!sampled_memory(s)->tried)
		contents_as(&in->ram, &in->disks);
	if (!sampled_disks(s)->tried)
		contents_as(&in->disks, &in->ram);
	in->ram.bytes = (double)(memory	    ? sampled_memory(s)->bytes
				 : resident ? MIN(resident, t->src.guest.ram_bytes)
					    : t->src.guest.ram_bytes);
	in->disks.bytes = (double)disks_allocated(&t->disks);
	*seeded_error = 0;
	if (wants_seeds(t))
		in->seeded = sampled_seeds(s, seeded_error);
	in->read_ns = READ_SINGLY * sampled_read_ns(s);
	t->ram.recheck_ns = sampled_read_ns(s) * in->ram.bytes / (double)MAX(t->src.guest.ram_bytes, 1U);
	in->others = sampled_others(s);
	destination(t, in);
	sampler_free(s);
	log_contents("memory", &in->ram);
	log_contents("disks", &in->disks);
	log_info(
		"reading and hashing: %.3f ns a byte, placing there %.3f; storage there: %.0f bytes/s; %.0f processors here, %.1f others, %.0f there%s",
		in->read_ns, in->place_ns, in->store_bps, in->processors, in->others, in->processors_there,
		in->one_machine ? ", which are the same" : "");
}

/* ---- the estimate ---- */

static bool is_carried_faster(const struct model_input *in, const struct model_result *r)
{
	return in->dirty_bps < 0.9 * r->ram_bps;
}

/* Predicts the downtime of a live move. If passes do not become shorter, the last one carries at least what the guest wrote in the second
 * that was sampled. The cost of journals is unknown, as nothing was journaled yet. */
static double live_downtime_ms(const struct transfer *t, const struct model_input *in, const struct model_result *r, double round_trip_ms)
{
	double last_s = is_carried_faster(in, r) ? LAST_PASS_S : SAMPLE_S;
	struct converge_fixed fixed = switchover_takes(t);

	fixed.round_trip_ms = round_trip_ms;
	fixed.stretch = host_share_stretch(in->others, ram_recheck_threads(&t->ram), (unsigned)in->processors);
	fixed.urgent = t->blackout.urgent;
	return converge_fixed_ms(&fixed) + in->dirty_bps * last_s / r->ram_bps * 1000;
}

static bool converges(const struct transfer *t, const struct model_input *in, const struct model_result *r, double downtime_ms)
{
	return is_carried_faster(in, r) || downtime_ms <= t->opt->stop.max_downtime_ms;
}

/* Predicts the downtime of a warm move without the guest's shutdown and boot: its last writes, and the start of a QEMU. */
static double warm_downtime_ms(const struct model_input *in)
{
	return LAST_ROUND / in->link_bps * 1000 + QEMU_STARTS_MS;
}

/* away_ms: negative: nobody misses it. */
static void add_kind(json_t *kinds, const char *how, const struct model_result *r, double away_ms, bool proposed, const char *why)
{
	json_t *kind = json_pack("{s:s,s:f,s:I,s:b,s:s}", "how", how, "total_s", r->seconds, "bytes_wire", (json_int_t)r->wire_bytes,
				 "proposed", proposed, "why", why);

	if (away_ms >= 0)
		json_object_set_new(kind, "away_ms", json_real(away_ms));
	json_array_append_new(kinds, kind);
}

/* Costs of each kind of move for a guest that can move live. */
static json_t *kinds_of(const struct transfer *t, const struct model_input *in, double round_trip_ms)
{
	struct model_input stopped = *in, shut_down;
	json_t *kinds = json_array();
	struct model_result r;
	double away_ms;
	bool live;

	stopped.dirty_bps = 0;
	shut_down = stopped;
	shut_down.ram.bytes = shut_down.seeded = 0;
	model_estimate(in, &r);
	if (t->src.run.paused) { /* no other kind is shorter for a paused guest, and it cannot shut down */
		add_kind(kinds, "live", &r, -1, true, "it is paused, and stays so there");
		return kinds;
	}
	away_ms = live_downtime_ms(t, in, &r, round_trip_ms);
	live = converges(t, in, &r, away_ms);
	add_kind(kinds, "live", &r, away_ms, live, live ? "it runs on meanwhile" : "it writes faster than can be carried (see --on-stall)");
	model_estimate(&stopped, &r);
	add_kind(kinds, "quick", &r, r.seconds * 1000, !live, "it is stopped, sent once, and goes on there (--how quick)");
	if (t->disks.uncopied.stays) /* shared disks need a guest that runs on both sides */
		return kinds;
	model_estimate(&shut_down, &r);
	if (t->opt->cold.as != AS_PLAIN && !guest_is_libvirts(&t->src.guest)) /* they go live, quick or cold */
		add_kind(kinds, "warm", &r, warm_downtime_ms(&shut_down), false,
			 "its disks go while it runs, then it reboots there (--how warm)");
	add_kind(kinds, "cold", &r, r.seconds * 1000, false, "its memory does not travel (--how cold)");
	return kinds;
}

static json_t *event(const struct transfer *t, const struct model_input *in, double round_trip_ms)
{
	static const char *const limits[] =
		{[LIMITED_BY_LINK] = "link", [LIMITED_BY_PROCESSORS] = "processors", [LIMITED_BY_STORAGE] = "storage"};
	struct model_result r;
	double downtime_ms, least, most;

	model_estimate(in, &r);
	model_wire_range(in, &least, &most);
	downtime_ms = t->src.traits.stops_first			      ? r.seconds * 1000
		      : t->src.traits.boots_after		      ? warm_downtime_ms(in)
		      : t->src.traits.carries_memory && is_running(t) ? live_downtime_ms(t, in, &r, round_trip_ms)
								      : 0;
	return json_of(MEMBER_REAL("link_bps", in->link_bps), MEMBER_REAL("round_trip_ms", round_trip_ms),
		       MEMBER_REAL("dirty_bps", in->dirty_bps), MEMBER_COUNT("ram_bytes", in->ram.bytes),
		       MEMBER_COUNT("disk_bytes", in->disks.bytes), MEMBER_COUNT("bytes", in->disks.bytes + in->ram.bytes + r.again),
		       MEMBER_COUNT("bytes_carried", r.carried), MEMBER_COUNT("bytes_wire", r.wire_bytes),
		       MEMBER_COUNT("bytes_wire_least", least), MEMBER_COUNT("bytes_wire_most", most),
		       MEMBER_TEXT("limited_by", limits[r.limited_by]), MEMBER_REAL("total_s", r.seconds),
		       MEMBER_REAL("downtime_ms", downtime_ms),
		       MEMBER_FLAG("converges", !is_running(t) || t->src.traits.stops_first || converges(t, in, &r, downtime_ms)));
}

/* Blocks that are there already are told by hashes, which only a move reads. */
static bool has_old_copy(const struct disks *ds)
{
	for (unsigned i = 0; i < ds->count; i++)
		if (ds->list[i]->begun || ds->list[i]->old)
			return true;
	return false;
}

int estimate(struct transfer *t, struct err *e)
{
	struct model_input in = {.mode = t->opt->carry.codec,
				 .channels = t->opt->carry.channels,
				 .encrypted = t->dest.tls || t->dest.kind == DEST_SSH};
	double round_trip_ms = 0, seeded_error;
	struct err why = {0};
	bool sampling;
	json_t *ev;

	if (measure_round_trip(t, &round_trip_ms, e))
		return -e->code;
	sampling = dirty_begin(t);
	if (measure_link(t, round_trip_ms, &in.link_bps, e))
		return -e->code;
	in.link_bps = MAX(in.link_bps, 1);
	if (t->opt->carry.bwlimit)
		in.link_bps = MIN(in.link_bps, (double)t->opt->carry.bwlimit);
	look(t, &in, &seeded_error, &why);
	in.dirty_bps = sampling ? dirty_result(t) : 0;
	if (!t->src.traits.carries_memory)
		in.ram.bytes = 0;
	ev = event(t, &in, round_trip_ms);
	json_object_set_new(ev, "zero", json_real(in.ram.zero));
	json_object_set_new(ev, "seeded", json_real(in.seeded));
	json_object_set_new(ev, "seeded_error", json_real(seeded_error));
	if (in.store_bps > 0)
		json_object_set_new(ev, "store_bps", json_real(in.store_bps));
	if (has_old_copy(&t->disks))
		json_object_set_new(ev, "old_copy_not_counted", json_true());
	if (t->src.run.paused && t->src.traits.carries_memory)
		json_object_set_new(ev, "paused", json_true());
	if (t->src.traits.carries_memory && !t->src.traits.stops_first) {
		json_object_set_new(ev, "max_downtime_ms", json_integer(t->opt->stop.max_downtime_ms));
		json_object_set_new(ev, "kinds", kinds_of(t, &in, round_trip_ms));
	}
	if (why.code && is_running(t))
		json_object_set_new(ev, "memory_not_sampled", json_string(why.msg));
	life_emit(&t->life, "estimate", ev);
	return 0;
}
