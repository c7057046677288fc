/* report-here.c: see report-here.h. */
#include "report-here.h"
#include "report-result.h"
#include "report-text.h"
#include "util.h"

static void print_rows(FILE *to, const json_t *ev)
{
	json_t *row;
	size_t i;

	json_array_foreach(json_object_get(ev, "rows"), i, row)
		fprintf(to, "  %-7s %s\n", json_string_value(json_array_get(row, 0)) ?: "",
			json_string_value(json_array_get(row, 1)) ?: "");
}

static void print_sentences(FILE *to, const json_t *ev, const char *key, const char *before)
{
	json_t *one;
	size_t i;

	json_array_foreach(json_object_get(ev, key), i, one)
		fprintf(to, "  %s%s\n", before, json_string_value(one) ?: "");
}

void report_here_plan(FILE *to, const json_t *ev)
{
	fprintf(to, "%s\n", event_text(ev, "title"));
	print_rows(to, ev);
	if (json_text(ev, "command_line"))
		fprintf(to, "%s\n", event_text(ev, "command_line"));
}

void report_here_result(FILE *to, const json_t *ev, const struct report_style *style)
{
	const char *outcome = event_text(ev, "outcome"), *title = event_text(ev, "title");

	if (report_is_success(ev))
		fprintf(to, "%s%s%s%s\n", style->good, outcome, style->plain,
			text_starts_with(title, outcome) ? title + strlen(outcome) : "");
	else
		fprintf(to, "%s%s%s: %s; %s\n", style->bad, outcome, style->plain, event_text(ev, "reason"), event_text(ev, "guest_text"));
	print_rows(to, ev);
	print_sentences(to, ev, "notes", "note    ");
	print_sentences(to, ev, "leftovers", "left behind: ");
}
