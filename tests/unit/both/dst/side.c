/* side.c: the destination agent from the end of the copy on, for test-both-conductors, where its names begin with dst_. */
#include "transfer.h"
#include "ram-feed.h"
#include "util.h"

#include "../both.h"

#include <stdlib.h>
#include <string.h>

int session(bool first);
int start(void);
int settle(bool fenced);

static struct transfer *copying; /* what its data channel and QEMU's return path bring is still to be told */
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

static void tick(void)
{
	if (!complete_told && both->end_sent) {
		complete_told = true;
		tell(RECEIVE_COMPLETE);
		both->qemu[DESTINATION].arrived = true;
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

static int begin(struct transfer *t, struct err *e)
{
	const struct both_qemu *q = &both->qemu[DESTINATION];
	json_t *begin = json_object();
	int r;

	memcpy(t->a.id, both->attempt, sizeof(t->a.id));
	t->target.name = xstrdup("guest");
	t->target.dir = xstrdup(both->state[DESTINATION]);
	t->target.run_dir = xstrdup(both->runtime[DESTINATION]);
	t->target.qmp_path = xstrdup(q->path);
	t->target.description = json_pack("{s:b}", "paused", both->pause == PAUSED_BEFORE);
	target_describe_for_journal(&t->target, begin);
	r = attempt_begin(&t->a, t->cfg->state_dir, HO_DESTINATION, begin, e);
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
	conductor_begin_at(&t->a.con, ST_COPY);
	r = qmp_open(&t->target.qmp, t->a.loop, q->path, 5000, &conductor_qmp, &t->a.con, e);
	copying = t;
	both_tick = tick;
	both->begun++;
	return r;
}

/* As move_run(). */
int session(bool first)
{
	struct move_config cfg = config();
	struct transfer *t;
	struct err e;
	int r = transfer_new(&t, &cfg, &e);

	if (!r && first)
		r = begin(t, &e);
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
