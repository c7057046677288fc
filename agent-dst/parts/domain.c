/* domain.c: see domain.h. */
#include "domain.h"
#include "fault.h"
#include "json-text.h"
#include "libvirt-monitor.h"
#include "lv-process.h"
#include "owners.h"
#include "process.h"
#include "util.h"
#include "words.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define DOMAIN_DIR    "domain-dir" /* journal entry */
#define DISK_OWNER    "disk-owner"
#define ASK_MS	      5000
#define HOLD_MS	      5000
#define LET_GO_MS     5000
#define FORGET_MS     5000
#define RESUME_TRIES  3
#define RESUME_PAUSE  100 /* ms */
#define LOOK_PAUSE_MS 5
#define REST_MS	      500
#define BYTES_OF_NAME 8
#define FLAGS_WANTED  (LV_MIGRATE_LIVE | LV_MIGRATE_PAUSED)
#define FLAGS_KNOWN   (FLAGS_WANTED | LV_MIGRATE_UNDEFINE_SOURCE | LV_MIGRATE_CHANGE_PROTECTION | LV_MIGRATE_UNSAFE)

static struct domain *domain_of(struct part *p)
{
	return container_of(p, struct domain, part);
}

/* ---- what comes with PREPARE ---- */

int domain_take(struct domain *d, const json_t *prepare, struct err *e)
{
	const json_t *told = json_object_get(prepare, "domain");
	const char *xml = json_text(told, "xml"), *cookie = json_text(told, "cookie");
	json_int_t flags = json_integer_value(json_object_get(told, "flags"));

	/* libvirt would let the guest run by itself without PAUSED */
	if (!xml || !cookie || flags < 0 || (flags & ~(json_int_t)FLAGS_KNOWN) || (flags & FLAGS_WANTED) != FLAGS_WANTED)
		return err_set(e, EPROTO, "the source does not say what libvirt is to prepare");
	d->xml = xstrdup(xml);
	d->cookie = xstrdup(cookie);
	d->flags = (uint32_t)flags;
	return 0;
}

/* ---- talking to libvirt ---- */

static void on_event(void *ctx, const char *name, const char *data, uint64_t realtime_ns)
{
	static const char *const heard[] = {"RESUME", "STOP", "SHUTDOWN", "MIGRATION", NULL};
	struct domain *d = ctx;
	json_auto_t *json = NULL;

	(void)realtime_ns;
	if (word_index(heard, name) < 0)
		return;
	json = data ? json_loads(data, 0, NULL) : NULL;
	conductor_qmp.event(&d->part.a->con, name, json, now_ns());
}

static const struct lv_handlers handlers = {on_event, NULL};

/* The guest, as libvirt has it now; asked for anew if libvirt was started again. */
static int ask_for_it(struct domain *d, struct err *e)
{
	bool is_new = !d->events || lv_is_lost(d->events);
	int r = 0;

	if (d->events && lv_is_lost(d->events)) {
		lv_close(d->events);
		d->events = NULL;
		d->has_missed = true;
	}
	if (!d->events) {
		r = lv_open(&d->events, ASK_MS, e);
		if (!r)
			lv_attach(d->events, d->part.a->loop, &handlers, d);
	}
	if (r)
		return r;
	lv_domain_fini(&d->known);
	d->known = (struct lv_domain){.name = NULL};
	r = lv_lookup_text(d->events, d->target->libvirt.uuid, &d->known, e);
	if (!r && is_new)
		r = lv_watch(d->events, &d->known, e);
	if (r && is_new) { /* the next, too, is to hear */
		lv_close(d->events);
		d->events = NULL;
		d->has_missed = true;
	}
	return r;
}

static bool is_known(const struct domain *d)
{
	return d->known.name && d->events && !lv_is_lost(d->events);
}

static int state_of(struct domain *d, enum lv_state *state, int *reason, struct err *e)
{
	int r = is_known(d) ? 0 : ask_for_it(d, e);

	return r ?: lv_state_of(d->events, &d->known, state, reason, e);
}

bool domain_has_heard(const struct domain *d)
{
	return d->events && !lv_is_lost(d->events) && !d->has_missed;
}

/* Runs in the guard: lets a guest that is only looked at go on, should we die. */
static void let_go_on(void *ctx)
{
	const struct qemu_proc *q = ctx;
	char word;

	if (recv(RESCUER_SOCK, &word, 1, 0) != 1 && qemu_is_alive(q->pid, q->start_time))
		kill(q->pid, SIGCONT);
}

int domain_hear_out(struct domain *d, struct err *e)
{
	struct qemu_proc *q = &d->target->qemu;
	uint64_t until;
	struct err ignored;

	if (qemu_is_alive(q->pid, q->start_time) && !d->guard.pid &&
	    (rescuer_start(&d->guard, "vmferry-cont", let_go_on, q, e) || process_hold(q->pid, q->start_time, HOLD_MS, e))) {
		domain_go_on(d);
		return -e->code;
	}
	until = now_ns() + VCPU_HEAR_MS * 1000000ULL;
	while (now_ns() < until && loop_step(d->part.a->loop, LOOK_PAUSE_MS, &ignored) >= 0)
		;
	return 0;
}

void domain_go_on(struct domain *d)
{
	const struct qemu_proc *q = &d->target->qemu;

	if (!d->guard.pid)
		return;
	if (qemu_is_alive(q->pid, q->start_time))
		kill(q->pid, SIGCONT);
	send(d->guard.fd, "", 1, MSG_NOSIGNAL);
	rescuer_leave(&d->guard, false);
}

/* virDomainPausedReason, of a guest that goes elsewhere. */
static bool is_leaving(int reason)
{
	enum { MIGRATION = 2, SAVE = 3, POSTCOPY = 12, POSTCOPY_FAILED = 13 };

	return reason == MIGRATION || reason == SAVE || reason == POSTCOPY || reason == POSTCOPY_FAILED;
}

static enum run_state run_state(struct target *t)
{
	struct domain *d = t->libvirt.domain;
	enum lv_state state;
	struct err ignored;
	int reason;

	if (state_of(d, &state, &reason, &ignored))
		return UNKNOWN;
	if (state == LV_PAUSED)
		return is_leaving(reason) ? MIGRATED : STANDS;
	return state == LV_RUNNING || state == LV_BLOCKED ? RUNS : UNKNOWN;
}

/* ---- its QEMU ---- */

/* Makes the socket's directory: only who knows the name finds it, and when QEMU has made its socket nobody but root comes there any
 * more. */
static int make_dir(struct domain *d, struct err *e)
{
	AUTO_FREE char *runtime = lv_runtime_dir(); /* security drivers of both sides let a QEMU listen there for another's migration */
	uint8_t random[BYTES_OF_NAME];
	int r;

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return err_sys(e, errno, "getrandom");
	d->dir = xasprintf("%s/vmferry-%02x%02x%02x%02x%02x%02x%02x%02x", runtime, random[0], random[1], random[2], random[3], random[4],
			   random[5], random[6], random[7]);
	d->socket = lv_guest_socket(d->dir, "ram", d->target->name);
	r = attempt_own(d->part.a, DOMAIN_DIR, json_pack("{s:s,s:s}", "path", d->dir, "socket", d->socket), e);
	if (!r && (mkdir(d->dir, 0700) || chmod(d->dir, geteuid() ? 0700 : 01733)))
		r = err_sys(e, errno, "cannot create %s", d->dir);
	return r;
}

static int undo_dir(struct part *p, const json_t *detail, struct err *e)
{
	const char *dir = json_text(detail, "path") ?: "", *socket = json_text(detail, "socket") ?: "";

	(void)p;
	if (unlink(socket) && errno != ENOENT)
		return err_sys(e, errno, "cannot remove %s", socket);
	return rmdir(dir) && errno != ENOENT ? err_sys(e, errno, "cannot remove %s", dir) : 0;
}

static void on_ended(struct op *op, int res, uint32_t flags)
{
	struct domain *d = container_of(op, struct domain, ended);
	struct err why;

	(void)flags;
	d->watching = false;
	if (res < 0)
		return;
	err_set(&why, EPIPE, "the destination QEMU ended");
	conductor_qmp.closed(&d->part.a->con, &why);
}

static int watch_process(struct domain *d, struct err *e)
{
	struct qemu_proc *q = &d->target->qemu;
	struct io_uring_sqe *sqe;

	q->pidfd = pidfd_open(q->pid, 0);
	if (q->pidfd < 0)
		return err_sys(e, errno, "cannot watch the destination QEMU (process %d)", (int)q->pid);
	sqe = loop_sqe(d->part.a->loop);
	d->ended.done = on_ended;
	io_uring_prep_poll_add(sqe, q->pidfd, POLLIN);
	loop_bind(sqe, &d->ended);
	d->watching = true;
	return 0;
}

static void stop_watching(struct domain *d)
{
	struct err e;

	if (d->watching)
		loop_cancel(d->part.a->loop, &d->ended);
	while (d->watching && !loop_step(d->part.a->loop, 1000, &e))
		;
}

static int prepare_with(struct domain *d, struct err *e)
{
	AUTO_FREE char *uri = xasprintf("unix://%s", d->socket);
	const struct lv_params params = {.migrate_uri = uri, .destination_xml = d->xml, .destination_name = d->target->name};
	const struct lv_cookie cookie = {(uint8_t *)d->cookie, strlen(d->cookie) + 1};
	int r = lv_open(&d->job, ASK_MS, e);

	fault_point("dst-libvirt-prepare");
	return r ?: lv_prepare(d->job, &params, &cookie, d->flags, e);
}

/* Notes QEMU, which ends with us until then, unless libvirt has ended itself: so libvirt is not asked for it. */
static int note_qemu(struct domain *d, struct err *e)
{
	struct lv_domain it = {.name = d->target->name, .id = -1};
	struct qemu_proc *q = &d->target->qemu;
	uid_t user = 0;
	json_t *note;
	int r;

	lv_uuid_parse(d->target->libvirt.uuid, it.uuid); /* examine() has checked the UUID */
	r = lv_process_of(d->job, &it, &q->pid, e);
	if (!r && process_start_time(q->pid, &q->start_time))
		r = err_set(e, ESRCH, "the destination QEMU (process %d) has ended", (int)q->pid);
	if (r)
		return r;
	d->part.a->handoff.qemu_alive = true;
	process_user(q->pid, &user);
	note = json_pack("{s:i,s:I,s:I}", "pid", (int)q->pid, "start_time", (json_int_t)q->start_time, "uid", (json_int_t)user);
	r = journal_note(d->part.a->journal, "qemu", note, e);
	json_decref(note);
	fault_point("dst-qemu-noted");
	return r ?: watch_process(d, e);
}

int domain_start(struct domain *d, struct err *e)
{
	struct err ignored;
	int r = make_dir(d, e);

	r = r ? r : prepare_with(d, e);
	if (r)
		return err_prefix(e, "having libvirt start the destination QEMU");
	fault_point("dst-libvirt-prepared");
	r = note_qemu(d, e);
	r = r ? r : ask_for_it(d, e);
	if (!r && !geteuid() && (chown(d->dir, 0, 0) || chmod(d->dir, 0700)))
		r = err_sys(e, errno, "cannot shut %s to others", d->dir);
	if (r)
		lv_close(d->job), d->job = NULL, loop_step(d->part.a->loop, 0, &ignored);
	return r;
}

/* ---- taken over ---- */

/* Runs in the guard: ends QEMU with us, until it hears that QEMU is held. */
static void end_unheld(void *ctx)
{
	const struct qemu_proc *q = ctx;
	struct err ignored;
	char word;

	if (recv(RESCUER_SOCK, &word, 1, 0) != 1)
		process_end(q->pid, q->start_time, HOLD_MS, &ignored);
}

static int resumed_by_somebody(struct err *e)
{
	return err_set(e, ECANCELED, "the guest was resumed at the destination by another client (virsh resume) before it was handed over");
}

static int check_stands(struct domain *d, struct err *e)
{
	enum lv_state state;
	int r = state_of(d, &state, NULL, e);

	return r ? r : state != LV_PAUSED || conductor_has_qmp(&d->part.a->con, "RESUME") ? resumed_by_somebody(e) : 0;
}

/* libvirt may hear a moment later that its QEMU has been resumed. Where the kernel says that the guest has not run, that need not be waited for, and where it
 * says that it has, whoever that was is named as far as libvirt hears of it. */
static int hold(struct domain *d, struct err *e)
{
	const struct qemu_proc *q = &d->target->qemu;
	int i, r = process_hold(q->pid, q->start_time, HOLD_MS, e);
	enum vcpu_since since = vcpu_since(q->pid, &d->stood);
	uint64_t until = now_ns() + VCPU_HEAR_MS * 1000000ULL;
	int looks = since == VCPU_STOOD ? 1 : 2;

	for (i = 0; !r && (i < looks || (since >= VCPU_MAY_HAVE_RUN && now_ns() < until)); i++) {
		if (i)
			poll(NULL, 0, LOOK_PAUSE_MS);
		r = check_stands(d, e);
	}
	return !r && since == VCPU_RAN
		       ? err_set(e, ECANCELED,
				 "the guest's processors have run at the destination before it was handed over, though libvirt there "
				 "says that it is paused")
		       : r;
}

static int finish(struct domain *d, struct err *e)
{
	AUTO_FREE char *uri = xasprintf("unix://%s", d->socket);
	const struct lv_params params = {.migrate_uri = uri, .destination_name = d->target->name};
	struct lv_domain out = {.name = NULL};
	int r = lv_finish(d->job, &params, NULL, d->flags, false, &out, e);

	lv_domain_fini(&out);
	fault_point("dst-libvirt-finished");
	return r ? err_prefix(e, "libvirt at the destination does not take the guest over") : 0;
}

struct answer {
	bool is_there;
	int r;
	struct err *e;
};

static void on_answer(void *arg, const char *reply, const struct err *e)
{
	struct answer *a = arg;
	json_t *json = reply ? json_loads(reply, 0, NULL) : NULL, *error = json_object_get(json, "error");
	const char *class = json_text(error, "class");

	a->is_there = true;
	a->r = 0;
	if (e)
		*a->e = *e, a->r = -e->code;
	else if (!json || (error && (!class || strcmp(class, "CommandNotFound"))))
		a->r = err_set(a->e, EIO, "the destination QEMU does not let go of the guest's disks: %s",
			       json_text(error, "desc") ?: "no reason is given");
	json_decref(json);
}

/*
 * Disks that both hosts see are the source's until it has given the guest up, and a QEMU there that cannot lock them would let the guest run all the
 * same, and end at its first write. Newer libvirts (11.3, not 9.0) take them as they take a paused guest over. `cont` takes them again.
 */
static int let_disks_go(struct domain *d, struct err *e)
{
	struct answer a = {.e = e};
	struct err ignored;
	int r = is_known(d) ? 0 : ask_for_it(d, e);

	if (!r)
		r = lv_monitor(d->events, &d->known, "{\"execute\":\"blockdev-set-active\",\"arguments\":{\"active\":false}}", LET_GO_MS,
			       on_answer, &a, e);
	if (r)
		return r;
	while (!a.is_there) {
		if (loop_step(d->part.a->loop, LET_GO_MS, &ignored) >= 0)
			continue;
		lv_close(d->events); /* closing the connection answers */
		d->events = NULL;
		d->has_missed = true;
	}
	return a.r;
}

int domain_watch(struct domain *d, struct err *e)
{
	return d->guard.pid ? 0 : rescuer_start(&d->guard, "vmferry-end", end_unheld, &d->target->qemu, e);
}

int domain_finish(struct domain *d, bool has_shared_disks, struct err *e)
{
	uint64_t from = now_ns();
	struct err ignored;
	int r = domain_watch(d, e);

	vcpu_time_at_rest(d->target->qemu.pid, REST_MS, &d->stood);
	r = r ? r : finish(d, e);
	if (!r && has_shared_disks)
		r = let_disks_go(d, e);
	r = r ? r : hold(d, e);
	if (r) {
		process_end(d->target->qemu.pid, d->target->qemu.start_time, HOLD_MS, &ignored);
	} else {
		fault_point("dst-libvirt-held");
		lv_close(d->job); /* libvirt's job does not end QEMU any more */
		d->job = NULL;
	}
	if (d->guard.pid)
		send(d->guard.fd, "", 1, MSG_NOSIGNAL);
	rescuer_leave(&d->guard, r != 0); /* the guard finds the word that it was sent, and the guest need not wait for that */
	d->taking_over_ns = now_ns() - from;
	return r;
}

/* ---- it may run ---- */

static int cannot_tell(struct err *e)
{
	e->code = EAGAIN;
	return err_prefix(e, "cannot tell whether the guest runs at the destination");
}

/* libvirt itself says no, as for a guest that it cannot let run, and not that it is busy, or nothing. */
static bool is_refusal(const struct domain *d, int r)
{
	return lv_error_code(d->events) && !lv_is_lost(d->events) && r != -ETIMEDOUT && r != -EPIPE && r != -EBUSY;
}

/* Answers that the guest never ran: only for a clear refusal, each time, of a guest that stands and was never resumed. */
static int never_ran(struct domain *d, const struct err *why, enum handoff_event *out, struct err *e)
{
	if (hold(d, e))
		return cannot_tell(e);
	*e = *why;
	*out = EV_CONT_FAILED_NEVER_RAN;
	return 0;
}

int domain_resume(struct domain *d, enum handoff_event *out, struct err *e)
{
	const struct qemu_proc *q = &d->target->qemu;
	enum lv_state state;
	struct err why;
	int r, asked;

	*out = EV_QEMU_DEAD;
	if (!qemu_is_alive(q->pid, q->start_time))
		return 0;
	*out = EV_CONT_OK;
	d->stood.threads = 0;
	if (process_is_held(q->pid, q->start_time)) /* a held process cannot have run before */
		vcpu_time_of(q->pid, &d->stood);
	kill(q->pid, SIGCONT);
	if (target_is_paused(d->target))
		return 0;
	for (unsigned try = 0; try < RESUME_TRIES; try++) {
		if (!is_known(d) && ask_for_it(d, e))
			return cannot_tell(e);
		asked = lv_resume(d->events, &d->known, &why); /* refused, if it runs already */
		if (!asked)
			return 0;
		if (!is_refusal(d, asked)) {
			*e = why;
			return cannot_tell(e);
		}
		r = state_of(d, &state, NULL, e);
		if (!r && (state == LV_RUNNING || conductor_has_qmp(&d->part.a->con, "RESUME")))
			return 0;
		loop_step(d->part.a->loop, RESUME_PAUSE, e);
	}
	if (qemu_is_alive(q->pid, q->start_time))
		return never_ran(d, &why, out, e);
	*out = EV_QEMU_DEAD;
	return 0;
}

/* True if libvirt itself says that it has forgotten the guest; that it cannot be asked does not count. A guest that somebody has defined
 * there meanwhile is never forgotten: libvirt has noticed its QEMU's end once it is shut off. */
static bool has_forgotten(struct domain *d)
{
	struct lv_domain there;
	struct err ignored;
	bool stays = false;
	int r;

	if (d->events && lv_is_lost(d->events)) {
		lv_close(d->events);
		d->events = NULL;
		d->has_missed = true;
	}
	if (!d->events && lv_open(&d->events, ASK_MS, &ignored)) {
		d->events = NULL;
		return false;
	}
	r = lv_lookup_text(d->events, d->target->libvirt.uuid, &there, &ignored);
	if (r)
		return r == -ENOENT;
	if (there.id < 0 && lv_is_persistent(d->events, &there, &stays, &ignored))
		stays = false;
	lv_domain_fini(&there);
	return stays;
}

static void wait_until_forgotten(struct domain *d)
{
	uint64_t until = now_ns() + FORGET_MS * 1000000ULL;

	while (!has_forgotten(d) && now_ns() < until)
		poll(NULL, 0, LOOK_PAUSE_MS);
}

void domain_end(struct domain *d)
{
	stop_watching(d);
	lv_close(d->job);
	d->job = NULL;
	if (d->known.name)
		wait_until_forgotten(d);
}

int domain_own_disk(struct domain *d, const char *path, struct err *e)
{
	json_t *owner = owner_of(path);

	return owner ? attempt_own(d->part.a, DISK_OWNER, owner, e) : 0;
}

/* libvirt gives it to root before it forgets the guest, and of an agent that has died it may be at that still. */
static int undo_owner(struct part *p, const json_t *detail, struct err *e)
{
	struct domain *d = domain_of(p);
	const json_t *qemu = journal_last_note(p->a->journal, "qemu");

	if (d->target->keep_guest)
		return 0;
	if (d->target->libvirt.uuid)
		wait_until_forgotten(d);
	return owner_give_back(detail, (uid_t)json_integer_value(json_object_get(qemu, "uid")), e);
}

static void fini(struct part *p)
{
	struct domain *d = domain_of(p);

	stop_watching(d);
	rescuer_leave(&d->guard, false);
	lv_close(d->job);
	lv_close(d->events);
	lv_domain_fini(&d->known);
	FREE_ALL(d->xml, d->cookie, d->dir, d->socket);
}

void domain_restore(struct domain *d)
{
	d->target->libvirt.domain = d;
	d->target->libvirt.run_state = run_state;
}

/* The name that logind has for us; malloc'ed, NULL: there is no logind, or it knows of no login of ours. */
static char *name_at_logind(void)
{
	AUTO_FREE char *path = xasprintf("/run/systemd/users/%u", (unsigned)geteuid());
	AUTO_FREE char *line = NULL;
	FILE *f = fopen(path, "re");
	char *name = NULL;
	size_t room = 0;

	while (f && !name && getline(&line, &room, f) > 0)
		if (!strncmp(line, "NAME=", 5))
			name = xstrndup(line + 5, strcspn(line + 5, "\n/"));
	if (f)
		fclose(f);
	return name;
}

/* A user's processes, and what their libvirt knows of its guests, end with their last login, which may be ours. */
static int check_lingers(struct err *e)
{
	AUTO_FREE char *name = geteuid() ? name_at_logind() : NULL;
	AUTO_FREE char *linger = name ? xasprintf("/var/lib/systemd/linger/%s", name) : NULL;

	return linger && access(linger, F_OK)
		       ? err_set(e, EPERM,
				 "the guest would end at the destination with the last login of the user %s, whose libvirt "
				 "(qemu:///session) is to have it: "
				 "let that user's processes stay there (loginctl enable-linger %s)",
				 name, name)
		       : 0;
}

static int examine(struct part *p, struct err *e)
{
	struct domain *d = domain_of(p);
	const char *uuid = json_text(json_object_get(d->target->description, "definition"), "uuid");
	uint8_t binary[LV_UUID_LEN];

	if (!uuid || !lv_uuid_parse(uuid, binary))
		return err_set(e, EPROTO, "the source does not say the guest's UUID");
	domain_restore(d);
	free(d->target->libvirt.uuid);
	d->target->libvirt.uuid = xstrdup(uuid);
	return check_lingers(e) ? target_obstacle(d->target, e) : 0;
}

static const struct part_undo undo[] = {{DOMAIN_DIR, "the directory of its QEMU's socket", undo_dir},
					{DISK_OWNER, "whose a disk was that both hosts see", undo_owner},
					{NULL, NULL, NULL}};

static const struct part_ops ops = {.name = "domain", .examine = examine, .undo = undo, .fini = fini};

void domain_init(struct domain *d, struct target *target)
{
	*d = (struct domain){.part = {&ops, target->part.a}, .target = target};
}
