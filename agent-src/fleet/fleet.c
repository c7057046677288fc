/* fleet.c: see fleet.h. */
#include "fleet.h"
#include "exit-code.h"
#include "json-text.h"
#include "util.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define TICK_MS	  200
#define WORDS_OWN 8 /* program, command, --json, --how, how, --only-off, guest, destination */

/* ---- signals ---- */

static volatile sig_atomic_t interrupts, terminations;

static void on_signal(int number)
{
	if (number == SIGINT)
		interrupts = interrupts + 1;
	else
		terminations = 1;
}

/* Moves go on without this process, but its summary is worth having: it goes on without its terminal. */
static void heed_signals(void)
{
	struct sigaction on = {.sa_handler = on_signal};

	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTSTP, SIG_IGN); /* a stopped fleet would not read from its moves, nor begin more */
	signal(SIGCHLD, SIG_DFL); /* whoever started this may have ignored it, and then no exit code is to be had */
	sigaction(SIGINT, &on, NULL);
	sigaction(SIGTERM, &on, NULL);
}

static void roll_back(struct fleet *f)
{
	f->failed = true;
	for (size_t i = 0; i < f->count; i++)
		if (f->tasks[i].child.pid)
			kill(f->tasks[i].child.pid, SIGTERM);
}

static void obey_signals(struct fleet *f)
{
	f->halted |= interrupts || terminations;
	if ((terminations || interrupts > 1) && !f->failed)
		roll_back(f);
}

/* ---- one task ---- */

const struct fleet_way *fleet_way_of(const struct fleet_task *t)
{
	return &t->ways[MIN(t->way, t->way_count - 1)];
}

static void tell(struct fleet *f, struct fleet_task *t, json_t *event)
{
	if (f->changed)
		f->changed(f->ctx, f, t, event);
}

static void forget_events(struct fleet_task *t)
{
	json_decref(t->plan);
	json_decref(t->estimate);
	json_decref(t->progress);
	json_decref(t->result);
	free(t->stage);
	t->plan = t->estimate = t->progress = t->result = NULL;
	t->stage = NULL;
}

static void end(struct fleet *f, struct fleet_task *t, int code)
{
	t->state = FLEET_ENDED;
	t->code = code;
	tell(f, t, NULL);
}

/* Takes the child's last words as the reason if it has given no result. */
static void give_reason(struct fleet_task *t, int code, const char *words)
{
	if (!t->result && *words)
		t->result = json_pack("{s:s,s:s,s:i}", "outcome", code == EXIT_REFUSED || code == EXIT_USAGE ? "refused" : "failed",
				      "reason", words, "exit_code", code);
}

/* A move that has left something (EXIT_LEFTOVERS) has a journal that is settled before the next one; and who has cancelled one, or had the guest back, wants it to stay. */
static bool may_be_tried_again(const struct fleet_task *t, int code)
{
	return (code == EXIT_SOURCE || code == EXIT_REFUSED) && !json_is_true(json_object_get(t->result, "cancelled")) &&
	       !json_is_true(json_object_get(t->result, "reverted")) && !json_is_true(json_object_get(t->result, "may_go_down"));
}

/* Keeps the reason why the guest did not go the previous way, to be reported with the result of the next one. */
static void keep_reason(struct fleet_task *t)
{
	free(t->before);
	t->before = xasprintf("%s: %s", fleet_way_of(t)->dest, json_text(t->result, "reason") ?: "the move failed");
}

static void after_end(struct fleet *f, struct fleet_task *t, int code)
{
	give_reason(t, code, child_last_words(&t->child));
	child_fini(&t->child);
	if (!f->halted && may_be_tried_again(t, code) && t->way + 1 < t->way_count && t->tries < FLEET_TRIES) {
		keep_reason(t);
		t->way++;
		t->state = FLEET_WAITS;
		tell(f, t, NULL);
		return;
	}
	end(f, t, code);
}

static void begin(struct fleet *f, struct fleet_task *t)
{
	const struct fleet_way *way = fleet_way_of(t);
	size_t n = 0, i = 0, own = 0;
	char **words;
	struct err e;
	int r;

	while (f->options && f->options[n])
		n++;
	words = xcalloc(n + WORDS_OWN + 1, sizeof(*words));
	words[own++] = (char *)(uintptr_t)f->program;
	words[own++] = (char *)(uintptr_t)f->command;
	for (i = 0; i < n; i++)
		words[own++] = f->options[i];
	words[own++] = (char *)(uintptr_t) "--json";
	if (way->how) {
		words[own++] = (char *)(uintptr_t) "--how";
		words[own++] = (char *)(uintptr_t)way->how;
	}
	if (t->only_off)
		words[own++] = (char *)(uintptr_t) "--only-off";
	words[own++] = t->guest;
	words[own] = (char *)(uintptr_t)way->dest;
	forget_events(t);
	t->is_there = false;
	t->tries++;
	r = child_begin(&t->child, words, &e);
	free(words);
	if (r) {
		give_reason(t, EXIT_REFUSED, e.msg);
		end(f, t, EXIT_REFUSED);
		return;
	}
	t->state = FLEET_RUNS;
	tell(f, t, NULL);
}

/* ---- its events ---- */

struct hearing {
	struct fleet *fleet;
	struct fleet_task *task;
};

static void keep(json_t **last, json_t *event)
{
	json_decref(*last);
	*last = json_incref(event);
}

static void take_event(void *ctx, json_t *event)
{
	struct hearing *h = ctx;
	struct fleet_task *t = h->task;
	const char *kind = json_text(event, "event") ?: "", *stage = json_text(event, "stage");

	if (!strcmp(kind, "plan"))
		keep(&t->plan, event);
	else if (!strcmp(kind, "estimate"))
		keep(&t->estimate, event);
	else if (!strcmp(kind, "progress"))
		keep(&t->progress, event);
	else if (!strcmp(kind, "result"))
		keep(&t->result, event);
	if (stage && (!t->stage || strcmp(stage, t->stage) != 0)) {
		free(t->stage);
		t->stage = xstrdup(stage);
	}
	if (json_is_integer(json_object_get(event, "wait_ends")) && !json_integer_value(json_object_get(event, "wait_ends")))
		t->is_there = true;
	tell(h->fleet, t, event);
}

/* ---- all of them ---- */

static bool some_run(const struct fleet *f)
{
	for (size_t i = 0; i < f->count; i++)
		if (f->tasks[i].state == FLEET_RUNS)
			return true;
	return false;
}

static size_t under_way_to(const struct fleet *f, const char *dest)
{
	size_t i, n = 0;

	for (i = 0; i < f->count; i++)
		n += f->tasks[i].state == FLEET_RUNS && !f->tasks[i].is_there && (!dest || !strcmp(fleet_way_of(&f->tasks[i])->dest, dest));
	return n;
}

/* True if a command about the guest is under way: a second one would find that it is being moved. */
static bool guest_is_busy(const struct fleet *f, const char *guest)
{
	for (size_t i = 0; i < f->count; i++)
		if (f->tasks[i].state == FLEET_RUNS && !strcmp(f->tasks[i].guest, guest))
			return true;
	return false;
}

struct fleet_task *fleet_next(const struct fleet *f)
{
	struct fleet_task *best = NULL;
	size_t i, n, fewest = 0;

	for (i = 0; i < f->count; i++) {
		if (f->tasks[i].state != FLEET_WAITS || guest_is_busy(f, f->tasks[i].guest))
			continue;
		n = under_way_to(f, fleet_way_of(&f->tasks[i])->dest);
		if (!best || n < fewest) {
			best = &f->tasks[i];
			fewest = n;
		}
	}
	return best;
}

static void begin_some(struct fleet *f)
{
	struct fleet_task *t;

	while (!f->halted && (!f->at_once || under_way_to(f, NULL) < f->at_once) && (t = fleet_next(f)))
		begin(f, t);
}

static void attend(struct fleet *f)
{
	int code;

	for (size_t i = 0; i < f->count; i++) {
		struct hearing h = {f, &f->tasks[i]};

		if (f->tasks[i].state != FLEET_RUNS)
			continue;
		if (child_attend(&f->tasks[i].child, take_event, &h, &code))
			after_end(f, &f->tasks[i], code);
	}
}

static void wait_for_any(const struct fleet *f)
{
	AUTO_FREE struct pollfd *p = xcalloc(2 * f->count + 1, sizeof(*p));
	size_t i, n = 0;

	for (i = 0; i < f->count; i++)
		if (f->tasks[i].state == FLEET_RUNS) {
			p[n++] = (struct pollfd){.fd = f->tasks[i].child.out, .events = POLLIN};
			p[n++] = (struct pollfd){.fd = f->tasks[i].child.error, .events = POLLIN};
		}
	poll(p, n, TICK_MS);
}

void fleet_run(struct fleet *f)
{
	heed_signals();
	for (;;) {
		obey_signals(f);
		begin_some(f);
		if (f->tick)
			f->tick(f->ctx, f);
		if (!some_run(f))
			break;
		wait_for_any(f);
		attend(f);
	}
}

void fleet_fini(struct fleet *f)
{
	for (size_t i = 0; i < f->count; i++) {
		forget_events(&f->tasks[i]);
		child_fini(&f->tasks[i].child);
		FREE_ALL(f->tasks[i].ways, f->tasks[i].before, f->tasks[i].guest);
	}
	free(f->tasks);
	f->tasks = NULL;
	f->count = 0;
}

/* ---- how it ended ---- */

int fleet_worse(int a, int b)
{
	static const int worst_first[] = {EXIT_UNDECIDED, EXIT_PAUSED, EXIT_NOWHERE, EXIT_PEER_LOST,
					  EXIT_LEFTOVERS, EXIT_SOURCE, EXIT_REFUSED, EXIT_USAGE};

	for (size_t i = 0; i < ARRAY_LEN(worst_first); i++)
		if (a == worst_first[i] || b == worst_first[i])
			return worst_first[i];
	return a || b ? EXIT_UNDECIDED : EXIT_DESTINATION;
}

int fleet_exit_code(const struct fleet *f)
{
	int code = EXIT_DESTINATION;

	for (size_t i = 0; i < f->count; i++)
		code = fleet_worse(code, f->tasks[i].state == FLEET_ENDED ? f->tasks[i].code : EXIT_REFUSED);
	return code;
}
