/* life.c: see life.h. */
#include "life.h"
#include "claim.h"
#include "exit-code.h"
#include "history.h"
#include "hooks.h"
#include "json-text.h"
#include "report-result.h"
#include "log.h"
#include "paths.h"
#include "process.h"
#include "util.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define LOOP_ENTRIES   64
#define SECOND_NS      1000000000ULL
#define OFTEN_NS       100000000ULL
#define DYING_MS       5000 /* time for an agent to die, or for its guard to take the guest back */
#define DYING_PAUSE_MS 5

static volatile sig_atomic_t signal_seen;
static struct life *now; /* the command under way */

/* ---- signals ---- */

/* A guest may wait for the command: it goes on without its terminal, and cannot be suspended (`--detach` is for the background). */
static void ignore_terminal(void)
{
	static const int ignored[] = {SIGHUP, SIGPIPE, SIGTSTP, SIGTTOU, SIGTTIN};

	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		signal(ignored[i], SIG_IGN);
}

static void on_signal(int number)
{
	(void)number;
	signal_seen = 1;
}

void life_heed_signals(void)
{
	struct sigaction on = {.sa_handler = on_signal};

	signal_seen = 0;
	ignore_terminal();
	sigaction(SIGINT, &on, NULL);
	sigaction(SIGTERM, &on, NULL);
}

/* Reads them from a signalfd. */
struct life_signals {
	struct op op;
	struct life *life;
	void (*heard)(void *ctx, int number);
	int fd;
	bool reading, closing;
	struct signalfd_siginfo si;
};

static sigset_t orders(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	return set;
}

void life_hold_signals(void)
{
	sigset_t set = orders();

	sigprocmask(SIG_BLOCK, &set, NULL);
	ignore_terminal();
}

static void signals_read(struct life_signals *s)
{
	struct io_uring_sqe *sqe = loop_sqe(s->life->loop);

	io_uring_prep_read(sqe, s->fd, &s->si, sizeof(s->si), 0);
	loop_bind(sqe, &s->op);
	s->reading = true;
}

static void signal_is_read(struct op *op, int res, uint32_t flags)
{
	struct life_signals *s = container_of(op, struct life_signals, op);

	(void)flags;
	s->reading = false;
	if (res == sizeof(s->si))
		s->heard(s->life->ctx, (int)s->si.ssi_signo);
	if (!s->closing)
		signals_read(s);
}

void life_hear_signals(struct life *l, void (*heard)(void *ctx, int number))
{
	sigset_t set = orders();
	int fd;

	life_hold_signals();
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (fd < 0) { /* the guest may stand still: what is under way goes on */
		log_error("cannot read signals: %s; `vmferry cancel` cancels this all the same", strerror(errno));
		return;
	}
	l->signals = xcalloc(1, sizeof(*l->signals));
	*l->signals = (struct life_signals){.life = l, .heard = heard, .op = {.done = signal_is_read}, .fd = fd};
	signals_read(l->signals);
}

static void signals_close(struct life *l)
{
	struct life_signals *s = l->signals;
	struct err e;

	if (!s)
		return;
	s->closing = true;
	loop_cancel(l->loop, &s->op);
	while (s->reading)
		if (loop_step(l->loop, 1000, &e))
			break;
	close(s->fd);
	free(s);
	l->signals = NULL;
}

bool life_is_cancelled(struct life *l)
{
	if (l)
		l->cancelled |= signal_seen;
	return l ? l->cancelled : signal_seen;
}

bool life_interrupted(void)
{
	struct err e;

	if (now && now->control)
		loop_step(now->loop, 0, &e);
	return life_is_cancelled(now);
}

/* ---- begin and end ---- */

/* Copies a text that goes into events, and so has to be UTF-8. */
static void set_text(char **to, const char *text)
{
	free(*to);
	*to = xstrdup(text);
	if (text)
		text_make_utf8(*to);
}

void life_places(struct life_options *o, char **state, char **runtime)
{
	struct err ignored;

	o->state_dir = state_dir_get(state, o->state_dir, &ignored) ? NULL : *state;
	o->runtime_dir = runtime_dir_get(runtime, o->runtime_dir, &ignored) ? NULL : *runtime;
}

void life_begin_on(struct life *l, struct loop *loop, const char *how, const struct life_options *o)
{
	*l = (struct life){.how = how,
			   .state_dir = o->state_dir,
			   .runtime_dir = o->runtime_dir,
			   .loop = loop,
			   .begin_ns = now_ns(),
			   .progress.percent = -1,
			   .told.notes = json_array(),
			   .told.leftovers = json_array()};
	report_init(&l->report, o->json, o->json_fine);
	l->report.stdout_is_data = o->stdout_is_data;
	l->report.block &= !o->stdout_is_data; /* the reader may use the same terminal */
	now = l;
}

int life_begin(struct life *l, const char *how, const struct life_options *o, struct err *e)
{
	struct loop *loop;
	int r = loop_new(&loop, LOOP_ENTRIES, e);

	if (r)
		return r;
	life_begin_on(l, loop, how, o);
	l->loop_is_ours = true;
	return 0;
}

struct life *life_now(void)
{
	return now;
}

#define HOOK_SKIPPED "%s is not executable, and was not run (chmod +x)"

static void tell_skipped(void *ctx, const char *path)
{
	struct life *l = ctx;

	report_notice(&l->report, HOOK_SKIPPED, path);
}

/* Reports a skipped hook as text, as no event may follow the result. */
static void tell_skipped_late(void *ctx, const char *path)
{
	AUTO_FREE char *shown = text_shown(path);

	(void)ctx;
	fprintf(stderr, "vmferry: " HOOK_SKIPPED "\n", shown);
}

static struct hook_about about(struct life *l, void (*skipped)(void *ctx, const char *path))
{
	return (struct hook_about){.guest = l->subject.guest, .destination = l->subject.to, .how = l->how, .skipped = skipped, .ctx = l};
}

/* A hook's words of an end change nothing about it. */
static void tell_hooks(struct life *l)
{
	struct hook_about hooks_about = about(l, tell_skipped_late);
	struct err e;

	if (!l->is_trial && l->told.result &&
	    hooks_run(report_is_success(l->told.result) ? "after.d" : "failed.d", &hooks_about, l->told.result, &e))
		fprintf(stderr, "vmferry: a hook has failed: %s\n", e.msg);
}

void life_fini(struct life *l)
{
	life_close(l);
	journal_close(l->journal);
	tell_hooks(l);
	if (now == l)
		now = NULL;
	FREE_ALL(l->subject.guest, l->subject.to, l->stage);
	json_decref(l->told.plan);
	json_decref(l->told.result);
	json_decref(l->told.notes);
	json_decref(l->told.leftovers);
	if (l->loop_is_ours)
		loop_free(l->loop);
	*l = (struct life){.how = l->how};
}

/* ---- the control socket ---- */

static json_t *status_of(const struct life *l);

static json_t *on_request(void *ctx, const char *command, const json_t *args)
{
	struct life *l = ctx;
	json_t *answer = l->request ? l->request(l->ctx, command, args) : NULL;

	if (answer)
		return answer;
	if (!strcmp(command, "status"))
		return status_of(l);
	if (strcmp(command, "cancel"))
		return json_pack("{s:s+++}", "error", "'", command, "' is not possible with ", l->how);
	l->cancelled = true;
	return json_pack("{s:s}", "ok", "cancelling");
}

static void on_follow(void *ctx, const char *line)
{
	struct life *l = ctx;

	if (l->control)
		control_publish(l->control, line);
}

void life_about(struct life *l, const char *guest, const char *to, pid_t pid)
{
	set_text(&l->subject.guest, guest);
	set_text(&l->subject.to, to);
	l->subject.pid = pid;
}

int life_open(struct life *l, pid_t known_as, uint64_t start_time, struct err *e)
{
	int r = 0;

	if (l->runtime_dir)
		r = control_open(&l->control, l->loop, l->runtime_dir, known_as, on_request, l, e);
	else
		life_notice(l, "`vmferry status` and `vmferry cancel` do not reach this: there is no directory for its socket");
	if (known_as != getpid() && (!start_time || qemu_is_alive(known_as, start_time)))
		r = r ?: guest_claim(known_as, &l->claim, e);
	l->report.follow = on_follow;
	l->report.ctx = l;
	return r;
}

void life_close(struct life *l)
{
	signals_close(l);
	control_close(l->control);
	l->control = NULL;
	if (l->claim > 0)
		close(l->claim);
	l->claim = 0;
}

/* ---- its journal ---- */

void life_is_attempt(struct life *l, const uint8_t id[ATTEMPT_ID_LEN])
{
	attempt_id_format(id, l->attempt);
}

int life_create_journal(struct life *l, const uint8_t id[ATTEMPT_ID_LEN], json_t *begin, struct err *e)
{
	int r = begin ? journal_create(&l->journal, l->state_dir, id, true, begin, e)
		      : err_set(e, EILSEQ, "a name of the guest or of its files is not UTF-8 text");

	life_is_attempt(l, id);
	json_decref(begin);
	return r;
}

static int create_journal(struct life *l, struct err *e)
{
	uint8_t id[ATTEMPT_ID_LEN];
	AUTO_FREE char *boot = boot_id();
	json_t *begin = json_pack("{s:s*,s:s*,s:{s:s,s:s*,s:i}}", "guest", l->subject.guest, "boot_id", boot, "here", "how", l->how, "to",
				  l->subject.to, "pid", (int)l->subject.pid);

	return attempt_id_new(id, e) ?: life_create_journal(l, id, begin, e);
}

void life_keep_journal(struct life *l)
{
	struct err e;

	if (!l || l->is_trial || l->journal)
		return;
	if (!l->state_dir)
		err_set(&e, ENOENT, "there is no directory for journals");
	else if (!create_journal(l, &e))
		return;
	l->journal = NULL;
	life_notice(l, "`vmferry recover` cannot remove what this leaves should it be killed: %s", e.msg);
}

int life_own(const struct life *l, const char *kind, json_t *detail, struct err *e)
{
	int r = l && l->journal ? journal_own(l->journal, kind, detail, e) : 0;

	json_decref(detail);
	return r;
}

void life_disown(const struct life *l, const char *kind, json_t *detail)
{
	struct err e;

	if (l && l->journal && journal_disown(l->journal, kind, detail, &e))
		log_info("%s", e.msg);
	json_decref(detail);
}

int life_journal_note(const struct life *l, const char *kind, json_t *detail, struct err *e)
{
	int r = l && l->journal ? journal_note(l->journal, kind, detail, e) : 0;

	json_decref(detail);
	return r;
}

const char *life_goes_to(const json_t *begin)
{
	const json_t *here = json_object_get(begin, "here");

	if (json_object_get(begin, "lent"))
		return "a monitor of its own";
	return here ? json_text(here, "to") ?: "?" : json_text(begin, "dest") ?: "other disks";
}

static const char *how_of(const json_t *begin)
{
	return strcmp(json_text(json_object_get(begin, "here"), "how") ?: "", "import") ? "export" : "import";
}

int life_take_journal(struct journal **out, const char *path, void (*waiting)(void *ctx), void *ctx, struct err *e)
{
	uint64_t until = now_ns() + DYING_MS * 1000000ULL;
	int r;

	while ((r = journal_open(out, path, e)) == -EBUSY && now_ns() < until) {
		if (waiting)
			waiting(ctx);
		poll(NULL, 0, DYING_PAUSE_MS);
	}
	return r;
}

int life_take_up(struct life *l, struct journal *j, const struct life_options *o, struct err *e)
{
	const json_t *begin = journal_begin(j);
	int r = life_begin(l, how_of(begin), o, e);

	if (r) {
		journal_close(j);
		return r;
	}
	l->journal = j;
	life_about(l, json_text(begin, "guest"), life_goes_to(begin), 0);
	return 0;
}

/* Leftovers do not block other commands: the note "over" says that this one has ended. */
void life_end_journal(struct life *l)
{
	struct err e;
	int r = 0;

	if (!l->journal)
		return;
	if (!l->undecided && !life_leftovers(l)) {
		r = journal_remove(l->journal, l->journal_is_kept, &e);
	} else {
		if (!l->undecided)
			r = journal_note(l->journal, "over", NULL, &e);
		journal_close(l->journal);
	}
	if (r)
		log_error("%s", e.msg);
	l->journal = NULL;
}

/* ---- events ---- */

/* Stamps an event with its time and host: it may be looked at later. */
static void stamp(const struct life *l, json_t *ev)
{
	struct utsname u = {.nodename = ""};

	uname(&u);
	text_make_utf8(u.nodename);
	json_object_set_new(ev, "at", json_integer((json_int_t)time(NULL)));
	json_object_set_new(ev, "host", json_string(u.nodename));
	if (*l->attempt)
		json_object_set_new(ev, "attempt", json_string(l->attempt));
}

void life_emit(struct life *l, const char *event, json_t *members)
{
	json_t *ev = json_pack("{s:s,s:s}", "event", event, "how", l->how);

	json_object_update(ev, members);
	json_decref(members);
	if (!strcmp(event, "plan")) {
		stamp(l, ev);
		json_decref(l->told.plan);
		l->told.plan = json_incref(ev);
	}
	report_emit(&l->report, ev);
}

void life_stage(struct life *l, const char *stage)
{
	if (!l)
		return;
	set_text(&l->stage, stage);
	l->progress = (struct life_progress){.percent = -1, .begin_ns = now_ns()};
	life_emit(l, "stage", json_pack("{s:s}", "stage", l->stage));
}

static double eta_s(const struct life *l)
{
	const struct life_progress *p = &l->progress;
	double lasted_s = (double)(now_ns() - p->begin_ns) / 1e9;

	if (p->percent < 0)
		return report_eta_s(p->total - p->done, p->rate_bps);
	return p->percent >= 1 && lasted_s >= 1 ? lasted_s * (100 - p->percent) / p->percent : 0;
}

static double percent_of(const struct life_progress *p)
{
	return p->percent >= 0 ? p->percent : p->total ? 100.0 * (double)p->done / (double)p->total : 0;
}

/* The members that progress and status have in common. */
static json_t *tell_pace(const struct life *l)
{
	const struct life_progress *p = &l->progress;
	json_t *out = json_pack("{s:s,s:f,s:f,s:f}", "stage", l->stage ?: "preflight", "t_ms", (double)(now_ns() - l->begin_ns) / 1e6,
				"percent", percent_of(p), "eta_s", eta_s(l));

	if (p->percent >= 0)
		return out;
	json_object_set_new(out, "left", json_integer((json_int_t)(p->total - p->done)));
	json_object_set_new(out, "rate_bps", json_real(p->rate_bps));
	return out;
}

static bool is_due(const struct life *l)
{
	return now_ns() - l->progress.at_ns >= (l->report.often ? OFTEN_NS : SECOND_NS);
}

static void tell_progress(struct life *l, json_t *each)
{
	struct life_progress *p = &l->progress;
	uint64_t at = now_ns();
	json_t *ev = tell_pace(l);
	bool second = at - p->second_ns >= SECOND_NS;

	json_object_set_new(ev, "second", json_boolean(second));
	if (each)
		json_object_set_new(ev, "disks", each);
	life_emit(l, "progress", ev);
	if (second)
		p->second_ns = at;
	p->at_ns = at;
}

void life_progress(struct life *l, uint64_t done, uint64_t total, json_t *(*each)(void *ctx))
{
	struct life_progress *p = &l->progress;
	uint64_t before = p->done;

	p->total = total;
	p->done = MIN(done, total);
	if (!is_due(l))
		return;
	p->rate_bps = p->at_ns && p->done > before ? (double)(p->done - before) / ((double)(now_ns() - p->at_ns) / 1e9) : 0;
	tell_progress(l, each ? each(l->ctx) : NULL);
}

/* A stage that is over within a second is not told of. */
void life_percent(struct life *l, double percent)
{
	if (!l)
		return;
	l->progress.percent = percent;
	if (is_due(l) && now_ns() - l->progress.begin_ns >= SECOND_NS)
		tell_progress(l, NULL);
}

static json_t *status_of(const struct life *l)
{
	json_t *out = tell_pace(l);

	json_object_update_new(out,
			       json_pack("{s:s,s:s*,s:i,s:s*,s:s*}", "how", l->how, "guest", l->subject.guest, "pid", (int)l->subject.pid,
					 "destination", l->subject.to, "attempt", *l->attempt ? l->attempt : NULL));
	if (l->progress.percent < 0)
		json_object_set(out, "disk_left", json_object_get(out, "left"));
	if (l->ahead)
		json_object_set_new(out, "waits", json_pack("{s:s,s:i}", "for", "in", "ahead", (int)l->ahead));
	return out;
}

/* ---- the end ---- */

/* A command line may have secrets in it, and is left out of the plan. */
static void remember(const struct life *l, json_t *result)
{
	json_t *plan = l->told.plan ? json_copy(l->told.plan) : NULL;
	json_auto_t *entry = json_pack("{s:s*,s:s*,s:s,s:o*,s:O}", "guest", l->subject.guest, "destination", l->subject.to, "how", l->how,
				       "plan", plan, "result", result);
	struct err e;

	json_object_del(plan, "command_line");

	if (l->state_dir && (l->is_frequent ? history_count : history_add)(l->state_dir, entry, &e))
		log_error("the end of this is not in the history: %s", e.msg);
}

int life_ask_hooks(struct life *l, struct err *e)
{
	struct hook_about hooks_about = about(l, tell_skipped);

	return l->is_trial || !l->told.plan ? 0 : hooks_run("before.d", &hooks_about, l->told.plan, e);
}

void life_over(struct life *l, json_t *result)
{
	stamp(l, result);
	if (json_integer_value(json_object_get(result, "exit_code")) != EXIT_REFUSED)
		remember(l, result);
	json_decref(l->told.result);
	l->told.result = json_incref(result);
	report_emit(&l->report, result);
}

static const struct {
	const char *outcome;
	int exit_code;
	const char *guest_text; /* NULL: the command says it itself, or need not */
} endings[] = {
	[LIFE_REFUSED] = {"refused", EXIT_REFUSED, "nothing was touched"},
	[LIFE_FAILED] = {"failed", EXIT_SOURCE, "nothing is left behind"},
	[LIFE_FAILED_IN_PART] = {"failed", EXIT_LEFTOVERS, NULL},
	[LIFE_FAILED_PAUSED] = {"failed", EXIT_PAUSED, NULL},
	[LIFE_FAILED_NOWHERE] = {"failed", EXIT_NOWHERE, NULL},
	[LIFE_UNDECIDED] = {"undecided", EXIT_UNDECIDED, NULL},
	[LIFE_MOVED] = {"moved", EXIT_DESTINATION, NULL},
	[LIFE_MOVED_NOWHERE] = {"moved", EXIT_NOWHERE, NULL},
	[LIFE_EXPORTED] = {"exported", EXIT_DESTINATION, NULL},
	[LIFE_IMPORTED] = {"imported", EXIT_DESTINATION, NULL},
	[LIFE_RECOVERED] = {"recovered", EXIT_DESTINATION, NULL},
};

int life_end(struct life *l, enum life_ending ending, const struct err *why, json_t *members)
{
	bool is_left = life_leftovers(l), is_cancelled = why && why->code == ECANCELED && !strcmp(endings[ending].outcome, "failed");
	const char *outcome = is_cancelled ? "cancelled" : endings[ending].outcome;
	const char *text = ending == LIFE_FAILED && is_left ? "what is left is listed" : endings[ending].guest_text;
	int code = endings[ending].exit_code;
	int exit_code = is_left && (code == EXIT_SOURCE || code == EXIT_DESTINATION) ? EXIT_LEFTOVERS : code;
	json_t *r = json_pack("{s:s,s:s,s:s,s:i,s:s*,s:s*,s:O,s:O,s:I}", "event", "result", "how", l->how, "outcome", outcome, "exit_code",
			      exit_code, "guest", l->subject.guest, "guest_text", text, "notes", l->told.notes, "leftovers",
			      l->told.leftovers, "total_ms", (json_int_t)((now_ns() - l->begin_ns) / 1000000));

	life_end_journal(l);
	if (why && why->code) {
		AUTO_FREE char *reason = xstrdup(why->msg);

		text_make_utf8(reason);
		json_object_set_new(r, "reason", json_string(reason));
	}
	json_object_update(r, members);
	json_decref(members);
	life_over(l, r);
	return exit_code;
}
