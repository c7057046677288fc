/* unit.c: see unit.h. */
#include "unit.h"
#include "json-text.h"
#include "systemd.h"
#include "unit-text.h"
#include "util.h"

#include <errno.h>
#include <stdlib.h>

static struct unit *unit_of(struct part *p)
{
	return container_of(p, struct unit, part);
}

/* The guest's starter stays as it is in place. But a unit in which the guest runs ends with its QEMU. */
static int check_in_place(struct unit *u, struct err *e)
{
	const char *unit = u->src->guest.unit.name;
	int r = 0;

	if (!u->src->opt->starter.keep_unit && unit && !unit_is_generic(unit) && systemd_runs()) {
		err_set(e, ENOTSUP,
			"the guest runs in the unit %s, which ends with its QEMU and would not know of the new QEMU: --in-place is for "
			"guests that run in no unit. If the unit may end: --unit keep",
			unit);
		r = source_obstacle(u->src, e);
	}
	if (!r && u->autostart.starter && !u->autostart.starter_at_boot && !u->src->opt->starter.is_stopped) {
		err_set(e, ENOTSUP,
			"%s, and may start it again when that ends: its sockets would be taken from the guest in its new QEMU. --in-place is for "
			"guests that nothing starts again. If that is stopped: --starter-stopped",
			u->autostart.starter);
		r = source_obstacle(u->src, e);
	}
	if (!r && u->autostart.unit && !u->autostart.active && u->autostart.changing && !u->src->opt->starter.is_stopped) {
		err_set(e, ENOTSUP,
			"unit %s may be about to start the guest again, and would take its sockets from its new QEMU. Stop that unit, or say "
			"--starter-stopped",
			u->autostart.unit);
		r = source_obstacle(u->src, e);
	}
	free(u->autostart.unit); /* a unit for the next boot stays */
	u->autostart.unit = NULL;
	return r;
}

/* A signal from in there does not stop the first process of a container. */
static int check_first_process(const struct unit *u, struct err *e)
{
	const struct guest *g = &u->src->guest;

	if (g->pid != 1 && g->ran_as != 1)
		return 0;
	err_set(e, ENOTSUP,
		"the guest's QEMU is process 1 of a container, so it cannot be held from in there, and vmferry would end with it. Shut the guest "
		"down, and move it from outside of the container by its command line: vmferry migrate DEST --how cold -- QEMU …");
	return source_obstacle(u->src, e);
}

static int examine(struct part *p, struct err *e)
{
	struct unit *u = unit_of(p);
	const struct move_options *o = u->src->opt;
	int r = check_first_process(u, e) ?: autostart_examine(&u->autostart, &u->src->guest, o->starter.keep_unit, e);

	return !r && o->in_place ? check_in_place(u, e) : r;
}

int unit_hold(struct unit *u, struct err *e)
{
	return autostart_hold(&u->autostart, u->part.a->journal, e);
}

int unit_block(struct unit *u, struct err *e)
{
	return autostart_block(&u->autostart, u->part.a->journal, e);
}

int unit_block_now(struct unit *u, struct err *e)
{
	return autostart_block_now(&u->autostart, u->part.a->journal, e);
}

static int undo_unit(struct part *p, const json_t *detail, struct err *e)
{
	struct unit *u = unit_of(p);
	bool released = p->a->handoff.state == HO_SRC_RELEASED;
	int r;

	u->disabled = u->disabled ?: json_array();
	r = autostart_settle(detail, released, u->disabled, e);
	if (!r && !released && !p->a->handoff.qemu_alive && !u->autostart.unit && !p->a->over &&
	    !json_is_true(json_object_get(detail, "runtime")))
		report_notice(u->src->report, "unit %s may start the guest again", json_text(detail, "unit"));
	return r;
}

void unit_make_up(struct unit *u)
{
	if (autostart_make_up(&u->autostart, u->src->end.has_shut_down))
		report_notice(u->src->report, "unit %s starts the guest again, as it would have without the move", u->autostart.unit);
}

/* Warns that nothing starts the guest when the new host boots. */
static void tell(const struct part *p, enum part_tale tale, json_t *out)
{
	const struct unit *u = container_of(p, const struct unit, part);
	bool told = tale == TELL_PLAN || (tale == TELL_RESULT && p->a->handoff.state == HO_SRC_RELEASED);

	if (told && u->autostart.at_boot && !u->src->opt->starter.install_unit && !u->src->opt->in_place)
		report_warning(out,
			       "the guest was started here whenever this host booted, by %s; at the destination nothing starts it when "
			       "that host boots: --install-unit has it started there",
			       u->autostart.at_boot);
}

static void fini(struct part *p)
{
	json_decref(unit_of(p)->disabled);
	autostart_fini(&unit_of(p)->autostart);
}

static const struct part_undo undo[] = {{"unit", "its systemd unit", undo_unit}, {NULL, NULL, NULL}};

static const struct part_ops ops = {.name = "unit", .apart = true, .examine = examine, .undo = undo, .tell = tell, .fini = fini};

void unit_init(struct unit *u, struct source *src)
{
	*u = (struct unit){.part = {&ops, src->part.a}, .src = src};
}
