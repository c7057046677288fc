/* order-wait.c: see order-wait.h. */
#include "order-wait.h"
#include "control.h"
#include "exit-code.h"
#include "json-text.h"
#include "output.h"
#include "report.h"
#include "util.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define QUIET_NS      1000000000ULL /* a wait this short shows no progress */
#define NEXT_AGENT_NS 10000000000ULL
#define LOOK_MS	      100

struct order_wait {
	struct report report;
	uint64_t begin_ns;
	bool waits, is_answered, is_over;
	bool has_next;	   /* another attempt may follow, with an agent of its own */
	uint64_t pause_ns; /* pause before the next attempt */
	int exit_code;	   /* once it is answered, or over */
	bool wants_back;   /* cancel, revert: the guest is to be here */
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
	(void)number;
	interrupted = 1;
}

/* Installs a handler without SA_RESTART, so that SIGINT ends the wait for the next event. */
static void heed_interrupt(void)
{
	struct sigaction on = {.sa_handler = on_interrupt};

	sigaction(SIGINT, &on, NULL);
}

/* Ends as by Ctrl-C, so that a shell's loop ends, too. */
static void leave_it_to_go_on(void)
{
	static const char text[] = "not waited for any longer; the move goes on (vmferry status)\n";

	output_put(2, OUTPUT_LAST, text, strlen(text));
	output_flush(OUTPUT_EXIT_MS);
	signal(SIGINT, SIG_DFL);
	raise(SIGINT);
}

static bool is_shown(const struct order_wait *w, const char *kind)
{
	if (!strcmp(kind, "progress"))
		return now_ns() - w->begin_ns >= QUIET_NS;
	return !strcmp(kind, "notice") || !strcmp(kind, "result");
}

static bool take_event(struct order_wait *w, const json_t *event)
{
	const char *kind = json_text(event, "event") ?: "";
	const json_t *code = json_object_get(event, !strcmp(kind, "result") ? "exit_code" : "wait_ends");

	if (json_text(event, "how"))
		w->has_next = !strcmp(json_text(event, "how"), "head-start");
	if (json_is_integer(json_object_get(event, "again_in_s"))) {
		w->has_next = true;
		w->pause_ns = (uint64_t)json_integer_value(json_object_get(event, "again_in_s")) * 1000000000;
	}
	if (is_shown(w, kind))
		report_emit(&w->report, json_deep_copy(event));
	if (json_is_integer(code)) {
		w->is_over = true;
		w->exit_code = (int)json_integer_value(code);
	}
	return !w->is_over && !interrupted;
}

/* The agent's first word is its answer. A refusal "late" is one of an order that the move has overtaken: its end is near, and is waited for. */
static bool take_answer(struct order_wait *w, const json_t *answer)
{
	bool refused = json_object_get(answer, "error");
	AUTO_FREE char *text = text_shown(json_text(answer, refused ? "error" : "ok"));

	w->is_answered = true;
	w->waits &= !refused || json_is_true(json_object_get(answer, "late"));
	w->exit_code = refused ? EXIT_SOURCE : 0;
	fprintf(refused ? stderr : stdout, "%s%s\n", refused ? "vmferry: " : "", text);
	fflush(stdout);
	return w->waits;
}

static bool take_line(void *ctx, const json_t *line)
{
	struct order_wait *w = ctx;

	return w->is_answered ? take_event(w, line) : take_answer(w, line);
}

/* A guest that goes cold while it runs is moved in several attempts, each of which has a socket of its own. Any other agent may only have found us too slow. */
static bool follow_next_agent(struct order_wait *w, const char *runtime_dir, pid_t guest)
{
	json_auto_t *request = json_pack("{s:s,s:b}", "command", "status", "follow", 1);
	uint64_t until = now_ns() + (w->has_next ? NEXT_AGENT_NS + w->pause_ns : 0);
	struct err e;
	int r;

	while ((r = control_follow(runtime_dir, guest, request, take_line, w, &e)) && !interrupted && now_ns() < until)
		poll(NULL, 0, LOOK_MS);
	return !r;
}

/* The order was to have the guest here, with nothing left: that is no failure of the order's, and a move that was faster is one. */
static int code_of_back(int code)
{
	return code == EXIT_SOURCE ? 0 : code == EXIT_DESTINATION ? EXIT_SOURCE : code;
}

static int wait_for_end(struct order_wait *w, const char *runtime_dir, pid_t guest)
{
	while (!w->is_over && !interrupted && follow_next_agent(w, runtime_dir, guest))
		;
	if (w->is_over)
		return w->wants_back ? code_of_back(w->exit_code) : w->exit_code;
	if (interrupted)
		leave_it_to_go_on();
	fputs("vmferry: the agent of this move is gone and has not said how it ended: see vmferry history, or else vmferry recover\n",
	      stderr);
	return EXIT_UNDECIDED;
}

int order_give(const char *runtime_dir, pid_t guest, json_t *request, bool waits)
{
	const char *command = json_text(request, "command") ?: "";
	struct order_wait w = {.begin_ns = now_ns(),
			       .waits = waits,
			       .wants_back = !strcmp(command, "cancel") || !strcmp(command, "revert")};
	struct err e;

	report_init(&w.report, false, false);
	w.report.result_is_answer = true;
	if (waits)
		heed_interrupt();
	json_object_set_new(request, "follow", json_boolean(waits));
	if (control_follow(runtime_dir, guest, request, take_line, &w, &e)) {
		fprintf(stderr, "vmferry: %s\n", e.msg);
		return EXIT_SOURCE;
	}
	return w.waits ? wait_for_end(&w, runtime_dir, guest) : w.exit_code;
}
