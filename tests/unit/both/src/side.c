/* side.c: the source agent from the end of the copy on, for test-both-conductors: nothing is carried, all else is its own code. */
#include "transfer.h"
#include "qemu-rp.h"
#include "util.h"

#include "../both.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- what stands in for the destination's place, the data plane and QEMU's connections ---- */

void __wrap_guard_dismiss(struct guard *g);
int __wrap_dest_connect(struct dest *d, const struct dest_config *cfg, struct link *control, struct err *e);
void __wrap_dest_disconnect(struct dest *d);
int __real_ram_let_qemu_go_on(struct ram *r, struct err *e);
int __wrap_ram_let_qemu_go_on(struct ram *r, struct err *e);
void __wrap_data_plane_end_of(struct data_plane *d, uint32_t object);
int __wrap_capture_return_path(struct capture *c, const void *p, size_t n);
void __wrap_capture_end_streams(struct capture *c);
void __wrap_capture_drain(struct capture *c);
void __wrap_capture_stop(struct capture *c);
void __wrap_capture_free(struct capture *c);
unsigned __wrap_capture_rounds(const struct capture *c);
uint64_t __wrap_capture_bytes(const struct capture *c);
enum qemu_runstate __wrap_capture_runstate(const struct capture *c);

void __wrap_guard_dismiss(struct guard *g)
{
	(void)g;
	both->guard_dismissed = true;
}

int __wrap_dest_connect(struct dest *d, const struct dest_config *cfg, struct link *control, struct err *e)
{
	int fd = both_reach();

	(void)d, (void)cfg;
	if (fd < 0)
		return err_set(e, EHOSTUNREACH, "the destination is not there");
	*control = (struct link){.fd = fd};
	return 0;
}

void __wrap_dest_disconnect(struct dest *d)
{
	(void)d;
}

/* What memory there was follows at once. */
int __wrap_ram_let_qemu_go_on(struct ram *r, struct err *e)
{
	enum capture_event what = CAPTURE_RAM_DONE;
	int code = __real_ram_let_qemu_go_on(r, e);

	if (!code)
		conductor_put(&r->part.a->con, event_new(EVENT_WORKER, WORD_CAPTURE, &what, sizeof(what)));
	return code;
}

void __wrap_data_plane_end_of(struct data_plane *d, uint32_t object)
{
	(void)d, (void)object;
	both->end_sent = true;
	both->activity++;
}

int __wrap_capture_return_path(struct capture *c, const void *p, size_t n)
{
	(void)c, (void)p, (void)n;
	both->qemu[SOURCE].shut = true;
	both->activity++;
	return 0;
}

static struct transfer *moving;
static bool ending;

/* What was said on the control channel before has arrived by then. */
static void tick(void)
{
	if (!ending || !moving->a.control || !channel_idle(moving->a.control))
		return;
	ending = false;
	both->streams_ended = true;
	both->activity++;
}

void __wrap_capture_end_streams(struct capture *c)
{
	(void)c;
	ending = true;
}

enum qemu_runstate __wrap_capture_runstate(const struct capture *c)
{
	(void)c;
	return both->pause ? RUNSTATE_STOPPED : RUNSTATE_LIVE;
}

void __wrap_capture_drain(struct capture *c)
{
	(void)c;
}

void __wrap_capture_stop(struct capture *c)
{
	if (c)
		both->qemu[SOURCE].unread = true;
}

void __wrap_capture_free(struct capture *c)
{
	(void)c;
}

unsigned __wrap_capture_rounds(const struct capture *c)
{
	(void)c;
	return 1;
}

uint64_t __wrap_capture_bytes(const struct capture *c)
{
	(void)c;
	return 0;
}

/* ---- its lives ---- */

static char nothing_is_carried;

static struct move_options options(void)
{
	return (struct move_options){.vm = "guest",
				     .max_downtime_ms = 300,
				     .channels = 1,
				     .state_dir = both->state[SOURCE],
				     .runtime_dir = both->runtime[SOURCE],
				     .dest = {.where = "there"}};
}

static void begin_with_its_guest(struct source *s)
{
	const struct both_qemu *q = &both->qemu[SOURCE];

	s->guest.name = xstrdup("guest");
	s->guest.qmp.path = xstrdup(q->path);
	s->guest.pid = q->pid;
	s->guest.start_time = q->start_time;
	s->paused = both->pause == PAUSED_BEFORE;
	s->was_running = !s->paused;
	s->acknowledges = true;
}

static int begin_journal(struct transfer *t, struct err *e)
{
	json_t *begin = json_object();
	int r;

	source_describe_for_journal(&t->src, begin);
	ram_describe_for_journal(&t->ram, begin);
	r = attempt_begin(&t->a, t->opt->state_dir, HO_SOURCE, begin, e);
	json_decref(begin);
	if (!r)
		r = attempt_own(&t->a, "settings", json_pack("{s:[],s:{}}", "capabilities", "parameters"), e);
	return r ? r : source_note_migration(&t->src, true, e);
}

/* QEMU has stopped the guest, and waits to be told to go on. */
static int begin(struct transfer *t, struct err *e)
{
	struct link link;
	int r;

	memcpy(t->a.id, both->attempt, sizeof(t->a.id));
	begin_with_its_guest(&t->src);
	r = source_open_monitor(&t->src, e);
	if (!r)
		r = guest_watch_begin(&t->src.watch, &t->src.guest, t->src.qmp, e);
	if (!r)
		r = begin_journal(t, e);
	if (!r)
		r = reach_destination(t, &link, e);
	if (r)
		return r;
	attempt_connect(&t->a, link, &t->data.shared.pacer);
	moving = t;
	both_tick = tick;
	t->ram.capture = (struct capture *)&nothing_is_carried;
	t->blackout.stopped = true;
	t->blackout.stop_ns = t->blackout.moved_ns = now_ns();
	conductor_begin_at(&t->a.con, ST_SWITCHOVER);
	conductor_put(&t->a.con, event_new(EVENT_TICK, 0, NULL, 0));
	both->begun++;
	return 0;
}

int src_life(void)
{
	struct move_options opt = options();
	struct transfer *t;
	struct err e;
	int r;

	if (transfer_new(&t, &opt, entry_for(&opt), &e) || begin(t, &e)) {
		both_violation("the source does not begin: %s", e.msg);
		return -1;
	}
	r = transfer_run(t);
	both_tick = NULL;
	return r;
}

static char *journal_of(void)
{
	char id[2 * ATTEMPT_ID_LEN + 1];

	return xasprintf("%s/%s-src.journal", both->state[SOURCE], attempt_id_format(both->attempt, id));
}

int src_guard(void)
{
	struct move_options opt = options();
	AUTO_FREE char *path = journal_of();

	return move_guard(&opt, path, NULL);
}

int src_recover(bool fenced)
{
	struct move_options opt = options();
	AUTO_FREE char *path = journal_of();

	return move_recover(&opt, path, fenced);
}
