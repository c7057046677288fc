/* live.c: the disks of a guest that runs (storage.h): copied by QEMU, switched by QEMU, when what starts the guest says so. */
#include "fault.h"
#include "json-text.h"
#include "moving.h"
#include "qemu-migration.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define TICK_MS	   100
#define PENDING_MS 1000	 /* time after which the guest is stopped */
#define STOPPED_MS 10000 /* limit for a guest that we have stopped */
#define PAUSE_MS   2

int storage_wait(struct storage *s, unsigned ms, struct err *e)
{
	uint64_t until = now_ns() + ms * 1000000ULL;
	int r;

	do {
		r = loop_step(s->life.loop, ms, e);
		if (r)
			return r;
		if (s->qmp_lost)
			return err_set(e, EPIPE, "the guest's QEMU has closed its monitor");
		if (life_is_cancelled(&s->life))
			return err_set(e, ECANCELED, "cancelled by the user");
	} while (now_ns() < until);
	return 0;
}

/* ---- prepare ---- */

static int prepare(struct storage *s, struct err *e)
{
	int r = 0;

	life_stage(&s->life, "prepare");
	for (unsigned i = 0; i < s->count && !r; i++)
		r = storage_image_make(s, &s->disks[i], e);
	fault_point("src-made");
	for (unsigned i = 0; i < s->count && !r; i++)
		r = mirror_add(s, &s->disks[i], e);
	fault_point("src-added");
	return r;
}

/* ---- copy ---- */

static int copy(struct storage *s, struct err *e)
{
	enum mirror_state state = MIRROR_COPYING;
	uint64_t limit = s->bwlimit;
	int r = 0;

	life_stage(&s->life, "copy");
	for (unsigned i = 0; i < s->count && !r; i++)
		r = mirror_begin(s, &s->disks[i], e);
	while (!r) {
		fault_point("src-copying");
		r = mirrors_look(s, &state, e);
		if (r || state == MIRROR_READY)
			break;
		if (state == MIRROR_PENDING)
			return err_set(e, EBUSY, "another client has completed the copies");
		storage_tell_progress(s);
		if (limit != s->bwlimit) {
			limit = s->bwlimit;
			r = mirrors_limit(s, limit, e);
		}
		r = r ?: storage_wait(s, TICK_MS, e);
	}
	return r;
}

/* ---- switch ---- */

/* -ETIMEDOUT: not all of them at the same time within ms. */
static int wait_until_pending(struct storage *s, unsigned ms, struct err *e)
{
	enum mirror_state state = MIRROR_READY;
	uint64_t until = now_ns() + ms * 1000000ULL;
	int r;

	while (!(r = mirrors_look(s, &state, e)) && state != MIRROR_PENDING) {
		if (now_ns() > until)
			return err_set(e, ETIMEDOUT, "the disks were not all the same as their copies at the same time");
		r = storage_wait(s, PAUSE_MS, e);
		if (r)
			return r;
	}
	return r;
}

static int note_stopped(struct storage *s, bool ours, struct err *e)
{
	return life_journal_note(&s->life, "stopped", json_pack("{s:b}", "ours", ours), e);
}

int storage_run_state(struct storage *s, char out[32], struct err *e)
{
	json_auto_t *status = NULL;
	int r = qmp_call(s->qmp, "query-status", NULL, &status, e);

	if (r)
		return r;
	snprintf(out, 32, "%s", json_text(status, "status") ?: "?");
	return 0;
}

/* True if QEMU aborts when it switches a disk whose guest was stopped, by anybody, while requests to that disk waited: one of these is let
 * through to the old image then (bdrv_co_write_req_prepare(); seen with 7.2, not with 10.0). No request waits of a guest that was stopped
 * before. */
static bool is_old_qemu(const struct storage *s)
{
	int major, minor, micro;

	qmp_version(s->qmp, &major, &minor, &micro);
	return major < 10;
}

/* True if one of the disks has a thread of its own, so that QEMU aborts when its guest is stopped, by anybody, while the mirror comes to its end
 * (qemu-iothread.c), or if QEMU does not tell. A guest that was stopped before cannot be stopped then. */
static bool has_thread(const struct storage *s)
{
	bool has = false;
	struct err e;

	for (unsigned i = 0; i < s->count && !has; i++)
		has = guest_has_thread(&s->guest, s->qmp, s->disks[i].device, &has, &e) || has;
	return has;
}

static bool is_stopped_first(const struct storage *s)
{
	return is_old_qemu(s) || has_thread(s);
}

/* Stops a guest that writes faster than its new disks can take. An agent that takes this attempt up resumes it. If another client has
 * stopped the guest since we looked, or does so just before us (QEMU then sends no second STOP), we must not resume it. */
static int stop(struct storage *s, struct err *e)
{
	char state[32];
	int r = storage_run_state(s, state, e);

	if (r || strcmp(state, "running"))
		return r;
	r = note_stopped(s, true, e);
	fault_point("src-stop-noted");
	r = r ? r : storage_run_state(s, state, e); /* the journal took a while */
	s->stop_heard = false;
	if (!r && !strcmp(state, "running"))
		r = qmp_call(s->qmp, "stop", NULL, NULL, e);
	fault_point("src-stopped");
	if (!r && !s->stop_heard)
		r = note_stopped(s, false, e);
	s->stop_heard = false; /* a later one is another client's */
	return r;
}

int storage_let_go_on(struct storage *s, struct err *e)
{
	char state[32];
	int r;

	if (!json_is_true(json_object_get(journal_last_note(s->life.journal, "stopped"), "ours")))
		return 0;
	r = storage_run_state(s, state, e);
	if (!r && !strcmp(state, "paused"))
		r = qmp_call(s->qmp, "cont", NULL, NULL, e);
	if (!r)
		life_note(&s->life, "the guest was stopped for a moment, %s",
			  is_old_qemu(s)  ? "as its QEMU does not bear that another client stops it while its requests wait"
			  : has_thread(s) ? "as its QEMU does not bear that it is stopped while a disk with an iothread is switched"
					  : "as it wrote too fast");
	return r ?: note_stopped(s, false, e);
}

/* A client that let the guest go on and has stopped it again finds it stopped. */
static int check_not_stopped(struct storage *s, struct err *e)
{
	int r;

	if (!s->stop_heard)
		return 0;
	r = note_stopped(s, false, e);
	if (!r && is_old_qemu(s))
		r = err_set(e, EBUSY,
			    "another client stopped the guest while its requests waited, and its QEMU would end if it switched to the new "
			    "disks then: begin again");
	return r;
}

static int complete(struct storage *s, struct err *e)
{
	int r = s->bwlimit ? mirrors_limit(s, 0, e) : 0; /* requests are about to wait */
	bool first = is_stopped_first(s);

	if (!r && first) {
		s->held_since_ns = now_ns();
		s->stop_heard = false; /* who stopped it during the copy did so before requests wait */
		r = stop(s, e);
	}
	for (unsigned i = 0; i < s->count && !r; i++)
		r = qmp_call(s->qmp, "job-complete", json_pack("{s:s}", "id", s->disks[i].names.job), NULL, e);
	if (!r)
		r = fault_point("src-stall") ? -ETIMEDOUT : wait_until_pending(s, PENDING_MS, e);
	if (r != -ETIMEDOUT)
		return r;
	r = first ? 0 : stop(s, e); /* if another client has let it go on requests wait */
	return r ?: wait_until_pending(s, STOPPED_MS, e);
}

static int sync_all(const struct storage *s, struct err *e)
{
	int r = 0;

	for (unsigned i = 0; i < s->count && !r; i++)
		r = storage_image_sync(s, &s->disks[i], e);
	return r;
}

/* Checks that no other client has started a migration or switched a disk. */
static int check_alone(struct storage *s, struct err *e)
{
	int r;

	if (!qemu_migration_is_over(s->qmp))
		return err_set(e, EBUSY, "another client migrates this guest");
	r = mirrors_look_at_devices(s, e);
	for (unsigned i = 0; i < s->count && !r; i++)
		if (s->disks[i].switched)
			r = err_set(e, EBUSY, "another client has switched disk %s", s->disks[i].from);
	return r;
}

/* The guest's requests to these disks wait in QEMU meanwhile. */
static int commit(struct storage *s, struct err *e)
{
	int r = check_alone(s, e) ?: bitmaps_copy(s, e);

	if (!r)
		r = sync_all(s, e); /* QEMU has synced them, unless by cache.no-flush */
	fault_point("src-pending");
	if (!r)
		r = storage_wait(s, 0, e); /* the last moment to say no */
	r = r ?: check_not_stopped(s, e) ?: starter_switch(s, e) ?: journal_state(s->life.journal, HO_SRC_COMMITTED, e);
	if (r)
		return r;
	s->committed = true;
	fault_point("src-committed");
	return mirrors_finalize(s, e);
}

static int switch_over(struct storage *s, struct err *e)
{
	int r = 0;

	life_stage(&s->life, "switchover");
	for (unsigned i = 0; i < s->count && !r; i++)
		r = mirror_settle_options(s, &s->disks[i], e);
	r = r ?: starter_prepare(s, e);
	if (!r)
		r = sync_all(s, e); /* leaves little to sync while requests wait */
	fault_point("src-ready");
	if (!r && !guard_is_alive(&s->guard)) /* should we die now, requests would wait for ever */
		r = err_set(e, ESRCH, "our guard, which would go on if we could not, has ended");
	guard_tell(&s->guard, true);
	r = r ?: complete(s, e) ?: commit(s, e);
	if (s->held_since_ns)
		s->held_ns = now_ns() - s->held_since_ns;
	return r;
}

int storage_live(struct storage *s, struct err *e)
{
	return prepare(s, e) ?: copy(s, e) ?: switch_over(s, e);
}
