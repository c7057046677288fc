/* ram.c: see ram.h. */
#include "ram.h"
#include "source-sockets.h"
#include "converge.h"
#include "fault.h"
#include "json-text.h"
#include "log.h"
#include "milestone.h"
#include "qemu-blocked.h"
#include "qemu-migration.h"
#include "qemu-rp.h"
#include "qemu-settings.h"
#include "ram-mode.h"
#include "ram-blocks.h"
#include "util.h"
#include "words.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define UNLIMITED_PER_S	  (1LL << 40) /* QEMU's own limiter is not used */
#define DOWNTIME_LIMIT_MS 2000000     /* QEMU's largest: the moment is ours to choose */
#define PLENTY_PER_S	  (1LL << 50)
#define ARM_SLACK	  1.25 /* QEMU may switch a little before we want it */
#define ARM_CALM_MS	  20   /* duration of what is left that we wait for with a guest that writes little */
#define ARM_AGAIN	  1.25 /* a rate that differs by less is the same */
#define PASS_MIN_MS	  100  /* shorter ones tell no rate */
#define ROUND_MIN_MS	  50
#define SETUP_MS	  2000
#define GENTLE_MS	  3000

static struct ram *ram_of(struct part *p)
{
	return container_of(p, struct ram, part);
}

static const char *mode_name(const struct ram *r)
{
	return r->mode == RAM_MODE_OPAQUE ? "opaque" : "pages";
}

/* ---- may it be moved? ---- */

/* QEMU's TCG takes the length of each block for one of the first (cpu_physical_memory_sync_dirty_bitmap() of 10.0), and ends over an assertion if
 * that is shorter, with the guest in it. */
static int examine_blocks(struct ram *r, struct err *e)
{
	struct ram_block_place *told;
	char long_text[24], first_text[24];
	size_t n, i, first = 0;
	int code = ram_blocks_list(r->src->qmp, &told, &n, e);

	if (code)
		return code;
	for (i = 0; i < n; i++)
		if (!told[i].offset)
			first = i;
	for (i = 0; i < n && !code; i++)
		if (told[i].used_bytes > told[first].max_bytes)
			code = err_set(e, ENOTSUP,
				       "QEMU without KVM does not survive its own migration of this guest: of its memory, %s (%s) is "
				       "larger than %s (%s), which comes first",
				       told[i].name, format_bytes(long_text, told[i].used_bytes), told[first].name,
				       format_bytes(first_text, told[first].max_bytes));
	free(told);
	return code;
}

/* Checks QEMU's own reasons against a migration, and that no other client's migration is under way. */
static int examine_migration(struct ram *r, bool *busy, struct err *e)
{
	static const char *const under_way[] = {"active", "setup", "device", "pre-switchover", "cancelling", NULL};
	json_t *info, *reasons, *reason;
	const char *status;
	size_t i;
	int code = qmp_call(r->src->qmp, "query-migrate", NULL, &info, e);

	if (code)
		return code;
	status = json_text(info, "status");
	reasons = qemu_blocked(r->src->qmp, info);
	json_array_foreach(reasons, i, reason) {
		err_set(e, ENOTSUP, "%s", json_string_value(reason));
		code = source_obstacle(r->src, e);
	}
	json_decref(reasons);
	if (!code && status && word_index(under_way, status) >= 0) {
		err_set(e, EBUSY, "a migration of this guest is under way already (QEMU says: %s): wait for it, or end it (migrate_cancel)",
			status);
		code = source_obstacle(r->src, e);
		*busy = true;
	}
	json_decref(info);
	return code;
}

static int examine(struct part *p, struct err *e)
{
	struct ram *r = ram_of(p);
	bool busy = false;
	int code = examine_migration(r, &busy, e);

	if (!code && ram_mode_runs_without_kvm(r) && examine_blocks(r, e))
		code = source_obstacle(r->src, e);
	if (!code && ram_mode_examine(r, e))
		code = source_obstacle(r->src, e);
	if (!code && !busy && qemu_migration_settle(r->src->qmp, p->a->loop, e))
		code = source_obstacle(r->src, e);
	return code;
}

/* RAM blocks are described here, because the destination must not ask the QEMU that waits there. */
static int describe_blocks(const struct ram *r, json_t *out, struct err *e)
{
	struct ram_block_place *told;
	json_t *blocks = json_array();
	size_t n, i;
	int code = ram_blocks_list(r->src->qmp, &told, &n, e);

	for (i = 0; !code && i < n; i++)
		json_array_append_new(blocks, json_pack("{s:s,s:I}", "name", told[i].name, "bytes", (json_int_t)told[i].max_bytes));
	if (!code)
		free(told);
	json_object_set_new(out, "ram_blocks", blocks);
	return code;
}

/* True if libvirt also runs the QEMU at the destination. */
static bool goes_to_libvirt(const struct ram *r)
{
	return r->src->libvirt.uuid && !r->src->libvirt.goes_plain;
}

static int describe(struct part *p, json_t *out, struct err *e)
{
	struct ram *r = ram_of(p);

	(void)e;
	if (goes_to_libvirt(r) && ram_mode_wish(r) == RAM_WISH_OPAQUE) /* libvirt there was not asked for so many channels */
		r->multifd = 0;
	json_object_set_new(out, "ram_mode", json_string(ram_mode_words[ram_mode_wish(r)]));
	json_object_set_new(out, "multifd", json_integer(r->multifd));
	if (goes_to_libvirt(r))
		return describe_blocks(r, out, e);
	return 0;
}

void ram_describe_for_journal(struct ram *r, json_t *begin)
{
	r->socket = source_socket(r->src, "migrate");
	json_object_set_new(begin, "migrate_socket", json_string(r->socket));
}

void ram_restore(struct ram *r)
{
	const char *socket = json_text(journal_begin(r->part.a->journal), "migrate_socket");

	if (socket && !r->kept) /* the keeper removes the socket */
		unlink(socket);
}

/* ---- QEMU's settings ---- */

/* The capabilities that are switched on, in two steps. QEMU dies if a client saves a snapshot (savevm, snapshot-save; 10.0) while multifd
 * is on, so that is switched on only when the migration begins, from when on QEMU refuses snapshots. */
static void capabilities(const struct ram *r, bool begins, const char *on[8])
{
	static const char *const always[] = {"events", "return-path", "pause-before-switchover"};
	unsigned n = ARRAY_LEN(always);

	memcpy(on, always, sizeof(always));
	n += hold_capabilities(&r->hold, on + n);
	if (r->multifd && begins)
		on[n++] = "multifd";
	if (r->src->opt->stop.on_stall == ON_STALL_THROTTLE)
		on[n++] = "auto-converge";
	on[n] = NULL;
}

static int check_capabilities(struct ram *r, struct err *e)
{
	const char *on[8];

	capabilities(r, false, on);
	return settings_check(r->src->qmp, r->settings, on, e);
}

static int set_parameters(struct ram *r, struct err *e)
{
	json_t *p = json_pack("{s:s,s:s,s:I,s:i,s:s,s:I}", "tls-creds", "", "multifd-compression", "none", "max-bandwidth",
			      (json_int_t)UNLIMITED_PER_S, "downtime-limit", 1, "zero-page-detection", r->multifd ? "multifd" : "legacy",
			      "avail-switchover-bandwidth", (json_int_t)hold_limit(&r->hold));

	if (r->multifd)
		json_object_set_new(p, "multifd-channels", json_integer(r->multifd));
	/* QEMU may throttle with --on-stall=throttle, but only once we say so */
	if (r->src->opt->stop.on_stall == ON_STALL_THROTTLE)
		json_object_set_new(p, "throttle-trigger-threshold", json_integer(100));
	return settings_parameters(r->src->qmp, r->settings, p, e);
}

static int set_up(struct ram *r, struct err *e)
{
	const char *on[8];
	int code;

	capabilities(r, false, on);
	code = settings_capabilities(r->src->qmp, r->settings, on, e);
	return code ? code : set_parameters(r, e);
}

static int prepare(struct part *p, struct err *e)
{
	struct ram *r = ram_of(p);
	int code = settings_save(r->src->qmp, &r->settings, e);

	if (!code)
		code = attempt_own(p->a, "settings", json_incref(r->settings), e);
	/* a guest that is stopped first is to be switched over as soon as all of it is there */
	if (!code && !r->src->traits.stops_first)
		code = hold_choose(&r->hold, r->src, r->settings, e);
	if (code)
		return code;
	r->src->is_held = r->hold.way != HOLD_NONE || r->src->traits.stops_first;
	r->has_bandwidth = settings_has_parameter(r->settings, "avail-switchover-bandwidth");
	return set_up(r, e);
}

/* Sets the capabilities and the limit that hold QEMU, unless another client has changed such a setting. */
static int begin_hold(struct ram *r, struct err *e)
{
	const char *on[8];
	int code = check_capabilities(r, e);

	code = code ?: hold_begin(&r->hold, r->src, r->settings, e);
	if (code || (!r->hold.begun && !r->multifd))
		return code;
	capabilities(r, true, on);
	code = settings_capabilities(r->src->qmp, r->settings, on, e);
	return code || !r->hold.begun
		       ? code
		       : settings_parameters(r->src->qmp, r->settings,
					     json_pack("{s:I}", "avail-switchover-bandwidth", (json_int_t)hold_limit(&r->hold)), e);
}

static int undo_hold(struct part *p, const json_t *detail, struct err *e)
{
	return MIN(source_undo(ram_of(p)->src, hold_undo, detail, e), 0);
}

static int restore_settings(struct source *s, const json_t *detail, struct err *e)
{
	return qemu_migration_settle(s->qmp, s->part.a->loop, e) ?: settings_restore(s->qmp, detail, e);
}

static int undo_settings(struct part *p, const json_t *detail, struct err *e)
{
	return MIN(source_undo(ram_of(p)->src, restore_settings, detail, e), 0);
}

/* ---- the copy ---- */

/* libvirt there was not asked for so many channels: that its memory is not found was known to nobody before. */
static int use_one_stream(struct ram *r, struct err *e)
{
	if (!goes_to_libvirt(r) || r->mode != RAM_MODE_OPAQUE || !r->multifd)
		return 0;
	r->multifd = 0;
	return set_up(r, e);
}

static int ready(struct part *p, const json_t *said, struct err *e)
{
	const char *mode = json_text(said, "ram_mode"), *why = json_text(said, "why");
	struct ram *r = ram_of(p);

	if (!mode)
		return err_set(e, EPROTO, "the destination's COPY_READY names no way for memory (ram_mode)");
	r->mode = strcmp(mode, "opaque") ? RAM_MODE_PAGES : RAM_MODE_OPAQUE;
	r->mode_why = r->early_state ? xasprintf("the guest has %s", r->early_state) : xstrdup(why);
	if (r->mode == RAM_MODE_OPAQUE && r->loses_writes)
		return ram_mode_refuse(e);
	if (use_one_stream(r, e))
		return -e->code;
	r->data->streams = r->mode == RAM_MODE_OPAQUE ? 1 + r->multifd : 0;
	r->seeds_taken = r->mode == RAM_MODE_PAGES && json_is_true(json_object_get(said, "seeds"));
	return 0;
}

static void capture_told(void *ctx, enum capture_event what, const struct err *why)
{
	struct ram *r = ctx;
	struct event *ev = event_new(EVENT_WORKER, WORD_CAPTURE, &what, sizeof(what));

	if (why)
		ev->err = *why;
	data_plane_tell(r->data, ev);
}

int ram_start(struct ram *r, struct err *e)
{
	struct capture_config cfg = {.socket_path = r->socket,
				     .user = r->src->libvirt.user,
				     .mode = r->mode,
				     .multifd = r->multifd,
				     .senders = r->data->senders,
				     .sender_count = r->data->streams ? r->data->streams : r->data->channels,
				     .shared = &r->data->shared,
				     .keeper = r->keeper,
				     .event = capture_told,
				     .ctx = r};
	AUTO_FREE char *uri = xasprintf("unix:%s", r->socket);
	struct err why;
	int code = begin_hold(r, e);

	if (r->data->shared.seeds)
		seeds_end(r->data->shared.seeds);
	if (!code)
		code = capture_start(&r->capture, &cfg, e);
	if (!code)
		code = source_note_migration(r->src, true, r->mode == RAM_MODE_PAGES, e);
	if (code)
		return code;
	fault_point("src-migrate");
	r->pass.begun = 1; /* QEMU 11.1 tells of the passes behind the first one only */
	r->pass.begun_ns = now_ns();
	code = qemu_migration_begin(r->src->qmp, r->part.a->loop, uri, e);
	if (code == -EREMOTEIO) /* refused: if one is under way it is somebody else's */
		source_note_migration(r->src, false, false, &why);
	return code;
}

static int on_capture(struct ram *r, const struct event *ev, struct err *e)
{
	enum capture_event what;

	memcpy(&what, ev->bytes, sizeof(what));
	switch (what) {
	case CAPTURE_BLOCKS:
	case CAPTURE_CLOSED: /* QMP says why: failed, cancelled or completed */
		break;
	case CAPTURE_RAM_DONE:
		r->done_ns = ev->at_ns;
		break;
	case CAPTURE_FAILED:
		*e = ev->err;
		return -e->code;
	}
	return 0;
}

static int event(struct part *p, const struct event *ev, struct err *e)
{
	if (ev->kind != EVENT_WORKER || ev->type != WORD_CAPTURE)
		return PART_NOT_MINE;
	return on_capture(ram_of(p), ev, e);
}

void ram_stall(struct ram *r, bool stall)
{
	if (r->capture)
		capture_stall(r->capture, stall);
}

uint64_t ram_unread(const struct ram *r)
{
	return r->capture ? capture_unread(r->capture) : 0;
}

/* ---- how much is left ---- */

/* QEMU counts `remaining` at its last dirty bitmap sync, at the start of the pass: the guest's writes since come on top. QEMU reports a
 * dirty rate only after a second; until then what the last pass left gives the rate. */
static void estimate_left(struct ram *r, uint64_t remaining, uint64_t qemu_dirty_per_s)
{
	double since = r->pass.begun_ns ? (double)(now_ns() - r->pass.begun_ns) / 1e9 : 0;

	if (qemu_dirty_per_s)
		r->load.dirty_per_s = (double)qemu_dirty_per_s;
	else if (r->pass.queried > MAX(r->pass.number, 1) && r->pass.took_ns)
		r->load.dirty_per_s = (double)remaining / (double)MAX(r->pass.took_ns, PASS_MIN_MS * 1000000ULL) * 1e9;
	r->load.left = MIN(remaining + (uint64_t)(r->load.dirty_per_s * since), MAX(remaining, r->load.total));
}

/* A paused guest writes nothing, and QEMU does not look for that while a bitmap holds it beside the acknowledgement: its only pass counts as
 * the second once it is over. */
static uint64_t passes(const struct ram *r)
{
	bool only = r->hold.while_paused && r->src->run.paused && r->load.total && !r->load.left;

	return only ? MAX(r->pass.queried, 2) : r->pass.queried;
}

static void note_pass(struct ram *r, uint64_t number, uint64_t took_ns, uint64_t at_ns)
{
	r->pass.begun = MAX(r->pass.begun, number);
	r->pass.took_ns = took_ns;
	r->pass.begun_ns = at_ns;
	if (at_ns - r->pass.cut_ns > ROUND_MIN_MS * 1000000ULL) { /* near the end QEMU makes thousands of passes */
		r->pass.cut_ns = at_ns;
		capture_cut_round(r->capture);
	}
}

/* libvirt is not asked to tell of each (lv-monitor.c): what QEMU says is left is as of the last one. */
static void note_passes(struct ram *r, uint64_t count)
{
	uint64_t now = now_ns(), more = count - MIN(count, r->pass.begun);

	if (r->capture && more)
		note_pass(r, count, (now - r->pass.begun_ns) / more, now);
	r->pass.queried = r->pass.begun;
}

static void on_query(void *arg, json_t *ret, const struct err *err)
{
	struct ram *r = arg;
	json_t *ram = json_object_get(ret, "ram");

	r->load.is_asked = false;
	if (err || !ram)
		return;
	if (r->src->libvirt.uuid)
		note_passes(r, (uint64_t)json_integer_value(json_object_get(ram, "dirty-sync-count")));
	r->load.total = (uint64_t)json_integer_value(json_object_get(ram, "total"));
	estimate_left(r, (uint64_t)json_integer_value(json_object_get(ram, "remaining")),
		      (uint64_t)json_integer_value(json_object_get(ram, "dirty-pages-rate")) * PAGE_BYTES);
	r->pass.number = passes(r);
}

void ram_query(struct ram *r)
{
	if (r->load.is_asked)
		return;
	r->load.is_asked = true;
	r->pass.queried = r->pass.begun;
	qmp_send(r->src->qmp, "query-migrate", NULL, QMP_DEADLINE_MS, on_query, r);
}

void ram_on_pass(struct ram *r, const struct event *ev)
{
	if (!r->capture)
		return;
	note_pass(r, (uint64_t)json_integer_value(json_object_get(ev->json, "pass")), r->pass.begun_ns ? ev->at_ns - r->pass.begun_ns : 0,
		  ev->at_ns);
}

void ram_throttle(struct ram *r)
{
	if (!r->throttled)
		qmp_send(r->src->qmp, "migrate-set-parameters", json_pack("{s:i}", "throttle-trigger-threshold", 5), QMP_DEADLINE_MS, NULL,
			 NULL);
	r->throttled = true;
}

/* ---- the switchover ---- */

void ram_arm(struct ram *r, double rate_per_s)
{
	double per_s = rate_per_s * ARM_SLACK;
	/* QEMU must sync the dirty bitmap only at the end of its first pass, not again and again */
	bool busy = r->pass.number >= 2 && r->load.dirty_per_s > rate_per_s * CONVERGE_CALM;
	unsigned allowed = r->src->opt->stop.max_downtime_ms, limit_ms = busy ? allowed : MIN(allowed, ARM_CALM_MS);

	if (r->hold.way != HOLD_ACKNOWLEDGEMENT || !r->has_bandwidth || rate_per_s <= 0 || (r->hold.begun && r->src->run.paused))
		return;
	if (limit_ms == r->armed_ms && per_s < r->armed_per_s * ARM_AGAIN && per_s > r->armed_per_s / ARM_AGAIN)
		return;
	r->armed_per_s = per_s;
	r->armed_ms = limit_ms;
	qmp_send(r->src->qmp, "migrate-set-parameters",
		 json_pack("{s:I,s:I}", "downtime-limit", (json_int_t)limit_ms, "avail-switchover-bandwidth", (json_int_t)per_s),
		 QMP_DEADLINE_MS, NULL, NULL);
}

int ram_ask_for_switchover(struct ram *r, struct err *e)
{
	uint8_t ack[4];
	json_t *p = json_pack("{s:i}", "downtime-limit", DOWNTIME_LIMIT_MS);
	int code;

	fault_point("src-acknowledge");
	if (r->has_bandwidth)
		json_object_set_new(p, "avail-switchover-bandwidth", json_integer(PLENTY_PER_S));
	/* otherwise QEMU would start another pass before it applies the new limits */
	capture_stall(r->capture, true);
	code = qmp_call(r->src->qmp, "migrate-set-parameters", p, NULL, e);
	capture_stall(r->capture, false);
	if (!code && r->hold.way == HOLD_ACKNOWLEDGEMENT)
		capture_return_path(r->capture, ack, rp_encode_switchover_ack(ack));
	return code;
}

int ram_let_qemu_go_on(struct ram *r, struct err *e)
{
	return qmp_call(r->src->qmp, "migrate-continue", json_pack("{s:s}", "state", "pre-switchover"), NULL, e);
}

int ram_release_shut(struct ram *r)
{
	uint8_t shut[8];

	return capture_return_path(r->capture, shut, rp_encode_shut(shut));
}

/* ---- the end ---- */

/* QEMU 10 can stay "cancelling" for ever if its sockets close during "setup". Setup takes a few milliseconds, in which the capture, or
 * the guard, keeps reading. */
static void wait_until_set_up(struct ram *r)
{
	uint64_t until = now_ns() + SETUP_MS * 1000000ULL;
	struct qmp *q = r->src->qmp;
	char status[MIGRATION_STATUS_MAX];
	struct err e;

	while ((r->capture || r->kept) && q && qmp_alive(q) && !strcmp(qemu_migration_status(q, status), "setup") && now_ns() < until)
		if (loop_step(r->part.a->loop, 5, &e))
			return;
}

void ram_read_away_when_set_up(struct ram *r)
{
	keep_drain(r->kept);
	wait_until_set_up(r);
	capture_drain(r->capture);
}

int ram_cancel(struct ram *r, uint64_t until_ns, struct err *e)
{
	struct loop *l = r->part.a->loop;

	if (!r->src->migrating) /* if there is one, somebody else began it */
		return 0;
	if ((r->capture || r->kept) && !qemu_migration_cancel(r->src->qmp, l, MIN(until_ns, now_ns() + GENTLE_MS * 1000000ULL), e) &&
	    qemu_migration_settle(r->src->qmp, l, e))
		log_info("%s", e->msg);
	ram_close_connections(r);
	return qemu_migration_cancel(r->src->qmp, l, until_ns, e);
}

void ram_let_complete(struct ram *r, uint64_t until_ns)
{
	char status[MIGRATION_STATUS_MAX];
	uint8_t shut[8];
	size_t n = rp_encode_shut(shut);
	struct qmp *q = r->src->qmp;
	struct err e;

	if (!r->src->migrating || strcmp(qemu_migration_status(q, status), "device"))
		return;
	if (r->kept ? keep_return_path(r->kept, shut, n) : capture_return_path(r->capture, shut, n))
		log_info("QEMU's return path is gone");
	while (qmp_alive(q) && !qemu_migration_is_over(q) && now_ns() < until_ns)
		if (loop_step(r->part.a->loop, 5, &e))
			return;
}

void ram_close_connections(struct ram *r)
{
	capture_stop(r->capture);
	keep_end(r->kept);
}

void ram_stop(struct ram *r)
{
	if (r->capture)
		r->rounds = capture_rounds(r->capture);
	capture_stop(r->capture);
}

void ram_free_capture(struct ram *r)
{
	capture_free(r->capture);
	r->capture = NULL;
	seeds_free(r->data->shared.seeds);
	r->data->shared.seeds = NULL;
	recheck_free(r->data->shared.recheck);
	r->data->shared.recheck = NULL;
}

static uint32_t reached(const struct part *p)
{
	return container_of(p, const struct ram, part)->done_ns ? M_RAM_QUEUED : 0;
}

uint64_t ram_left_to_come(const struct ram *r)
{
	return r->done_ns || !r->src->traits.carries_memory ? 0 : r->capture && r->load.total ? r->load.left : r->src->guest.ram_bytes;
}

static void tell(const struct part *p, enum part_tale tale, json_t *out)
{
	const struct ram *r = container_of(p, const struct ram, part);
	enum ram_wish asked = ram_mode_wish(r);
	const struct send_stats *sent = &r->data->sent;
	json_t *ram;

	switch (tale) {
	case TELL_PLAN:
		json_object_set_new(out, "ram_mode",
				    json_string(asked != RAM_WISH_AUTO ? ram_mode_words[asked]
								       : "pages, placed straight into the destination's memory (opaque "
									 "where that is not possible)"));
		return;
	case TELL_PROGRESS:
		if (!r->src->migrating) {
			if (r->data->shared.seeds && seeds_scanned(r->data->shared.seeds) < 1)
				json_object_set_new(out, "scanned_percent", json_real(100 * seeds_scanned(r->data->shared.seeds)));
			return;
		}
		json_object_set_new(out, "ram_left", json_integer((json_int_t)ram_left_to_come(r)));
		json_object_set_new(out, "ram_round", json_integer((json_int_t)r->pass.number));
		return;
	case TELL_STATUS:
		json_object_set_new(out, "mode", json_string(mode_name(r)));
		json_object_set_new(out, "ram_bytes", json_integer((json_int_t)r->src->guest.ram_bytes));
		if (!r->src->migrating)
			return;
		json_object_set_new(out, "ram_left", json_integer((json_int_t)ram_left_to_come(r)));
		json_object_set_new(out, "ram_round", json_integer((json_int_t)r->pass.number));
		return;
	case TELL_RESULT:
		ram = json_pack("{s:i,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:s}", "rounds", (int)r->rounds, "pages", (json_int_t)sent->pages,
				"zero_pages", (json_int_t)sent->zero_pages, "same_pages", (json_int_t)sent->same_pages, "seed_pages",
				(json_int_t)sent->seed_pages, "rechecked_pages", (json_int_t)sent->rechecked_pages, "missed_pages",
				(json_int_t)sent->missed_pages, "bytes_wire", (json_int_t)sent->ram_wire, "mode", mode_name(r));
		json_object_set_new(out, "ram", ram);
		if (r->mode_why)
			json_object_set_new(out, "opaque_because", json_string(r->mode_why));
		return;
	}
}

static void fini(struct part *p)
{
	struct ram *r = ram_of(p);

	json_decref(r->settings);
	free(r->mode_why);
	free(r->socket);
}

static const struct part_undo undo[] = {
	{"settings", "the migration settings of its QEMU", undo_settings},
	{"hold", "a node that holds back its QEMU's switchover", undo_hold},
	{NULL, NULL, NULL},
};

static const struct part_ops ops = {.name = "ram",
				    .apart = true,
				    .examine = examine,
				    .describe = describe,
				    .prepare = prepare,
				    .ready = ready,
				    .event = event,
				    .reached = reached,
				    .undo = undo,
				    .tell = tell,
				    .fini = fini};

void ram_init(struct ram *r, struct source *src, struct data_plane *data)
{
	const struct move_options *o = src->opt;

	*r = (struct ram){.part = {&ops, src->part.a}, .src = src, .data = data, .keeper = -1};
	r->multifd = o->carry.multifd < 0 ? MIN(o->carry.channels, MULTIFD_MAX) : (unsigned)o->carry.multifd;
}
