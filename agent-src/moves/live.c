/* live.c: a guest that runs, or is paused, with its memory: its QEMU gives everything, and stops it only at the end. */
#include "libvirt-plain.h"
#include "replica-sync.h"
#include "transfer.h"
#include "libvirt-rpc.h"
#include "process.h"
#include "util.h"
#include "vcpu-time.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

const struct stage live_stages[] = {
	[ST_CONNECT] = {"connect", connect_enter, connect_event},
	[ST_PREFLIGHT] = {"preflight", preflight_enter, preflight_event},
	[ST_PREPARE] = {"prepare", prepare_enter, prepare_event},
	[ST_COPY] = {"copy", copy_enter, copy_event},
	[ST_SWITCHOVER] = {"switchover", switchover_enter, switchover_event},
	[ST_COMMIT] = {"commit", commit_enter, common_event},
	[ST_RELEASE] = {"release", NULL, common_event},
};

/* The replica's host runs it without libvirt, so a point has the line of a plain guest. */
static int plan_plain_line(struct transfer *t, struct err *e)
{
	struct libvirt_guest *l = &t->around.definition.guest;
	struct libvirt_plain plain;

	if (libvirt_plain_line(&plain, l->xml ?: l->live_xml, &l->def, NULL, e))
		return err_prefix(e, "guest %s of libvirt, as a plain one at its replica's host", t->src.guest.name);
	t->src.libvirt.line_there = json_array();
	for (size_t i = 0; i < plain.argc; i++)
		json_array_append_new(t->src.libvirt.line_there, json_string(plain.argv[i]));
	libvirt_plain_fini(&plain);
	return 0;
}

/* The guest is described as libvirt has it: what its QEMU says of itself is mostly another user's word. */
static int find_libvirts(struct transfer *t, struct err *e)
{
	bool can_go = (t->src.traits.carries_memory && !t->opt->in_place) || t->src.traits.stays_here;
	AUTO_FREE char *pid = xasprintf("%d", (int)t->src.guest.pid);
	int found = can_go ? definition_find_running(&t->around.definition, pid, e) : 0;

	if (found > 0 && t->opt->replica && !t->opt->replica->planned && plan_plain_line(t, e))
		return -e->code;
	if (found > 0 && live_become_plain(t, e))
		return -e->code;
	if (found > 0)
		return recipe_choose(t, t->recipe->how, "libvirt", e);
	if (can_go && !found)
		return err_set(
			e, ENOENT,
			"guest %s seems to be libvirt's, and no libvirt that answers runs it: is it another user's (qemu:///session)? That "
			"user moves it",
			t->src.guest.name);
	return found ? -e->code : source_check_owner(&t->src.guest, t->opt, e);
}

int live_find(struct transfer *t, struct err *e)
{
	int r = guest_find(&t->src.guest, t->opt->vm, e);

	if (guest_is_libvirts(&t->src.guest))
		r = find_libvirts(t, e);
	else if (r == -ENXIO && t->src.guest.owner_hint)
		r = source_check_owner(&t->src.guest, t->opt, e);
	if (r == -ENOENT && !access(t->opt->vm, R_OK))
		err_set(e, ENOENT, "%s is no monitor of a guest that runs. If it is the script of one that is shut down: %s", t->opt->vm,
			t->src.traits.stays_here
				? "start it first, as its disks are copied while it runs, or move it as it is (vmferry migrate, --how cold)"
				: "--how cold");
	r = r ?: live_check_as(t, e);
	if (!r)
		r = transfer_open(t, e); /* keeps other clients from moving the guest */
	r = r ?: source_query(&t->src, e);
	if (!r && t->src.libvirt.uuid)
		libvirt_name_disks(&t->around.definition.guest, &t->src.guest);
	return r;
}

pid_t live_known_as(const struct transfer *t)
{
	return t->src.guest.pid;
}

void live_describe_for_journal(struct transfer *t, json_t *begin)
{
	source_describe_for_journal(&t->src, begin);
	ram_describe_for_journal(&t->ram, begin);
}

/* ---- an earlier life ---- */

bool live_can_run(const struct transfer *t)
{
	const char *then = json_string_value(json_object_get(journal_begin(t->a.journal), "boot_id"));
	AUTO_FREE char *boot = boot_id();

	return boot && then && !strcmp(boot, then) && qemu_is_alive(t->src.guest.pid, t->src.guest.start_time);
}

#define HELD_AGAIN "held-again" /* journal entry: {"heard"} */
#define HOLD_MS	   5000
#define ASK_MS	   5000

static int note_heard(struct transfer *t, bool heard, struct err *e)
{
	return attempt_note(&t->a, HELD_AGAIN, json_pack("{s:b}", "heard", heard), e);
}

static int has_gone_on(struct transfer *t, struct err *e)
{
	t->end.ran_on = true;
	return err_set(
		e, EBUSY,
		"the source QEMU (process %d) was stopped when the guest was handed over, and another process has resumed it: the guest "
		"may have run both here and at the destination. Nothing was changed; end the copy that is not to live, then recover "
		"again%s",
		(int)t->src.guest.pid, t->end.fenced ? " (the destination can be reached: it is not gone)" : "");
}

/* The held guest is not let go on: whoever asked for that may still wait for it to hear (virsh resume). */
static int cannot_tell(const struct transfer *t, struct err *e)
{
	e->code = EAGAIN;
	return err_prefix(
		e,
		"the source QEMU (process %d) is held again, and vmferry cannot tell whether it has run the guest since the hand-over: it "
		"stays held. Recover again once libvirt answers, or end whichever copy is not to live",
		(int)t->src.guest.pid);
}

/* A held QEMU answers nothing itself; libvirt has heard after that time whatever there was to hear of it. */
static int ask_libvirt(const struct transfer *t, bool *runs, struct err *e)
{
	enum lv_state state = LV_NOSTATE;
	struct lv_domain domain;
	struct lv *v;
	int r = lv_open(&v, ASK_MS, e);

	if (r)
		return r;
	r = lv_lookup_text(v, t->src.libvirt.uuid, &domain, e);
	if (!r) {
		poll(NULL, 0, VCPU_HEAR_MS);
		r = lv_state_of(v, &domain, &state, NULL, e);
		lv_domain_fini(&domain);
	}
	lv_close(v);
	*runs = state != LV_PAUSED;
	return r;
}

/* An earlier life has held it again, and could not tell. */
static int still_unheard(struct transfer *t, struct err *e)
{
	bool runs = true;
	int r = t->src.libvirt.uuid ? ask_libvirt(t, &runs, e) : err_set(e, EAGAIN, "its monitor does not answer while it is held");

	if (r)
		return cannot_tell(t, e);
	return runs ? has_gone_on(t, e) : note_heard(t, true, e);
}

/* COMMITTED, and its QEMU lives. One that stands as it was left, or has done nothing since, is held again; one that has gone on
 * may have run the guest, and only a person can tell which copy is to live. */
static int still_held(struct transfer *t, struct err *e)
{
	const json_t *note = journal_last_note(t->a.journal, HELD_AGAIN);
	const struct guest *g = &t->src.guest;
	char state[32];
	int unheard;

	if (process_is_held(g->pid, g->start_time))
		return note && !json_is_true(json_object_get(note, "heard")) ? still_unheard(t, e) : 0;
	if (source_open_monitor(&t->src, e) || source_run_state(&t->src, state, now_ns() + SOURCE_SETTLES_MS * 1000000ULL, e) ||
	    strcmp(state, t->recipe->left_in))
		return has_gone_on(t, e);
	if (note_heard(t, false, e))
		return -e->code;
	if (process_hold(g->pid, g->start_time, HOLD_MS, e))
		return has_gone_on(t, e);
	unheard = qmp_drain(t->src.qmp, e);
	if (conductor_has_qmp(&t->a.con, "RESUME")) {
		kill(g->pid, SIGCONT);
		return has_gone_on(t, e);
	}
	if (unheard)
		return cannot_tell(t, e);
	if (!note_heard(t, true, e))
		return 0;
	if (!t->src.libvirt.uuid) /* the next recovery could not tell whether the guest has run, so leave it as it was found */
		kill(g->pid, SIGCONT);
	return -e->code;
}

static int may_have_run(struct transfer *t, int r)
{
	t->end.ran_on = r != 0;
	return r;
}

/* Memory that is held is older than the disks then and must never run again, whatever a person says about the destination. */
static int beside_it(struct transfer *t, struct err *e)
{
	return cutover_nobody_restarted_it(t, e) ? err_prefix(e, "its QEMU (process %d) is held", (int)t->src.guest.pid) : 0;
}

int live_take_up(struct transfer *t, struct err *e)
{
	bool alive = t->a.handoff.qemu_alive;

	if (handoff_is_given_up(&t->a.handoff))
		return alive ? still_held(t, e) ?: beside_it(t, e) : may_have_run(t, cutover_nobody_restarted_it(t, e));
	if (!alive || t->a.handoff.state == HO_SRC_RELEASED)
		return 0;
	if (shared_disks_unwritten(t, e) || cutover_held_fits_disks(t, e))
		return -e->code;
	kill(t->src.guest.pid, SIGCONT);
	return source_open_monitor(&t->src, e);
}

/* libvirt has done nothing in its job, and nothing of the guest depends on it. */
int libvirt_take_back(struct transfer *t, struct err *e)
{
	int r = live_take_back(t, e);

	if (!r)
		definition_end_job(&t->around.definition);
	return r;
}
