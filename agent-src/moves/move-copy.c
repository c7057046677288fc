/*
 * move-copy.c: the long part. Disks first, in rounds; RAM when what is left of the disks is small; then both together
 * until the predicted blackout fits, or the user decides, or it is clear that it never will.
 */
#include "move-private.h"
#include "fault.h"
#include "log.h"
#include "process.h"
#include "qemu-migration.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define TICK_MS		 25
#define GLANCE_MS	 5 /* towards the end it is noticed so soon that what is left fits */
#define MEASURE_TICKS	 4  /* rates are taken over so many */
#define SECOND_TICKS	 (1000 / TICK_MS)
#define HOLD_CYCLE_TICKS SECOND_TICKS /* while held, QEMU is read for MEASURE_TICKS of so many: enough to stay converged */
#define DISK_ROUNDS_ALONE 4 /* more of them without RAM bring nothing */
#define DISK_SMALL	 (64 * MIB)
#define DISK_WORTH_A_ROUND (8 * MIB)
#define DISK_PRE_ROUND	 (256 * KIB)
#define NEARLY_THERE_S	 0.1
#define NO_LONGER_FITS	 1.2 /* times the limit: what was decided is taken back */

/* ---- RAM ---- */

static void capture_told(void *ctx, enum capture_event what, const struct err *why)
{
	struct move *m = ctx;
	struct event *ev = event_new(EVENT_WORKER, WORD_CAPTURE, &what, sizeof(what));

	if (why)
		ev->err = *why;
	move_tell(m, ev);
}

int move_note_migration(struct move *m, bool ours, struct err *e)
{
	json_t *detail = json_pack("{s:b}", "ours", ours);
	int r = journal_note(m->journal, "migration", detail, e);

	json_decref(detail);
	m->ram.started = ours;
	return r;
}

static int start_ram(struct move *m, struct err *e)
{
	struct capture_config cfg = {.socket_path = m->migrate_socket,
				     .mode = m->opaque ? RAM_MODE_OPAQUE : RAM_MODE_PAGES,
				     .multifd = m->multifd,
				     .senders = m->senders,
				     .sender_count = m->opaque ? m->streams : m->channels,
				     .shared = &m->shared,
				     .keeper = m->guard.fd,
				     .event = capture_told,
				     .ctx = m};
	struct err why;
	AUTO_FREE char *uri = xasprintf("unix:%s", m->migrate_socket);
	int r = autostart_hold(&m->autostart, m->journal, e);

	if (!r)
		r = move_check_capabilities(m, e);
	if (!r)
		r = capture_start(&m->capture, &cfg, e);
	if (!r)
		r = move_note_migration(m, true, e);
	if (r)
		return r;
	fault_point("src-migrate");
	m->rate_at_ns = 0;
	r = qemu_migration_begin(m->qmp, m->loop, uri, e);
	if (r == -EREMOTEIO) /* refused: if one is under way it is somebody else's */
		move_note_migration(m, false, &why);
	return r;
}

static uint64_t wire_left(const struct move *m)
{
	uint64_t bytes = 0;
	unsigned i;

	for (i = 0; i < m->channels; i++)
		bytes += sender_unacked_bytes(m->senders[i]);
	return bytes;
}

/* The disks are read and all but there: while the destination brings them to stable storage, RAM has the link. But a QEMU that does not
 * wait for our acknowledgement may stop the guest whenever it likes, and that would wait for the disks then. */
static bool time_for_ram(struct move *m)
{
	uint64_t small = MAX(DISK_SMALL, m->guest.ram_bytes / 16);
	unsigned i, round = 0;

	if (m->ram.started || !(m->has_ack ? disks_read(m) : disks_idle(m)) || (double)wire_left(m) > m->best_wire_bps * NEARLY_THERE_S)
		return false;
	for (i = 0; i < m->disk_count; i++)
		round = MAX(round, m->disks[OBJECT_DISK_BASE + i].round);
	return disks_left(m) < small || round >= DISK_ROUNDS_ALONE;
}

/* ---- measuring ---- */

/* What QEMU calls remaining is as of its last look at the dirty bitmap, at the beginning of the pass: what the guest has
 * written since comes on top. QEMU tells a rate only after a second; until then what the last pass left behind gives it. */
static void estimate_left(struct move *m, uint64_t remaining, uint64_t qemu_dirty_bps)
{
	double since = m->ram.pass_ns ? (double)(now_ns() - m->ram.pass_ns) / 1e9 : 0;

	if (qemu_dirty_bps)
		m->dirty_bps = (double)qemu_dirty_bps;
	else if (m->ram.query_pass > MAX(m->ram.pass, 1) && m->ram.pass_took_ns)
		m->dirty_bps = (double)remaining / (double)MAX(m->ram.pass_took_ns, MEASURE_TICKS * TICK_MS * 1000000ULL) * 1e9;
	m->ram.left = MIN(remaining + (uint64_t)(m->dirty_bps * since), MAX(remaining, m->ram.total));
}

static void on_query_migrate(void *arg, json_t *ret, const struct err *err)
{
	struct move *m = arg;
	json_t *ram = json_object_get(ret, "ram");

	m->ram.query_pending = false;
	if (err || !ram)
		return;
	m->ram.total = (uint64_t)json_integer_value(json_object_get(ram, "total"));
	estimate_left(m, (uint64_t)json_integer_value(json_object_get(ram, "remaining")),
		      (uint64_t)json_integer_value(json_object_get(ram, "dirty-pages-rate")) * PAGE_BYTES);
	m->ram.pass = m->ram.query_pass;
}

static void measure(struct move *m)
{
	uint64_t now = now_ns(), bytes = 0, wire = 0, done, left;
	double bps, seconds;
	unsigned i;

	for (i = 0; i < m->channels; i++)
		wire += sender_wire_bytes(m->senders[i]);

	if (m->capture)
		bytes = capture_bytes(m->capture);
	for (i = OBJECT_DISK_BASE; i < OBJECT_DISK_BASE + m->disk_count; i++) {
		disk_reader_progress(m->reader, i, &done, &left);
		bytes += done;
	}
	if (m->rate_at_ns) {
		seconds = (double)(now - m->rate_at_ns) / 1e9;
		bps = (double)(bytes - m->rate_bytes) / seconds;
		m->rate_bps = 0.7 * m->rate_bps + 0.3 * bps;
		/* what the path can do shows only while there is enough to carry: keep the best, let it fade slowly */
		m->best_rate_bps = MAX(bps, m->held ? m->best_rate_bps : 0.98 * m->best_rate_bps);
		m->best_wire_bps = MAX((double)(wire - m->rate_wire) / seconds, m->held ? m->best_wire_bps : 0.98 * m->best_wire_bps);
	}
	m->rate_at_ns = now;
	m->rate_bytes = bytes;
	m->rate_wire = wire;
	m->rss_anon_max = MAX(m->rss_anon_max, own_rss_anon());
}

static json_t *disk_progress(const struct move *m, const struct disk *d)
{
	const char *slash = strrchr(d->guest->real_path, '/');
	uint64_t done, left, whole;

	disk_reader_progress(m->reader, d->object, &done, &left);
	whole = d->round ? d->last_dirty : d->guest->allocated;
	return json_pack("{s:s,s:s,s:i,s:I,s:f}", "node", d->guest->node, "name", slash ? slash + 1 : d->guest->real_path,
			 "round", (int)d->round, "left", (json_int_t)(left + d->dirty), "percent",
			 whole > left ? 100.0 - 100.0 * (double)left / (double)whole : left ? 0.0 : 100.0);
}

void move_progress(struct move *m, bool second)
{
	static const char *const codec_names[] = {[CODEC_RAW] = "none", [CODEC_LZ4] = "lz4", [CODEC_ZSTD] = "zstd"};
	uint64_t left = disks_left(m) + (m->ram.started ? m->ram.left : m->guest.ram_bytes);
	json_t *disks = json_array();
	json_t *ev;
	unsigned i;

	for (i = OBJECT_DISK_BASE; i < OBJECT_DISK_BASE + m->disk_count; i++)
		json_array_append_new(disks, disk_progress(m, &m->disks[i]));
	ev = json_pack("{s:s,s:s,s:f,s:o,s:I,s:I,s:f,s:f,s:f,s:b,s:b}", "event", "progress", "stage", stage_names[m->con.stage], "t_ms",
		       (double)(now_ns() - m->begin_ns) / 1e6, "disks", disks, "left", (json_int_t)left, "disk_left", (json_int_t)disks_left(m), "rate_bps", m->rate_bps,
		       "dirty_bps", m->dirty_bps, "eta_s", m->rate_bps > 1e5 ? (double)left / m->rate_bps : 0.0, "held",
		       m->held, "second", second);
	json_object_set_new(ev, "codec", json_string(codec_names[__atomic_load_n(&m->shared.codec_now, __ATOMIC_RELAXED)]));
	if (m->ram.started) {
		json_object_set_new(ev, "ram_left", json_integer((json_int_t)m->ram.left));
		json_object_set_new(ev, "ram_round", json_integer((json_int_t)m->ram.pass));
		if (m->ram.pass > 1)
			json_object_set_new(ev, "predicted_downtime_ms", json_real(m->converge.predicted_ms));
	}
	report_emit(&m->report, ev);
}

/* ---- deciding ---- */

/* It no longer fits: copy on at full speed until it does again; held no more if that brings nothing. */
static void release_hold(struct move *m, enum converge_verdict verdict)
{
	m->held = verdict == CONVERGE_GO_ON;
	capture_stall(m->capture, false);
}

static void hold(struct move *m)
{
	if (!m->held) {
		m->held = true;
		report_notice(&m->report, "converged and held: the guest runs on here until you say: vmferry switch %s",
			      m->guest.name);
	}
	capture_stall(m->capture, m->ticks % HOLD_CYCLE_TICKS >= MEASURE_TICKS);
}

/* QEMU's auto-converge for the guest's CPUs; a limit on its writes where the disks are what does not converge. */
static int throttle(struct move *m, struct err *e)
{
	if (!m->throttled)
		qmp_send(m->qmp, "migrate-set-parameters", json_pack("{s:i}", "throttle-trigger-threshold", 5), QMP_DEADLINE_MS,
			 NULL, NULL);
	m->throttled = true;
	if (m->disks_throttled || disks_left(m) <= m->ram.left)
		return 0;
	m->disks_throttled = true;
	return disks_throttle(m, (uint64_t)m->best_rate_bps / 4, e);
}

static int stalled(struct move *m, struct err *e)
{
	char left[24], rate[24];
	static const char *const doing[] = {
		[ON_STALL_WAIT] = "waiting for the guest to calm down (vmferry switch moves it now all the same)",
		[ON_STALL_THROTTLE] = "slowing the guest down (--on-stall=throttle)",
		[ON_STALL_STOP] = "stopping it for the rest (--on-stall=stop)",
		[ON_STALL_CANCEL] = "giving up (--on-stall=cancel)",
	};

	if (!m->stall_told) {
		m->stall_told = true;
		report_notice(&m->report,
			      "the guest writes as fast as it can be copied: %s are left after %llu rounds at %s/s; switching "
			      "now would stop it for about %.0f ms, more than the %u allowed: %s",
			      format_bytes(left, m->ram.left + disks_left(m)), (unsigned long long)m->ram.pass,
			      format_bytes(rate, (uint64_t)m->best_rate_bps), m->converge.predicted_ms, m->opt->max_downtime_ms,
			      doing[m->opt->on_stall]);
	}
	switch (m->opt->on_stall) {
	case ON_STALL_WAIT:
		return 0;
	case ON_STALL_THROTTLE:
		return throttle(m, e);
	case ON_STALL_STOP:
		m->stop_wanted = true;
		return 0;
	case ON_STALL_CANCEL:
		return err_set(e, ECANCELED, "the guest writes faster than it can be copied (--on-stall=cancel)");
	}
	return 0;
}

/* Everything that can be sent while the guest runs has been: what the disks took meanwhile goes first. */
static int go_to_switchover(struct move *m, struct err *e)
{
	int r = 0;

	m->blackout.stopping = true;
	if (disks_idle(m) && !m->blackout.disks_ahead) {
		m->blackout.disks_ahead = true;
		r = disks_next_round(m, DISK_PRE_ROUND, e);
	}
	if (!r && disks_idle(m)) {
		m->blackout.predicted_ms = m->converge.predicted_ms;
		conductor_goto(&m->con, ST_SWITCHOVER);
	}
	return r;
}

/* While a round of the disks was waited for, the guest may have written more than will do. */
static bool still_fits(const struct move *m)
{
	return m->stop_wanted || m->converge.predicted_ms <= m->opt->max_downtime_ms * NO_LONGER_FITS;
}

static int decide(struct move *m, struct err *e)
{
	struct converge_sample s = {.ram_left = m->ram.left,
				    .disk_left = disks_left(m),
				    .pass = m->ram.pass,
				    .wire_left = wire_left(m),
				    .wire_bps = m->best_wire_bps,
				    .rate_bps = m->best_rate_bps,
				    .dirty_bps = m->dirty_bps,
				    .now_ms = (double)now_ns() / 1e6,
				    .round_trip_ms = m->blackout.round_trip_ms};
	enum converge_verdict verdict;

	verdict = converge_step(&m->converge, &s);
	if (m->blackout.stopping && still_fits(m))
		return go_to_switchover(m, e);
	m->blackout.stopping = m->blackout.disks_ahead = false;
	if (m->stop_wanted && m->ram.pass >= 2)
		return go_to_switchover(m, e);
	if (m->held && verdict != CONVERGE_SWITCH)
		release_hold(m, verdict);
	switch (verdict) {
	case CONVERGE_GO_ON:
		return 0;
	case CONVERGE_SWITCH:
		if (!m->opt->hold)
			return go_to_switchover(m, e);
		hold(m);
		return 0;
	case CONVERGE_STALLED:
		return stalled(m, e);
	}
	return 0;
}

/* How much is worth a round of the disks: whatever it is, until RAM is under way, and in its last passes where the disks are what
 * makes the blackout long. */
static uint64_t worth_a_round(const struct move *m)
{
	if (!m->ram.started)
		return 1;
	return m->ram.pass >= 2 && disks_left(m) > m->ram.left ? DISK_PRE_ROUND : DISK_WORTH_A_ROUND;
}

static void query_ram(struct move *m)
{
	if (m->ram.query_pending)
		return;
	m->ram.query_pending = true;
	m->ram.query_pass = m->ram.pass_begun;
	qmp_send(m->qmp, "query-migrate", NULL, QMP_DEADLINE_MS, on_query_migrate, m);
}

static bool is_near_the_end(const struct move *m)
{
	if (m->held || m->ram.pass_begun < 2)
		return false;
	return m->blackout.stopping || m->ram.pass < 2 || m->converge.predicted_ms <= m->opt->max_downtime_ms;
}

static int glance(struct move *m, struct err *e)
{
	query_ram(m);
	return decide(m, e);
}

static int tick(struct move *m, struct err *e)
{
	bool whole = ++m->ticks % MEASURE_TICKS == 0;
	int r = guest_watch_result(&m->watch, e);

	if (r)
		return r;
	if (whole) {
		measure(m);
		disks_query_dirty(m);
	}
	if (m->ram.started)
		query_ram(m);
	if (m->ram.started && whole && !m->blackout.stopping)
		switchover_arm(m);
	if (time_for_ram(m))
		r = start_ram(m, e);
	else if (m->ram.started)
		r = decide(m, e);
	if (!r && m->con.stage == ST_COPY && !m->blackout.stopping)
		r = disks_next_round(m, worth_a_round(m), e);
	if (m->con.stage == ST_COPY && (m->ticks % SECOND_TICKS == 0 || (whole && m->report.often)))
		move_progress(m, m->ticks % SECOND_TICKS == 0);
	return r;
}

/* ---- the stage ---- */

int copy_enter(void *ctx, struct err *e)
{
	struct move *m = ctx;
	int r = disks_begin(m, e);

	if (!r && !m->disk_count)
		r = start_ram(m, e);
	conductor_tick(&m->con, GLANCE_MS);
	if (!r && m->report.often)
		move_progress(m, false);
	return r;
}

static int on_order(struct move *m, uint16_t order)
{
	if (order == ORDER_SWITCH) {
		m->stop_wanted = true;
		m->held = false;
		if (m->capture)
			capture_stall(m->capture, false);
	}
	return 0;
}

int copy_event(void *ctx, const struct event *ev, struct err *e)
{
	struct move *m = ctx;
	int r;

	switch (ev->kind) {
	case EVENT_TICK:
		if (++m->glances % (TICK_MS / GLANCE_MS) == 0)
			return tick(m, e);
		return is_near_the_end(m) ? glance(m, e) : 0;
	case EVENT_USER:
		if (ev->type == ORDER_SWITCH)
			return on_order(m, ev->type);
		return move_common_event(m, ev, e);
	case EVENT_FRAME:
	case EVENT_WORKER: /* perhaps of the disks */
		r = move_common_event(m, ev, e);
		return !r && m->con.stage == ST_COPY && time_for_ram(m) ? start_ram(m, e) : r;
	case EVENT_CONTROL_LOST:
	case EVENT_QMP:
	case EVENT_QMP_LOST:
		return move_common_event(m, ev, e);
	}
	return 0;
}
