/* html-move.c: see html-move.h. */
#include "html-move.h"
#include "html-chart.h"
#include "html-outcome.h"
#include "html-page.h"
#include "html-timeline.h"
#include "html-value.h"
#include "report-result.h"
#include "util.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define NOTICES_MAX 100

/* Events of the move, borrowed; NULL: none. The last one of each kind counts. */
struct story {
	const json_t *events, *plan, *estimate, *result;
	const json_t *notices[NOTICES_MAX];
	double notice_at[NOTICES_MAX]; /* ms: time of the last progress before */
	size_t notice_count, progress_count, result_count;
	bool began, cut;
};

static bool is(const json_t *event, const char *kind)
{
	const char *s = value_text(event, "event");

	return s && !strcmp(s, kind);
}

/* The time of a progress event. Events of older versions do not say it, but come ten times a second, and the one that ends a second is
 * marked. before: the time of the previous event. */
static double time_of(const json_t *event, double before)
{
	double t = value_of(event, "t_ms");

	if (!isnan(t))
		return t;
	return value_true(event, "second") ? (floor(before / 1000 + 1e-6) + 1) * 1000 : before + 100;
}

static void read_story(struct story *s)
{
	double at = 0;
	json_t *ev;
	size_t i;

	json_array_foreach(s->events, i, ev) {
		if (is(ev, "plan"))
			s->plan = ev;
		else if (is(ev, "estimate"))
			s->estimate = ev;
		else if (is(ev, "result"))
			s->result = ev, s->result_count++;
		s->began |= is(ev, "progress") || is(ev, "stage");
		if (is(ev, "progress")) {
			at = time_of(ev, at);
			s->progress_count++;
		}
		if (is(ev, "notice") && s->notice_count < NOTICES_MAX) {
			s->notice_at[s->notice_count] = at;
			s->notices[s->notice_count++] = ev;
		}
	}
}

/* ---- figures ---- */

static void add_bar(struct chart_bar *bars, size_t *n, const char *label, const char *class, double from, double length)
{
	if (length > 0)
		bars[(*n)++] = (struct chart_bar){.label = label, .class = class, .from = from, .part = {length}};
}

/* Disk and memory count from the stop; what follows them is drawn behind them. */
static void downtime(FILE *f, const struct story *s)
{
	const json_t *d = json_object_get(s->result, "downtime_ms");
	double disk = value_of(d, "disk"), ram = value_of(d, "ram"), check = value_of(d, "recheck"), load = value_of(d, "device_state"),
	       taking_over = value_of(d, "take_over"), noted = value_of(d, "journal"), begin;
	struct chart_bar bars[9];
	bool warm = json_object_get(s->result, "shutdown_ms");
	size_t n = 0;

	if (!(value_of(d, "total") > 0)) /* the guest did not start there */
		return;
	add_bar(bars, &n, "total", "ours-bar", 0, value_of(d, "total"));
	add_bar(bars, &n, "predicted", "native-bar", 0, value_of(d, "predicted"));
	add_bar(bars, &n, "disk", "c1", 0, disk);
	add_bar(bars, &n, "memory", "c1", 0, ram);
	add_bar(bars, &n, "recheck", "c2", isnan(ram) ? 0 : ram, check);
	begin = fmax(fmax(disk, fmax(ram, ram + check)), 0);
	add_bar(bars, &n, "device state", "c2", isnan(begin) ? 0 : begin, load);
	begin = fmax(begin + load, begin);
	add_bar(bars, &n, "taken over", "c3", isnan(begin) ? 0 : begin, taking_over);
	begin = fmax(begin + taking_over, begin);
	add_bar(bars, &n, "journals", "c2", isnan(begin) ? 0 : begin, noted);
	begin = fmax(begin + noted, begin);
	add_bar(bars, &n, "start", "c3", isnan(begin) ? 0 : begin, value_of(d, "start"));
	fputs(warm ? "<section><h2>Downtime</h2>\n<p class=\"soft\">From when the guest had shut down until it began to boot at the "
		     "destination, by the source’s clock.</p>\n<div class=\"charts\">\n"
		   : "<section><h2>Downtime</h2>\n<p class=\"soft\">From QEMU’s STOP to the guest’s start at the destination, by the "
		     "source’s clock. Disk and memory travel side by side and count from the stop; device state is drawn behind the longer of them, "
		     "what both wrote to their journals and the start behind that. The guest’s peers see a gap that is some 10 to 40 ms longer.</p>\n<div class=\"charts\">\n",
	      f);
	chart_write(f, "What the guest stood still for", Q_MS, "time since the guest stopped", NULL, bars, n);
	fputs("</div></section>\n", f);
}

/* "done", or how else it ended. */
static const char *name_end(const json_t *result)
{
	const char *outcome = value_text(result, "outcome");

	return !outcome || report_is_success(result) ? "done"
	       : value_true(result, "reverted")	     ? "had back"
	       : !strcmp(outcome, "cancelled")	     ? "cancelled"
	       : !strcmp(outcome, "undecided")	     ? "undecided"
						     : "failed";
}

static void timeline(FILE *f, const struct story *s)
{
	struct timeline line = {.width = TIMELINE_WIDE, .axis = "time since the plan was accepted", .shade_from = NAN};
	struct strip *codec = timeline_strip(&line, "codec"), *round = timeline_strip(&line, "round");
	struct series *rate = panel_series(timeline_panel(&line, "Read from QEMU", Q_BYTES_PER_S), NULL, false);
	struct panel *left = timeline_panel(&line, "Left to copy", Q_BYTES);
	struct series *ram = panel_series(left, "memory", false), *disk = panel_series(left, "disk", false);
	struct series *dirty = panel_series(timeline_panel(&line, "The guest writes memory", Q_BYTES_PER_S), NULL, false);
	struct series *predicted = panel_series(timeline_panel(&line, "Downtime if it were switched over now", Q_MS), NULL, false);
	double total = value_of(s->result, "total_ms"), at = 0;
	char text[SHOW_MAX];
	json_t *ev;
	size_t i;

	json_array_foreach(s->events, i, ev) {
		if (!is(ev, "progress"))
			continue;
		at = time_of(ev, at);
		line.to = fmax(line.to, at);
		series_add(rate, at, value_of(ev, "rate_bps"));
		series_add(ram, at, value_of(ev, "ram_left"));
		series_add(disk, at, value_of(ev, json_object_get(ev, "disk_left") ? "disk_left" : "left"));
		series_add(dirty, at, value_of(ev, "dirty_bps"));
		series_add(predicted, at, value_of(ev, "predicted_downtime_ms"));
		if (value_text(ev, "codec"))
			strip_add(codec, at, value_text(ev, "codec"));
		if (!isnan(value_of(ev, "ram_round")))
			strip_add(round, at, show_number(text, value_of(ev, "ram_round")));
	}
	for (i = 0; i < s->notice_count; i++) {
		snprintf(text, sizeof(text), "notice %zu", i + 1);
		timeline_mark(&line, s->notice_at[i], text);
	}
	if (total > 0) {
		line.to = fmax(line.to, total);
		timeline_mark(&line, total, name_end(s->result));
	}
	if (!timeline_is_empty(&line)) {
		fputs("<section><h2>How it went</h2>\n", f);
		timeline_write(f, &line, "From the plan to the end");
		fputs("</section>\n", f);
	}
	timeline_fini(&line);
}

static void notices(FILE *f, const struct story *s)
{
	char at[SHOW_MAX];

	if (!s->notice_count)
		return;
	fputs("<section><h2>Notices</h2>\n<ol>\n", f);
	for (size_t i = 0; i < s->notice_count; i++) {
		fprintf(f, "<li><span class=\"soft\">after %s:</span> ", show_ms(at, s->notice_at[i]));
		html_text(f, value_text(s->notices[i], "text"));
		fputs("</li>\n", f);
	}
	fputs("</ol></section>\n", f);
}

/* ---- what was carried ---- */

/* The last three cells of a row. */
static void number_cells(FILE *f, double rounds, double read, double wire)
{
	char a[SHOW_MAX], b[SHOW_MAX], c[SHOW_MAX];

	fprintf(f, "<td class=\"n\">%s</td><td class=\"n\">%s</td><td class=\"n\">%s</td></tr>\n", show_number(a, rounds),
		show_bytes(b, read), show_bytes(c, wire));
}

/* A path, and the format there where it is known. */
static void place_cell(FILE *f, const json_t *d, const char *path, const char *format)
{
	fputs("<td>", f);
	html_text_n(f, value_text(d, path), 200);
	if (format) {
		fputs("<small>", f);
		html_text_n(f, value_text(d, format), 20);
		fputs("</small>", f);
	}
	fputs("</td>", f);
}

/* Name by which a person knows the disk: a node's name may be QEMU's own. */
static const char *file_name(const json_t *disk)
{
	const char *path = value_text(disk, "from") ?: value_text(disk, "node") ?: "", *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

static void carried(FILE *f, const struct story *s)
{
	const json_t *disks = json_object_get(s->result, "disks"), *ram = json_object_get(s->result, "ram");
	size_t i, n = MIN(json_array_size(disks), 64);

	if (!json_is_object(ram) && !n)
		return;
	fputs("<section><h2>What was carried</h2>\n<div class=\"scroll\"><table class=\"fit\"><thead><tr><th>What</th><th>From</th><th>To</th>"
	      "<th class=\"n\">Rounds</th><th class=\"n\">Read, or its size</th><th class=\"n\">On the wire</th></tr></thead>\n<tbody>\n",
	      f);
	if (ram) { /* else it stayed */
		fputs("<tr><th scope=\"row\">memory</th><td>mode ", f);
		html_text_n(f, value_text(ram, "mode"), 30);
		fputs("</td><td></td>", f);
		number_cells(f, value_of(ram, "rounds"), value_of(s->plan, "ram_bytes"), value_of(ram, "bytes_wire"));
	}
	for (i = 0; i < n; i++) {
		const json_t *d = json_array_get(disks, i);
		bool converted = value_text(d, "from_format");

		fputs("<tr><th scope=\"row\">disk ", f);
		html_text_n(f, file_name(d), 60);
		fputs("</th>", f);
		place_cell(f, d, "from", converted ? "from_format" : "format");
		place_cell(f, d, "to", converted ? "format" : NULL);
		number_cells(f, value_of(d, "rounds"), value_of(d, "bytes_read"), value_of(d, "bytes_wire"));
	}
	fputs("</tbody></table></div></section>\n", f);
}

static void list(FILE *f, const char *title, const json_t *strings)
{
	size_t i, n = MIN(json_array_size(strings), 300);

	if (!n)
		return;
	fprintf(f, "<h3>%s</h3>\n<ul>\n", title);
	for (i = 0; i < n; i++) {
		fputs("<li>", f);
		html_any(f, "", json_array_get(strings, i));
		fputs("</li>\n", f);
	}
	fputs("</ul>\n", f);
}

/* The members of an event that are shown elsewhere, or only by their names. */
static void members(FILE *f, const char *title, const json_t *event)
{
	static const char *const elsewhere[] = {"event",      "downtime_ms", "disks",	  "command_line", "findings", "notes",
						"afterwards", "leftovers",   "deletable", "files",	  "nics"};
	json_auto_t *rest = event ? json_copy((json_t *)event) : NULL;

	for (size_t i = 0; i < ARRAY_LEN(elsewhere); i++)
		json_object_del(rest, elsewhere[i]);
	page_members(f, title, rest);
}

static void details(FILE *f, const struct story *s)
{
	static const struct {
		const char *title, *member;
		bool of_result;
	} lists[] = {{"Disks", "disks", false},
		     {"Files that the guest only reads", "files", false},
		     {"Networks", "nics", false},
		     {"To be known before", "cautions", false},
		     {"Compared at the destination and found good", "findings", false},
		     {"What differs in the destination’s command line", "notes", false},
		     {"Notes", "notes", true},
		     {"What else is changed once the guest runs there", "afterwards", false}};
	const char *outcome = value_text(s->result, "outcome");

	fputs("<section><h2>Details</h2>\n", f);
	list(f, outcome && !strcmp(outcome, "disks-copied") ? "Kept" : "Left behind", json_object_get(s->result, "leftovers"));
	list(f, "May be deleted at the source", json_object_get(s->result, "deletable"));
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		list(f, lists[i].title, json_object_get(lists[i].of_result ? s->result : s->plan, lists[i].member));
	if (json_array_size(json_object_get(s->plan, "command_line"))) {
		page_details_begin(f, "The destination’s command line");
		list(f, "Arguments", json_object_get(s->plan, "command_line"));
		page_details_end(f);
	}
	page_details_begin(f, "All figures");
	members(f, "Result", s->result);
	members(f, "Estimate", s->estimate);
	members(f, "Plan", s->plan);
	page_details_end(f);
	fputs("</section>\n", f);
}

/* Writes when the move took place, and on which host it began. */
static void when(FILE *f, const struct story *s)
{
	double began = value_of(s->plan, "at"), ended = value_of(s->result, "at");
	const char *host = value_text(s->plan, "host") ?: value_text(s->result, "host");
	char date[SHOW_MAX];

	if (isnan(began) && isnan(ended))
		return;
	fputs("<p class=\"soft\">", f);
	if (!isnan(began))
		fprintf(f, "%s %s", s->began || s->result ? "Begun" : "Planned", show_date(date, began));
	if (!isnan(ended))
		fprintf(f, "%s %s", isnan(began) ? "Ended" : ", ended", show_date(date, ended));
	if (host) {
		fputs(", from host ", f);
		html_text_n(f, host, 80);
	}
	fputs("</p>\n", f);
}

/* The lines that the command printed, a list. */
static void to_do(FILE *f, const struct story *s)
{
	static const struct report_style plain = {"", "", "", ""};
	AUTO_FREE char *text = NULL;
	char *rest, *line;
	size_t n;
	FILE *to = s->result ? open_memstream(&text, &n) : NULL;

	if (!to)
		return;
	report_to_do(to, s->result, &plain);
	if (fclose(to) || !n)
		return;
	fputs("<section><h2>What to do now</h2>\n<ul>\n", f);
	for (rest = text; (line = strsep(&rest, "\n")) && *line;) {
		size_t word;

		line += strspn(line, " ");
		word = strcspn(line, " ");
		fputs("<li>", f);
		if (!strncmp(line + word, "  ", 2)) { /* "here      it may be deleted" */
			line[word] = '\0';
			fputs("<strong>", f);
			html_text(f, line);
			fputs(":</strong> ", f);
			line += word + 1 + strspn(line + word + 1, " ");
		}
		html_text(f, line);
		fputs("</li>\n", f);
	}
	fputs("</ul></section>\n", f);
}

int html_move_page(FILE *f, const json_t *events, bool cut, const char *input, struct err *e)
{
	struct story s = {.events = events, .cut = cut};
	AUTO_FREE char *title = NULL;
	const char *guest;

	read_story(&s);
	if (!s.plan && !s.result && !s.progress_count)
		return err_set(e, EINVAL,
			       "it has events, but neither a plan nor progress nor a result: give all lines that "
			       "`vmferry migrate --json`, or `vmferry storage --json`, printed");
	if (s.result_count > 1)
		return err_set(e, EINVAL, "it has the results of %zu moves, and a page is about one: settle, or take, one at a time",
			       s.result_count);
	guest = outcome_guest(s.plan, s.result);
	title = xasprintf("%s %s", outcome_subject(s.plan, s.result), guest ? guest : "(unnamed)");
	page_begin(f, title);
	fputs("<header><h1>", f);
	html_text_n(f, title, 120);
	fputs("</h1></header>\n<main>\n", f);
	fputs("<p class=\"lead\">", f);
	html_outcome(f, s.plan, s.result, s.began);
	fputs(s.cut ? " <span class=\"bad\">The last line of the file is cut off and was left out.</span></p>\n" : "</p>\n", f);
	when(f, &s);
	to_do(f, &s);
	timeline(f, &s);
	notices(f, &s);
	downtime(f, &s);
	carried(f, &s);
	details(f, &s);
	fputs("</main>\n", f);
	page_end(f, input);
	return 0;
}
