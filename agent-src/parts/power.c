/* power.c: see power.h. */
#include "power.h"
#include "error-stop.h"
#include "fault.h"
#include "json-text.h"
#include "log.h"
#include "qemu-migration.h"
#include "qemu-opts.h"
#include "util.h"

#include <errno.h>
#include <string.h>

#define PAUSE_MS    20
#define RESET_MS    10000
#define FIRMWARE_MS 1000
#define END_MS	    5000

static struct power *power_of(struct part *p)
{
	return container_of(p, struct power, part);
}

/* ---- what QEMU does when the guest shuts down ---- */

/* Shutdown and reboot actions from the command line; QEMU has no query for them. */
static json_t *actions_of(const struct guest *g)
{
	json_t *actions = json_pack("{s:s,s:s}", "shutdown", "poweroff", "reboot", "reset");
	struct qemu_opt opt;
	size_t i = 1, k;

	while (qemu_opt_next(g->line.expanded, g->line.expanded_count, &i, &opt)) {
		struct kv_list l;

		if (!strcmp(opt.name, "no-shutdown"))
			json_object_set_new(actions, "shutdown", json_string("pause"));
		if (!strcmp(opt.name, "no-reboot"))
			json_object_set_new(actions, "reboot", json_string("shutdown"));
		if (strcmp(opt.name, "action") || !opt.value)
			continue;
		kv_parse(&l, opt.value);
		for (k = 0; k < l.n; k++)
			if (l.v[k].key && json_object_get(actions, l.v[k].key))
				json_object_set_new(actions, l.v[k].key, json_string(l.v[k].value));
		kv_fini(&l);
	}
	return actions;
}

static int examine(struct part *p, struct err *e)
{
	struct source *s = power_of(p)->src;
	char status[MIGRATION_STATUS_MAX];
	int r = 0;

	if (s->guest.version.major < 6) {
		err_set(e, ENOTSUP, "QEMU %d.%d ends when its guest shuts down; moved warm can be one of QEMU 6.0 or later",
			s->guest.version.major, s->guest.version.minor);
		r = source_obstacle(s, e);
	}
	if (!r && !qemu_migration_is_over(s->qmp)) {
		err_set(e, EBUSY, "a migration of this guest is under way already (QEMU says: %s): wait for it, or end it (migrate_cancel)",
			qemu_migration_status(s->qmp, status));
		r = source_obstacle(s, e);
	}
	return r;
}

static int set_actions(struct source *s, const char *shutdown, const char *reboot, struct err *e)
{
	int r = qmp_call(s->qmp, "set-action", json_pack("{s:s,s:s*}", "shutdown", shutdown, "reboot", reboot), NULL, e);

	return r ? err_prefix(e, "cannot set QEMU's shutdown action") : 0;
}

static int prepare(struct part *p, struct err *e)
{
	struct power *w = power_of(p);
	json_t *actions = actions_of(&w->src->guest);
	int r;

	w->no_reboot = !strcmp(json_text(actions, "reboot"), "shutdown");
	r = attempt_own(p->a, "shutdown-action", actions, e) ?: set_actions(w->src, "pause", NULL, e);
	fault_point("src-shutdown-action");
	return r;
}

/* ---- shutting down ---- */

static int note(struct power *p, bool asked, struct err *e)
{
	p->asked = asked;
	return attempt_note(p->part.a, "power",
			    json_pack("{s:b,s:b,s:I}", "asked", asked, "no_reboot", p->no_reboot, "until_ns", (json_int_t)p->until_ns), e);
}

int power_is_wanted(struct power *p, struct err *e)
{
	return p->asked ? 0 : note(p, true, e);
}

int power_press(struct power *p, unsigned patience_s, struct err *e)
{
	int r;

	p->asked_ns = now_ns();
	p->until_ns = p->asked_ns + patience_s * 1000000000ULL;
	r = note(p, true, e);
	fault_point("src-power-noted");
	r = r ?: qmp_call(p->src->qmp, "system_powerdown", NULL, NULL, e);
	fault_point("src-power-pressed");
	return r;
}

int power_cut(struct power *p, struct err *e)
{
	int r = source_stop(p->src, true, e);

	if (r)
		return r;
	p->cut = p->off = true; /* the guest counts as off, whichever client stopped it */
	p->off_ns = now_ns();
	return 0;
}

static int on_stop(struct power *p, uint64_t at_ns)
{
	if (!p->shuts_down)
		return p->cut ? 0 : PART_NOT_MINE;
	p->off = true;
	p->off_ns = at_ns;
	return 0;
}

/* The guest was started again, so it writes to its disks. */
static int on_resume(struct power *p)
{
	if (!p->cut)
		p->off = p->shuts_down = false;
	return PART_NOT_MINE;
}

/* QEMU says SHUTDOWN, and then STOP. */
static int event(struct part *part, const struct event *ev, struct err *e)
{
	struct power *p = power_of(part);

	if (ev->kind != EVENT_QMP || part->a->handoff.state != HO_SRC_BEGUN)
		return PART_NOT_MINE;
	if (!strcmp(ev->name, "SHUTDOWN"))
		p->shuts_down = true;
	else if (!strcmp(ev->name, "STOP"))
		return on_stop(p, ev->at_ns);
	else if (!strcmp(ev->name, "RESUME"))
		return on_resume(p);
	else if (!strcmp(ev->name, "RESET"))
		p->rebooted |= p->asked;
	else if (!strcmp(ev->name, "GUEST_PANICKED") && !error_stop_announced(ev->name, ev->json))
		return err_set(e, ECANCELED, "the guest panicked");
	else
		return PART_NOT_MINE;
	return 0;
}

/* ---- turning it on again ---- */

/* Waits with -no-reboot for SeaBIOS, which finds that it has run before and resets the machine once more: that is not to be its end. */
static int let_firmware_reset(struct power *p, struct err *e)
{
	uint64_t until = now_ns() + FIRMWARE_MS * 1000000ULL;
	int r = 0;

	while (!r && p->no_reboot && now_ns() < until)
		r = loop_step(p->part.a->loop, PAUSE_MS, e);
	return r;
}

/*
 * A machine that was shut down is reset before it goes on; whether its QEMU has done that shows in its state alone, which is this one. Somebody else may
 * have reset it, and have it go on in this moment, too.
 */
static int boot(struct power *p, char state[32], struct err *e)
{
	uint64_t until = now_ns() + RESET_MS * 1000000ULL;
	struct source *s = p->src;
	int r = set_actions(s, "pause", "reset", e); /* a reset would be another shutdown with -no-reboot */

	if (!r && strcmp(state, "prelaunch"))
		r = qmp_call(s->qmp, "system_reset", NULL, NULL, e);
	while (!r && !(r = source_run_state(s, state, until, e)) && strcmp(state, "prelaunch") && !source_runs(state)) {
		if (now_ns() > until)
			return err_set(e, ETIMEDOUT, "the source QEMU does not reset the guest (it says: %s)", state);
		r = loop_step(s->part.a->loop, PAUSE_MS, e);
	}
	return r ?: qmp_call(s->qmp, "cont", NULL, NULL, e) ?: let_firmware_reset(p, e);
}

/* True if the guest was told to shut down, has not done so yet, and was not rebooted since. */
static bool may_still(const struct power *p, const char *state)
{
	return source_runs(state) && p->asked && !p->off && !p->rebooted;
}

static int settled_state(struct power *p, char state[32], struct err *e)
{
	struct source *s = p->src;
	bool told = false;
	int r;

	while (!(r = source_run_state(s, state, now_ns() + RESET_MS * 1000000ULL, e)) && may_still(p, state) && now_ns() < p->until_ns) {
		if (!told)
			report_notice(s->report, "the guest was told to shut down: once it has, it is started again here");
		told = true;
		r = loop_step(s->part.a->loop, PAUSE_MS, e);
		if (r)
			break;
	}
	return r;
}

int power_take_back(struct power *p, struct err *e)
{
	struct source *s = p->src;
	struct err why;
	char state[32];
	int r = settled_state(p, state, e);

	if (r)
		return r;
	p->by_itself = !strcmp(state, "shutdown") && !p->asked;
	if (!strcmp(state, "shutdown") || !strcmp(state, "prelaunch"))
		r = p->asked ? boot(p, state, e) : 0;
	else if (!strcmp(state, "paused") && s->run.stopped)
		r = qmp_call(s->qmp, "cont", NULL, NULL, e);
	else if (!source_runs(state) && !s->run.paused)
		return err_set(e, ECANCELED, "the guest was stopped at the source by another client, or by itself (QEMU says: %s)", state);
	if (!r && (may_still(p, state) || s->run.stopped || (p->asked && s->run.broken)))
		report_notice(s->report,
			      "the guest was told to shut down, and has not: if it still does so later, nothing starts it again");
	if (!r && p->asked && note(p, false, &why)) /* the guest boots all the same */
		log_error("%s", why.msg);
	return r ? err_prefix(e, "the guest is shut down at the source, and cannot be started again (QMP system_reset, then cont)") : 0;
}

/* ---- undoing ---- */

/* Ends QEMU after the guest shut down by itself and was not started again: without us QEMU would have ended. */
static int end_as_it_would(struct source *s, struct err *e)
{
	uint64_t until = now_ns() + END_MS * 1000000ULL;
	int r = qmp_call(s->qmp, "quit", NULL, NULL, e);

	while (!r && qmp_alive(s->qmp) && now_ns() < until)
		r = loop_step(s->part.a->loop, PAUSE_MS, e);
	if (r && qmp_alive(s->qmp))
		return r;
	s->end.has_shut_down = true;
	s->part.a->handoff.qemu_alive = !source_has_ended(s);
	return 0;
}

static int restore_actions(struct source *s, const json_t *detail, struct err *e)
{
	const char *shutdown = json_text(detail, "shutdown"), *reboot = json_text(detail, "reboot");
	bool asked = json_is_true(json_object_get(journal_last_note(s->part.a->journal, "power"), "asked"));
	char state[32];
	int r;

	if (!shutdown || !reboot)
		return err_set(e, EBADMSG, "the journal does not say what it did before");
	r = set_actions(s, shutdown, reboot, e) ?: source_run_state(s, state, 0, e);
	return !r && !asked && !strcmp(state, "shutdown") && !strcmp(shutdown, "poweroff") ? end_as_it_would(s, e) : r;
}

static int undo_actions(struct part *p, const json_t *detail, struct err *e)
{
	return MIN(source_undo(power_of(p)->src, restore_actions, detail, e), 0);
}

/* ---- its life ---- */

static void tell(const struct part *part, enum part_tale tale, json_t *out)
{
	const struct power *p = container_of(part, const struct power, part);

	if (tale != TELL_RESULT)
		return;
	json_object_set_new(out, "shutdown_ms", json_real(p->asked_ns && p->off ? (double)(p->off_ns - p->asked_ns) / 1e6 : 0));
	json_object_set_new(out, "forced", json_boolean(p->cut));
}

void power_restore(struct power *p)
{
	const json_t *noted = journal_last_note(p->part.a->journal, "power");

	p->asked = json_is_true(json_object_get(noted, "asked"));
	p->no_reboot = json_is_true(json_object_get(noted, "no_reboot"));
	p->until_ns = (uint64_t)json_integer_value(json_object_get(noted, "until_ns"));
}

static const struct part_undo undo[] = {{"shutdown-action", "what its QEMU does when the guest shuts down", undo_actions},
					{NULL, NULL, NULL}};

static const struct part_ops ops =
	{.name = "power", .apart = true, .examine = examine, .prepare = prepare, .event = event, .undo = undo, .tell = tell};

void power_init(struct power *p, struct source *src)
{
	*p = (struct power){.part = {&ops, src->part.a}, .src = src};
}
