/* arriving-move.c: the destination's table of stages, its one failure path, and the life of a transfer. See arriving-move.h. */
#include "arriving-transfer.h"
#include "exit-code.h"
#include "fault.h"
#include "host-state.h"
#include "json-message.h"
#include "json-text.h"
#include "log.h"
#include "place-cost.h"
#include "process.h"
#include "promise.h"
#include "settings.h"
#include "disks-space.h"
#include "util.h"

#include <errno.h>
#include <string.h>

#define TURN_MS	      250
#define LAPSE_LOOK_MS 1000

static const struct stage stages[];

/* ---- connect ---- */

/* The source must not send frames while it waits for its turn. */
static int wait_event(struct transfer *t, const struct event *ev, struct err *e)
{
	int r;

	if (ev->kind == EVENT_FRAME)
		return err_set(e, EPROTO, "unexpected %s of a move that waits for its turn", msg_name(ev->type));
	if (ev->kind != EVENT_TICK)
		return common_event(t, ev, e);
	r = turn_look(t, e);
	if (r || t->turn.waits)
		return r;
	conductor_tick(&t->a.con, 0);
	conductor_goto(&t->a.con, ST_PREFLIGHT);
	return 0;
}

static int connect_event(void *ctx, const struct event *ev, struct err *e)
{
	struct transfer *t = ctx;
	int r;

	if (t->turn.waits)
		return wait_event(t, ev, e);
	if (ev->kind != EVENT_FRAME || ev->type != MSG_DESCRIBE)
		return common_event(t, ev, e);
	if (t->a.handing_off) { /* a HANDOFF named an earlier move, whose journal stays as it is, whatever else this peer wants */
		channel_send(t->a.control, ERROR, error, .code = EPROTO, .doing = slice_of(""),
			     .text = slice_of("DESCRIBE in a session that is about an earlier move"));
		conductor_finish(&t->a.con);
		return 0;
	}
	fault_point("dst-described");
	r = json_message_take(ev->type, ev->bytes, ev->n, NULL, t->a.id, &t->target.description, e);
	r = r ?: recipe_choose(t, json_text(t->target.description, "how"), json_text(t->target.description, "owner"), e);
	r = r ?: turn_begin(t, e);
	if (!r && t->turn.waits)
		conductor_tick(&t->a.con, TURN_MS);
	else if (!r)
		conductor_goto(&t->a.con, ST_PREFLIGHT);
	return r;
}

/* ---- preflight: nothing is created ---- */

/* Describes this host, so that the source can estimate the duration of the move: does it share its processors with us? */
static void describe_machine(const struct transfer *t, json_t *accept)
{
	AUTO_FREE char *boot = boot_id();
	json_t *host = host_state();
	json_int_t ram;

	json_object_set_new(host, "volumes", space_volumes(&t->disks, &t->files));
	json_object_set_new(accept, "host", host);
	json_object_set_new(accept, "processors", json_integer(own_processors()));
	if (boot)
		json_object_set_new(accept, "boot_id", json_string(boot));
	if (!json_is_true(json_object_get(t->target.description, "estimate")))
		return;
	ram = json_integer_value(json_object_get(t->target.description, "ram_bytes"));
	json_object_set_new(accept, "place_ns", json_real(place_cost_ns((uint64_t)MAX(ram, 0))));
	json_object_set_new(accept, "store_bps", json_real(space_store_bps(&t->disks)));
}

/* Sends the obstacles to a source that can hear of more than one. This ends the session. */
static int tell_obstacles(struct transfer *t, struct err *e)
{
	const struct obstacles *o = &t->target.obstacles;

	turn_end(t);
	return json_message_send(t->a.control, MSG_ACCEPT, t->a.id,
				 json_pack("{s:s,s:i,s:O,s:b}", "how", t->recipe->how, "code", o->code, "obstacles", o->list, "replaced",
					   t->point.replaced),
				 e);
}

/* r: of the plan. More is asked for once. */
static int accept_or_ask(struct transfer *t, int r, struct err *e)
{
	json_t *accept;

	if (r && t->line.wants_names && !t->line.asked) {
		t->line.asked = true;
		return json_message_send(t->a.control, MSG_ASK, t->a.id, json_pack("{s:b}", "cpu_features", true), e);
	}
	if (r)
		target_obstacle(&t->target, e);
	else if (!target_is_in_place(&t->target))
		promise_examine(t);
	r = obstacles_err(&t->target.obstacles, e);
	if (r)
		return json_is_true(json_object_get(t->target.description, "obstacles")) ? tell_obstacles(t, e) : r;
	r = data_plane_listen(&t->data, e);
	if (r)
		return r;
	accept = json_pack("{s:s,s:i}", "how", t->recipe->how, "resume_port", net_local_port(t->data.listen_fd));
	describe_machine(t, accept);
	if (t->turn.why_not)
		json_object_set_new(accept, "turn_error", json_string(t->turn.why_not));
	r = parts_describe(&t->parts, accept, e);
	t->accepted = !r;
	if (r) {
		json_decref(accept);
		return r;
	}
	turn_accepted(&t->turn, now_ns());
	conductor_tick(&t->a.con, LAPSE_LOOK_MS);
	return json_message_send(t->a.control, MSG_ACCEPT, t->a.id, accept, e);
}

static int plan(struct transfer *t, struct err *e)
{
	json_int_t channels = json_integer_value(json_object_get(t->target.description, "channels"));

	if (channels < 1 || channels > CHANNELS_MAX)
		return err_set(e, EPROTO, "the source asks for %lld channels; 1 to %d are possible", (long long)channels, CHANNELS_MAX);
	t->data.channels = (unsigned)channels;
	if (settings_apply(t, e))
		return -e->code;
	return parts_examine(&t->parts, e);
}

static int preflight_enter(void *ctx, struct err *e)
{
	struct transfer *t = ctx;

	return accept_or_ask(t, plan(t, e), e);
}

static int take_more(struct transfer *t, const struct event *ev, struct err *e)
{
	json_auto_t *description = NULL;
	int r = json_message_take(ev->type, ev->bytes, ev->n, t->a.id, NULL, &description, e);

	if (r)
		return r;
	r = line_examine_again(&t->line, description, e);
	return accept_or_ask(t, r, e);
}

static int preflight_event(void *ctx, const struct event *ev, struct err *e)
{
	struct transfer *t = ctx;
	int r;

	if (ev->kind == EVENT_FRAME && ev->type == MSG_DESCRIBE && t->line.asked && !t->accepted)
		return take_more(t, ev, e);
	if (ev->kind == EVENT_TICK && turn_lapses(&t->turn, now_ns()))
		log_error("the source of guest %s has been silent since the plan; its place in the queue was given up",
			  t->target.name ?: "?");
	/* a source that has refused its guest was looked at less closely */
	if (ev->kind != EVENT_FRAME || ev->type != MSG_PREPARE || !t->accepted || target_is_refused(&t->target))
		return common_event(t, ev, e);
	conductor_tick(&t->a.con, 0);
	r = json_message_take(ev->type, ev->bytes, ev->n, t->a.id, NULL, &t->decisions, e) ?: turn_resume(t, e);
	if (!r)
		conductor_goto(&t->a.con, ST_PREPARE);
	return r;
}

static const struct stage stages[] = {
	[ST_CONNECT] = {"connect", NULL, connect_event},
	[ST_PREFLIGHT] = {"preflight", preflight_enter, preflight_event},
	[ST_PREPARE] = {"prepare", prepare_enter, prepare_event},
	[ST_COPY] = {"copy", copy_enter, copy_event},
	[ST_SWITCHOVER] = {"switchover", switchover_enter, copy_event},
	[ST_COMMIT] = {"commit", NULL, common_event},
	[ST_RELEASE] = {"release", NULL, common_event},
};

/* The one failure path. */
static void fail(void *ctx, const struct err *why)
{
	struct transfer *t = ctx;
	struct err e;

	/* the source is told, and tells the user */
	if (t->a.control && !t->a.control_lost)
		log_info("%s: %s", stages[t->a.con.stage].name, why->msg);
	else
		log_error("%s: %s", stages[t->a.con.stage].name, why->msg);
	if (!t->a.dead)
		t->a.exit_code = EXIT_SOURCE;
	if (!t->a.handing_off) {
		turn_end(t);
		if (t->a.control && !t->a.control_lost)
			channel_send(t->a.control, ERROR, error, .code = (uint32_t)why->code, .doing = slice_of(""),
				     .text = slice_of(why->msg));
		conductor_finish(&t->a.con);
	} else if (cutover_abort(t, why->msg, &e)) {
		log_error("%s", e.msg); /* past PREPARED: only the source may decide */
	}
}

/* ---- life ---- */

int transfer_new(struct transfer **out, const struct move_config *cfg, struct err *e)
{
	struct transfer *t = xcalloc(1, sizeof(*t));
	int r = attempt_init(&t->a, NULL, 128, stages, t, fail, e);

	if (r) {
		free(t);
		return r;
	}
	t->cfg = cfg;
	data_plane_init(&t->data, &t->a, cfg);
	outage_init(&t->outage, &t->data);
	target_init(&t->target, &t->a, cfg->runtime_dir);
	ram_init(&t->ram, &t->target);
	disks_init(&t->disks, &t->target, cfg->state_dir);
	arriving_point_init(&t->point, &t->target, &t->disks, &t->data, cfg->state_dir);
	files_init(&t->files, &t->target, &t->disks);
	tpm_init(&t->tpm, &t->target);
	startup_init(&t->startup, &t->target, &t->disks, &t->tpm);
	definition_init(&t->definition, &t->target, &t->disks);
	domain_init(&t->domain, &t->target);
	line_init(&t->line, &t->target, &t->disks, &t->files, &t->tpm);
	would_start_init(&t->would_start, &t->target, &t->point, &t->disks, &t->line);
	arrived_init(&t->arrived, &t->target, &t->disks);
	recipe_choose(t, NULL, NULL, e); /* until it is told */
	*out = t;
	return 0;
}

void transfer_free(struct transfer *t)
{
	attempt_drain(&t->a);
	ram_stop_feeding(&t->ram);
	disks_stop(&t->disks);
	outage_fini(&t->outage);
	data_plane_fini(&t->data);
	parts_fini(&t->parts);
	attempt_fini(&t->a);
	json_decref(t->decisions);
	turn_fini(t);
	loop_free(t->a.loop);
	cpu_thread_end();
	free(t);
}

int move_run(const struct move_config *cfg, struct link control, struct err *e)
{
	struct transfer *t;
	int r = transfer_new(&t, cfg, e);

	if (r) {
		link_close(&control);
		return r;
	}
	t->data.listen_fd = cfg->listen_fd;
	attempt_connect(&t->a, control, NULL);
	r = conductor_run(&t->a.con, e) ?: t->a.exit_code;
	attempt_drain(&t->a);
	arriving_point_prune(&t->point);
	transfer_free(t);
	return r;
}
