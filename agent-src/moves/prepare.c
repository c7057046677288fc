/*
 * prepare.c: from the plan to two agents that are connected; and back.
 *
 * Every change is journaled first, under a kind that its part knows to undo (part.h), so that this works from the journal alone, in this
 * life of the agent or a later one. What cannot be undone stays in the journal, is told, and is tried again by `vmferry recover`.
 */
#include "transfer.h"
#include "confine.h"
#include "fault.h"
#include "dest-options.h"
#include "head-start.h"
#include "hex.h"
#include "json-message.h"
#include "json-text.h"
#include "log.h"
#include "process.h"
#include "resume.h"
#include "util.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/random.h>

#define JOURNAL_MS_MAX 1000.0 /* a peer that says more is not believed */
#define BUSY_MAX       1000.0
#define LOOK_MS	       1000
#define TELL_MS	       15000
#define NOTICES_MAX    64 /* a guest has no more disks */

/* ---- preparing ---- */

static json_t *decisions(struct transfer *t)
{
	uint8_t *secret = t->data.shared.key.secret;
	struct head_start *head = t->opt->cold.head;
	char hex[2 * DIGEST_SECRET_BYTES + 1];
	json_t *out;

	if (head && head->has_key)
		t->data.shared.key = head->key;
	else if (getrandom(secret, DIGEST_SECRET_BYTES, 0) != DIGEST_SECRET_BYTES)
		abort();
	if (head) {
		head->key = t->data.shared.key;
		head->has_key = true;
	}
	out = json_pack("{s:s,s:i}", "secret", hex_format(secret, DIGEST_SECRET_BYTES, hex), "resume_ms",
			t->outage.agreed ? (int)t->opt->reconnect_ms : 0);
	definition_decide(&t->around.definition, out);
	disks_decide(&t->disks, out);
	return out;
}

/* Begins the journal with what recovery needs: the guest's identity, and the way to the destination. */
static int begin_journal(struct transfer *t, struct err *e)
{
	const struct keep_options *keep = &t->opt->disks.keep;
	json_t *begin = json_pack("{s:s,s:s,s:o,s:s*}", "how", t->recipe->how, "dest", t->opt->dest.where, "reach",
				  dest_options_save(&t->opt->dest), "disk_dir", transfer_disk_dir(t));
	int r;

	if (keep->partial_s)
		json_object_set_new(begin, "keep_partial_s", json_integer(keep->partial_s));
	if (keep->partial_s && keep->move)
		json_object_set(begin, "move", (json_t *)(uintptr_t)keep->move);
	if (t->recipe->owner)
		json_object_set_new(begin, "owner", json_string(t->recipe->owner));
	t->recipe->describe_for_journal(t, begin);
	r = attempt_begin(&t->a, t->opt->dirs.state, HO_SOURCE, begin, e);
	json_decref(begin);
	t->a.handoff.revertible = t->opt->revert_within_s;
	return r;
}

/* Seconds that the destination waits for an agent whose network is away; 0: a plain guest that is shut down lacks nothing while its
 * agent is stopped. */
static unsigned guard_patience_s(const struct transfer *t)
{
	return t->src.traits.guest_runs || t->recipe->owner ? (t->opt->reconnect_ms + OUTAGE_MARGIN_MS) / 1000 : 0;
}

/* True if a guard must act at once should this agent die: the guest would stay stopped, or undefined in libvirt, or its old disks could be started from. */
static bool needs_guard(const struct transfer *t)
{
	return t->src.traits.guest_runs || !t->src.traits.stays_here;
}

int transfer_begin_guard(struct transfer *t, struct err *e)
{
	int r = guard_start(&t->guard, journal_path(t->a.journal), t->opt->dirs.runtime, guard_patience_s(t), t->opt->prepared, e);
	uint64_t start_time = 0;

	if (r)
		return r;
	process_start_time(t->guard.pid, &start_time);
	return attempt_note(&t->a, NOTED_GUARD, json_pack("{s:i,s:I}", "pid", (int)t->guard.pid, "start_time", (json_int_t)start_time), e);
}

static int have_it_prepared(struct transfer *t, struct err *e)
{
	return outage_agree(t, e) ?: json_message_send(t->a.control, MSG_PREPARE, t->a.id, decisions(t), e);
}

/* libvirt there takes as long to start a QEMU as what is prepared here does: both are done at once. */
static int prepare_both(struct transfer *t, struct err *e)
{
	bool at_once = definition_is_live(&t->around.definition);
	int r = at_once ? definition_begin_job(&t->around.definition.part, e) ?: have_it_prepared(t, e) : 0;

	r = r ?: parts_prepare(&t->parts, e);
	return r || at_once ? r : have_it_prepared(t, e);
}

int prepare_enter(void *ctx, struct err *e)
{
	struct transfer *t = ctx;
	int r = fault_point("src-forbidden") ? confine_try(e) : 0;

	r = r ?: begin_journal(t, e);
	if (!r && needs_guard(t))
		r = transfer_begin_guard(t, e);
	if (r)
		return r;
	t->ram.keeper = t->guard.fd;
	t->life.begin_ns = now_ns();
	r = prepare_both(t, e);
	conductor_tick(&t->a.con, LOOK_MS);
	if (!r)
		files_begin(&t->files); /* may speed up the tick */
	return r;
}

/* Reports that the destination is still waited for. The time it may take is not known: devices are zeroed, files come, a QEMU starts. */
static void tell_patience(struct transfer *t)
{
	AUTO_FREE char *name = t->pace.prepare_told ? NULL : text_shown(t->src.guest.name);

	if (name && now_ns() - t->life.begin_ns >= TELL_MS * 1000000ULL) {
		report_notice(
			&t->life.report,
			"the destination has not been ready for %d s: it is waited for, and the guest is here as before (vmferry cancel %s ends that)",
			TELL_MS / 1000, name);
		t->pace.prepare_told = true;
	}
}

/* ---- COPY_READY ---- */

/* COMMITTED here, PREPARED and START there, as records were written so far. */
static double journals_ms(const struct transfer *t, const json_t *ready)
{
	double there = json_number_value(json_object_get(ready, "journal_ms"));

	return journal_write_ms(t->a.journal) + (there > 0 && there < JOURNAL_MS_MAX ? 2 * there : 0);
}

static bool is_here(const struct transfer *t)
{
	const char *boot_there = json_text(t->told.plan, "boot_id");
	AUTO_FREE char *boot = boot_id();

	return boot && boot_there && !strcmp(boot, boot_there);
}

static int pid_of(const json_t *ready, const char *key)
{
	json_int_t pid = json_integer_value(json_object_get(ready, key));

	return pid > 0 && pid <= INT_MAX ? (int)pid : 0;
}

/* Load there as COPY_READY says; 0 if the destination is this host, which we look at ourselves. */
static double busy_there(const struct transfer *t, const json_t *ready)
{
	double busy = json_number_value(json_object_get(ready, "busy"));

	return !t->peer.is_here && busy > 0 && busy < BUSY_MAX ? busy : 0;
}

static int connect_data(struct transfer *t, const json_t *ready, struct err *e)
{
	json_int_t port = json_integer_value(json_object_get(ready, "data_port"));
	json_int_t channels = json_integer_value(json_object_get(ready, "channels"));
	int r;

	if (port < 1 || port > 65535 || channels < 1 || channels > CHANNELS_MAX)
		return err_set(e, EPROTO, "the destination's COPY_READY cannot be understood: port %lld, %lld channels", (long long)port,
			       (long long)channels);
	r = parts_ready(&t->parts, ready, e);
	if (r)
		return r;
	t->blackout.journals_ms = journals_ms(t, ready);
	t->peer.is_here = is_here(t);
	t->blackout.busy_there = busy_there(t, ready);
	t->peer.agent_pid = t->peer.is_here ? pid_of(ready, "agent_pid") : 0;
	t->peer.has_io_uring = !json_is_false(json_object_get(ready, "io_uring"));
	t->peer.pid = pid_of(ready, "pid");
	if ((unsigned)channels < t->data.streams + (t->data.streams && !t->disks.count ? 0 : 1))
		return err_set(e, EPROTO, "the destination offers %u channels, which are too few", (unsigned)channels);
	t->data.channels = (unsigned)channels;
	t->data.shared.sums_heads = json_is_true(json_object_get(ready, "sums_heads"));
	r = data_plane_connect(&t->data, &t->dest, (unsigned)port, &t->blackout.round_trip_ms, e);
	if (r)
		return r;
	outage_take_data(t);
	return disks_connect(&t->disks, e);
}

static void tell_notices(struct transfer *t, json_t *ready)
{
	json_t *list = json_object_get(ready, "notices");

	for (size_t i = 0; i < MIN(json_array_size(list), NOTICES_MAX); i++)
		if (json_string_value(json_array_get(list, i)))
			report_notice(&t->life.report, "at the destination: %s", json_string_value(json_array_get(list, i)));
}

static void tell_what_is_slower(struct transfer *t)
{
	bool here = loop_has_io_uring(t->a.loop), there = t->peer.has_io_uring;

	if (!here || !there)
		report_notice(&t->life.report, "io_uring is not allowed %s: ordinary system calls are used there, which is slower",
			      here    ? "at the destination"
			      : there ? "here"
				      : "here and at the destination");
	if (t->ram.mode == RAM_MODE_OPAQUE)
		report_notice(&t->life.report, "memory travels in opaque mode: %s", t->ram.mode_why ? t->ram.mode_why : "asked for");
}

int prepare_event(void *ctx, const struct event *ev, struct err *e)
{
	struct transfer *t = ctx;
	json_t *ready = NULL;
	int r;

	if (ev->kind == EVENT_TICK)
		tell_patience(t);
	if (ev->kind != EVENT_FRAME || ev->type != MSG_COPY_READY)
		return common_event(t, ev, e);
	r = json_message_take(ev->type, ev->bytes, ev->n, t->a.id, NULL, &ready, e) ?: connect_data(t, ready, e);
	if (!r)
		tell_notices(t, ready);
	json_decref(ready);
	if (r)
		return r;
	tell_what_is_slower(t);
	if (t->opt->prepared)
		t->opt->prepared();
	conductor_goto(&t->a.con, ST_COPY);
	return 0;
}

void transfer_stop_data(struct transfer *t)
{
	ram_stop(&t->ram);
	disks_stop(&t->disks);
	data_plane_stop(&t->data);
	/* senders held references to these buffers */
	ram_free_capture(&t->ram);
	disks_free_reader(&t->disks);
}

/* ---- undoing ---- */

int transfer_undo_one(struct attempt *a, const char *kind, const json_t *detail, struct err *e)
{
	struct transfer *t = container_of(a, struct transfer, a);
	struct part *of;
	const struct part_undo *u = parts_undo(&t->parts, kind, &of);

	if (u)
		return u->undo(of, detail, e);
	/* an entry of another version is about something in QEMU, and gone with QEMU */
	return source_reach(&t->src, e) ? err_set(e, ENOTSUP, "this vmferry does not know how") : 0;
}

/* Adds a leftover: says what was left behind and how to remove it. */
void transfer_left_behind(struct attempt *a, const char *kind, const json_t *detail, int r, const struct err *why)
{
	struct transfer *t = container_of(a, struct transfer, a);
	const char *prefix = json_text(detail, "prefix");
	struct part *of;
	const struct part_undo *u = parts_undo(&t->parts, kind, &of);

	(void)r;
	attempt_add_leftover(a, xasprintf("at the source: %s%s%s%s: %s; `vmferry recover %s` tries again to undo that", u ? u->name : kind,
					  prefix ? " (" : "", prefix ? prefix : "", prefix ? "…)" : "", why->msg, t->src.guest.name));
}

void transfer_undo(struct transfer *t)
{
	if (t->end.undone || !t->a.journal)
		return;
	t->end.undone = true;
	attempt_undo(&t->a);
	if (t->a.handoff.state != HO_SRC_RELEASED && !t->a.handoff.qemu_alive && !t->a.over)
		unit_make_up(&t->around.unit);
}

void transfer_undo_again(struct transfer *t)
{
	struct source *s = &t->src;
	struct err e;

	if (t->a.handoff.qemu_alive && source_open_monitor(s, &e)) {
		log_info("%s", e.msg);
		s->qmp = NULL;
	}
	transfer_undo(t);
	attempt_end_journal(&t->a);
	if (t->a.handoff.state == HO_SRC_ABORTED)
		err_set(&t->end.why, ECANCELED,
			t->a.undo_failed ? "that move was over before, and vmferry still cannot undo what it left"
					 : "that move was over before, and vmferry has undone what it left");
	t->a.handoff.finished = t->peer.aborted = true;
	conductor_finish(&t->a.con);
}
