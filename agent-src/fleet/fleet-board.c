/* fleet-board.c: see fleet-board.h. */
#include "fleet-board.h"
#include "exit-code.h"
#include "fleet-back.h"
#include "json-members.h"
#include "json-text.h"
#include "output.h"
#include "report-progress.h"
#include "report-result.h"
#include "report.h"
#include "shell-quote.h"
#include "text-block.h"
#include "text-wrap.h"
#include "util.h"

#include <stdio.h>
#include <string.h>

#define LINE_BYTES  512
#define DRAWN_AT_NS 200000000ULL
#define OTHER_LINES 2 /* other lines of the block: the total, and what is not shown */

void board_init(struct fleet_board *b, bool json)
{
	const char *term = getenv("TERM");

	*b = (struct fleet_board){.json = json, .block = !json && isatty(2) && term && strcmp(term, "dumb") != 0};
}

/* ---- words ---- */

static char *went(const struct fleet_task *t)
{
	double downtime_ms = json_number(json_object_get(t->result, "downtime_ms"), "total");
	AUTO_FREE char *stood = downtime_ms > 0 ? xasprintf(", stood still %.0f ms", downtime_ms) : xstrdup("");

	if (t->found_done)
		return xstrdup("had gone there before");
	return xasprintf("%s in %.1f s%s", json_text(t->result, "outcome") ?: "done", json_number(t->result, "total_ms") / 1000, stood);
}

static char *could_go(const struct fleet_task *t)
{
	char bytes[24];

	format_bytes(bytes, (uint64_t)json_number(t->estimate, "bytes_wire"));
	return t->estimate ? xasprintf("can go: %.0f s, %s to carry", json_number(t->estimate, "total_s"), bytes) : xstrdup("can go");
}

static const char *place_of(int code)
{
	switch (code) {
	case EXIT_PAUSED:
		return "is paused here";
	case EXIT_UNDECIDED:
		return "undecided";
	case EXIT_PEER_LOST:
		return "is there as far as is known";
	case EXIT_NOWHERE:
		return "runs nowhere";
	default:
		return "stays here";
	}
}

/* "migrated in 9.2 s, stood still 84 ms", "stays here: refused: …", malloc'ed and printable. */
static char *fleet_outcome(const struct fleet_task *t, const char *command)
{
	const char *outcome = json_text(t->result, "outcome"), *reason = json_text(t->result, "reason");
	char *text;

	if (t->state != FLEET_ENDED)
		return xstrdup("was not begun, and stays here");
	if (!t->code)
		return strcmp(command, "check") ? went(t) : could_go(t);
	text = xasprintf("%s: %s%s%s%s%s%s", place_of(t->code), outcome ?: "failed", reason ? ": " : "", reason ?: "",
			 t->before ? " (before that, at " : "", t->before ?: "", t->before ? ")" : "");
	text_make_utf8(text);
	text_make_printable(text, false);
	return text;
}

static char *head_of(const struct fleet_task *t)
{
	AUTO_FREE char *guest = text_shown(t->guest);
	AUTO_FREE char *dest = text_shown(fleet_way_of(t)->dest);

	return xasprintf("%s -> %s: ", guest, dest);
}

static char *line_of(const struct fleet_task *t)
{
	AUTO_FREE char *head = head_of(t);
	char text[LINE_BYTES];

	if (!t->progress)
		return xasprintf("%s%s", head, t->stage ?: "begins");
	report_progress_text(t->progress, text, sizeof(text));
	return xasprintf("%s%s", head, text);
}

static char *totals(const struct fleet *f)
{
	size_t n[FLEET_ENDED + 1] = {0}, i;

	for (i = 0; i < f->count; i++)
		n[f->tasks[i].state]++;
	return xasprintf("%zu of %zu ended, %zu under way%s", n[FLEET_ENDED], f->count, n[FLEET_RUNS],
			 f->failed ? "; these roll back" : "");
}

/* ---- while they go ---- */

static void draw(struct fleet_board *b, const struct fleet *f)
{
	struct text_block block;
	size_t i, left = 0, n;
	char *text;
	FILE *to = open_memstream(&text, &n);

	if (!to)
		return;
	text_block_begin(&block, to, b->lines);
	for (i = 0; i < f->count; i++) {
		AUTO_FREE char *line = f->tasks[i].state == FLEET_RUNS ? line_of(&f->tasks[i]) : NULL;

		if (line && block.lines + OTHER_LINES < (int)block.rows)
			text_block_put(&block, line);
		else if (line)
			left++;
	}
	AUTO_FREE char *more = left ? xasprintf("and %zu more", left) : NULL;
	AUTO_FREE char *total = totals(f);

	if (more)
		text_block_put(&block, more);
	text_block_put(&block, total);
	text_block_end(&block, b->lines);
	fclose(to);
	if (output_put(2, OUTPUT_PASSING, text, n))
		b->lines = block.lines;
	free(text);
	b->drawn_ns = now_ns();
}

/* A line that stays: above the block, which is drawn anew below it. */
static void put_line(struct fleet_board *b, const char *line)
{
	AUTO_FREE char *up = b->lines ? xasprintf("\033[%dF\033[J", b->lines) : xstrdup("");
	AUTO_FREE char *text = xasprintf("%s%s\n", up, line);
	AUTO_FREE char *wrapped = text_wrap(text, text_wrap_columns(2));

	output_put(2, OUTPUT_TEXT, wrapped, strlen(wrapped));
	b->lines = 0;
	b->drawn_ns = 0;
}

/* Writes an event. A reader that does not read must not keep guests waiting. */
static void put_json(const json_t *event, enum output_kind kind)
{
	AUTO_FREE char *line = json_text_line(event);
	AUTO_FREE char *text = line ? xasprintf("%s\n", line) : NULL;

	if (text)
		output_put(1, kind, text, strlen(text));
}

static void print_event(const struct fleet_task *t, json_t *event)
{
	json_auto_t *more = json_copy(event);

	json_object_set_new(more, "vm", json_string(t->guest));
	json_object_set_new(more, "destination", json_string(fleet_way_of(t)->dest));
	put_json(more, OUTPUT_TEXT);
}

static void say_change(struct fleet_board *b, const struct fleet *f, const struct fleet_task *t)
{
	AUTO_FREE char *head = head_of(t);
	AUTO_FREE char *outcome = t->state == FLEET_ENDED ? fleet_outcome(t, f->command) : NULL;
	AUTO_FREE char *line = xasprintf("%s%s", head, outcome ?: t->state == FLEET_RUNS ? "begins" : "is tried next");

	if (outcome || !b->block)
		put_line(b, line);
}

void board_changed(void *ctx, struct fleet *f, struct fleet_task *t, json_t *event)
{
	struct fleet_board *b = ctx;

	if (b->json && event)
		print_event(t, event);
	else if (!b->json && !event)
		say_change(b, f, t);
}

static void say_that_no_more_begins(struct fleet_board *b, const struct fleet *f)
{
	b->halt_is_said = true;
	if (!b->json)
		put_line(b, f->failed ? "no more begins, and what is under way rolls back"
				      : "no more begins, and what is under way goes on; Ctrl-C once more has it roll back");
}

void board_tick(void *ctx, struct fleet *f)
{
	struct fleet_board *b = ctx;

	if (f->halted && !b->halt_is_said)
		say_that_no_more_begins(b, f);
	if (b->block && now_ns() - b->drawn_ns >= DRAWN_AT_NS)
		draw(b, f);
}

/* ---- the end ---- */

static json_t *summary_of(const struct fleet_task *t)
{
	const json_t *r = t->result;
	bool is_there = !strcmp(json_text(r, "where") ?: "", "destination");

	return json_of(MEMBER_TEXT("vm", t->guest), MEMBER_TEXT("destination", fleet_way_of(t)->dest),
		       MEMBER_FLAG("begun", t->tries > 0 || t->found_done),
		       MEMBER_COUNT("exit_code", t->state == FLEET_ENDED ? t->code : EXIT_REFUSED),
		       MEMBER_TEXT("outcome", t->found_done ? "gone-before" : json_text(r, "outcome")),
		       MEMBER_TEXT("where", json_text(r, "where")), MEMBER_TEXT("reason", json_text(r, "reason")),
		       MEMBER_SAME("total_ms", json_object_get(r, "total_ms")),
		       MEMBER_SAME("downtime_ms", json_object_get(json_object_get(r, "downtime_ms"), "total")),
		       MEMBER_SAME("disabled", json_object_get(r, "disabled")),
		       MEMBER_MAYBE("back_options", is_there ? fleet_back_options(t) : NULL));
}

static json_t *fleet_summary(const struct fleet *f)
{
	json_t *guests = json_array();

	for (size_t i = 0; i < f->count; i++)
		json_array_append_new(guests, summary_of(&f->tasks[i]));
	return json_pack("{s:s,s:s,s:i,s:o}", "event", "summary", "command", f->command, "exit_code", fleet_exit_code(f), "guests", guests);
}

/* " vm1" and " --reuse auto …", as a shell takes them; NULL: the guest has no way back. Malloc'ed. */
static char *guest_back(const struct fleet_task *t)
{
	AUTO_FREE char *guest = fleet_back_guest(t);

	return guest ? shell_quote_shown(guest) : NULL;
}

static char *options_back(const struct fleet_task *t)
{
	json_t *words = fleet_back_options(t), *word;
	char *text = xstrdup("");
	size_t i;

	json_array_foreach(words, i, word) {
		AUTO_FREE char *quoted = shell_quote_shown(json_string_value(word));
		AUTO_FREE char *before = text;

		text = xasprintf("%s %s", before, quoted);
	}
	json_decref(words);
	return text;
}

/* Guests that went to the same host, and whose options are the same, come back by one command. */
static bool comes_back_with(const struct fleet_task *a, const struct fleet_task *b)
{
	AUTO_FREE char *guest = guest_back(a), *one = options_back(a), *other = options_back(b);

	return guest && !strcmp(fleet_way_of(a)->dest, fleet_way_of(b)->dest) && !strcmp(one, other);
}

static void print_ways_back(const struct fleet *f, const char *back_to)
{
	size_t i, k;

	for (i = 0; i < f->count; i++) {
		const struct fleet_task *t = &f->tasks[i];
		AUTO_FREE char *first = guest_back(t), *where = text_shown(fleet_way_of(t)->dest), *options = options_back(t);

		for (k = 0; k < i && first; k++)
			if (comes_back_with(&f->tasks[k], t)) {
				free(first);
				first = NULL;
			}
		if (!first)
			continue;
		printf("back again, at %s: vmferry migrate", where);
		for (k = i; k < f->count; k++)
			if (comes_back_with(&f->tasks[k], t)) {
				AUTO_FREE char *guest = guest_back(&f->tasks[k]);

				printf(" %s", guest);
			}
		printf(" %s%s\n", back_to, options);
	}
}

/* Tells of each guest what its move alone would tell at its end: nobody would look for that among the results of many. */
static void print_to_heed(const struct fleet_task *t)
{
	static const struct report_style plain = {"", "", "", ""};
	json_t *shown = t->result ? json_deep_copy(t->result) : NULL;

	if (!shown)
		return;
	report_clean(shown);
	report_to_heed(stdout, shown, &plain);
	json_decref(shown);
}

/* True if a journal of the move is left, for which the next command would refuse the guest. */
static bool is_unsettled(const struct fleet_task *t)
{
	return t->state == FLEET_ENDED && (t->code == EXIT_LEFTOVERS || t->code == EXIT_UNDECIDED || t->code == EXIT_PEER_LOST);
}

static void say_what_is_next(const struct fleet *f)
{
	size_t unsettled = 0, i;

	for (i = 0; i < f->count; i++)
		unsettled += is_unsettled(&f->tasks[i]);
	puts(unsettled ? "first, to settle moves that were cut off: vmferry recover; then the same command again takes those that are here"
		       : "the same command again takes those that are here");
}

static void print_summary(const struct fleet *f)
{
	size_t gone = 0, i;

	for (i = 0; i < f->count; i++)
		gone += f->tasks[i].state == FLEET_ENDED && !f->tasks[i].code;
	printf("%zu of %zu guests %s\n", gone, f->count, !strcmp(f->command, "check") ? "can go" : "have gone");
	for (i = 0; i < f->count; i++) {
		AUTO_FREE char *head = head_of(&f->tasks[i]);
		AUTO_FREE char *outcome = fleet_outcome(&f->tasks[i], f->command);

		printf("  %s%s\n", head, outcome);
		if (strcmp(f->command, "check") != 0)
			print_to_heed(&f->tasks[i]);
	}
	if (gone < f->count && strcmp(f->command, "check") != 0)
		say_what_is_next(f);
}

void board_clear(struct fleet_board *b)
{
	AUTO_FREE char *up = b->lines ? xasprintf("\033[%dF\033[J", b->lines) : xstrdup("");

	output_put(2, OUTPUT_LAST, up, strlen(up));
	output_flush(OUTPUT_EXIT_MS);
	b->lines = 0;
}

void board_summary(struct fleet_board *b, const struct fleet *f, const char *back_to)
{
	board_clear(b);
	if (b->json) {
		json_t *summary = fleet_summary(f);

		put_json(summary, OUTPUT_LAST);
		json_decref(summary);
		return;
	}
	print_summary(f);
	if (back_to)
		print_ways_back(f, back_to);
}
