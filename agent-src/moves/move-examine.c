/*
 * move-examine.c: may this guest be moved at all? What can be said without the destination, before anything is touched.
 */
#include "move-private.h"
#include "qemu-cpu.h"
#include "qemu-migration.h"
#include "util.h"

#include <errno.h>
#include <string.h>

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
	if (!r)
		r = qemu_migration_settle(m->qmp, m->loop, e);
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

/* Left by a move that was over, in this QEMU: what has its own name is in nobody's way. */
static bool only_names_are_left(const struct journal *j)
{
	json_t *owned, *entry;
	bool yes = true;
	size_t i;

	if (journal_owned(j, &owned))
		return false;
	json_array_foreach(owned, i, entry)
		yes &= !strcmp(json_string_value(json_object_get(entry, "kind")), "bitmaps");
	json_decref(owned);
	return yes;
}

/* Does a journal that begins so speak of this very QEMU? */
static bool is_ours(const struct move *m, const json_t *begin)
{
	return json_integer_value(json_object_get(begin, "pid")) == m->guest.pid &&
	       (uint64_t)json_integer_value(json_object_get(begin, "start_time")) == m->guest.start_time;
}

static int check_journal(struct move *m, const struct journal *j, struct err *e)
{
	if (!is_ours(m, journal_begin(j)))
		return 0;
	if (!journal_last_note(j, "over"))
		return err_set(e, EBUSY, "an earlier move of this guest was cut off; settle it first: vmferry recover %s", m->guest.name);
	if (only_names_are_left(j))
		return 0;
	return err_set(e, EBUSY, "an earlier move could not undo all that it had changed in this guest's QEMU, which is in the way of another: "
		       "`vmferry recover %s` tries that again, and says what stands in its way", m->guest.name);
}

/* It may be of this guest: refused, unless what it begins with can be read and names another QEMU. */
static int check_unreadable(struct move *m, const char *path, const struct err *why, struct err *e)
{
	char id[2 * ATTEMPT_ID_LEN + 1];
	json_t *b;
	struct err ignored;
	bool other;

	if (!journal_peek(path, id, &b, &ignored)) {
		other = !is_ours(m, b);
		json_decref(b);
		if (other) {
			report_notice(&m->report, "%s (it is of another guest's move)", why->msg);
			return 0;
		}
	}
	return err_set(e, EBUSY, "%s. It may be of an earlier move of this guest, so another is not begun. `vmferry journal %s` shows what of it "
		       "can be read; if that move is not to be settled any more, move the file to another directory", why->msg, path);
}

/* Somebody has it open: an agent, whose control socket is in its runtime directory and not always in ours, or a guard, which has none. */
static int check_in_hand(struct move *m, const char *path, struct err *e)
{
	char id[2 * ATTEMPT_ID_LEN + 1];
	json_t *b;
	struct err ignored;
	bool ours;

	if (journal_peek(path, id, &b, &ignored))
		return 0; /* finished just now, or another guest's that is just begun */
	ours = is_ours(m, b);
	json_decref(b);
	return ours ? err_set(e, EBUSY, "a move of this guest is under way, or one that was cut off is just being settled (journal %s): wait for it", path)
		    : 0;
}

/* Is there an unfinished journal of this very QEMU? Its agent died, or is alive. */
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
		if (!journal_path_is(paths[i], true))
			continue;
		r = journal_open(&j, paths[i], &je);
		if (!r) {
			r = check_journal(m, j, e);
			journal_close(j);
		} else if (r == -EBUSY) {
			r = check_in_hand(m, paths[i], e);
		} else if (r == -ENOENT) {
			r = 0; /* just finished */
		} else {
			r = check_unreadable(m, paths[i], &je, e);
		}
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
	r = qemu_cpu(m->qmp, &m->cpu, e);
	if (r || !qemu_cpu_needs_names(m->cpu))
		return r;
	return qemu_cpu_names(m->qmp, NULL, m->cpu, e);
}

bool move_keeps_chain(const struct move *m, const struct guest_disk *d)
{
	return d->chain_count && m->opt->chain != CHAIN_FLATTEN;
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
const char *move_wanted_path(const struct move *m, const struct guest_disk *d)
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

int move_examine(struct move *m, struct err *e)
{
	size_t i;
	int r;

	if (m->guest.owner_hint)
		return err_set(e, ENOTSUP, "guest %s belongs to %s, which would lose track of it; move it with %s", m->guest.name,
			       m->guest.owner_hint,
			       strcmp(m->guest.owner_hint, "libvirt") ? "`qm remote-migrate`"
								      : "`virsh migrate --live --copy-storage-all`");
	r = guest_check_user(&m->guest, e);
	if (r)
		return err_prefix(e, "guest %s", m->guest.name);
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
		r = guest_watch_begin(&m->watch, &m->guest, m->qmp, e);
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
