/* move.c: the destination's table of stages, and its one failure path. See move.h. */
#include "move-private.h"
#include "conn-link.h"
#include "exit-code.h"
#include "json-message.h"
#include "log.h"
#include "net.h"
#include "util.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define CONTROL_WINDOW (8 * MIB)
#define HELLO_MS       10000
#define LAST_WORDS_MS  3000
#define QEMU_END_MS    5000

static const struct stage stages[];

/* ---- small things ---- */

/* Gives what was queued a moment to leave. */
static void drain(struct move *m)
{
	uint64_t until = now_ns() + LAST_WORDS_MS * 1000000ULL;
	struct err e;

	while (m->control && channel_open(m->control) && !channel_idle(m->control) && now_ns() < until)
		if (loop_step(m->loop, 100, &e))
			break;
}

/* ---- events that mean the same in every stage ---- */

static int qemu_gone(struct move *m, struct err *e)
{
	AUTO_FREE char *tail = qemu_log_tail(&m->qemu);

	if (!m->handing_off || m->handoff.state == HO_DST_DONE)
		return 0;
	/* a closed monitor is not a dead QEMU: whatever is left of it must not come back to life */
	if (qemu_is_alive(m->qemu.pid, m->qemu.start_time) && m->handoff.state != HO_DST_STARTED && !m->cont_sent &&
	    process_end(m->qemu.pid, m->qemu.start_time, QEMU_END_MS, e))
		return -e->code;
	err_set(e, EPIPE, "the destination QEMU ended%s%s", *tail ? ": " : "", tail);
	return m->handoff.state == HO_DST_BEGUN ? -e->code : move_qemu_dead(m, e->msg, e);
}

/* Not by us: before START we send no `cont`. There may be a guest at the source, so that this one must not live. */
static int resumed(struct move *m, struct err *e)
{
	if (!m->handing_off || (m->handoff.state != HO_DST_BEGUN && m->handoff.state != HO_DST_PREPARED))
		return 0;
	if (process_end(m->qemu.pid, m->qemu.start_time, QEMU_END_MS, e))
		return -e->code; /* nothing is promised while it lives */
	err_set(e, ECANCELED, "the guest was resumed at the destination by somebody else (cont in a monitor of its QEMU) before it was handed over");
	return m->handoff.state == HO_DST_BEGUN ? -e->code : move_qemu_dead(m, e->msg, e);
}

static int control_gone(struct move *m, const struct event *ev, struct err *e)
{
	m->control_lost = true;
	if (m->handing_off && m->handoff.state == HO_DST_BEGUN)
		return err_set(e, EPIPE, "the source is gone: %s", ev->err.msg);
	/* nothing was created, or only the journals of both sides can go on from here */
	log_info("source gone in %s: %s", handoff_state_name(m->handoff.state), ev->err.msg);
	m->exit_code = m->handing_off && m->handoff.state != HO_DST_ABORTED ? EXIT_UNDECIDED : EXIT_SOURCE;
	conductor_finish(&m->con);
	return 0;
}

static int common_event(struct move *m, const struct event *ev, struct err *e)
{
	switch (ev->kind) {
	case EVENT_CONTROL_LOST:
		return control_gone(m, ev, e);
	case EVENT_QMP_LOST:
		return qemu_gone(m, e);
	case EVENT_FRAME:
		if (ev->type == MSG_HANDOFF)
			return move_on_handoff(m, ev, e);
		return err_set(e, EPROTO, "unexpected %s in stage %s", msg_name(ev->type),
			       stages[m->con.stage].name);
	case EVENT_WORKER:
		free(ev->ptr);
		return 0;
	case EVENT_QMP:
		return !strcmp(ev->name, "RESUME") ? resumed(m, e) : 0;
	case EVENT_USER:
	case EVENT_TICK:
		return 0;
	}
	return 0;
}

/* ---- connect ---- */

static int connect_event(void *ctx, const struct event *ev, struct err *e)
{
	struct move *m = ctx;
	int r;

	if (ev->kind != EVENT_FRAME || ev->type != MSG_DESCRIBE)
		return common_event(m, ev, e);
	if (m->handing_off) { /* by a HANDOFF, from its journal: which stays as it is, whatever else this peer wants */
		channel_send(m->control, ERROR, error, .code = EPROTO, .doing = slice_of(""),
			     .text = slice_of("DESCRIBE in a session that is about an earlier move"));
		conductor_finish(&m->con);
		return 0;
	}
	r = json_message_take(ev->type, ev->bytes, ev->n, NULL, m->attempt, &m->description, e);
	if (!r)
		conductor_goto(&m->con, ST_PREFLIGHT);
	return r;
}

/* ---- preflight: nothing is created ---- */

/* r: of move_plan(). More is asked for once. */
static int accept_or_ask(struct move *m, int r, struct err *e)
{
	if (r && m->wants_names && !m->asked) {
		m->asked = true;
		return json_message_send(m->control, MSG_ASK, m->attempt, json_pack("{s:b}", "cpu_features", true), e);
	}
	return r ? r : json_message_send(m->control, MSG_ACCEPT, m->attempt, move_plan_json(m), e);
}

static int preflight_enter(void *ctx, struct err *e)
{
	struct move *m = ctx;

	return accept_or_ask(m, move_plan(m, e), e);
}

static int take_more(struct move *m, const struct event *ev, struct err *e)
{
	json_t *description;
	int r = json_message_take(ev->type, ev->bytes, ev->n, m->attempt, NULL, &description, e);

	if (r)
		return r;
	r = move_plan_again(m, description, e);
	json_decref(description);
	return accept_or_ask(m, r, e);
}

static int preflight_event(void *ctx, const struct event *ev, struct err *e)
{
	struct move *m = ctx;
	int r;

	if (ev->kind == EVENT_FRAME && ev->type == MSG_DESCRIBE && m->asked && !m->findings)
		return take_more(m, ev, e);
	if (ev->kind != EVENT_FRAME || ev->type != MSG_PREPARE || !m->findings)
		return common_event(m, ev, e);
	r = json_message_take(ev->type, ev->bytes, ev->n, m->attempt, NULL, &m->decisions, e);
	if (!r)
		conductor_goto(&m->con, ST_PREPARE);
	return r;
}

/* ---- prepare ---- */

static int start_if_all_files_are_here(struct move *m, struct err *e)
{
	int r = m->files_awaited ? 0 : move_start_guest(m, e);

	if (!r && !m->files_awaited)
		conductor_goto(&m->con, ST_COPY);
	return r;
}

static int prepare_enter(void *ctx, struct err *e)
{
	struct move *m = ctx;
	int r = move_prepare(m, m->decisions, e);

	return r ? r : start_if_all_files_are_here(m, e);
}

static int prepare_event(void *ctx, const struct event *ev, struct err *e)
{
	struct move *m = ctx;
	int r;

	if (ev->kind != EVENT_FRAME || (ev->type != MSG_FILE_DATA && ev->type != MSG_FILE_END))
		return common_event(m, ev, e);
	r = move_take_file(m, ev, e);
	return r || ev->type != MSG_FILE_END ? r : start_if_all_files_are_here(m, e);
}

/* ---- copy ---- */

static void on_work(struct queue *q)
{
	struct move *m = container_of(q, struct move, work);
	struct qnode *n;

	while ((n = queue_take(q))) {
		struct event *ev = event_new(EVENT_WORKER, 0, NULL, 0);

		ev->ptr = container_of(n, struct receive_event, node);
		conductor_put(&m->con, ev);
	}
}

/* The session's own data channels come one after another; strangers may come, too. */
static int data_wanted(void *ctx, const struct hello *theirs, struct err *e)
{
	const struct move *m = ctx;

	if (memcmp(theirs->session, m->cfg->session, 16) || theirs->channel < 1 || theirs->channel > m->channels ||
	    m->receivers[theirs->channel - 1])
		return err_set(e, EPERM, "this is not a channel of the session");
	return 0;
}

static void data_enters(void *ctx, struct link *link, const struct hello *theirs)
{
	struct move *m = ctx;
	struct err e;

	if (data_wanted(m, theirs, &e)) /* it was, when it said so */
		link_close(link);
	else if (receiver_start(&m->receivers[theirs->channel - 1], *link, theirs->channel, &m->shared, &e))
		log_info("data channel %u: %s", theirs->channel, e.msg);
	else
		m->connected++;
}

static void watch_door(struct move *m)
{
	struct io_uring_sqe *sqe = loop_sqe(m->loop);

	io_uring_prep_poll_add(sqe, door_fd(m->door), POLLIN);
	loop_bind(sqe, &m->door_op);
	m->door_watched = true;
}

/* Once nobody else is expected: refused, not left waiting. */
static void close_door(struct move *m)
{
	door_free(m->door);
	m->door = NULL;
	if (m->data_fd >= 0)
		close(m->data_fd);
	m->data_fd = -1;
}

static void at_door(struct op *op, int res, uint32_t flags)
{
	struct move *m = container_of(op, struct move, door_op);

	(void)flags;
	m->door_watched = false;
	if (res == -ECANCELED || m->con.finished)
		return;
	door_step(m->door);
	if (m->connected < m->channels)
		watch_door(m);
	else
		close_door(m);
}

static int open_door(struct move *m, struct err *e)
{
	struct door_config dc = {.access = m->cfg->access,
				 .timeout_ms = HELLO_MS,
				 .level = LOG_LEVEL_INFO,
				 .wanted = data_wanted,
				 .enter = data_enters,
				 .ctx = m};
	int r = door_new(&m->door, m->data_fd, &dc, e);

	if (r)
		return r;
	m->door_op.done = at_door;
	watch_door(m);
	return 0;
}

static int copy_enter(void *ctx, struct err *e)
{
	struct move *m = ctx;

	queue_init(&m->work, m->loop, on_work);
	m->shared.events = &m->work;
	if (open_door(m, e))
		return -e->code;
	return json_message_send(m->control, MSG_COPY_READY, m->attempt,
				 json_pack("{s:s,s:s*,s:s*,s:i,s:i,s:i,s:b}", "ram_mode", m->opaque ? "opaque" : "pages", "why",
					   m->opaque_why, "how", m->ram ? ram_place_how(m->ram) : NULL, "channels",
					   (int)m->channels, "data_port", net_local_port(m->data_fd), "pid",
					   (int)m->qemu.pid, "io_uring", loop_has_io_uring(m->loop)),
				 e);
}

static void count_round(struct move *m, const struct receive_event *rev)
{
	struct round_count *c = &m->rounds[rev->group];
	unsigned channels = m->channels - m->shared.streams;

	m->rss_anon_max = MAX(m->rss_anon_max, own_rss_anon());
	if (rev->kind == RECEIVE_APPLIED && ++c->applied == channels) {
		c->applied = 0;
		channel_send(m->control, APPLIED, applied, .group = rev->group, .number = rev->number);
	} else if (rev->kind == RECEIVE_DURABLE && ++c->durable == channels) {
		c->durable = 0;
		channel_send(m->control, DURABLE, durable, .group = rev->group, .number = rev->number);
	}
}

static int keep_thin(struct move *m, const struct receive_event *rev, struct err *e)
{
	if (m->thin_bytes + rev->n > THIN_MAX)
		return err_set(e, EPROTO, "the guest's device state is larger than %d MiB", (int)(THIN_MAX / MIB));
	if (m->thin_bytes + rev->n > m->thin_cap) {
		m->thin_cap = MAX(m->thin_bytes + rev->n, 2 * m->thin_cap);
		m->thin = xrealloc(m->thin, m->thin_cap);
	}
	memcpy(m->thin + m->thin_bytes, rev->data, rev->n);
	m->thin_bytes += rev->n;
	return move_feed(m, e);
}

static void send_return_path(struct move *m, const struct receive_event *rev)
{
	uint8_t buf[64], value[4];
	struct writer w = writer_of(value, 4);
	struct msg_return_path msg = {.kind = rev->rp_type, .data = {value, 4}};

	write_u32(&w, rev->rp_value);
	w = writer_of(buf, sizeof(buf));
	msg_return_path_encode(&w, &msg);
	channel_post(m->control, MSG_RETURN_PATH, buf, writer_len(&w));
}

static int on_return_path(struct move *m, const struct receive_event *rev, struct err *e)
{
	if (rev->rp_type == RP_SHUT && rev->rp_value) {
		AUTO_FREE char *tail = qemu_log_tail(&m->qemu);

		return err_set(e, EREMOTEIO, "the destination QEMU could not load the guest's state: %s", tail);
	}
	if (rev->rp_type == RP_SHUT || m->opaque)
		send_return_path(m, rev);
	return 0;
}

static int prepared_if_all_is_in(struct move *m, struct err *e);

static int on_receive(struct move *m, struct receive_event *rev, struct err *e)
{
	switch (rev->kind) {
	case RECEIVE_APPLIED:
	case RECEIVE_DURABLE:
		count_round(m, rev);
		return 0;
	case RECEIVE_COMPLETE:
		if (++m->complete == m->channels) {
			m->complete_ns = now_ns();
			conductor_goto(&m->con, ST_SWITCHOVER);
		}
		return 0;
	case RECEIVE_STREAM:
		return keep_thin(m, rev, e);
	case RECEIVE_STREAM_MARK:
		m->thin_mark = rev->offset;
		m->thin_marked = true;
		return move_feed(m, e);
	case RECEIVE_STREAM_OPEN:
		m->streams_open++;
		return 0;
	case RECEIVE_STREAM_END:
		m->streams_ended++;
		return prepared_if_all_is_in(m, e);
	case RECEIVE_RETURN_PATH:
		return on_return_path(m, rev, e);
	case RECEIVE_LOST:
		if (!qemu_is_alive(m->qemu.pid, m->qemu.start_time)) /* seen here first, as its memory is gone */
			return qemu_gone(m, e);
		*e = rev->err;
		return err_prefix(e, "data channel");
	}
	return 0;
}

static int on_migration_event(struct move *m, const struct event *ev, struct err *e)
{
	const char *status = json_string_value(json_object_get(ev->json, "status"));

	if (!status)
		return 0;
	if (!strcmp(status, "failed")) {
		AUTO_FREE char *tail = qemu_log_tail(&m->qemu);

		return err_set(e, EREMOTEIO, "the destination QEMU could not load the guest's state: %s", tail);
	}
	if (!strcmp(status, "completed")) {
		m->loaded = true;
		m->loaded_ns = ev->at_ns;
		return prepared_if_all_is_in(m, e);
	}
	return 0;
}

static int copy_event(void *ctx, const struct event *ev, struct err *e)
{
	struct move *m = ctx;
	struct msg_disks_done msg;
	int r;

	if (ev->kind == EVENT_WORKER) {
		r = on_receive(m, ev->ptr, e);
		free(ev->ptr);
		return r;
	}
	if (ev->kind == EVENT_QMP && !strcmp(ev->name, "MIGRATION"))
		return on_migration_event(m, ev, e);
	if (ev->kind == EVENT_FRAME && ev->type == MSG_DISKS_DONE) {
		if (msg_disks_done_decode(&msg, ev->bytes, ev->n) || memcmp(msg.attempt, m->attempt, 16))
			return err_set(e, EPROTO, "malformed DISKS_DONE");
		r = move_close_exports(m, e);
		if (!r)
			channel_post(m->control, MSG_DISKS_CLOSED, m->attempt, sizeof(m->attempt));
		return r;
	}
	return common_event(m, ev, e);
}

/* ---- switchover ---- */

static int switchover_enter(void *ctx, struct err *e)
{
	struct move *m = ctx;

	return m->opaque ? prepared_if_all_is_in(m, e) : move_load(m, e);
}

/* Everything applied, digests equal, disks synced, state loaded: activate the disks and promise. */
static int prepared_if_all_is_in(struct move *m, struct err *e)
{
	int r;

	if (m->con.stage != ST_SWITCHOVER || !m->con.entered || !m->loaded || m->streams_ended < m->streams_open)
		return 0;
	r = move_activate(m, e);
	if (!r)
		r = move_stands(m, e);
	return r ? r : move_handoff(m, EV_PREPARED_OK, HO_NONE, e);
}

/* ---- commit, release ---- */

static int commit_event(void *ctx, const struct event *ev, struct err *e)
{
	struct move *m = ctx;

	if (ev->kind == EVENT_WORKER) { /* data channels close as the source lets go: no matter now */
		free(ev->ptr);
		return 0;
	}
	return common_event(m, ev, e);
}

static const struct stage stages[] = {
	[ST_CONNECT] = {"connect", NULL, connect_event},
	[ST_PREFLIGHT] = {"preflight", preflight_enter, preflight_event},
	[ST_PREPARE] = {"prepare", prepare_enter, prepare_event},
	[ST_COPY] = {"copy", copy_enter, copy_event},
	[ST_SWITCHOVER] = {"switchover", switchover_enter, copy_event},
	[ST_COMMIT] = {"commit", NULL, commit_event},
	[ST_RELEASE] = {"release", NULL, commit_event},
};

/* The one failure path. */
static void move_fail(void *ctx, const struct err *why)
{
	struct move *m = ctx;
	struct err e;

	/* the source is told, and tells the user */
	if (m->control && !m->control_lost)
		log_info("%s: %s", stages[m->con.stage].name, why->msg);
	else
		log_error("%s: %s", stages[m->con.stage].name, why->msg);
	m->exit_code = EXIT_SOURCE;
	if (!m->handing_off) {
		if (m->control && !m->control_lost)
			channel_send(m->control, ERROR, error, .code = (uint32_t)why->code, .doing = slice_of(""),
				     .text = slice_of(why->msg));
		conductor_finish(&m->con);
	} else if (move_abort(m, why->msg, &e)) {
		log_error("%s", e.msg); /* past PREPARED: only the source may decide */
	}
}

static void move_fini(struct move *m)
{
	struct err e;
	unsigned i;

	drain(m);
	if (m->door_watched)
		loop_cancel(m->loop, &m->door_op);
	while (m->door_watched)
		if (loop_step(m->loop, 1000, &e))
			break;
	feed_close(m->feed);
	monitors_let_go(m);
	for (i = 0; i < CHANNELS_MAX; i++)
		receiver_stop(m->receivers[i]);
	channel_free(m->control);
	qmp_close(m->qmp);
	close_door(m);
	ram_place_free(m->ram);
	journal_close(m->journal);
	conductor_fini(&m->con);
	json_decref(m->description);
	json_decref(m->decisions);
	json_decref(m->settings);
	json_decref(m->findings);
	free(m->qemu_version);
	json_decref(m->afterwards);
	json_decref(m->settled);
	json_decref(m->leftovers);
	args_result_fini(&m->args);
	for (i = 0; i < m->disk_count; i++) {
		free(m->disks[i].from);
		free(m->disks[i].path);
		free(m->disks[i].format);
		free(m->disks[i].node);
		free(m->disks[i].backing);
		free(m->disks[i].acl);
		free(m->disks[i].backing_format);
	}
	free(m->disks);
	move_free_files(m);
	free(m->thin);
	free(m->exe);
	free(m->name);
	free(m->dir);
	free(m->run_dir);
	free(m->qmp_path);
	free(m->incoming);
	free(m->nbd_socket);
	loop_free(m->loop);
	cpu_thread_end();
	free(m);
}

static int move_new(struct move **out, const struct move_config *cfg, struct err *e)
{
	struct move *m = xcalloc(1, sizeof(*m));
	int r = loop_new(&m->loop, 128, e);

	if (r) {
		free(m);
		return r;
	}
	cpu_meter_begin(&m->cpu_used);
	m->shared.cpu = &m->cpu_used;
	m->cfg = cfg;
	m->data_fd = -1;
	m->leftovers = json_array();
	m->qemu = QEMU_PROC_NONE;
	conductor_init(&m->con, m->loop, stages, m, move_fail);
	*out = m;
	return 0;
}

int move_run(const struct move_config *cfg, struct link control, struct err *e)
{
	struct channel_config cc = {.number = 0, .window_bytes = CONTROL_WINDOW, .on = conductor_channel};
	struct move *m;
	int r = move_new(&m, cfg, e);

	if (r) {
		link_close(&control);
		return r;
	}
	m->data_fd = cfg->listen_fd;
	cc.ctx = &m->con;
	m->control = channel_over(m->loop, control, &cc);
	r = conductor_run(&m->con, e);
	if (!r)
		r = m->exit_code;
	move_fini(m);
	return r;
}

static int settled(const struct move *m, struct err *e)
{
	switch (m->handoff.state) {
	case HO_DST_STARTED:
	case HO_DST_DONE:
		if (m->handoff.qemu_alive)
			return EXIT_DESTINATION;
		err_set(e, ESRCH, "it ran here, and its QEMU has ended since: the script NAME.sh beside its disks starts it again");
		return EXIT_UNDECIDED;
	case HO_DST_ABORTED:
		if (!json_array_size(m->leftovers))
			return EXIT_SOURCE;
		err_set(e, EBUSY, "it is not here; what of its move could not be removed is listed above");
		return EXIT_LEFTOVERS;
	case HO_DST_PREPARED:
		err_set(e, EAGAIN, "complete, and waits for its source to let go of it (vmferry recover there). If the source is gone for good: "
			"--peer-is-fenced");
		return EXIT_UNDECIDED;
	case HO_DST_NOVM:
		if (m->con.finished)
			err_set(e, ESRCH, "its QEMU here has ended before the guest ran, and its memory is lost. Its disks here are complete, and are "
				"kept: %s starts it from them",
				json_string_value(json_object_get(m->settled, "start_script")) ?: "their QEMU's command line");
		else
			err_set(e, EAGAIN, "its QEMU here has ended before the guest ran, and its memory is lost; the source has it (vmferry recover "
				"there). If the source is gone for good: --peer-is-fenced, and its disks here, which are complete, stay");
		return EXIT_UNDECIDED;
	case HO_NONE:
	case HO_SRC_BEGUN:
	case HO_SRC_COMMITTED:
	case HO_SRC_RELEASED:
	case HO_SRC_ABORTED:
	case HO_DST_BEGUN:
	case HO_DST_START:
		break;
	}
	err_set(e, EREMOTEIO, "its QEMU here ended when it was about to run the guest, or ran it: that cannot be told");
	return EXIT_UNDECIDED;
}

int move_settle(const struct move_config *cfg, const char *journal_path, bool fenced, struct err *e)
{
	struct move *m;
	unsigned i;
	int r = move_new(&m, cfg, e);

	if (r)
		return EXIT_UNDECIDED;
	r = move_restore(m, journal_path, e);
	/* START and STARTED in one go, then DONE */
	for (i = 0; i < 2 && !r && fenced && m->handoff.state != HO_DST_NOVM && !m->con.finished; i++) /* its disks may be the last */
		r = move_handoff(m, EV_PEER_FENCED, HO_NONE, e);
	if (!r && fenced && m->handoff.state == HO_DST_NOVM && !m->dead)
		move_keep_disks(m);
	r = r ? EXIT_UNDECIDED : settled(m, e);
	move_fini(m);
	return r;
}

void move_recover_all(const struct move_config *cfg)
{
	struct move *m;
	char **paths;
	size_t count, i;
	struct err e;

	if (journal_list(cfg->state_dir, &paths, &count, &e)) {
		log_error("%s", e.msg);
		return;
	}
	for (i = 0; i < count; i++) {
		if (!journal_path_is(paths[i], false) || move_new(&m, cfg, &e))
			continue;
		if (move_restore(m, paths[i], &e) && e.code != EBUSY)
			log_error("%s: %s", paths[i], e.msg);
		move_fini(m);
	}
	journal_list_free(paths, count);
}
