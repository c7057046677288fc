/* html-replica.c: see html-replica.h. */
#include "html-replica.h"
#include "html-page.h"
#include "html-timeline.h"
#include "html-value.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#define ROWS_SHOWN 60 /* attempts that are shown, the newest first */

bool html_is_replica(const json_t *root)
{
	return json_is_array(root) && value_text(json_array_get(root, 0), "role");
}

static void write_list(FILE *f, const char *title, const json_t *list)
{
	json_t *one;
	size_t i;

	if (!json_array_size(list))
		return;
	fprintf(f, "<h3>%s</h3>\n<ul>\n", title);
	json_array_foreach((json_t *)(uintptr_t)list, i, one) {
		fputs("<li>", f);
		html_text(f, json_string_value(one));
		fputs("</li>\n", f);
	}
	fputs("</ul>\n", f);
}

static void write_start(FILE *f, const json_t *row)
{
	const json_t *would = json_object_get(row, "would_start");

	if (!json_is_object(would))
		return;
	fprintf(f, "<h3>Would the guest start at the replica’s host?</h3>\n<p>%s",
		value_true(would, "start") ? "Yes, as far as can be seen before" : "No, as things are");
	if (value_text(would, "qemu_version")) {
		fputs("; its QEMU there is ", f);
		html_text(f, value_text(would, "qemu_version"));
	}
	fputs(".</p>\n", f);
	write_list(f, "What is in the way", json_object_get(would, "why"));
	write_list(f, "What should be known", json_object_get(would, "cautions"));
}

/* Everything of it that has no section of its own. */
static void write_members(FILE *f, const json_t *row)
{
	static const char *const elsewhere[] = {"history", "health_why", "would_start", "points", "guest", "role", "health"};
	json_auto_t *rest = json_copy((json_t *)(uintptr_t)row);

	for (size_t i = 0; i < sizeof(elsewhere) / sizeof(*elsewhere); i++)
		if (!json_is_integer(json_object_get(rest, elsewhere[i])))
			json_object_del(rest, elsewhere[i]);
	page_members(f, "What is known", rest);
}

/* ---- its attempts ---- */

static void draw(FILE *f, const json_t *history)
{
	struct timeline line = {.width = TIMELINE_WIDE, .axis = "time since the first of these attempts", .shade_from = NAN};
	struct strip *outcome = timeline_strip(&line, "attempts");
	struct series *bytes = panel_series(timeline_panel(&line, "Written between points", Q_BYTES), NULL, false);
	struct series *took = panel_series(timeline_panel(&line, "Time that a point took", Q_MS), NULL, false);
	double first = value_of(json_array_get(history, 0), "at"), at = NAN;
	json_t *o;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)history, i, o) {
		if (isnan(value_of(o, "at")) || (!isnan(at) && value_of(o, "at") * 1000 - first * 1000 < at))
			continue; /* the clock was set back */
		at = (value_of(o, "at") - first) * 1000;
		strip_add(outcome, at, value_of(o, "at_ms") > 0 ? "made" : "failed");
		series_add(bytes, at, value_of(o, "delta_bytes"));
		series_add(took, at, value_of(o, "total_ms"));
	}
	line.from = 0;
	line.to = isnan(at) ? 0 : at;
	if (!timeline_is_empty(&line))
		timeline_write(f, &line, "The last attempts to make a point");
	timeline_fini(&line);
}

static void write_attempt(FILE *f, const json_t *o)
{
	char date[SHOW_MAX], took[SHOW_MAX], written[SHOW_MAX], sent[SHOW_MAX], number[SHOW_MAX];
	bool made = value_of(o, "at_ms") > 0;

	fprintf(f, "<tr><td>%s</td><td>%s</td><td>%s</td><td>%s</td><td>%s</td><td>", show_date(date, value_of(o, "at")),
		show_number(number, made ? value_of(o, "point") : NAN), show_ms(took, value_of(o, "total_ms")),
		show_bytes(written, value_of(o, "delta_bytes")), show_bytes(sent, value_of(o, "bytes_wire")));
	if (made)
		fputs(value_true(o, "whole") ? "everything was compared" : "what was written", f);
	else
		html_text(f, value_text(o, "reason"));
	fputs("</td></tr>\n", f);
}

static void write_history(FILE *f, const json_t *history)
{
	size_t count = json_array_size(history), i;

	if (!count)
		return;
	draw(f, history);
	page_details_begin(f, "Each of them, the newest first");
	fputs("<div class=\"scroll\"><table class=\"fit\"><thead><tr><th>Ended</th><th>Point</th><th>Took</th><th>Written</th><th>Sent</th><th>As</th></tr>"
	      "</thead>\n<tbody>\n",
	      f);
	for (i = count; i-- > 0 && count - i <= ROWS_SHOWN;)
		write_attempt(f, json_array_get(history, i));
	fputs("</tbody></table></div>\n", f);
	page_details_end(f);
}

static void write_points(FILE *f, const json_t *points)
{
	char date[SHOW_MAX], number[SHOW_MAX];
	size_t count = json_array_size(points), i;

	if (!count)
		return;
	fputs("<h3>Points, the newest first</h3>\n<div class=\"scroll\"><table class=\"fit\"><thead><tr><th>Point</th><th>Its moment</th></tr></thead>\n<tbody>\n",
	      f);
	for (i = count; i-- > 0 && count - i <= ROWS_SHOWN;) {
		const json_t *o = json_array_get(points, i);

		fprintf(f, "<tr><td>%s</td><td>%s</td></tr>\n", show_number(number, value_of(o, "number")),
			show_date(date, value_of(o, "at_ms") / 1000));
	}
	fputs("</tbody></table></div>\n", f);
}

static void write_row(FILE *f, const json_t *row)
{
	const char *role = value_text(row, "role");

	fprintf(f, "<section>\n<h2>%s</h2>\n",
		!role			   ? "A replica"
		: !strcmp(role, "primary") ? "As its primary knows it"
		: !strcmp(role, "onward")  ? "Where its points go on to, as this host knows it"
					   : "At the replica’s host");
	if (value_text(row, "health")) {
		fputs("<p>Health: <b>", f);
		html_text(f, value_text(row, "health"));
		fputs("</b></p>\n", f);
	}
	if (value_true(row, "over"))
		fputs("<p>It was a replica until its guest came to stay here.</p>\n", f);
	if (value_true(row, "removed"))
		fputs("<p>Its points were removed; who was replaced is refused still.</p>\n", f);
	write_list(f, "Why", json_object_get(row, "health_why"));
	write_start(f, row);
	write_history(f, json_object_get(row, "history"));
	write_points(f, json_object_get(row, "points"));
	write_members(f, row);
	fputs("</section>\n", f);
}

int html_replica_page(FILE *f, const json_t *root, const char *input, struct err *e)
{
	const char *guest = value_text(json_array_get(root, 0), "guest");
	json_t *row;
	size_t i;

	if (!html_is_replica(root))
		return err_set(e, EINVAL, "this is not what vmferry replica status --json prints");
	page_begin(f, "Replica of a guest");
	fputs("<header><h1>Replica of guest ", f);
	html_text(f, guest);
	fputs("</h1></header>\n<main>\n", f);
	json_array_foreach((json_t *)(uintptr_t)root, i, row)
		write_row(f, row);
	fputs("</main>\n", f);
	page_end(f, input);
	return 0;
}
