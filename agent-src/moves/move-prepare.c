/*
 * move-prepare.c: changes in the source QEMU what a move needs; and puts all of it back.
 *
 * Every change is journaled first (kinds "settings", "nbd-server", "bitmaps", "exports"), so that move_undo works from the
 * journal alone, in this life of the agent or a later one. What cannot be undone stays in the journal, is told, and is tried again by
 * `vmferry recover`.
 */
#include "move-private.h"
#include "dest-options.h"
#include "log.h"
#include "process.h"
#include "qemu-migration.h"
#include "qemu-settings.h"
#include "qemu-undo.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define UNLIMITED_BPS  (1LL << 40) /* QEMU's own limiter is not used */
#define WINDOW_ALL     (16 * MIB)  /* frames on their way, over all channels */
#define MONITOR_MS     3000

static void capabilities(const struct move *m, const char *on[8])
{
	static const char *const always[] = {"events", "return-path", "pause-before-switchover", "switchover-ack"};
	unsigned n = ARRAY_LEN(always);

	memcpy(on, always, sizeof(always));
	if (m->multifd)
		on[n++] = "multifd";
	if (m->opt->on_stall == ON_STALL_THROTTLE)
		on[n++] = "auto-converge";
	on[n] = NULL;
}

int move_check_capabilities(struct move *m, struct err *e)
{
	const char *on[8];

	capabilities(m, on);
	return settings_check(m->qmp, m->settings, on, e);
}

static int set_capabilities(struct move *m, struct err *e)
{
	const char *on[8];

	capabilities(m, on);
	m->has_ack = settings_has_capability(m->settings, "switchover-ack");
	m->has_bandwidth = settings_has_parameter(m->settings, "avail-switchover-bandwidth");
	return settings_capabilities(m->qmp, m->settings, on, e);
}

static int set_parameters(struct move *m, struct err *e)
{
	json_t *p = json_pack("{s:s,s:s,s:I,s:i,s:s,s:I}", "tls-creds", "", "multifd-compression", "none", "max-bandwidth",
			      (json_int_t)UNLIMITED_BPS, "downtime-limit", 1, "zero-page-detection",
			      m->multifd ? "multifd" : "legacy", "avail-switchover-bandwidth", (json_int_t)0);

	if (m->multifd)
		json_object_set_new(p, "multifd-channels", json_integer(m->multifd));
	/* with --on-stall=throttle QEMU may throttle, but only once we say so */
	if (m->opt->on_stall == ON_STALL_THROTTLE)
		json_object_set_new(p, "throttle-trigger-threshold", json_integer(100));
	return settings_parameters(m->qmp, m->settings, p, e);
}

static json_t *disk_paths(const struct move *m)
{
	json_t *out = json_array();
	unsigned i;

	for (i = 0; i < m->disk_count; i++)
		json_array_append_new(out, json_string(m->disks[OBJECT_DISK_BASE + i].guest->real_path));
	return out;
}

static json_t *monitors(const struct guest *g)
{
	json_t *out = json_array();
	size_t i;

	for (i = 0; i < g->qmp_count; i++)
		json_array_append_new(out, json_string(g->qmp_paths[i]));
	return out;
}

static int begin_journal(struct move *m, struct err *e)
{
	AUTO_FREE char *boot = boot_id();
	json_t *begin = json_pack("{s:s,s:i,s:I,s:s,s:o,s:s*,s:s,s:o,s:s*,s:s*,s:b,s:o}", "guest", m->guest.name, "pid",
				  (int)m->guest.pid, "start_time", (json_int_t)m->guest.start_time, "qmp",
				  m->guest.qmp_path, "monitors", monitors(&m->guest), "boot_id", boot, "dest", m->opt->dest.where, "reach",
				  dest_options_save(&m->opt->dest), "migrate_socket",
				  m->migrate_socket, "disk_dir", m->opt->disk_dir, "paused", m->paused, "disks",
				  disk_paths(m));
	int r = attempt_begin(&m->a, m->opt->state_dir, HO_SOURCE, begin, e);

	m->source_disks = json_incref(json_object_get(begin, "disks"));
	json_decref(begin);
	return r;
}

/* Before the first of them is made: all that has a name of this attempt. */
static int own_names(struct move *m, struct err *e)
{
	char prefix[QEMU_PREFIX_MAX];
	json_t *detail = json_pack("{s:s}", "prefix", qemu_prefix(prefix, m->a.id));
	int r = journal_own(m->a.journal, "bitmaps", detail, e);

	if (!r)
		r = journal_own(m->a.journal, "exports", detail, e);
	json_decref(detail);
	return r;
}

int move_prepare_source(struct move *m, struct err *e)
{
	char id[2 * ATTEMPT_ID_LEN + 1];
	json_t *detail;
	int r;

	attempt_id_format(m->a.id, id);
	m->migrate_socket = xasprintf("%s/%.12s.migrate", m->opt->runtime_dir, id);
	m->nbd_socket = xasprintf("%s/%.12s.nbd", m->opt->runtime_dir, id);
	r = begin_journal(m, e);
	if (!r)
		r = guard_start(&m->guard, journal_path(m->a.journal), m->opt->runtime_dir, m->opt->prepared, e);
	if (!r)
		r = settings_save(m->qmp, &m->settings, e);
	if (!r)
		r = journal_own(m->a.journal, "settings", m->settings, e);
	if (!r)
		r = set_capabilities(m, e);
	if (!r)
		r = set_parameters(m, e);
	if (r || !m->disk_count)
		return r;
	detail = json_pack("{s:s}", "path", m->nbd_socket);
	r = journal_own(m->a.journal, "nbd-server", detail, e);
	if (!r)
		r = qmp_call(m->qmp, "nbd-server-start",
			     json_pack("{s:{s:s,s:{s:s}}}", "addr", "type", "unix", "data", "path", m->nbd_socket), NULL, e);
	if (r) {
		/* it was not started by us: it must not be stopped by us */
		struct err je;

		journal_disown(m->a.journal, "nbd-server", detail, &je);
		err_prefix(e, "the guest's NBD server (is it in use by someone else?)");
	}
	json_decref(detail);
	return r ? r : own_names(m, e);
}

static void channel_lost(void *ctx, unsigned channel, const struct err *why)
{
	struct event *ev = event_new(EVENT_WORKER, WORD_CHANNEL_LOST, NULL, 0);

	(void)channel;
	ev->err = *why;
	move_tell(ctx, ev);
}

int move_connect_data(struct move *m, const json_t *ready, struct err *e)
{
	const char *mode = json_string_value(json_object_get(ready, "ram_mode"));
	const char *why = json_string_value(json_object_get(ready, "why"));
	json_int_t port = json_integer_value(json_object_get(ready, "data_port"));
	json_int_t channels = json_integer_value(json_object_get(ready, "channels"));
	uint64_t t0, quickest = UINT64_MAX;
	struct link link;
	unsigned i;
	int r = 0;

	if (!mode || port < 1 || port > 65535 || channels < 1 || channels > CHANNELS_MAX)
		return err_set(e, EPROTO, "the destination's COPY_READY cannot be understood");
	m->opaque = !strcmp(mode, "opaque");
	m->opaque_why = why ? xstrdup(why) : NULL;
	m->peer.has_io_uring = !json_is_false(json_object_get(ready, "io_uring"));
	m->peer.pid = (int)json_integer_value(json_object_get(ready, "pid"));
	m->channels = (unsigned)channels;
	m->streams = m->opaque ? 1 + m->multifd : 0;
	if (m->channels < m->streams + (m->opaque && !m->disk_count ? 0 : 1))
		return err_set(e, EPROTO, "the destination offers %u channels, which are too few", m->channels);
	m->shared.codec = m->opt->codec;
	m->shared.channels = m->channels;
	m->shared.window_bytes = MAX(2 * MIB, WINDOW_ALL / m->channels);
	m->shared.lost = channel_lost;
	m->shared.ctx = m;
	for (i = 0; i < m->channels && !r; i++) {
		t0 = now_ns();
		r = dest_connect_data(&m->dest, (unsigned)port, i + 1, &link, e);
		quickest = MIN(quickest, now_ns() - t0);
		if (!r)
			r = sender_start(&m->senders[i], link, i + 1, &m->shared, e);
	}
	/* A connection and a HELLO are two round trips, TLS is one more; a lost packet among them says nothing of the rest, and must not keep the
	 * move from switching over. */
	m->blackout.round_trip_ms = (double)quickest / 1e6 / (m->dest.tls ? 3 : 2);
	if (!r)
		r = disk_reader_start(&m->reader, m->senders + m->streams, m->channels - m->streams, &m->shared,
				      &m->disk_results, e);
	return r;
}

/* ---- undo ---- */

static int restore_settings(struct move *m, const json_t *settings, struct err *e)
{
	int r = qemu_migration_settle(m->qmp, m->a.loop, e);

	return r ? r : settings_restore(m->qmp, settings, e);
}

static int undo_in_qemu(struct move *m, const char *kind, const json_t *detail, struct err *e)
{
	const char *prefix = json_string_value(json_object_get(detail, "prefix"));
	const char *path = json_string_value(json_object_get(detail, "path"));
	const char *qdev = json_string_value(json_object_get(detail, "qdev"));

	if (!strcmp(kind, "settings"))
		return restore_settings(m, detail, e);
	if (!strcmp(kind, "throttle") && qdev)
		return disks_unthrottle(m->qmp, qdev, e);
	if (!strcmp(kind, "exports") && prefix)
		return qemu_undo_exports(m->qmp, m->a.loop, prefix, e);
	if (!strcmp(kind, "bitmaps") && prefix)
		return qemu_undo_bitmaps(m->qmp, prefix, e);
	if (!strcmp(kind, "nbd-server") && path)
		return qemu_undo_nbd_server(m->qmp, m->guest.pid, path, e);
	return err_set(e, ENOTSUP, "this vmferry does not know how");
}

static int undo_unit(struct move *m, const json_t *detail, struct err *e)
{
	bool released = m->a.handoff.state == HO_SRC_RELEASED;
	int r = autostart_settle(detail, released, m->disabled, e);

	if (!r && !released && !m->a.handoff.qemu_alive && !m->autostart.unit && !m->a.over && !json_is_true(json_object_get(detail, "runtime")))
		report_notice(&m->report, "unit %s may start the guest again", json_string_value(json_object_get(detail, "unit")));
	return r;
}

/* Not if it has just ended, which its monitor shows first. */
static bool is_there(struct move *m)
{
	if (!m->a.handoff.qemu_alive || (m->qmp && qmp_alive(m->qmp)))
		return m->a.handoff.qemu_alive;
	m->unreachable = m->unreachable || !move_source_qemu_ended(m);
	return m->unreachable;
}

int move_undo_one(struct attempt *a, const char *kind, const json_t *detail, struct err *e)
{
	struct move *m = container_of(a, struct move, a);
	const char *path = json_string_value(json_object_get(detail, "path"));
	int r;

	if (!strcmp(kind, "unit"))
		return undo_unit(m, detail, e);
	if (is_there(m)) {
		r = m->unreachable ? err_set(e, EPIPE, "its monitor %s cannot be reached", m->guest.qmp_path) : undo_in_qemu(m, kind, detail, e);
		if (!r || is_there(m))
			return r;
	}
	/* it ended, and all of this with it */
	if (!strcmp(kind, "nbd-server") && path && unlink(path) && errno != ENOENT)
		return err_sys(e, errno, "cannot remove %s", path);
	return 0;
}

/* In words, with how to get rid of it. */
void move_note_leftover(struct attempt *a, const char *kind, const json_t *detail, int r, const struct err *why)
{
	static const char *const names[][2] = {
		{"settings", "the migration settings of its QEMU"}, {"throttle", "a limit of writes to a disk"},
		{"bitmaps", "dirty bitmaps in its QEMU"},	    {"exports", "NBD exports of its QEMU"},
		{"nbd-server", "the NBD server of its QEMU"},	    {"unit", "its systemd unit"},
	};
	const char *prefix = json_string_value(json_object_get(detail, "prefix")), *name = kind;
	struct move *m = container_of(a, struct move, a);
	size_t i;

	(void)r;

	for (i = 0; i < ARRAY_LEN(names); i++)
		if (!strcmp(names[i][0], kind))
			name = names[i][1];
	attempt_add_leftover(&m->a, xasprintf("at the source: %s%s%s%s: %s; `vmferry recover %s` tries again to undo that", name,
				       prefix ? " (" : "", prefix ? prefix : "", prefix ? "…)" : "", why->msg, m->guest.name));
}

void move_undo(struct move *m)
{
	if (m->undone || !m->a.journal)
		return;
	m->undone = true;
	attempt_undo(&m->a);
	if (m->a.handoff.state != HO_SRC_RELEASED && !m->a.handoff.qemu_alive && !m->a.over && autostart_make_up(&m->autostart, m->guest_shut_down))
		report_notice(&m->report, "unit %s starts the guest again, as it would have without the move", m->autostart.unit);
}

void move_undo_again(struct move *m)
{
	struct err e;

	if (m->a.handoff.qemu_alive && guest_open_qmp(&m->guest, &m->qmp, m->a.loop, MONITOR_MS, &conductor_qmp, &m->a.con, &e)) {
		log_info("%s", e.msg);
		m->qmp = NULL;
	}
	move_undo(m);
	attempt_end_journal(&m->a);
	if (m->a.handoff.state == HO_SRC_ABORTED)
		err_set(&m->why, ECANCELED, m->a.undo_failed ? "that move was over before, and what it left can still not be undone"
							   : "that move was over before, and what it left is undone now");
	m->a.handoff.finished = m->peer.aborted = true;
	conductor_finish(&m->a.con);
}
