/*
 * settle.c: how an attempt ends, in its own life or a later one (storage.h). It may be begun again at any point of itself.
 *
 * QEMU lives: an attempt that is beyond its point of no return is finished by it, one that is not is undone in it, and what its devices use
 * then is true, whatever was meant. QEMU has ended, or there was none: what starts the guest is true, as it changed while both images
 * were the same. Where that is not known COMMITTED is.
 */
#include "fault.h"
#include "moving.h"
#include "process.h"
#include "util.h"

#include <errno.h>
#include <poll.h>

#define QMP_OPEN_MS 5000
#define QEMU_END_MS 2000

static bool is_alive(const struct storage *s)
{
	return !s->rest && qemu_is_alive(s->guest.pid, s->guest.start_time);
}

/* True if the guest's QEMU has ended, for which this waits: its monitor closes a moment earlier. */
static bool has_ended(const struct storage *s)
{
	uint64_t until = now_ns() + QEMU_END_MS * 1000000ULL;

	while (is_alive(s) && now_ns() < until)
		poll(NULL, 0, 2);
	return !is_alive(s);
}

/* 1: QEMU can be asked; 0: it has ended; -errno: it is alive, and does not answer. */
static int reach(struct storage *s, struct err *e)
{
	static const struct qmp_handlers on = {.closed = storage_qmp_closed};
	int r;

	if (!is_alive(s))
		return 0;
	if (s->qmp && !s->qmp_lost)
		return 1;
	qmp_close(s->qmp);
	s->qmp = NULL;
	s->qmp_lost = false;
	r = guest_open_qmp(&s->guest, &s->qmp, s->life.loop, QMP_OPEN_MS, &on, s, e);
	s->unreachable = r != 0;
	if (r)
		return has_ended(s) ? 0 : err_prefix(e, "the guest's QEMU runs, and its monitor cannot be reached");
	return 1;
}

/* 1: past the point of no return; 0: not; -errno: not known. Decided without QEMU. */
static int is_committed(struct storage *s, struct err *e)
{
	enum handoff_state state = journal_last_state(s->life.journal);

	if (state == HO_SRC_RELEASED || state == HO_SRC_ABORTED)
		return state == HO_SRC_RELEASED;
	if (!s->starter.path)
		return state == HO_SRC_COMMITTED;
	return journal_last_note(s->life.journal, "switching") ? starter_names_new(s, e) : 0;
}

static void mark_all(struct storage *s, bool switched)
{
	for (unsigned i = 0; i < s->count; i++)
		s->disks[i].switched = switched;
}

/* Notes which disks were found to be switched, before anything is removed that might seem to be in use. */
static int note_truth(struct storage *s, struct err *e)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < s->count; i++)
		json_array_append_new(list, json_boolean(s->disks[i].switched));
	return life_journal_note(&s->life, "truth", json_pack("{s:o}", "switched", list), e);
}

/* False: nothing was found yet. */
static bool take_noted_truth(struct storage *s)
{
	const json_t *list = json_object_get(journal_last_note(s->life.journal, "truth"), "switched");

	for (unsigned i = 0; i < s->count && list; i++)
		s->disks[i].switched = json_is_true(json_array_get(list, i));
	return list != NULL;
}

static bool any_switched(const struct storage *s)
{
	unsigned i;

	for (i = 0; i < s->count && !s->disks[i].switched; i++)
		;
	return i < s->count;
}

static bool is_mixed(const struct storage *s)
{
	unsigned i;

	for (i = 1; i < s->count && s->disks[i].switched == s->disks[0].switched; i++)
		;
	return i < s->count;
}

/* ---- with QEMU ---- */

/*
 * Somebody may have given the guest's device another drive since, or taken it away: that changes nothing of what is known. Before its point of no return
 * no device was given the new image but by QEMU's own word.
 */
static int look_at_devices(struct storage *s, bool committed, struct err *e)
{
	enum handoff_state state = journal_last_state(s->life.journal);
	int r;

	if ((state == HO_SRC_RELEASED || state == HO_SRC_ABORTED) && take_noted_truth(s))
		return 0;
	r = mirrors_look_at_devices(s, e);
	return r == -ESTALE && !committed ? 0 : r;
}

static int set_script(struct storage *s, struct err *e)
{
	return starter_set(s, e) ?: journal_note(s->life.journal, "script-set", NULL, e);
}

static int in_qemu(struct storage *s, struct err *e)
{
	struct err why;
	int committed = is_committed(s, &why), r;

	if (committed < 0)
		committed = journal_last_state(s->life.journal) == HO_SRC_COMMITTED;
	if (committed && mirrors_finalize(s, &why))
		life_note(&s->life, "%s", why.msg);
	r = mirrors_cancel(s, e);
	if (storage_let_go_on(s, &why)) { /* the guest comes first */
		*e = why;
		r = r ?: -why.code;
	}
	r = r ?: look_at_devices(s, committed, e);
	if (!r && note_truth(s, &why)) /* noted again when all is settled */
		life_note(&s->life, "%s", why.msg);
	/* only once: whatever the script names later comes from a later change of disks */
	if (!r && journal_last_note(s->life.journal, "switching") && !journal_last_note(s->life.journal, "script-set") &&
	    set_script(s, &why)) {
		if (any_switched(s))
			life_leftover(&s->life, "%s: do not start the guest by it before it names its new images", why.msg);
		else
			life_note(&s->life, "%s", why.msg);
	}
	if (!r && mirrors_remove_nodes(s, &why))
		life_leftover(&s->life, "%s", why.msg);
	return r;
}

/* ---- without ---- */

static int without_qemu(struct storage *s, struct err *e)
{
	int r;

	if (take_noted_truth(s))
		return 0;
	r = is_committed(s, e);
	if (r < 0)
		return r;
	mark_all(s, r);
	for (unsigned i = 0; i < s->count && r; i++) {
		const struct moving_disk *d = &s->disks[i];
		pid_t pid = s->starter.path ? 0 : process_that_may_run_from(d->from, 0, 0);

		if (access(d->to, F_OK))
			return err_sys(e, errno, "the guest was given the image %s", d->to);
		if (pid < 0)
			return err_set(e, EIO,
				       "vmferry gave the guest the image %s, but cannot tell whether a process has its old image %s open",
				       d->to, d->from);
		if (pid)
			return err_set(
				e, EBUSY,
				"vmferry gave the guest the image %s, but process %d has its old image %s open, so it was started again "
				"from that: decide which image it is to keep; if the new one, end that process first",
				d->to, (int)pid, d->from);
	}
	return 0;
}

/* ---- files ---- */

static bool settle_files(struct storage *s)
{
	bool all = true;
	struct err e;

	storage_rest_let_go(s); /* open files would not be removed */
	for (unsigned i = 0; i < s->count; i++) {
		const struct moving_disk *d = &s->disks[i];

		if (d->switched) {
			old_settle(s, d);
			continue;
		}
		all = false;
		if (old_put_back(d, &e))
			life_leftover(&s->life, "%s", e.msg);
		if (storage_image_remove(s, d, &e))
			life_leftover(&s->life, "%s", e.msg);
		else if (d->to_device)
			life_note(&s->life, "%s holds an incomplete copy; you can overwrite it", d->to);
	}
	starter_remove_draft(s);
	return all;
}

int storage_settle(struct storage *s, struct err *e)
{
	struct err why;
	bool all;
	int r = reach(s, e);

	if (r < 0)
		return r;
	r = r ? in_qemu(s, e) : without_qemu(s, e);
	if (r && !s->rest && s->qmp_lost && has_ended(s)) /* meanwhile */
		r = without_qemu(s, e);
	if (r)
		return r;
	if (note_truth(s, &why)) { /* if all disks agree, a later life finds the same */
		if (is_mixed(s))
			return *e = why, -why.code;
		life_leftover(&s->life, "%s", why.msg);
	}
	fault_point("src-settling");
	all = settle_files(s);
	s->mixed = is_mixed(s);
	if (s->mixed)
		life_note(&s->life, "some disks are at their new places, and others are not, as QEMU did not switch them");
	if (journal_state(s->life.journal, all ? HO_SRC_RELEASED : HO_SRC_ABORTED, &why))
		life_leftover(&s->life, "%s", why.msg);
	return all;
}
