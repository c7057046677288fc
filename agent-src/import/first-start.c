/* first-start.c: see first-start.h. */
#include "first-start.h"
#include "fault.h"
#include "life.h"
#include "loop.h"
#include "process.h"
#include "qemu-launch.h"
#include "qmp.h"
#include "util.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define START_MS 60000
#define LOOK_MS	 1000 /* between two looks whether it is cancelled */
#define RETRY_MS 20
#define END_MS	 10000

static int wait_for_monitor(struct qemu_proc *p, struct loop *l, const char *path, struct qmp **q, struct err *e)
{
	uint64_t until = now_ns() + START_MS * 1000000ull;
	int r;

	while ((r = qemu_launch_wait_qmp(p, l, path, LOOK_MS, NULL, NULL, q, e)) == -ETIMEDOUT && now_ns() < until)
		if (life_interrupted())
			return err_set(e, ECANCELED, "interrupted");
	return r;
}

/* Waits until all memory is loaded; QEMU ends if it does not accept it. */
static int load(struct loop *l, struct qmp *q, const char *memory, struct err *e)
{
	json_t *channel =
		json_pack("{s:s,s:{s:s,s:s,s:i}}", "channel-type", "main", "addr", "transport", "file", "filename", memory, "offset", 0);
	int r = qmp_call(q, "migrate-incoming", json_pack("{s:[o]}", "channels", channel), NULL, e);

	while (!r) {
		json_t *state;
		const char *is;
		bool done;

		r = qmp_call(q, "query-migrate", NULL, &state, e);
		if (r)
			break;
		is = json_string_value(json_object_get(state, "status"));
		done = is && !strcmp(is, "completed");
		if (is && !strcmp(is, "failed"))
			r = err_set(e, EIO, "QEMU does not load it");
		json_decref(state);
		if (done)
			return 0;
		if (!r && life_interrupted())
			r = err_set(e, ECANCELED, "interrupted");
		if (!r && (r = loop_step(l, RETRY_MS, e)) > 0)
			r = 0;
	}
	return err_prefix(e, "the guest's memory");
}

static int let_go_on(struct qmp *q, bool paused, struct err *e)
{
	json_auto_t *state = NULL;
	const char *is;
	int r = paused ? 0 : qmp_call(q, "cont", NULL, NULL, e);

	r = r ?: qmp_call(q, "query-status", NULL, &state, e);
	if (r)
		return r;
	is = json_string_value(json_object_get(state, "status"));
	if (!is || (strcmp(is, paused ? "prelaunch" : "running") && strcmp(is, "paused")))
		r = err_set(e, EIO, "the guest is '%s' after its start", is ? is : "?");
	return r;
}

/* Journals the new QEMU before it begins to run the guest. */
static int born(void *ctx, const struct qemu_proc *p, struct err *e)
{
	(void)ctx;
	return life_own(life_now(), FIRST_QEMU, json_pack("{s:i,s:I}", "pid", (int)p->pid, "start_time", (json_int_t)p->start_time), e);
}

/* Ends the QEMU of a start that failed. e: why it failed; gets QEMU's own message, and whether QEMU is still there. */
static void give_up(struct qemu_proc *p, const char *memory, struct err *e)
{
	AUTO_FREE char *said = qemu_log_tail(p);
	struct err first, why;

	if (!p->pid) /* QEMU has ended */
		return;
	if (memory && *said)
		err_prefix(e, "%s", said);
	first = *e;
	if (process_end(p->pid, p->start_time, END_MS, &why))
		err_set(e, first.code, "%s. Its QEMU, process %d, is still there: %s", first.msg, (int)p->pid, why.msg);
}

int first_start(const char *exe, char *const *argv, const char *qmp, const char *memory, bool paused, pid_t *pid, struct err *e)
{
	struct qemu_proc p = QEMU_PROC_NONE;
	struct qmp *q = NULL;
	struct loop *l;
	int r = loop_new(&l, 64, e);

	if (r)
		return r;
	r = qemu_launch(&p, exe, argv, environ, NULL, born, NULL, e);
	*pid = p.pid;
	fault_point("first-start");
	r = r ?: wait_for_monitor(&p, l, qmp, &q, e);
	if (!r && memory)
		r = load(l, q, memory, e);
	r = r ?: let_go_on(q, paused, e);
	qmp_close(q);
	loop_free(l);
	if (r)
		give_up(&p, memory, e);
	qemu_let_go(&p);
	return r;
}
