/* side.c: the source agent from the end of the copy on, for test-both-conductors: nothing is carried, all else is its own code. */
#include "transfer.h"
#include "exit-code.h"
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
void __real_data_plane_end_of(struct data_plane *d, uint32_t object);
void __wrap_data_plane_end_of(struct data_plane *d, uint32_t object);
int __wrap_dest_connect_data(struct dest *d, unsigned data_port, unsigned number, struct link *link, struct err *e);
void __real_disks_say_done(struct disks *d);
void __wrap_disks_say_done(struct disks *d);
int __wrap_capture_start(struct capture **out, const struct capture_config *cfg, struct err *e);
void __wrap_capture_stall(struct capture *c, bool stall);
void __wrap_capture_cut_round(struct capture *c);
int __wrap_capture_return_path(struct capture *c, const void *p, size_t n);
void __wrap_capture_end_streams(struct capture *c);
void __wrap_capture_drain(struct capture *c);
void __wrap_capture_stop(struct capture *c);
void __wrap_capture_free(struct capture *c);
unsigned __wrap_capture_rounds(const struct capture *c);
uint64_t __wrap_capture_bytes(const struct capture *c);
enum qemu_runstate __wrap_capture_runstate(const struct capture *c);
enum converge_verdict __wrap_converge_step(struct converge *c, const struct converge_sample *s);
enum converge_verdict __real_converge_step(struct converge *c, const struct converge_sample *s);
uint64_t __real_data_plane_unacked(const struct data_plane *d);
uint64_t __wrap_data_plane_unacked(const struct data_plane *d);

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

/* The rest of the memory follows at once. */
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
	both->end_sent = true;
	both->activity++;
	__real_data_plane_end_of(d, object);
}

int __wrap_dest_connect_data(struct dest *d, unsigned data_port, unsigned number, struct link *link, struct err *e)
{
	(void)d, (void)data_port, (void)number, (void)e;
	*link = (struct link){.fd = both_reach_data()};
	return 0;
}

void __wrap_disks_say_done(struct disks *d)
{
	if (!both->end_sent)
		both_violation("the destination is told that the disks are complete before their END");
	__real_disks_say_done(d);
}

/* QEMU's word to us, or the other's to it. */
int __wrap_capture_return_path(struct capture *c, const void *p, size_t n)
{
	const uint8_t *word = p;

	(void)c, (void)n;
	if (word[1] == RP_SHUT)
		both->qemu[SOURCE].shut = true;
	else if (word[1] == RP_SWITCHOVER_ACK)
		both->qemu[SOURCE].asked = true;
	both->activity++;
	return 0;
}

static struct transfer *moving;
static bool ending;
static enum { COPIES, FITS, FITS_NO_LONGER, STOPS } copying;

/* The disk is to have a round while the guest runs, if that writes at all. */
static bool is_copied(const struct transfer *t)
{
	return t->disks.count && (t->disks.list[0]->progress.round || both->pause);
}

/* Something of the guest's memory is always on its way: what is carried here has arrived when it is looked at. */
uint64_t __wrap_data_plane_unacked(const struct data_plane *d)
{
	return __real_data_plane_unacked(d) + (both->wavers && moving->src.migrating);
}

/* Once all is copied it fits into the blackout that is allowed. If it waits for the disk then, it fits no longer, until it is to be
 * anyhow. */
enum converge_verdict __wrap_converge_step(struct converge *c, const struct converge_sample *s)
{
	if (s->wire_left != data_plane_unacked(&moving->data))
		both_violation("%llu bytes are said to be on the wire, where %llu are", (unsigned long long)s->wire_left,
			       (unsigned long long)data_plane_unacked(&moving->data));
	if (!both->wavers) { /* stop_soon() decides */
		__real_converge_step(c, s);
		return CONVERGE_GO_ON;
	}
	copying = copying == FITS ? FITS_NO_LONGER : copying == COPIES && is_copied(moving) ? FITS : copying;
	c->predicted_ms = c->dry_ms = copying == FITS_NO_LONGER ? 10 * moving->opt->stop.max_downtime_ms : 1;
	return copying == FITS ? CONVERGE_SWITCH : CONVERGE_GO_ON;
}

static void stop_soon(struct transfer *t)
{
	if (copying == FITS_NO_LONGER) {
		if (t->a.con.stage == ST_SWITCHOVER || t->blackout.stopping)
			both_violation("the guest is stopped though what is left fits no longer");
		copying = STOPS;
	}
	if (both->wavers ? copying == STOPS : is_copied(t))
		t->pace.stop_wanted = true;
}

/* Ends the attempt once earlier messages on the control channel have arrived. */
static void tick(void)
{
	stop_soon(moving);
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
	return both->pause == BROKEN_LATE ? RUNSTATE_STOPPED_BY_ERROR : both->pause ? RUNSTATE_STOPPED : RUNSTATE_LIVE;
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

static char nothing_is_carried;

int __wrap_capture_start(struct capture **out, const struct capture_config *cfg, struct err *e)
{
	(void)cfg, (void)e;
	*out = (struct capture *)&nothing_is_carried;
	return 0;
}

void __wrap_capture_stall(struct capture *c, bool stall)
{
	(void)c, (void)stall;
}

void __wrap_capture_cut_round(struct capture *c)
{
	(void)c;
}

/* ---- its lives ---- */

static struct move_options options(void)
{
	return (struct move_options){.vm = "guest",
				     .how = both->how == COLD	? HOW_COLD
					    : both->how == WARM ? HOW_WARM
								: HOW_LIVE,
				     .stop.max_downtime_ms = 300,
				     .carry.channels = 1,
				     .dirs.state = both->state[SOURCE],
				     .dirs.runtime = both->runtime[SOURCE],
				     .dest = {.where = "there"}};
}

static void begin_with_its_guest(struct source *s)
{
	const struct both_qemu *q = &both->qemu[SOURCE];

	s->guest.name = xstrdup("guest");
	s->guest.qmp.path = xstrdup(q->path);
	s->guest.pid = q->pid;
	s->guest.start_time = q->start_time;
	s->run.paused = both->pause == PAUSED_BEFORE;
	s->run.was_running = !s->run.paused;
	s->is_held = true;
}

static int begin_journal(struct transfer *t, struct err *e)
{
	json_t *begin = json_object();
	int r;

	source_describe_for_journal(&t->src, begin);
	ram_describe_for_journal(&t->ram, begin);
	r = attempt_begin(&t->a, t->opt->dirs.state, HO_SOURCE, begin, e);
	json_decref(begin);
	if (!r)
		r = attempt_own(&t->a, "settings", json_pack("{s:[],s:{}}", "capabilities", "parameters"), e);
	return r || both->carried ? r : source_note_migration(&t->src, true, t->ram.mode == RAM_MODE_PAGES, e);
}

/* QEMU has stopped the guest, and waits to be told to go on. */
static void begin_after_the_copy(struct transfer *t)
{
	t->ram.capture = (struct capture *)&nothing_is_carried;
	t->blackout.stopped = true;
	t->blackout.stop_ns = t->blackout.moved_ns = now_ns();
	conductor_begin_at(&t->a.con, ST_SWITCHOVER);
	conductor_put(&t->a.con, event_new(EVENT_TICK, 0, NULL, 0));
}

/* Begins with the disk as it was described and agreed on. */
static int begin_with_its_disk(struct transfer *t, struct err *e)
{
	struct guest *g = &t->src.guest;
	const struct part *p = &t->disks.part;
	json_t *accept = json_pack("{s:[{s:i,s:s}]}", "disks", "object", OBJECT_DISK_BASE, "path", both->disk.image);
	int r;

	t->src.machine.accel = "kvm";
	g->ram_bytes = GIB;
	g->disks = xcalloc(1, sizeof(*g->disks));
	g->disk_count = 1;
	g->disks[0] = (struct guest_disk){.node = xstrdup("node"),
					  .file = xstrdup("/disk"),
					  .real_path = xstrdup("/disk"),
					  .block_device = true, /* a block device: nobody asks whether QEMU has it open */
					  .format = xstrdup("raw"),
					  .virtual_size = BOTH_DISK_BYTES,
					  .allocated = BOTH_DISK_GRAIN};
	r = p->ops->examine(&t->disks.part, e);
	json_array_clear(t->src.disk_paths); /* the disk is no file */
	r = r ? r : p->ops->agree(&t->disks.part, accept, e);
	json_decref(accept);
	return r;
}

/* Begins to copy: both sides are prepared, and connected. */
static int begin_copy(struct transfer *t, struct err *e)
{
	bool opaque = both->carried == DISK_AND_OPAQUE;
	int r;

	t->ram.mode = opaque ? RAM_MODE_OPAQUE : RAM_MODE_PAGES;
	t->ram.hold.way = opaque ? HOLD_BITMAP : HOLD_ACKNOWLEDGEMENT;
	t->ram.settings = json_pack("{s:{},s:{}}", "capabilities", "parameters");
	t->data.streams = opaque;
	t->data.channels = 1 + t->data.streams;
	both_threads = true;
	r = data_plane_connect(&t->data, &t->dest, 1, &t->blackout.round_trip_ms, e);
	r = r ? r : disks_connect(&t->disks, e);
	both_threads = false;
	conductor_begin_at(&t->a.con, ST_COPY);
	t->a.con.entered = false;
	return r;
}

#define TICK_MS 25

/* Begins a warm move: the guest was told to shut down, and has; its QEMU stays as it is. */
static int begin_warm(struct transfer *t, struct err *e)
{
	json_t *begin = json_pack("{s:s}", "how", "warm");
	struct link link;
	int r;

	memcpy(t->a.id, both->attempt, sizeof(t->a.id));
	begin_with_its_guest(&t->src);
	r = source_open_monitor(&t->src, e);
	if (!r)
		r = guest_watch_begin(&t->src.watch, &t->src.guest, t->src.qmp, e);
	warm_describe_for_journal(t, begin);
	r = r ? r : attempt_begin(&t->a, t->opt->dirs.state, HO_SOURCE, begin, e);
	json_decref(begin);
	r = r ? r : attempt_own(&t->a, "shutdown-action", json_pack("{s:s,s:s}", "shutdown", "poweroff", "reboot", "reset"), e);
	r = r ? r : power_is_wanted(&t->around.power, e);
	r = r ? r : reach_destination(t, &link, e);
	if (r)
		return r;
	t->around.power.shuts_down = t->around.power.off = true;
	t->around.power.off_ns = now_ns();
	attempt_connect(&t->a, link, &t->data.shared.pacer);
	moving = t;
	t->blackout.stopped = true;
	t->blackout.stop_ns = t->blackout.moved_ns = now_ns();
	conductor_begin_at(&t->a.con, ST_SWITCHOVER);
	conductor_tick(&t->a.con, TICK_MS);
	both->begun++;
	return 0;
}

/* Begins a cold move whose files are there: only the hand-over is left. */
static int begin_cold(struct transfer *t, struct err *e)
{
	json_t *begin = json_pack("{s:s}", "how", "cold");
	struct link link;
	int r;

	memcpy(t->a.id, both->attempt, sizeof(t->a.id));
	t->src.guest.name = xstrdup("guest");
	t->around.aside.script = xstrdup(both->script[SOURCE]);
	cold_describe_for_journal(t, begin);
	r = attempt_begin(&t->a, t->opt->dirs.state, HO_SOURCE, begin, e);
	json_decref(begin);
	r = r ? r : reach_destination(t, &link, e);
	if (r)
		return r;
	attempt_connect(&t->a, link, &t->data.shared.pacer);
	conductor_begin_at(&t->a.con, ST_SWITCHOVER);
	t->a.con.entered = false;
	both->begun++;
	return 0;
}

static int begin(struct transfer *t, struct err *e)
{
	struct link link;
	int r;

	memcpy(t->a.id, both->attempt, sizeof(t->a.id));
	begin_with_its_guest(&t->src);
	r = source_open_monitor(&t->src, e);
	if (!r)
		r = guest_watch_begin(&t->src.watch, &t->src.guest, t->src.qmp, e);
	if (!r && both->carried)
		r = begin_with_its_disk(t, e);
	if (!r)
		r = begin_journal(t, e);
	if (!r && both->carried)
		r = t->disks.part.ops->prepare(&t->disks.part, e);
	if (!r)
		r = reach_destination(t, &link, e);
	if (r)
		return r;
	attempt_connect(&t->a, link, &t->data.shared.pacer);
	moving = t;
	both_tick = tick;
	if (both->carried)
		r = begin_copy(t, e);
	else
		begin_after_the_copy(t);
	both->begun++;
	return r;
}

static int begin_as(struct transfer *t, struct err *e)
{
	static int (*const ways[])(struct transfer * t, struct err * e) = {[LIVE] = begin, [WARM] = begin_warm, [COLD] = begin_cold};

	return ways[both->how](t, e);
}

int src_life(void)
{
	struct move_options opt = options();
	struct transfer *t;
	struct err e;
	int r;

	if (transfer_new(&t, &opt, entry_for(&opt), &e) || begin_as(t, &e)) {
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

static struct move_taken_up taken_up(bool fenced)
{
	return (struct move_taken_up){.life = {.state_dir = both->state[SOURCE], .runtime_dir = both->runtime[SOURCE]},
				      .dest = {.where = "there"},
				      .fenced = fenced};
}

int src_guard(void)
{
	const struct move_taken_up u = taken_up(false);
	AUTO_FREE char *path = journal_of();

	return guard_settle(path, NULL, move_guard, &u.life);
}

int src_recover(bool fenced)
{
	const struct move_taken_up u = taken_up(fenced);
	AUTO_FREE char *path = journal_of();
	struct journal *j;
	struct err e;

	return life_take_journal(&j, path, NULL, NULL, &e) ? EXIT_UNDECIDED : move_recover(&u, j);
}
