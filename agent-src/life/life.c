/* life.c: see life.h. */
#include "life.h"
#include "exit-code.h"
#include "history.h"
#include "json-text.h"
#include "log.h"
#include "util.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LOOP_ENTRIES 64
#define SECOND_NS    1000000000ULL
#define OFTEN_NS     100000000ULL

static volatile sig_atomic_t signal_seen;
static struct life *now; /* the command under way */

/* ---- signals ---- */

static void on_signal(int number)
{
	(void)number;
	signal_seen = 1;
}

/* A guest may wait for the command, which therefore goes on without its terminal and cannot be suspended. */
void life_heed_signals(void)
{
	static const int ignored[] = {SIGHUP, SIGPIPE, SIGTSTP, SIGTTOU, SIGTTIN};
	struct sigaction on = {.sa_handler = on_signal};
	size_t i;

	signal_seen = 0;
	for (i = 0; i < ARRAY_LEN(ignored); i++)
		signal(ignored[i], SIG_IGN);
	sigaction(SIGINT, &on, NULL);
	sigaction(SIGTERM, &on, NULL);
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

int life_begin(struct life *l, const char *how, const struct life_options *o, struct err *e)
{
	int r;

	*l = (struct life){.how = how,
			   .state_dir = o->state_dir,
			   .runtime_dir = o->runtime_dir,
			   .begin_ns = now_ns(),
			   .progress.percent = -1};
	r = loop_new(&l->loop, LOOP_ENTRIES, e);
	if (r)
		return r;
	l->notes = json_array();
	l->leftovers = json_array();
	report_init(&l->report, o->json, o->json_fine);
	now = l;
	return 0;
}

struct life *life_now(void)
{
	return now;
}

void life_fini(struct life *l)
{
	life_close(l);
	if (now == l)
		now = NULL;
	free(l->guest);
	free(l->to);
	json_decref(l->notes);
	json_decref(l->leftovers);
	if (l->loop)
		loop_free(l->loop);
	*l = (struct life){.how = l->how};
}

/* ---- the control socket ---- */

static json_t *on_request(void *ctx, const char *command, const json_t *args)
{
	struct life *l = ctx;
	json_t *answer = l->request ? l->request(l->ctx, command, args) : NULL;

	if (answer)
		return answer;
	if (!strcmp(command, "status"))
		return life_status(l);
	if (strcmp(command, "cancel"))
		return json_pack("{s:s+}", "error", command, " is not possible: no guest goes to another host");
	l->cancelled = true;
	return json_pack("{s:s}", "ok", "cancelling");
}

static void on_follow(void *ctx, const char *line)
{
	struct life *l = ctx;

	if (l->control)
		control_publish(l->control, line);
}

int life_open(struct life *l, pid_t known_as, struct err *e)
{
	int r = control_open(&l->control, l->loop, l->runtime_dir, known_as, on_request, l, e);

	l->report.follow = on_follow;
	l->report.ctx = l;
	return r;
}

void life_close(struct life *l)
{
	control_close(l->control);
	l->control = NULL;
}

/* ---- events ---- */

void life_emit(struct life *l, const char *event, json_t *members)
{
	json_object_set_new(members, "event", json_string(event));
	json_object_set_new(members, "how", json_string(l->how));
	report_emit(&l->report, members);
}

void life_stage(struct life *l, const char *stage)
{
	l->stage = stage;
	l->progress = (struct life_progress){.percent = -1};
	life_emit(l, "stage", json_pack("{s:s}", "stage", stage));
}

void life_progress(struct life *l, uint64_t done, uint64_t total, json_t *(*each)(void *ctx))
{
	struct life_progress *p = &l->progress;
	uint64_t at = now_ns(), before = p->done;
	json_t *ev;
	bool second;

	p->total = total;
	p->done = MIN(done, total);
	if (at - p->at_ns < (l->report.often ? OFTEN_NS : SECOND_NS))
		return;
	second = at - p->second_ns >= SECOND_NS;
	p->rate_bps = p->at_ns && p->done > before ? (double)(p->done - before) / ((double)(at - p->at_ns) / 1e9) : 0;
	ev = json_pack("{s:s,s:f,s:f,s:I,s:f,s:f,s:b}", "stage", l->stage, "t_ms", (double)(at - l->begin_ns) / 1e6, "percent",
		       total ? 100.0 * (double)p->done / (double)total : 0.0, "left", (json_int_t)(total - p->done), "rate_bps",
		       p->rate_bps, "eta_s", report_eta_s(total - p->done, p->rate_bps), "second", second);
	if (each)
		json_object_set_new(ev, "disks", each(l->ctx));
	life_emit(l, "progress", ev);
	if (second)
		p->second_ns = at;
	p->at_ns = at;
}

json_t *life_status(const struct life *l)
{
	const struct life_progress *p = &l->progress;
	uint64_t left = p->total - p->done;

	return json_pack("{s:s,s:s*,s:i,s:s*,s:s,s:f,s:f,s:I,s:I,s:f,s:f}", "how", l->how, "guest", l->guest, "pid", (int)l->pid,
			 "destination", l->to, "stage", l->stage ?: "preflight", "t_ms", (double)(now_ns() - l->begin_ns) / 1e6, "percent",
			 p->total ? 100.0 * (double)p->done / (double)p->total : 0.0, "left", (json_int_t)left, "disk_left",
			 (json_int_t)left, "rate_bps", p->rate_bps, "eta_s", report_eta_s(left, p->rate_bps));
}

/* ---- sentences ---- */

static void add_sentence(struct life *l, json_t *list, const char *without, const char *fmt, va_list ap)
{
	char line[1024];

	vsnprintf(line, sizeof(line), fmt, ap);
	text_make_utf8(line);
	if (l)
		json_array_append_new(list, json_string(line));
	else
		fprintf(stderr, "vmferry: %s%s\n", without, line);
}

void life_note(struct life *l, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_sentence(l, l ? l->notes : NULL, "", fmt, ap);
	va_end(ap);
}

void life_leftover(struct life *l, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_sentence(l, l ? l->leftovers : NULL, "left behind: ", fmt, ap);
	va_end(ap);
}

size_t life_leftovers(const struct life *l)
{
	return l ? json_array_size(l->leftovers) : 0;
}

/* ---- the end ---- */

static void remember(const struct life *l, json_t *result)
{
	json_t *entry = json_pack("{s:s*,s:s*,s:s,s:O}", "guest", l->guest, "destination", l->to, "how", l->how, "result", result);
	struct err e;

	if (l->state_dir && history_add(l->state_dir, entry, &e))
		log_error("the end of this is not in the history: %s", e.msg);
	json_decref(entry);
}

int life_end(struct life *l, const char *outcome, int exit_code, const struct err *why, json_t *members)
{
	json_t *r = json_pack("{s:s,s:s,s:s,s:i,s:s*,s:O,s:O,s:I}", "event", "result", "how", l->how, "outcome", outcome, "exit_code",
			      exit_code, "guest", l->guest, "notes", l->notes, "leftovers", l->leftovers, "total_ms",
			      (json_int_t)((now_ns() - l->begin_ns) / 1000000));

	if (why && why->code) {
		AUTO_FREE char *reason = xstrdup(why->msg);

		text_make_utf8(reason);
		json_object_set_new(r, "reason", json_string(reason));
	}
	json_object_update(r, members);
	json_decref(members);
	if (exit_code != EXIT_REFUSED)
		remember(l, r);
	report_emit(&l->report, r);
	return exit_code;
}
