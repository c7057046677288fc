/* export-memory.c: see export-memory.h. QEMU's run states: qapi/run-state.json; a migration's: qapi/migration.json. */
#include "export-memory.h"
#include "error-stop.h"
#include "fault.h"
#include "json-text.h"
#include "life.h"
#include "process.h"
#include "qemu-migration.h"
#include "qemu-settings.h"
#include "rescuer.h"
#include "source-images.h"
#include "util.h"
#include "watched-agent.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define LOOK_MS	     20
#define CLOSE_MS     2		 /* between two looks while the guest is stopped */
#define PASSES	     3		 /* over the memory; then the guest is stopped until the rest is written */
#define UNLIMITED    (1LL << 40) /* bytes a second */
#define AT_LAST_MS   2000000	 /* QEMU's maximum */
#define FIRST_MS     300
#define WAKE_MS	     60000
#define SLOWEST	     (8 << 20) /* bytes a second: assumed minimum for the rest of memory, while QEMU answers no one */
#define AGAIN_MS     200       /* time until a refused command is sent again */
#define GUARD_QMP_MS 2000

struct memory_copy {
	struct live *x;
	bool stops_first; /* QEMU's TCG would lose what the guest writes meanwhile: its dirty log is not complete */
	bool stopped;	  /* we have stopped the guest */
	struct rescuer guard;
	json_t *was; /* `migrate` was accepted: the migration under way is ours */
	bool ours;   /* QEMU was told to write the rest, and does not answer until it has */
	bool last;   /* QEMU has been told to write the rest, and does not answer until it has */
};

/* ---- settings ---- */

static int set(struct qmp *q, const char *key, json_int_t value, struct err *e)
{
	return qmp_call(q, "migrate-set-parameters", json_pack("{s:I}", key, value), NULL, e);
}

/* ---- the guest's and the migration's state ---- */

static int state_of(struct qmp *q, const char *command, char out[32], json_t **all, struct err *e)
{
	json_t *answer;
	int r = qmp_call(q, command, NULL, &answer, e);

	if (r)
		return r;
	snprintf(out, 32, "%s", json_text(answer, "status") ?: "none");
	if (all)
		*all = answer;
	else
		json_decref(answer);
	return 0;
}

/* A guest, and the images that its QEMU opens by their names as it goes on. */
struct woken {
	const struct guest *g;
	const json_t *images;
	struct qmp *q;
};

/* Lets a guest run that QEMU has stopped at the end of our migration (ours), or we before it (stopped), and no other: after somebody else's it may run
 * elsewhere. 1: it runs, or somebody else has stopped it. -ESTALE: it must not, as another file has a disk's name. */
static int wake(const struct woken *w, bool ours, bool stopped, struct err *e)
{
	struct qmp *q = w->q;
	char is[32];
	int r = state_of(q, "query-status", is, NULL, e);

	if (r)
		return r;
	if (ours && !strcmp(is, "postmigrate") && source_images_named_again(w->g, w->images, e))
		return -ESTALE;
	if ((ours && !strcmp(is, "postmigrate")) || (stopped && !strcmp(is, "paused")))
		r = qmp_call(q, "cont", NULL, NULL, e);
	else if (strcmp(is, "finish-migrate"))
		return 1;
	return r;
}

static int wake_until(const struct woken *w, struct loop *l, bool ours, bool stopped, struct err *e)
{
	uint64_t until = now_ns() + WAKE_MS * 1000000ULL;
	int r;

	while ((r = wake(w, ours, stopped, e)) <= 0) {
		if (r == -ESTALE || now_ns() > until || !qmp_alive(w->q))
			return r ?: err_set(e, ETIMEDOUT, "the guest does not run on");
		if ((r = loop_step(l, r ? AGAIN_MS : CLOSE_MS, e)) < 0)
			return r;
	}
	return 0;
}

/* ---- the guard ---- */

/* Sets the guest going again when we are dead: runs in the guard's process, with a connection of its own, as ours has ended with us. A
 * QEMU that writes the rest of a guest's memory does not answer until it has. If it takes longer than that may, what stands there is not
 * our doing any more. */
static void rescue(struct guest *g, const json_t *images, const json_t *was, bool ours, bool stopped_first)
{
	uint64_t until = now_ns() + (WAKE_MS + g->ram_bytes / SLOWEST * 1000) * 1000000ULL;
	struct loop *l = NULL;
	struct err e;

	while (now_ns() < until && qemu_is_alive(g->pid, g->start_time)) {
		struct qmp *q = NULL;
		char is[32] = "";
		int r = 0;

		if (!l)
			r = loop_new(&l, 64, &e);
		r = r ?: guest_open_qmp(g, &q, l, GUARD_QMP_MS, NULL, NULL, &e) ?: state_of(q, "query-migrate", is, NULL, &e);
		if (!r && ours && (!strcmp(is, "setup") || !strcmp(is, "active") || !strcmp(is, "pre-switchover")))
			r = qmp_call(q, "migrate_cancel", NULL, NULL, &e);
		if (!r)
			r = wake_until(&(struct woken){g, images, q}, l, ours, stopped_first, &e);
		r = r ?: settings_restore(q, was, &e);
		qmp_close(q);
		if (!r || r == -ESTALE)
			return;
		poll(NULL, 0, AGAIN_MS);
	}
}

/* Words of the exporter to its guard. BEGINS: the next migration is ours; REFUSED: QEMU did not begin it. */
enum word { WORD_BEGINS = 'B', WORD_REFUSED = 'R', WORD_OVER = 'O' };

static void tell_guard(const struct memory_copy *m, char word)
{
	if (m->guard.pid)
		send(m->guard.fd, &word, 1, MSG_NOSIGNAL);
}

/* The exporter's next word; 0: it has died, or was stopped for so long that it was killed. */
static char listen_to(int sock, struct watched_agent *w)
{
	struct pollfd p = {.fd = sock, .events = POLLIN};
	ssize_t n;
	char word;
	int r;

	while ((r = poll(&p, 1, w->pidfd < 0 ? -1 : AGENT_LOOK_MS)) == 0 || (r < 0 && errno == EINTR))
		if (!r && watched_agent_look(w, GUARD_STOPPED_S))
			watched_agent_kill(w);
	while ((n = recv(sock, &word, 1, 0)) < 0 && errno == EINTR)
		;
	return n == 1 ? word : n < 0 ? WORD_OVER : 0;
}

/* Waits until sock reports the exporter's end. True: it died; false: its export is over. *ours: a migration that is under way is ours. */
static bool exporter_died(int sock, bool *ours)
{
	struct watched_agent w;
	char word;

	*ours = false;
	watched_agent_init(&w, sock);
	while ((word = listen_to(sock, &w)) && word != WORD_OVER)
		*ours = word == WORD_BEGINS;
	return !word;
}

struct guarded {
	struct guest g;
	const json_t *images, *was;
	bool stopped_first;
};

/* Runs in the guard's process. */
static void guard(void *ctx)
{
	struct guarded *d = ctx;
	bool ours;

	if (exporter_died(RESCUER_SOCK, &ours))
		rescue(&d->g, d->images, d->was, ours, d->stopped_first);
}

static int guard_start(struct memory_copy *m, struct err *e)
{
	struct guarded d = {*m->x->g, m->x->images, m->was, m->stops_first}; /* the guard may forget a monitor that does not answer */

	return rescuer_start(&m->guard, "vmferry-wake", guard, &d, e);
}

/* over: there is nothing to be done by it; otherwise it does what it can, and ends then. */
static void guard_end(struct memory_copy *m, bool over)
{
	if (over)
		tell_guard(m, WORD_OVER);
	rescuer_leave(&m->guard, over);
}

/* ---- may it be? ---- */

static int check_command(struct live *x, const char *command, struct err *e)
{
	json_auto_t *list = NULL;
	bool found;
	int r = qmp_call(x->q, "query-commands", NULL, &list, e);

	if (r)
		return r;
	found = json_find(list, "name", command);
	return found ? 0 : err_set(e, ENOTSUP, "--with-memory needs QEMU 10.0 or later (%s)", command);
}

/* Capabilities that another client has set for a migration of its own would change what is written. */
static int check_capabilities(struct live *x, struct err *e)
{
	json_auto_t *list = NULL;
	json_t *one;
	size_t i;
	int r = qmp_call(x->q, "query-migrate-capabilities", NULL, &list, e);

	if (r)
		return r;
	json_array_foreach(list, i, one)
		if (!r && json_is_true(json_object_get(one, "state")))
			r = err_set(e, EBUSY, "the migration capability %s is set in the guest's QEMU: it may be about to be moved",
				    json_text(one, "capability") ?: "?");
	return r;
}

static int check_blockers(struct live *x, struct err *e)
{
	json_auto_t *all = NULL;
	const char *why;
	char is[32];
	int r = state_of(x->q, "query-migrate", is, &all, e);

	if (r)
		return r;
	why = json_string_value(json_array_get(json_object_get(all, "blocked-reasons"), 0));
	if (why)
		r = err_set(e, ENOTSUP, "the guest's QEMU cannot write its memory: %s", why);
	return r;
}

/* Images are opened once more by their names as QEMU takes them back: each name has to lead to the same file still. */
static int check_images(struct live *x, struct err *e)
{
	const struct guest *g = x->g;
	int r = source_images_of(g, x->q, &x->images, e);

	for (size_t i = 0; i < g->disk_count && !r; i++)
		if (g->disks[i].real_path && !g->disks[i].read_only && !g->disks[i].block_device)
			r = guest_reads_what_is_there(g, g->disks[i].real_path, e);
	return r;
}

int memory_check(struct live *x, struct err *e)
{
	int r = strcmp(x->g->status, "running")
			? err_set(e, EINVAL, "--with-memory needs a guest that runs: this one is '%s'", x->g->status)
			: check_command(x, "blockdev-set-active", e);

	return r ?: check_images(x, e) ?: check_capabilities(x, e) ?: check_blockers(x, e);
}

/* ---- copying ---- */

static int begin(struct memory_copy *m, const char *file, uint64_t rate, struct err *e)
{
	static const char *const on[] = {"events", "pause-before-switchover", NULL};
	json_t *channel =
		json_pack("{s:s,s:{s:s,s:s,s:i}}", "channel-type", "main", "addr", "transport", "file", "filename", file, "offset", 0);
	int r = settings_capabilities(m->x->q, m->was, on, e) ?: set(m->x->q, "max-bandwidth", rate ? (json_int_t)rate : UNLIMITED, e);

	r = r ?: set(m->x->q, "downtime-limit", FIRST_MS, e);
	if (r) {
		json_decref(channel);
		return r;
	}
	tell_guard(m, WORD_BEGINS);
	r = qmp_call(m->x->q, "migrate", json_pack("{s:[o]}", "channels", channel), NULL, e);
	m->ours = r != -EREMOTEIO;
	if (!m->ours)
		tell_guard(m, WORD_REFUSED);
	return r;
}

/* Looks at the progress of copying memory: a guest that writes faster than its memory is written down is stopped for the rest. */
static int look(struct memory_copy *m, const json_t *all, struct err *e)
{
	const json_t *ram = json_object_get(all, "ram");
	double total = json_number_value(json_object_get(ram, "total")), left = json_number_value(json_object_get(ram, "remaining"));

	life_percent(life_now(), total > 0 ? 100.0 * (total - left) / total : 0);
	if (m->last || json_integer_value(json_object_get(ram, "dirty-sync-count")) <= PASSES)
		return 0;
	m->last = true;
	return set(m->x->q, "downtime-limit", AT_LAST_MS, e);
}

static int somebody_let_it_run(struct err *e)
{
	return err_set(e, EBUSY, "another client resumed the guest while it had to stay stopped: its memory and its disks would not match");
}

static int stopped_by_error(const char *state, struct err *e)
{
	return err_set(e, EBUSY, "the guest was stopped by %s while its memory was copied; it stays so (QEMU says: %s)",
		       error_stop_cause(state), state);
}

/* A running guest may be paused by another client while its memory is copied, which QEMU does not tell afterwards: it must not go on
 * then. A guest that is stopped first must not run meanwhile. */
static int check_state(struct memory_copy *m, struct err *e)
{
	char is[32];
	int r = state_of(m->x->q, "query-status", is, NULL, e);
	const char *broken = r ? NULL : error_stop_state(is) ?: m->x->broken;

	if (r)
		return r;
	m->x->broken = broken;
	if (broken)
		return stopped_by_error(broken, e);
	if (m->stops_first)
		return m->x->resumed ? somebody_let_it_run(e) : 0;
	return strcmp(is, "paused") ? 0 : err_set(e, EBUSY, "another client paused the guest while its memory was copied; it stays paused");
}

/* QEMU has stopped the guest, and waits: it has let go of no disk yet. */
static int let_qemu_go_on(struct memory_copy *m, struct err *e)
{
	int r = source_images_named(m->x->g, m->x->images, e);

	fault_point("export-lets-go");
	return r ?: qmp_call(m->x->q, "migrate-continue", json_pack("{s:s}", "state", "pre-switchover"), NULL, e);
}

/* A timeout while QEMU writes the rest is no failure: that may take any time. */
static bool is_at_last(const struct memory_copy *m, int r)
{
	return r == -ETIMEDOUT && m->last && qmp_alive(m->x->q);
}

/* Copies until QEMU calls the migration completed. */
static int copy(struct memory_copy *m, struct err *e)
{
	bool cancelled = false;
	int r = 0;

	life_stage(life_now(), "copying the memory");
	while (!r) {
		json_t *all = NULL;
		char is[32];

		r = state_of(m->x->q, "query-migrate", is, &all, e);
		if (is_at_last(m, r)) {
			r = life_interrupted() ? err_set(e, ECANCELED, "interrupted") : 0;
			continue;
		}
		if (r)
			break;
		if (!strcmp(is, "failed") || !strcmp(is, "cancelled"))
			r = cancelled ? err_set(e, ECANCELED, "interrupted")
				      : err_set(e, EIO, "the guest's memory cannot be written: %s", json_text(all, "error-desc") ?: is);
		r = r ?: look(m, all, e) ?: check_state(m, e);
		r = is_at_last(m, r) ? 0 : r;
		json_decref(all);
		if (!strcmp(is, "completed"))
			break;
		if (!r && !strcmp(is, "pre-switchover"))
			r = let_qemu_go_on(m, e);
		if (!r && life_interrupted() && !cancelled) {
			cancelled = true;
			r = qmp_call(m->x->q, "migrate_cancel", NULL, NULL, e);
			r = is_at_last(m, r) ? 0 : r;
		}
		if (!r && (r = loop_step(m->x->l, m->last ? CLOSE_MS : LOOK_MS, e)) > 0)
			r = 0;
	}
	return r;
}

/* QEMU has stopped it, and let go of its disks. */
static int while_it_stands(struct memory_copy *m, int (*at_rest)(void *ctx, struct err *e), void *ctx, struct err *e)
{
	char is[32];
	int r;

	m->x->resumed &= m->stops_first; /* since it stands */
	r = qemu_migration_run_state(m->x->q, m->x->l, now_ns() + WAKE_MS * 1000000ULL, is, e);
	fault_point("export-stopped");
	if (r)
		return r;
	if (m->x->broken)
		return stopped_by_error(m->x->broken, e);
	if (strcmp(is, "postmigrate"))
		return err_set(e, EBUSY,
			       "another client resumed or stopped the guest when its memory was all but copied: its state is '%s'", is);
	r = source_images_named_again(m->x->g, m->x->images, e);
	r = r ?: qmp_call(m->x->q, "blockdev-set-active", json_pack("{s:b}", "active", 1), NULL, e);
	r = r ?: at_rest(ctx, e);
	if (!r)
		r = m->x->resumed ? somebody_let_it_run(e) : 0;
	return r;
}

static int check_running(struct memory_copy *m, struct err *e)
{
	char is[32];
	int r = state_of(m->x->q, "query-status", is, NULL, e);

	return r || !strcmp(is, "running") ? r : err_set(e, EBUSY, "another client stopped the guest: its state is '%s', and stays so", is);
}

/* `stop` on a guest that another client has just stopped causes no STOP event: it is then not ours to let run. */
static int stop_first(struct memory_copy *m, struct err *e)
{
	int r;

	m->x->stopped = m->x->resumed = false;
	r = qmp_call(m->x->q, "stop", NULL, NULL, e);
	m->stopped = r ? r != -EREMOTEIO : m->x->stopped && !m->x->broken;
	if (!r && m->x->broken)
		return stopped_by_error(m->x->broken, e);
	return r || m->stopped ? r : err_set(e, EBUSY, "another client paused the guest; it stays paused");
}

bool memory_stops_first(const struct guest *g)
{
	return g->cpu.accel && !strcmp(g->cpu.accel, "tcg");
}

/* Cancels the migration: one that goes on would stop the guest at its end, after we are gone. */
static int call_off(struct memory_copy *m, struct err *e)
{
	struct live *x = m->x;
	uint64_t until = m->last && !life_interrupted() ? UINT64_MAX : now_ns() + WAKE_MS * 1000000ULL;

	if (!qmp_alive(x->q) || !qemu_migration_cancel(x->q, x->l, until, e))
		return 0;
	return err_set(e, ETIMEDOUT, "the guest's QEMU does not end the migration that copied its memory, which stops it when it is done");
}

int memory_copy(struct live *x, const char *file, uint64_t rate, int (*at_rest)(void *ctx, struct err *e), void *ctx, struct err *e)
{
	struct memory_copy m = {.x = x, .stops_first = memory_stops_first(x->g)};
	struct err why;
	int r = settings_save(x->q, &m.was, e), woken = 0;
	bool is_off;

	r = r ?: guard_start(&m, e);
	if (r) {
		json_decref(m.was);
		return r;
	}
	fault_point("export-memory");
	r = check_running(&m, e); /* now that the guard is there, which took a while */
	if (!r && m.stops_first)
		r = stop_first(&m, e);
	fault_point("export-stops-first");
	r = r ?: begin(&m, file, rate, e) ?: copy(&m, e) ?: while_it_stands(&m, at_rest, ctx, e);
	if (r && m.ours)
		woken = call_off(&m, &why);
	is_off = x->broken && !strcmp(x->broken, "shutdown");
	if (!woken && x->broken && !is_off)
		woken = stopped_by_error(x->broken, &why);
	if (!woken && !is_off)
		woken = wake_until(&(struct woken){x->g, x->images, x->q}, x->l, m.ours, m.stopped && !x->resumed, &why);
	if (!woken && settings_restore(x->q, m.was, &why))
		x->unset = why;
	guard_end(&m, !woken);
	json_decref(m.was);
	if (!woken)
		return r;
	x->stands = true;
	*e = why;
	return -e->code;
}
