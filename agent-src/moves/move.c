/* move.c: the source's table of stages, and its one failure path. See move.h. */
#include "move-private.h"
#include "exit-code.h"
#include "hex.h"
#include "json-message.h"
#include "keep.h"
#include "log.h"
#include "move-accept.h"
#include "output.h"
#include "qemu-cpu.h"
#include "util.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>

#define QMP_OPEN_MS    5000
#define LAST_WORDS_MS  3000
#define GUARD_PAUSE_MS 1000
#define DYING_MS       2000
#define DYING_PAUSE_MS 5
#define GUARD_PAUSE_MS 1000

const char *const stage_names[] = {"connect", "preflight", "prepare", "copy", "switchover", "commit", "release"};

/* ---- recording what threads, signals and users say ---- */

static void on_disk_results(struct queue *q)
{
	struct move *m = container_of(q, struct move, disk_results);
	struct qnode *n;

	while ((n = queue_take(q))) {
		struct event *ev = event_new(EVENT_WORKER, WORD_DISK_ROUND, NULL, 0);

		ev->ptr = container_of(n, struct disk_round_result, node);
		conductor_put(&m->con, ev);
	}
}

static void on_patience(struct timer *t)
{
	struct move *m = container_of(t, struct move, patience);
	struct event *ev = event_new(EVENT_CONTROL_LOST, 0, NULL, 0);

	err_set(&ev->err, ETIMEDOUT, "the destination does not answer");
	conductor_put(&m->con, ev);
}

static json_t *on_request(void *ctx, const char *command, const json_t *args)
{
	struct move *m = ctx;
	json_t *limit = json_object_get(args, "bwlimit");

	if (!strcmp(command, "status"))
		return move_status(m);
	if (!strcmp(command, "switch")) {
		conductor_put(&m->con, event_new(EVENT_USER, ORDER_SWITCH, NULL, 0));
		return json_pack("{s:s}", "ok", "switching over as soon as memory has been copied once");
	}
	if (!strcmp(command, "cancel")) {
		if (m->handing_off && handoff_point_of_no_return(&m->handoff))
			return json_pack("{s:s}", "error", "too late: the guest is the destination's");
		conductor_put(&m->con, event_new(EVENT_USER, ORDER_CANCEL, NULL, 0));
		return json_pack("{s:s}", "ok", "rolling back");
	}
	if (!strcmp(command, "set") && json_is_integer(limit) && json_integer_value(limit) >= 0) {
		__atomic_store_n(&m->shared.pacer.rate_bps, (uint64_t)json_integer_value(limit), __ATOMIC_RELAXED);
		return json_pack("{s:s}", "ok", "bandwidth limit set");
	}
	return json_pack("{s:s}", "error", "unknown request");
}

static void on_follow(void *ctx, const char *line)
{
	struct move *m = ctx;

	if (m->ctl)
		control_publish(m->ctl, line);
}

static int common_event(void *ctx, const struct event *ev, struct err *e)
{
	return move_common_event(ctx, ev, e);
}

/* ---- connect ---- */

static int connect_enter(void *ctx, struct err *e)
{
	struct move *m = ctx;
	struct link link;
	int r;

	r = guest_find(&m->guest, m->opt->vm, e);
	if (!r)
		r = control_open(&m->ctl, m->loop, m->opt->runtime_dir, m->guest.pid, on_request, m, e);
	if (!r)
		r = guest_open_qmp(&m->guest, &m->qmp, m->loop, QMP_OPEN_MS, &conductor_qmp, &m->con, e);
	if (!r)
		r = guest_query(&m->guest, m->qmp, e);
	if (!r)
		r = move_examine(m, e);
	if (r)
		return r;
	r = move_dest_open(m, &link, e);
	if (r)
		return r;
	move_control_start(m, link);
	r = attempt_id_new(m->attempt, e);
	if (r)
		return r;
	conductor_goto(&m->con, ST_PREFLIGHT);
	return 0;
}

/* ---- preflight ---- */

static int preflight_enter(void *ctx, struct err *e)
{
	struct move *m = ctx;

	m->description = move_describe(m, e);
	if (!m->description)
		return -e->code;
	return json_message_send(m->control, MSG_DESCRIBE, m->attempt, json_incref(m->description), e);
}

/* The destination wants to know more: the names of the CPU's features are all that it can ask for. */
static int describe_more(struct move *m, const struct event *ev, struct err *e)
{
	json_t *wanted;
	bool known;
	int r = json_message_take(ev->type, ev->bytes, ev->n, m->attempt, NULL, &wanted, e);

	if (r)
		return r;
	known = json_is_true(json_object_get(wanted, "cpu_features")) && !json_object_get(m->cpu, "features");
	json_decref(wanted);
	if (!known)
		return err_set(e, EPROTO, "the destination asks for what this vmferry does not know");
	r = qemu_cpu_names(m->qmp, NULL, m->cpu, e);
	if (r)
		return r;
	json_object_set(m->description, "cpu", m->cpu);
	return json_message_send(m->control, MSG_DESCRIBE, m->attempt, json_incref(m->description), e);
}

static int preflight_event(void *ctx, const struct event *ev, struct err *e)
{
	struct move *m = ctx;
	int r;

	if (ev->kind == EVENT_FRAME && ev->type == MSG_ASK)
		return describe_more(m, ev, e);
	if (ev->kind != EVENT_FRAME || ev->type != MSG_ACCEPT)
		return move_common_event(m, ev, e);
	r = json_message_take(ev->type, ev->bytes, ev->n, m->attempt, NULL, &m->plan, e);
	if (!r)
		r = accept_check(m->plan, e);
	if (r)
		return r;
	move_emit_plan(m, m->plan);
	r = files_plan(m, e);
	if (!r && m->opt->estimate)
		r = move_estimate(m, e);
	if (r)
		return r;
	if (m->opt->script)
		move_print_script(m);
	if (m->opt->dry_run)
		conductor_finish(&m->con);
	else
		conductor_goto(&m->con, ST_PREPARE);
	return 0;
}

/* ---- prepare ---- */

static json_t *decisions(struct move *m)
{
	char hex[2 * DIGEST_SECRET_BYTES + 1];

	if (getrandom(m->shared.key.secret, DIGEST_SECRET_BYTES, 0) != DIGEST_SECRET_BYTES)
		abort();
	return json_pack("{s:s}", "secret", hex_format(m->shared.key.secret, DIGEST_SECRET_BYTES, hex));
}

static int prepare_enter(void *ctx, struct err *e)
{
	struct move *m = ctx;
	int r = move_prepare_source(m, e);

	m->begin_ns = now_ns();
	if (!r)
		r = json_message_send(m->control, MSG_PREPARE, m->attempt, decisions(m), e);
	if (!r)
		files_start(m);
	return r;
}

static int prepare_event(void *ctx, const struct event *ev, struct err *e)
{
	struct move *m = ctx;
	json_t *ready = NULL;
	int r;

	if (ev->kind == EVENT_TICK)
		return files_on_tick(m, e);
	if (ev->kind != EVENT_FRAME || ev->type != MSG_COPY_READY)
		return move_common_event(m, ev, e);
	r = json_message_take(ev->type, ev->bytes, ev->n, m->attempt, NULL, &ready, e);
	if (!r)
		r = move_connect_data(m, ready, e);
	json_decref(ready);
	if (r)
		return r;
	if (!loop_has_io_uring(m->loop) || !m->peer.has_io_uring)
		report_notice(&m->report, "io_uring is not allowed %s: ordinary system calls are used there, which is slower",
			      loop_has_io_uring(m->loop) ? "at the destination"
			      : m->peer.has_io_uring	 ? "here"
							 : "here and at the destination");
	if (m->opaque)
		report_notice(&m->report, "memory travels in opaque mode: %s", m->opaque_why ? m->opaque_why : "asked for");
	if (m->opt->prepared)
		m->opt->prepared();
	conductor_goto(&m->con, ST_COPY);
	return 0;
}

/* ---- commit ---- */

static int commit_enter(void *ctx, struct err *e)
{
	struct move *m = ctx;

	(void)e;
	loop_timer_set(m->loop, &m->patience, ANSWER_MS);
	return 0;
}

static const struct stage stages[] = {
	[ST_CONNECT] = {"connect", connect_enter, common_event},
	[ST_PREFLIGHT] = {"preflight", preflight_enter, preflight_event},
	[ST_PREPARE] = {"prepare", prepare_enter, prepare_event},
	[ST_COPY] = {"copy", copy_enter, copy_event},
	[ST_SWITCHOVER] = {"switchover", switchover_enter, switchover_event},
	[ST_COMMIT] = {"commit", commit_enter, common_event},
	[ST_RELEASE] = {"release", NULL, common_event},
};

/* The one failure path. */
static void move_fail(void *ctx, const struct err *why)
{
	struct move *m = ctx;
	struct err e;

	log_info("%s failed: %s", stage_names[m->con.stage], why->msg);
	if (!m->why.code) {
		m->why = *why;
		m->why_is_vague = !m->user_cancelled && m->qmp && !qmp_alive(m->qmp);
	}
	if (m->dead)
		return;
	if (!m->handing_off) {
		m->exit_code = EXIT_REFUSED;
		conductor_finish(&m->con);
		return;
	}
	if (move_handoff(m, EV_ABORT, HO_NONE, &e)) {
		report_notice(&m->report, "%s", e.msg);
		return;
	}
	if (m->con.finished)
		return;
	if (m->control_lost && !move_reconnect(m))
		conductor_finish(&m->con);
}

/* ---- signals ---- */

struct signals {
	struct op op;
	struct move *m;
	int fd;
	bool reading, closing;
	struct signalfd_siginfo si;
};

static void signals_read(struct signals *s)
{
	struct io_uring_sqe *sqe = loop_sqe(s->m->loop);

	io_uring_prep_read(sqe, s->fd, &s->si, sizeof(s->si), 0);
	loop_bind(sqe, &s->op);
	s->reading = true;
}

static void on_signal(struct op *op, int res, uint32_t flags)
{
	struct signals *s = container_of(op, struct signals, op);

	(void)flags;
	s->reading = false;
	if (res == sizeof(s->si))
		conductor_put(&s->m->con, event_new(EVENT_USER, s->si.ssi_signo == SIGINT ? ORDER_INTERRUPT : ORDER_CANCEL,
						    NULL, 0));
	if (!s->closing)
		signals_read(s);
}

static void signals_open(struct signals *s, struct move *m)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGHUP, SIG_IGN); /* a move survives its terminal */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTSTP, SIG_IGN); /* a guest may be waiting; `--detach` is for the background */
	signal(SIGTTOU, SIG_IGN);
	signal(SIGTTIN, SIG_IGN);
	*s = (struct signals){.m = m, .op = {.done = on_signal}};
	s->fd = signalfd(-1, &set, SFD_CLOEXEC);
	signals_read(s);
}

static void signals_close(struct signals *s)
{
	struct err e;

	s->closing = true;
	loop_cancel(s->m->loop, &s->op);
	while (s->reading)
		if (loop_step(s->m->loop, 1000, &e))
			break;
	close(s->fd);
}

/* ---- life ---- */

static void drain(struct move *m)
{
	uint64_t until = now_ns() + LAST_WORDS_MS * 1000000ULL;
	struct err e;

	while (m->control && channel_open(m->control) && !channel_idle(m->control) && now_ns() < until)
		if (loop_step(m->loop, 100, &e))
			break;
}

static void settle_exit_code(struct move *m)
{
	if (!m->handing_off || m->exit_code == EXIT_PAUSED)
		return;
	switch (m->handoff.state) {
	case HO_SRC_RELEASED:
		m->exit_code = m->undecided ? EXIT_UNDECIDED : m->handoff.finished ? EXIT_DESTINATION : EXIT_PEER_LOST;
		break;
	case HO_SRC_ABORTED:
		m->exit_code = m->undecided				   ? EXIT_UNDECIDED
			       : !m->handoff.qemu_alive && !m->over	   ? EXIT_NOWHERE
			       : m->peer.aborted && !move_has_leftovers(m) ? EXIT_SOURCE
									   : EXIT_LEFTOVERS;
		break;
	case HO_SRC_COMMITTED:
	case HO_SRC_BEGUN:
		m->exit_code = EXIT_UNDECIDED;
		m->undecided = true;
		break;
	case HO_NONE:
	case HO_DST_BEGUN:
	case HO_DST_PREPARED:
	case HO_DST_START:
	case HO_DST_STARTED:
	case HO_DST_DONE:
	case HO_DST_NOVM:
	case HO_DST_ABORTED:
		break;
	}
}

static int move_new(struct move **out, const struct move_options *opt, struct err *e)
{
	struct move *m = xcalloc(1, sizeof(*m));
	int r = loop_new(&m->loop, 256, e);

	if (r) {
		free(m);
		return r;
	}
	cpu_meter_begin(&m->cpu_used);
	m->shared.cpu = &m->cpu_used;
	m->opt = opt;
	m->multifd = opt->multifd < 0 ? MIN(opt->channels, MULTIFD_MAX) : (unsigned)opt->multifd;
	m->disabled = json_array();
	m->leftovers = json_array();
	m->patience.fire = on_patience;
	m->shared.pacer.rate_bps = opt->bwlimit;
	report_init(&m->report, opt->json, opt->json_fine);
	m->report.quiet_plan = opt->script;
	m->report.follow = on_follow;
	m->report.ctx = m;
	converge_init(&m->converge, opt->max_downtime_ms);
	conductor_init(&m->con, m->loop, stages, m, move_fail);
	queue_init(&m->words, m->loop, move_hear);
	queue_init(&m->disk_results, m->loop, on_disk_results);
	*out = m;
	return 0;
}

static void move_free(struct move *m)
{
	unsigned i;

	drain(m);
	move_stop_data(m);
	/* it has something to do if we could not */
	if (!m->dead && !(m->handing_off && m->handoff.state == HO_SRC_BEGUN && m->handoff.qemu_alive))
		guard_dismiss(&m->guard);
	loop_timer_clear(m->loop, &m->patience);
	channel_free(m->control);
	control_close(m->ctl);
	qmp_close(m->qmp);
	journal_close(m->journal);
	dest_fini(&m->dest);
	conductor_fini(&m->con);
	for (i = OBJECT_DISK_BASE; i <= OBJECT_DISK_MAX; i++)
		free(m->disks[i].to);
	guest_watch_fini(&m->watch);
	guest_fini(&m->guest);
	json_decref(m->settings);
	json_decref(m->cpu);
	json_decref(m->peer.cpu_used);
	json_decref(m->plan);
	json_decref(m->description);
	files_free(m);
	json_decref(m->peer.afterwards);
	json_decref(m->disabled);
	json_decref(m->leftovers);
	json_decref(m->peer.leftovers);
	json_decref(m->source_disks);
	autostart_fini(&m->autostart);
	free(m->opaque_why);
	free(m->migrate_socket);
	free(m->nbd_socket);
	loop_free(m->loop);
	cpu_thread_end();
	free(m);
}

static int run(struct move *m, struct err *e)
{
	struct signals signals;
	int code;

	signals_open(&signals, m);
	if (conductor_run(&m->con, e)) {
		m->why = *e;
		m->undecided = m->handing_off;
	}
	settle_exit_code(m);
	if (!m->opt->dry_run || m->exit_code)
		move_emit_result(m);
	code = m->exit_code;
	signals_close(&signals);
	move_free(m);
	return code;
}

int move_run(const struct move_options *opt)
{
	struct move *m;
	struct err e;

	if (move_new(&m, opt, &e)) {
		fprintf(stderr, "vmferry: %s\n", e.msg);
		return EXIT_REFUSED;
	}
	m->begin_ns = now_ns();
	return run(m, &e);
}

/* ---- recover ---- */

/* The guest comes first, where it is ours without a doubt: the destination may take its time to be reached, or be gone. */
static bool take_back_first(const struct move *m)
{
	return m->handoff.state == HO_SRC_ABORTED || (m->handoff.state == HO_SRC_BEGUN && m->handoff.qemu_alive);
}

/* A destination that answers is heard, whatever a person vouches for: it may know that the guest runs there. */
static int recover_with_destination(struct move *m, enum handoff_event first, struct err *e)
{
	struct link link;
	struct err why;

	if (move_dest_open(m, &link, &why)) {
		if (m->fenced)
			return move_handoff(m, EV_PEER_FENCED, HO_NONE, e);
		report_notice(&m->report, "%s", why.msg);
	} else if (m->ran_on) {
		link_close(&link);
		return -e->code; /* of move_restore() */
	} else {
		move_control_start(m, link);
	}
	loop_timer_set(m->loop, &m->patience, ANSWER_MS);
	return move_handoff(m, first, HO_NONE, e);
}

static int recover_begin(struct move *m, const char *journal_path, bool fenced, struct err *e)
{
	enum handoff_event first = EV_RECOVER;
	int r;

	m->fenced = fenced;
	r = move_restore(m, journal_path, e);
	if (r && !(m->ran_on && fenced))
		return r;
	if (!r && !m->over && take_back_first(m)) {
		r = move_handoff(m, EV_RECOVER, HO_NONE, e);
		first = EV_RESEND;
	}
	/* in place of the dead agent's: nothing else may begin with this guest, and at the end its socket goes */
	if (!r)
		r = control_open(&m->ctl, m->loop, m->opt->runtime_dir, m->guest.pid, on_request, m, e);
	if (r && !m->ran_on)
		return r;
	if (m->over) {
		move_undo_again(m);
		return 0;
	}
	return recover_with_destination(m, first, e);
}

/* What a process held is let go of in no certain order. -ENOENT: the attempt has ended. */
static int last_state_of_the_dead(const char *journal_path, struct keep *kept, enum handoff_state *state, struct err *e)
{
	uint64_t until = now_ns() + DYING_MS * 1000000ULL;
	struct journal *j;
	int r;

	while ((r = journal_open(&j, journal_path, e)) == -EBUSY && now_ns() < until) {
		keep_drain(kept); /* it may be `recover` that has it, and cancels */
		poll(NULL, 0, DYING_PAUSE_MS);
	}
	if (r)
		return r;
	*state = journal_last_state(j);
	journal_close(j);
	return 0;
}

static void say(const struct err *words)
{
	AUTO_FREE char *line = xasprintf("vmferry: %s\n", words->msg);

	output_put(2, OUTPUT_LAST, line, strlen(line));
}

/* True: nothing more is to be tried. */
static bool guard_take_back(struct move *m, const char *journal_path, struct err *words)
{
	struct err e;
	int r = move_restore(m, journal_path, &e);

	if (!r && !m->over && take_back_first(m))
		r = move_handoff(m, EV_RECOVER, HO_NONE, &e);
	if (r)
		err_set(words, -r, "the agent that moved guest %s has died: %s", m->guest.name ? m->guest.name : "?", e.msg);
	else if (!m->exit_code && m->handoff.qemu_alive)
		err_set(words, 0, "the agent that moved guest %s has died; the guest goes on here. What the move left is settled by: vmferry recover %s",
			m->guest.name, m->guest.name);
	return !r ? !m->unheard : r != -EBUSY && !m->handoff.qemu_alive;
}

/* False: the guest is ours, and its QEMU hears nobody, or our journal is read by somebody else just now. words: for people. */
static bool guard_try(const struct move_options *opt, const char *journal_path, struct keep *kept, struct err *words)
{
	enum handoff_state state = HO_NONE;
	struct move *m;
	bool done;
	int r = last_state_of_the_dead(journal_path, kept, &state, words);

	if (r == -ENOENT || (!r && state != HO_SRC_BEGUN && state != HO_SRC_ABORTED)) {
		words->code = 0, words->msg[0] = '\0';
		return true; /* it has ended, or only the destination may run the guest */
	}
	if (r || move_new(&m, opt, words))
		return err_prefix(words, "the agent of a move has died") != -EBUSY;
	m->kept = kept;
	m->con.stage = ST_COMMIT;
	m->con.entered = true;
	done = guard_take_back(m, journal_path, words);
	if (m->journal) /* otherwise somebody else has it, and cancels */
		keep_end(kept);
	move_free(m); /* before anything is said: whoever is to read it may not */
	return done;
}

int move_guard(const struct move_options *opt, const char *journal_path, struct keep *kept)
{
	struct err words = {.code = 0}, said = words;

	for (;;) {
		bool done = guard_try(opt, journal_path, kept, &words);

		if (words.msg[0] && strcmp(words.msg, said.msg))
			say(&words);
		if (done) {
			keep_free(kept);
			return words.code != 0;
		}
		said = words;
		poll(NULL, 0, GUARD_PAUSE_MS);
	}
}

int move_recover(const struct move_options *opt, const char *journal_path, bool fenced)
{
	struct move *m;
	struct err e;
	int code;

	if (move_new(&m, opt, &e)) {
		fprintf(stderr, "vmferry: %s\n", e.msg);
		return EXIT_UNDECIDED;
	}
	m->begin_ns = now_ns();
	m->con.stage = ST_COMMIT;
	m->con.entered = true;
	if (recover_begin(m, journal_path, fenced, &e)) {
		fprintf(stderr, "vmferry: %s: %s\n", journal_path, e.msg);
		code = m->over ? EXIT_LEFTOVERS : EXIT_UNDECIDED;
		move_free(m);
		return code;
	}
	if (!m->control && !m->con.finished) {
		err_set(&m->why, EPIPE, "the destination agent cannot be reached; start vmferry-dst there and run recover again");
		conductor_finish(&m->con);
	}
	return run(m, &e);
}
