/* side.c: the destination agent from the end of the copy on, for test-both-conductors, where its names begin with dst_. */
#include "arriving-transfer.h"
#include "ram-feed.h"
#include "util.h"

#include "../both.h"

#include <stdlib.h>
#include <string.h>

int session(bool first);
int start(void);
int settle(bool fenced);

static struct transfer *copying; /* the transfer that is copying; its data channel and QEMU's return path may have events */
static bool complete_told, shut_told, end_told;

static struct move_config config(void)
{
	return (struct move_config){.state_dir = both->state[DESTINATION], .runtime_dir = both->runtime[DESTINATION], .listen_fd = -1};
}

static void tell(enum receive_kind kind)
{
	struct receive_event *rev = xcalloc(1, sizeof(*rev));
	struct event *ev = event_new(EVENT_WORKER, 0, NULL, 0);

	rev->kind = kind;
	rev->rp_type = RP_SHUT;
	ev->ptr = rev;
	conductor_put(&copying->a.con, ev);
	both->activity++;
}

/* The receivers tell what has come; QEMU's stream comes as soon as the other lets it, or (pages) when all else is here. */
static bool stream_arrives(void)
{
	return both->qemu[SOURCE].gone_on && (both->carried == DISK_AND_OPAQUE || copying->a.con.stage == ST_SWITCHOVER);
}

static void tick(void)
{
	if (both->carried) {
		if (!both->qemu[DESTINATION].arrived && stream_arrives()) {
			both->qemu[DESTINATION].arrived = true;
			both->activity++;
		}
	} else if (!complete_told && both->end_sent) {
		complete_told = true;
		tell(RECEIVE_COMPLETE);
		both->qemu[DESTINATION].arrived = both->how == LIVE;
	}
	if (!shut_told && both->qemu[DESTINATION].loaded) {
		shut_told = true;
		tell(RECEIVE_RETURN_PATH);
	}
	if (!end_told && both->streams_ended) {
		end_told = true;
		tell(RECEIVE_STREAM_END);
	}
}

/* With the image that its disk is to go into. */
static json_t *describe(void)
{
	json_t *o = json_pack("{s:b}", "paused", both->pause == PAUSED_BEFORE);

	if (both->carried)
		json_object_set_new(o, "disks",
				    json_pack("[{s:i,s:s,s:s,s:s,s:i,s:s,s:i,s:i}]", "object", OBJECT_DISK_BASE, "file", "/disk",
					      "real_path", "/disk", "format", "raw", "virtual_size", BOTH_DISK_BYTES, "path",
					      both->disk.image, "uid", -1, "gid", -1));
	return o;
}

static void on_work(struct queue *q)
{
	struct data_plane *d = container_of(q, struct data_plane, work);
	struct qnode *n;

	while ((n = queue_take(q))) {
		struct event *ev = event_new(EVENT_WORKER, 0, NULL, 0);

		ev->ptr = container_of(n, struct receive_event, node);
		conductor_put(&d->a->con, ev);
	}
}

/* Makes an empty image, and channels to it. */
static int begin_copy(struct transfer *t, struct err *e)
{
	struct data_plane *d = &t->data;
	int r = t->disks.part.ops->prepare(&t->disks.part, e);
	unsigned i;

	r = r ? r : disks_open(&t->disks, &d->shared, e);
	d->shared.streams = both->carried == DISK_AND_OPAQUE;
	d->shared.channels = d->channels = 1 + d->shared.streams;
	queue_init(&d->work, t->a.loop, on_work);
	d->shared.events = &d->work;
	both_threads = true;
	for (i = 0; i < d->channels && !r; i++)
		r = receiver_start(&d->receivers[i], (struct link){.fd = both_accept_data()}, i + 1, &d->shared, e);
	both_threads = false;
	return r;
}

static int begin(struct transfer *t, struct err *e)
{
	const struct both_qemu *q = &both->qemu[DESTINATION];
	json_t *begin = json_object();
	int r = 0;

	memcpy(t->a.id, both->attempt, sizeof(t->a.id));
	t->target.name = xstrdup("guest");
	t->target.run_dir = xstrdup(both->runtime[DESTINATION]);
	t->target.qmp_path = xstrdup(q->path);
	t->target.description = describe();
	if (both->carried)
		r = t->disks.part.ops->examine(&t->disks.part, e);
	else
		t->target.dir = xstrdup(both->state[DESTINATION]);
	target_describe_for_journal(&t->target, begin);
	r = r ? r : attempt_begin(&t->a, t->cfg->state_dir, HO_DESTINATION, begin, e);
	json_decref(begin);
	if (!r)
		r = attempt_own(&t->a, "qemu", json_pack("{s:s}", "path", q->path), e);
	if (!r)
		r = attempt_note(&t->a, "qemu", json_pack("{s:i,s:I}", "pid", (int)q->pid, "start_time", (json_int_t)q->start_time), e);
	if (r)
		return r;
	t->target.qemu = (struct qemu_proc){.pid = q->pid, .pidfd = -1, .start_time = q->start_time};
	t->a.handoff.qemu_alive = true;
	t->ram.opaque = true; /* QEMU takes its stream by itself */
	t->ram.streams_open = 1;
	t->data.channels = 1;
	if (both->carried)
		r = begin_copy(t, e);
	conductor_begin_at(&t->a.con, ST_COPY);
	r = r ? r : qmp_open(&t->target.qmp, t->a.loop, q->path, 5000, &conductor_qmp, &t->a.con, e);
	copying = t;
	both_tick = tick;
	both->begun++;
	return r;
}

/* Begins a guest that is shut down: its only file is its script, whose draft is there; its QEMU, if any, is started when everything is
 * there. */
static int begin_shut_down(struct transfer *t, const char *how, struct err *e)
{
	json_t *begin = json_pack("{s:s}", "how", how);
	int r = recipe_choose(t, how, NULL, e);

	memcpy(t->a.id, both->attempt, sizeof(t->a.id));
	t->target.name = xstrdup("guest");
	t->target.exe = xstrdup("qemu-system-x86_64");
	t->target.dir = xstrdup(both->state[DESTINATION]);
	t->target.run_dir = xstrdup(both->runtime[DESTINATION]);
	t->target.qmp_path = xstrdup(both->qemu[DESTINATION].path);
	t->target.description = json_pack("{s:s}", "how", how);
	t->target.args.argv = xcalloc(2, sizeof(char *));
	t->target.args.argv[t->target.args.argc++] = xstrdup("qemu-system-x86_64");
	target_describe_for_journal(&t->target, begin);
	r = r ? r : attempt_begin(&t->a, t->cfg->state_dir, HO_DESTINATION, begin, e);
	json_decref(begin);
	r = r ? r : t->startup.part.ops->examine(&t->startup.part, e);
	r = r ? r : startup_draft(&t->startup, e);
	t->a.handoff.qemu_alive = true;
	t->data.channels = 1;
	conductor_begin_at(&t->a.con, ST_COPY);
	copying = t;
	both_tick = tick;
	both->begun++;
	return r;
}

/* Runs a session as move_run() does. */
int session(bool first)
{
	struct move_config cfg = config();
	struct transfer *t;
	struct err e;
	int r = transfer_new(&t, &cfg, &e);

	if (!r && first)
		r = both->how == LIVE ? begin(t, &e) : begin_shut_down(t, both->how == COLD ? "cold" : "warm", &e);
	if (r) {
		both_violation("the destination does not begin: %s", e.msg);
		return -1;
	}
	attempt_connect(&t->a, (struct link){.fd = both_accept()}, NULL);
	r = conductor_run(&t->a.con, &e);
	if (!r)
		r = t->a.exit_code;
	both_tick = NULL;
	transfer_free(t);
	return r;
}

int start(void)
{
	struct move_config cfg = config();

	move_recover_all(&cfg);
	return 0;
}

int settle(bool fenced)
{
	struct move_config cfg = config();
	char id[2 * ATTEMPT_ID_LEN + 1];
	AUTO_FREE char *path = xasprintf("%s/%s-dst.journal", cfg.state_dir, attempt_id_format(both->attempt, id));
	struct err e;

	return move_settle(&cfg, path, fenced, &e);
}
