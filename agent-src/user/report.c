/* report.c: see report.h. A dead terminal must not end a move, nor one that nobody reads delay it: output.h. */
#include "report.h"
#include "json-text.h"
#include "log.h"
#include "output.h"
#include "report-here.h"
#include "report-plan.h"
#include "report-progress.h"
#include "report-result.h"
#include "report-storage.h"
#include "report-text.h"
#include "text-wrap.h"
#include "util.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Names and sentences come from guests and from the other host: their control characters are not for the terminal. */
static void clean(json_t *v, bool has_lines)
{
	json_t *member;
	const char *key;
	char *copy;
	size_t i;

	if (json_is_string(v)) {
		copy = xstrdup(json_string_value(v));
		text_make_printable(copy, has_lines);
		json_string_set(v, copy);
		free(copy);
	}
	json_array_foreach(v, i, member)
		clean(member, false);
	json_object_foreach(v, key, member)
		clean(member, !strcmp(key, "command_line")); /* a command line is for a shell, with one word per line */
}

void report_clean(json_t *v)
{
	clean(v, false);
}

/* Words for the events of each kind, but for moves that carry memory. NULL: those of a move. */
static const struct kind_words {
	const char *how;
	void (*plan)(FILE *to, const json_t *ev);
	void (*result)(FILE *to, const json_t *ev, const struct report_style *style);
} kinds[] = {
	{"warm", NULL, NULL},
	{"cold", NULL, NULL},
	{"disks", NULL, NULL},
	{"replica", NULL, NULL},
	{"head-start", NULL, NULL},
	{"storage", report_storage_plan, report_storage_result},
	{"storage-cold", report_storage_plan, report_storage_result},
	{"export", report_here_plan, report_here_result},
	{"import", report_here_plan, report_here_result},
};

/* NULL: it is of a move that carries memory. */
static const struct kind_words *words_of(const json_t *ev)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(kinds) && !how_is(ev, kinds[i].how); i++)
		;
	return i < ARRAY_LEN(kinds) ? &kinds[i] : NULL;
}

/* Lines that stay on the screen are due once a second; of a stage that is known in percent alone, one at each tenth. */
static bool is_due(struct report *r, const json_t *ev)
{
	double percent = event_number(ev, "percent");

	if (json_object_get(ev, "left"))
		return event_flag(ev, "second");
	if (percent < r->next_percent)
		return false;
	r->next_percent = (int)(percent / 10) * 10 + 10;
	return true;
}

static void show_progress(struct report *r, const json_t *ev)
{
	char *text;
	size_t n;
	FILE *to;
	unsigned logged = log_lines();
	int lines = logged == r->logged ? r->lines : 0;

	if (!r->block && !is_due(r, ev))
		return;
	to = open_memstream(&text, &n);
	if (!to)
		return;
	if (r->block)
		report_progress_block(to, ev, !words_of(ev), &lines);
	else
		report_progress_line(to, ev);
	fclose(to);
	if (output_put(2, OUTPUT_PASSING, text, n))
		r->lines = lines, r->logged = logged;
	free(text);
}

/* Answers (a plan, an estimate, a result) go to standard output; progress, notices and failures to standard error. */
static int stream_of(const struct report *r, const json_t *ev)
{
	const char *kind = event_text(ev, "event");
	bool is_answer = !strcmp(kind, "plan") || !strcmp(kind, "estimate") ||
			 (!strcmp(kind, "result") && (r->result_is_answer || report_is_success(ev)));

	return is_answer && !r->stdout_is_data ? 1 : 2;
}

static struct report_style style_of(const struct report *r, int fd)
{
	static const struct report_style with = {"\033[32m", "\033[31m", "\033[33m", "\033[0m"}, without = {"", "", "", ""};

	return r->colors && isatty(fd) ? with : without;
}

static void show(struct report *r, const json_t *ev)
{
	const char *kind = event_text(ev, "event");
	int fd = stream_of(r, ev);
	struct report_style style = style_of(r, fd);
	const struct kind_words *words = words_of(ev);
	char *text, *wrapped;
	size_t n;
	FILE *to;

	if (!strcmp(kind, "progress")) {
		show_progress(r, ev);
		return;
	}
	to = open_memstream(&text, &n);
	if (!to)
		return;
	r->lines = 0; /* later output stands below the last progress block */
	if (!strcmp(kind, "stage"))
		r->next_percent = 0;
	else if (!strcmp(kind, "plan") && words && words->plan)
		words->plan(to, ev);
	else if (!strcmp(kind, "result") && words && words->result)
		words->result(to, ev, &style);
	else if (!strcmp(kind, "plan") && !r->quiet_plan)
		report_plan(to, ev, r->details);
	else if (!strcmp(kind, "estimate"))
		report_estimate(to, ev, r->details);
	else if (!strcmp(kind, "notice"))
		fprintf(to, "%s\n", event_text(ev, "text"));
	else if (!strcmp(kind, "result"))
		report_result(to, ev, &style, r->details);
	fclose(to);
	wrapped = text_wrap(text, text_wrap_columns(fd));
	output_put(fd, !strcmp(kind, "result") ? OUTPUT_LAST : OUTPUT_TEXT, wrapped, strlen(wrapped));
	free(wrapped);
	free(text);
}

/* Backlog of a slow reader: progress is dropped first, then other events, the result never. */
static void put_json(struct report *r, const json_t *event, const char *line)
{
	const char *kind = event_text(event, "event");
	enum output_kind how = !strcmp(kind, "progress") ? OUTPUT_LOG : !strcmp(kind, "result") ? OUTPUT_LAST : OUTPUT_TEXT;
	AUTO_FREE char *lost = r->lost ? xasprintf("{\"event\":\"events-lost\",\"count\":%u}\n", r->lost) : NULL;
	AUTO_FREE char *text = xasprintf("%s%s\n", lost ? lost : "", line);

	if (output_put(1, how, text, strlen(text)))
		r->lost = 0;
	else
		r->lost++;
}

void report_init(struct report *r, bool json, bool fine)
{
	const char *term = getenv("TERM");

	*r = (struct report){.json = json, .tty = !json && isatty(2)};
	r->block = r->tty && term && strcmp(term, "dumb") && !log_shows(LOG_LEVEL_INFO);
	r->often = r->block || fine;
	r->details = log_shows(LOG_LEVEL_INFO);
	r->colors = term && strcmp(term, "dumb") && !getenv("NO_COLOR");
}

void report_emit(struct report *r, json_t *event)
{
	AUTO_FREE char *line = json_text_line(event);
	json_t *shown;

	if (line) {
		if (r->json && !r->quiet)
			put_json(r, event, line);
		if (!r->json && !r->quiet) {
			shown = json_deep_copy(event);
			report_clean(shown);
			show(r, shown);
			json_decref(shown);
		}
		if (r->follow)
			r->follow(r->ctx, line);
	}
	json_decref(event);
}

double report_eta_s(uint64_t left, double rate_bps)
{
	return rate_bps >= 1024 ? (double)left / rate_bps : 0;
}

static json_t *notice(const char *fmt, va_list ap)
{
	char text[1024];

	vsnprintf(text, sizeof(text), fmt, ap);
	text_make_utf8(text);
	return json_pack("{s:s,s:s}", "event", "notice", "text", text);
}

void report_notice(struct report *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report_emit(r, notice(fmt, ap));
	va_end(ap);
}

static void emit_notice_with(struct report *r, const char *member, int value, const char *fmt, va_list ap)
{
	json_t *ev = notice(fmt, ap);

	json_object_set_new(ev, member, json_integer(value));
	report_emit(r, ev);
}

void report_answer(struct report *r, enum exit_code wait_ends, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit_notice_with(r, "wait_ends", (int)wait_ends, fmt, ap);
	va_end(ap);
}

void report_again(struct report *r, unsigned in_s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit_notice_with(r, "again_in_s", (int)in_s, fmt, ap);
	va_end(ap);
}

void report_warning(json_t *event, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	text_make_utf8(text);
	if (!json_object_get(event, "warnings"))
		json_object_set_new(event, "warnings", json_array());
	json_array_append_new(json_object_get(event, "warnings"), json_string(text));
}
