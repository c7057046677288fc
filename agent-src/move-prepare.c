/*
 * move-prepare.c: examines the guest, and changes in the source QEMU what a move needs; and puts all of it back.
 *
 * Every change is journaled first (kinds "settings", "nbd-server", "bitmap", "export"), so that move_undo works from the
 * journal alone, in this life of the agent or a later one.
 */
#include "move.h"
#include "dest-options.h"
#include "log.h"
#include "qemu-cpu.h"
#include "qemu-settings.h"
#include "util.h"
#include "version.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#define UNLIMITED_BPS  (1LL << 40) /* QEMU's own limiter is not used */
#define WINDOW_ALL     (16 * MIB)  /* frames on their way, over all channels */
#define GONE_MS	       3000

/* ---- connect: may this guest be moved at all? ---- */

static int examine_disk(struct move *m, const struct guest_disk *d, struct err *e)
{
	struct disk *k;

	if (d->removable_empty || d->read_only)
		return 0; /* stays as it is in the command line */
	if (guest_disk_movable(d, m->opt->accept, e))
		return -e->code;
	if (m->disk_count == 64)
		return err_set(e, ENOTSUP, "more than 64 disks");
	k = &m->disks[OBJECT_DISK_BASE + m->disk_count++];
	k->guest = d;
	k->object = OBJECT_DISK_BASE + m->disk_count - 1;
	return 0;
}

static int check_blockers(struct move *m, struct err *e)
{
	json_t *info, *reasons, *jobs;
	const char *status;
	int r = qmp_call(m->qmp, "query-migrate", NULL, &info, e);

	if (r)
		return r;
	reasons = json_object_get(info, "blocked-reasons");
	status = json_string_value(json_object_get(info, "status"));
	if (json_array_size(reasons))
		r = err_set(e, ENOTSUP, "QEMU cannot migrate this guest: %s",
			    json_string_value(json_array_get(reasons, 0)));
	else if (status && (!strcmp(status, "active") || !strcmp(status, "setup") || !strcmp(status, "device") ||
			    !strcmp(status, "pre-switchover") || !strcmp(status, "cancelling")))
		r = err_set(e, EBUSY, "a migration of this guest is under way already (QEMU says: %s)", status);
	json_decref(info);
	if (r)
		return r;
	r = qmp_call(m->qmp, "query-block-jobs", NULL, &jobs, e);
	if (!r && json_array_size(jobs))
		r = err_set(e, EBUSY, "a block job (%s) is running in this guest; wait for it or cancel it first",
			    json_string_value(json_object_get(json_array_get(jobs, 0), "device")));
	if (!r)
		json_decref(jobs);
	return r;
}

/* An unfinished journal of this very QEMU: its agent died, or is alive. */
static int check_journals(struct move *m, struct err *e)
{
	struct journal *j;
	char **paths;
	size_t n, i;
	struct err je;
	int r = journal_list(m->opt->state_dir, &paths, &n, e);

	if (r)
		return r;
	for (i = 0; i < n && !r; i++) {
		const json_t *b;

		if (!strstr(paths[i], "-src.journal"))
			continue;
		if (journal_open(&j, paths[i], &je))
			continue; /* another agent holds it; control_open finds out whether for this guest */
		b = journal_begin(j);
		if (json_integer_value(json_object_get(b, "pid")) == m->guest.pid &&
		    (uint64_t)json_integer_value(json_object_get(b, "start_time")) == m->guest.start_time)
			r = err_set(e, EBUSY, "an earlier move of this guest was cut off; settle it first: vmferry recover %s",
				    m->guest.name);
		journal_close(j);
	}
	journal_list_free(paths, n);
	return r;
}

/* What is not UTF-8 cannot be described in JSON. */
static int check_text(const struct move *m, struct err *e)
{
	size_t i;

	for (i = 0; i < m->guest.argc; i++)
		if (!text_is_utf8(m->guest.argv[i]))
			return err_set(e, EILSEQ, "argument %zu of the guest's command line is not UTF-8 text", i);
	for (i = 0; i < m->guest.disk_count; i++)
		if (m->guest.disks[i].real_path && !text_is_utf8(m->guest.disks[i].real_path))
			return err_set(e, EILSEQ, "the name of the disk file %s is not UTF-8 text", m->guest.disks[i].real_path);
	if (!text_is_utf8(m->guest.cwd))
		return err_set(e, EILSEQ, "the name of QEMU's directory %s is not UTF-8 text", m->guest.cwd);
	return 0;
}

/* QEMU has one NBD server, and only its exports can be seen. */
static int check_exports(struct move *m, struct err *e)
{
	json_t *exports;
	const char *id;
	int r = qmp_call(m->qmp, "query-block-exports", NULL, &exports, e);

	if (r)
		return r;
	id = json_string_value(json_object_get(json_array_get(exports, 0), "id"));
	if (m->disk_count && json_array_size(exports))
		r = err_set(e, EBUSY, "this QEMU exports a disk already (block export %s), by the one NBD server that vmferry needs; "
			    "end that first (block-export-del, nbd-server-stop)", id ? id : "?");
	json_decref(exports);
	return r;
}

static int examine_cpu(struct move *m, struct err *e)
{
	json_t *kvm;
	int r = qmp_call(m->qmp, "query-kvm", NULL, &kvm, e);

	if (r)
		return r;
	m->accel = json_is_true(json_object_get(kvm, "enabled")) ? "kvm" : "tcg";
	json_decref(kvm);
	return qemu_cpu(m->qmp, &m->cpu, e);
}

bool move_keeps_chain(const struct move *m, const struct guest_disk *d)
{
	return d->chain_count && (!m->opt->chain || strcmp(m->opt->chain, "flatten"));
}

/* A disk that the user calls by its node, drive, device or file. */
static bool is_called(const struct guest_disk *d, const char *name, size_t n)
{
	const char *slash = strrchr(d->real_path, '/'), *id = d->qdev ? strrchr(d->qdev, '/') : NULL;
	const char *const names[] = {d->node, d->drive_id, d->qdev, d->real_path, d->file, slash ? slash + 1 : NULL, id ? id + 1 : NULL};
	size_t i;

	for (i = 0; i < ARRAY_LEN(names); i++)
		if (names[i] && strlen(names[i]) == n && !memcmp(names[i], name, n))
			return true;
	/* "/machine/peripheral/vd0/virtio-backend" is the device vd0's */
	return d->qdev && n && strstr(d->qdev, "/peripheral/") && !strncmp(strstr(d->qdev, "/peripheral/") + 12, name, n) &&
	       strchr("/", strstr(d->qdev, "/peripheral/")[12 + n]);
}

/* Where the user wants it, or NULL. */
static const char *wanted_path(const struct move *m, const struct guest_disk *d)
{
	unsigned i;

	for (i = 0; i < m->opt->disk_map_count; i++) {
		const char *map = m->opt->disk_map[i], *to = strchr(map, '=');

		if (is_called(d, map, (size_t)(to - map)))
			return to + 1;
	}
	return NULL;
}

/* Each --disk names one disk of this guest. */
static int check_disk_map(const struct move *m, struct err *e)
{
	unsigned i, k, hits;

	for (i = 0; i < m->opt->disk_map_count; i++) {
		const char *map = m->opt->disk_map[i];
		size_t n = strcspn(map, "=");

		for (hits = 0, k = 0; k < m->disk_count; k++)
			hits += is_called(m->disks[OBJECT_DISK_BASE + k].guest, map, n);
		if (hits != 1)
			return err_set(e, EINVAL, "--disk %s: %s disk of this guest is called %.*s (its node, drive, device or file name)", map,
				       hits ? "more than one" : "no", (int)n, map);
	}
	return 0;
}

static uint64_t allocated(const struct move *m, const struct guest_disk *d)
{
	uint64_t sum = d->allocated;
	size_t i;

	for (i = 0; i < d->chain_count && !move_keeps_chain(m, d); i++)
		sum += d->chain[i].allocated;
	return MIN(sum, MAX(d->virtual_size, d->allocated));
}

int move_examine(struct move *m, struct err *e)
{
	size_t i;
	int r;

	if (m->guest.owner_hint)
		return err_set(e, ENOTSUP, "guest %s belongs to %s, which would lose track of it; move it with %s", m->guest.name,
			       m->guest.owner_hint,
			       strcmp(m->guest.owner_hint, "libvirt") ? "`qm remote-migrate`"
								      : "`virsh migrate --live --copy-storage-all`");
	r = check_text(m, e);
	if (!r)
		r = check_journals(m, e);
	if (!r)
		r = check_blockers(m, e);
	for (i = 0; !r && i < m->guest.disk_count; i++)
		r = examine_disk(m, &m->guest.disks[i], e);
	if (!r)
		r = guest_check_drift(&m->guest, m->qmp, e);
	if (!r)
		r = check_disk_map(m, e);
	if (!r)
		r = check_exports(m, e);
	if (!r)
		r = examine_cpu(m, e);
	if (!r)
		r = autostart_examine(&m->autostart, &m->guest, m->opt->keep_unit, e);
	if (r)
		return r;
	if (strcmp(m->guest.status, "running") && strcmp(m->guest.status, "paused"))
		return err_set(e, EBUSY, "the guest is in state '%s'; only a running or paused one can be moved",
			       m->guest.status);
	m->was_running = m->guest.running;
	m->paused = !m->was_running;
	return 0;
}

static json_t *describe_disk(const struct move *m, const struct disk *d)
{
	const struct guest_disk *g = d->guest;
	struct stat st = {.st_mode = 0600};
	json_t *out;

	if (g->block_device || stat(g->real_path, &st))
		st = (struct stat){.st_mode = 0600, .st_uid = geteuid(), .st_gid = getegid()};
	out = json_pack("{s:i,s:s,s:s,s:s,s:s,s:I,s:I,s:i,s:i,s:i,s:i,s:s*}", "object", (int)d->object, "node", g->node, "file",
			g->file, "real_path", g->real_path, "format", g->format, "virtual_size",
			(json_int_t)g->virtual_size, "allocated", (json_int_t)allocated(m, g), "cluster_size",
			(int)g->cluster_size, "mode", (int)(st.st_mode & 0777), "uid", (int)st.st_uid, "gid",
			(int)st.st_gid, "path", wanted_path(m, g));
	if (move_keeps_chain(m, g))
		json_object_set_new(out, "backing", json_pack("{s:s*,s:s*}", "name", g->chain[0].name, "format", g->chain[0].format));
	return out;
}

json_t *move_describe(const struct move *m, struct err *e)
{
	AUTO_FREE char *version = xasprintf("%d.%d.%d", m->guest.qemu_major, m->guest.qemu_minor, m->guest.qemu_micro);
	json_t *argv = json_array(), *disks = json_array(), *d;
	char host[256] = "";
	size_t i;

	gethostname(host, sizeof(host) - 1);

	for (i = 0; i < m->guest.argc; i++)
		json_array_append_new(argv, json_string(m->guest.argv[i]));
	for (i = 0; i < m->disk_count; i++)
		json_array_append_new(disks, describe_disk(m, &m->disks[OBJECT_DISK_BASE + i]));
	d = json_pack("{s:s,s:s*,s:b,s:s,s:s,s:s,s:s,s:o,s:o,s:I,s:b,s:s,s:s*,s:i,s:i,s:{s:s*,s:s*}}", "software",
		      VMFERRY_VERSION, "host", text_is_utf8(host) ? host : NULL, "install_unit", m->opt->install_unit, "ram_mode",
		      m->opt->ram_mode, "name", m->guest.name, "exe", m->guest.exe, "machine", m->guest.machine, "argv", argv, "disks",
		      disks, "ram_bytes", (json_int_t)m->guest.ram_bytes, "paused", m->paused, "cwd", m->guest.cwd, "disk_dir",
		      m->opt->disk_dir, "channels", (int)m->opt->channels, "multifd", (int)m->multifd, "env", "LD_LIBRARY_PATH",
		      m->guest.env_ld_library_path, "QEMU_MODULE_DIR", m->guest.env_module_dir);
	json_object_set(d, "cpu", m->cpu);
	json_object_set_new(d, "accel", json_string(m->accel));
	json_object_set_new(d, "qemu_version", json_string(version));
	if (move_describe_line(m, d, e)) {
		json_decref(d);
		return NULL;
	}
	return d;
}

/* ---- prepare ---- */

static int set_capabilities(struct move *m, struct err *e)
{
	const char *on[8] = {"events", "return-path", "pause-before-switchover", "switchover-ack"};
	unsigned n = 4;

	if (m->multifd)
		on[n++] = "multifd";
	if (m->opt->on_stall == ON_STALL_THROTTLE)
		on[n++] = "auto-converge";
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

static int begin_journal(struct move *m, struct err *e)
{
	AUTO_FREE char *boot = boot_id();
	json_t *begin = json_pack("{s:s,s:i,s:I,s:s,s:s*,s:s,s:o,s:s*,s:s*,s:b,s:o}", "guest", m->guest.name, "pid",
				  (int)m->guest.pid, "start_time", (json_int_t)m->guest.start_time, "qmp",
				  m->guest.qmp_path, "boot_id", boot, "dest", m->opt->dest.where, "reach",
				  dest_options_save(&m->opt->dest), "migrate_socket",
				  m->migrate_socket, "disk_dir", m->opt->disk_dir, "paused", m->paused, "disks",
				  disk_paths(m));
	int r = journal_create(&m->journal, m->opt->state_dir, m->attempt, true, begin, e);

	m->source_disks = json_incref(json_object_get(begin, "disks"));
	json_decref(begin);
	if (r)
		return r;
	handoff_init(&m->handoff, HO_SOURCE);
	m->handing_off = true;
	return 0;
}

int move_prepare_source(struct move *m, struct err *e)
{
	char id[2 * ATTEMPT_ID_LEN + 1];
	json_t *detail;
	int r;

	attempt_id_format(m->attempt, id);
	m->migrate_socket = xasprintf("%s/%.12s.migrate", m->opt->runtime_dir, id);
	m->nbd_socket = xasprintf("%s/%.12s.nbd", m->opt->runtime_dir, id);
	r = begin_journal(m, e);
	if (!r)
		r = settings_save(m->qmp, &m->settings, e);
	if (!r)
		r = journal_own(m->journal, "settings", m->settings, e);
	if (!r)
		r = set_capabilities(m, e);
	if (!r)
		r = set_parameters(m, e);
	if (r || !m->disk_count)
		return r;
	detail = json_pack("{s:s}", "path", m->nbd_socket);
	r = journal_own(m->journal, "nbd-server", detail, e);
	if (!r)
		r = qmp_call(m->qmp, "nbd-server-start",
			     json_pack("{s:{s:s,s:{s:s}}}", "addr", "type", "unix", "data", "path", m->nbd_socket), NULL, e);
	if (r) {
		/* it was not started by us: it must not be stopped by us */
		struct err je;

		journal_disown(m->journal, "nbd-server", detail, &je);
		err_prefix(e, "the guest's NBD server (is it in use by someone else?)");
	}
	json_decref(detail);
	return r;
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
	m->destination_pid = (int)json_integer_value(json_object_get(ready, "pid"));
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
	/* A connection and a HELLO are two round trips; a lost packet among them says nothing of the rest, and must not keep the
	 * move from switching over. */
	m->round_trip_ms = (double)quickest / 1e6 / 2;
	if (!r)
		r = disk_reader_start(&m->reader, m->senders + m->streams, m->channels - m->streams, &m->shared,
				      &m->disk_results, e);
	return r;
}

/* ---- undo ---- */

static bool export_listed(struct qmp *q, const char *id)
{
	json_t *list, *x;
	bool yes = false;
	struct err e;
	size_t i;

	if (qmp_call(q, "query-block-exports", NULL, &list, &e))
		return false;
	json_array_foreach(list, i, x)
		yes |= !strcmp(json_string_value(json_object_get(x, "id")), id);
	json_decref(list);
	return yes;
}

static int undo_export(struct move *m, const json_t *detail, struct err *e)
{
	const char *id = json_string_value(json_object_get(detail, "id"));
	uint64_t until = now_ns() + GONE_MS * 1000000ULL;

	if (!id || !export_listed(m->qmp, id))
		return 0;
	if (qmp_call(m->qmp, "block-export-del", json_pack("{s:s,s:s}", "id", id, "mode", "hard"), NULL, e))
		return -e->code;
	while (export_listed(m->qmp, id))
		if (now_ns() > until || loop_step(m->loop, 2, e))
			return err_set(e, ETIMEDOUT, "the NBD export %s does not go away", id);
	return 0;
}

static int undo_one(struct move *m, const char *kind, const json_t *detail, struct err *e)
{
	const char *node = json_string_value(json_object_get(detail, "node"));
	const char *name = json_string_value(json_object_get(detail, "name"));
	int r;

	if (!strcmp(kind, "settings"))
		return settings_restore(m->qmp, detail, e);
	if (!strcmp(kind, "throttle"))
		return disks_unthrottle(m->qmp, json_string_value(json_object_get(detail, "qdev")), e);
	if (!strcmp(kind, "export"))
		return undo_export(m, detail, e);
	if (!strcmp(kind, "nbd-server")) {
		r = qmp_call(m->qmp, "nbd-server-stop", NULL, NULL, e);
		return r == -EREMOTEIO ? 0 : r; /* it was not running */
	}
	if (!strcmp(kind, "bitmap") && node && name) {
		r = qmp_call(m->qmp, "block-dirty-bitmap-remove", json_pack("{s:s,s:s}", "node", node, "name", name), NULL, e);
		return r == -EREMOTEIO && strstr(e->msg, "not found") ? 0 : r;
	}
	return 0;
}

void move_undo(struct move *m)
{
	bool released = m->handoff.state == HO_SRC_RELEASED;
	json_t *owned, *entry;
	struct err e;
	size_t i;

	if (m->undone || !m->journal || journal_owned(m->journal, &owned))
		return;
	m->undone = true;
	json_array_foreach(owned, i, entry) {
		const char *kind = json_string_value(json_object_get(entry, "kind"));
		json_t *detail = json_object_get(entry, "detail");

		if (!strcmp(kind, "unit") && autostart_settle(detail, released, m->disabled, &e)) {
			report_notice(&m->report, "%s", e.msg);
			m->undo_failed = true;
			continue;
		}
		if (!strcmp(kind, "unit") && !released && !m->handoff.qemu_alive && !m->autostart.unit &&
		    !json_is_true(json_object_get(detail, "runtime")))
			report_notice(&m->report, "unit %s may start the guest again",
				      json_string_value(json_object_get(detail, "unit")));
		if (m->qmp && qmp_alive(m->qmp) && m->handoff.qemu_alive && undo_one(m, kind, detail, &e)) {
			report_notice(&m->report, "could not undo a change in the source QEMU (%s): %s", kind, e.msg);
			m->undo_failed = true;
			continue; /* stays in the journal */
		}
		if (!strcmp(kind, "nbd-server") && json_string_value(json_object_get(detail, "path")))
			unlink(json_string_value(json_object_get(detail, "path")));
		if (journal_disown(m->journal, kind, detail, &e))
			log_error("%s", e.msg);
	}
	json_decref(owned);
	if (!released && !m->handoff.qemu_alive && autostart_make_up(&m->autostart, m->guest_shut_down))
		report_notice(&m->report, "unit %s starts the guest again, as it would have without the move", m->autostart.unit);
}
