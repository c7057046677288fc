/* html-outcome.c: see html-outcome.h. The same cases as in print_result() and report_storage_result(). */
#include "html-outcome.h"
#include "html-value.h"
#include "util.h"

#include <math.h>
#include <string.h>

static bool has(const json_t *event, const char *key, const char *value)
{
	const char *s = value_text(event, key);

	return s && !strcmp(s, value);
}

static bool is_of_storage(const json_t *event)
{
	const char *how = value_text(event, "how");

	return text_starts_with(how, "storage");
}

/* A bundle, or a guest out of one. */
static bool is_made_here(const json_t *event)
{
	return has(event, "how", "export") || has(event, "how", "import");
}

static bool outcome_is_storage(const json_t *plan, const json_t *result)
{
	return is_of_storage(plan) || is_of_storage(result);
}

const char *outcome_subject(const json_t *plan, const json_t *result)
{
	const json_t *event = result ?: plan;

	if (is_made_here(event))
		return has(event, "how", "export") ? "Export of guest" : "Import of guest";
	return outcome_is_storage(plan, result) ? "New disks of guest" : "Move of guest";
}

const char *outcome_guest(const json_t *plan, const json_t *result)
{
	if (value_text(plan, "guest"))
		return value_text(plan, "guest");
	/* "guest" in a move's result says where the guest is */
	return is_of_storage(result) || is_made_here(result) ? value_text(result, "guest") : NULL;
}

/* The guest's name, and how large it is as far as that is told. */
static void name_guest(FILE *f, const json_t *plan, const json_t *result)
{
	size_t disks = json_array_size(json_object_get(plan, "disks"));
	double memory = value_of(plan, "ram_bytes");
	char text[SHOW_MAX];

	if (!outcome_guest(plan, result)) {
		fputs("The guest", f);
		return;
	}
	fputs("Guest ", f);
	html_text_n(f, outcome_guest(plan, result), 80);
	if (!plan || is_made_here(plan))
		return;
	fputs(" (", f);
	if (memory > 0)
		fprintf(f, "%s of memory, ", show_bytes(text, memory));
	fprintf(f, "%zu %s)", disks, disks == 1 ? "disk" : "disks");
}

static void destination(FILE *f, const json_t *plan)
{
	if (value_true(plan, "in_place")) {
		fputs(" to another QEMU of its host", f);
	} else if (value_text(plan, "destination")) {
		fputs(" to ", f);
		html_text_n(f, value_text(plan, "destination"), 120);
	} else {
		fputs(" to the destination", f);
	}
}

/* "The reason: X." where there is one. */
static void reason(FILE *f, const json_t *result)
{
	if (!value_text(result, "reason"))
		return;
	fputs(" The reason: ", f);
	html_text(f, value_text(result, "reason"));
	fputs(".", f);
}

/* The outcome in its own word, why, and where the guest is. */
static void told_in_words(FILE *f, const json_t *result)
{
	fputs(": ", f);
	html_text(f, value_text(result, "outcome"));
	fputs(".", f);
	reason(f, result);
	fputs(" The guest is: ", f);
	html_text(f, value_text(result, "guest_text"));
	fputs(".", f);
}

/* ---- it is at the destination ---- */

/* Writes what went over the wire, and whether it was verified. before: "started". */
static void carried(FILE *f, const json_t *result, const char *before)
{
	double total = value_of(result, "total_ms"), bytes = value_of(result, "bytes_wire");
	char text[SHOW_MAX];

	fprintf(f, ". <strong>%s</strong> %s", show_bytes(text, bytes),
		value_true(result, "in_place") ? "was carried from one process to another" : "went over the wire");
	if (total > 0 && !isnan(bytes))
		fprintf(f, ", %s/s on average", show_bytes(text, bytes / total * 1000));
	if (value_true(result, "verified")) {
		fprintf(f, ". The %s found every digest equal before the guest was %s.",
			value_true(result, "in_place") ? "other QEMU" : "destination", before);
	} else if (json_object_get(result, "unverified")) {
		fputs(". <span class=\"bad\">Not verified: ", f);
		html_text(f, value_text(result, "unverified"));
		fputs(".</span>", f);
	} else {
		fputs(". <span class=\"bad\">The result does not say that it was verified.</span>", f);
	}
}

/* Text for a move that recover has settled. */
static const char unmeasured[] =
	". That was settled afterwards (vmferry recover); what was measured was lost with the agent that began the move.";

static void cold(FILE *f, const json_t *plan, const json_t *result)
{
	double pid = value_of(result, "started_pid");
	bool measured = value_text(result, "transport");
	char text[SHOW_MAX];

	fputs(" was moved", f);
	destination(f, plan);
	if (measured)
		fprintf(f, " in <strong>%s</strong>", show_ms(text, value_of(result, "total_ms")));
	if (json_object_get(result, "ahead"))
		fprintf(f, ", after its disks had gone ahead for <strong>%s</strong> while it ran,",
			show_ms(text, value_of(json_object_get(result, "ahead"), "ms")));
	if (pid > 0)
		fprintf(f, " while it was shut down, and was started there (pid %s)", show_number(text, pid));
	else if (value_true(result, "started"))
		fputs(" while it was shut down, and was started there by libvirt", f);
	else
		fputs(", where it is shut down, as it was", f);
	if (measured)
		carried(f, result, "given up here");
	else
		fputs(unmeasured, f);
}

static void migrated(FILE *f, const json_t *plan, const json_t *result)
{
	const json_t *down = json_object_get(result, "downtime_ms");
	char text[SHOW_MAX];

	if (has(result, "how", "cold")) {
		cold(f, plan, result);
		return;
	}
	if (!(value_of(result, "destination_pid") > 0)) {
		fprintf(f, " runs%s%s", value_true(result, "in_place") ? " in another QEMU of its host" : " at the destination",
			unmeasured);
		return;
	}
	fputs(" was moved", f);
	destination(f, plan);
	fprintf(f, " in <strong>%s</strong>", show_ms(text, value_of(result, "total_ms")));
	if (!json_object_get(result, "shutdown_ms"))
		fputs(" and stood still for ", f);
	else if (value_true(result, "forced"))
		fputs(", was stopped as if the plug was pulled (--force), and began to boot there after ", f);
	else if (value_of(result, "shutdown_ms") > 0)
		fprintf(f, ", was shut down in <strong>%s</strong>, and began to boot there after ",
			show_ms(text, value_of(result, "shutdown_ms")));
	else
		fputs(", shut down by itself before it was told to, and began to boot there after ", f);
	fprintf(f, "<strong>%s</strong>", show_ms(text, value_of(down, "total")));
	if (value_of(down, "predicted") > 0)
		fprintf(f, " (%s were expected)", show_ms(text, value_of(down, "predicted")));
	carried(f, result, "started");
}

/* ---- it is not, or nobody knows ---- */

static void not_migrated(FILE *f, const json_t *plan, const json_t *result)
{
	if (value_true(result, "reverted")) {
		fputs(" was moved", f);
		destination(f, plan);
		fputs(", and was had back, as asked. It is ", f);
		html_text(f, value_text(result, "guest_text"));
		fputs(".", f);
		return;
	}
	fputs(has(result, "how", "disks") ? " stays, and its disks were <strong class=\"bad\">not copied</strong>"
					  : " was <strong class=\"bad\">not moved</strong>",
	      f);
	destination(f, plan);
	told_in_words(f, result);
}

static void undecided(FILE *f, const json_t *plan, const json_t *result)
{
	fputs(" was to be moved", f);
	destination(f, plan);
	fputs(", and <strong class=\"bad\">it is not known where it is</strong>. Until that is settled start no copy of it by hand, and delete "
	      "nothing. The guest is: ",
	      f);
	html_text(f, value_text(result, "guest_text"));
	fputs(".", f);
	reason(f, result);
}

static void brought(FILE *f, const json_t *plan, const json_t *result)
{
	fputs(" stays: its disks were copied", f);
	destination(f, plan);
	fputs(", where they are kept for a move to come. It is ", f);
	html_text(f, value_text(result, "guest_text"));
	fputs(".", f);
}

/* ---- disks alone ---- */

static void has_new_disks(FILE *f, const json_t *result)
{
	double held = value_of(result, "held_ms");
	char text[SHOW_MAX];

	fprintf(f, " has its new disks after <strong>%s</strong>: ", show_ms(text, value_of(result, "total_ms")));
	html_text(f, value_text(result, "guest_text"));
	if (held > 0)
		fprintf(f, ". Requests to these disks waited for <strong>%s</strong>", show_ms(text, held));
	fputs(value_true(result, "verified") ? ". Each new image was compared, and is the old one, bit for bit."
					     : ". That the images are the same is QEMU’s word.",
	      f);
	if (value_text(result, "script")) {
		fputs(" It is started from them by ", f);
		html_text_n(f, value_text(result, "script"), 200);
		fputs(".", f);
	} else {
		fputs(" <strong class=\"bad\">What starts the guest again is not known</strong>, and has to be told of the new images: ",
		      f);
		html_text(f, value_text(result, "script_unknown"));
		fputs(".", f);
	}
}

static void has_old_disks(FILE *f, const json_t *result)
{
	if (has(result, "outcome", "undecided"))
		fputs(": <strong class=\"bad\">it is not known which disks it has</strong>. Delete nothing. It ended as", f);
	else if (value_true(result, "mixed"))
		fputs(": <strong class=\"bad\">some of its disks</strong> are at their new places, and others are not. It ended as", f);
	else
		fputs(" <strong class=\"bad\">keeps its disks</strong> where they were", f);
	told_in_words(f, result);
}

/* ---- a bundle, or a guest out of one ---- */

static void show_rows(FILE *f, const json_t *event)
{
	json_t *row;
	size_t i;

	json_array_foreach(json_object_get(event, "rows"), i, row) {
		fputs("<br>", f);
		html_text_n(f, json_string_value(json_array_get(row, 0)) ?: "", 40);
		fputs(": ", f);
		html_text_n(f, json_string_value(json_array_get(row, 1)) ?: "", 400);
	}
}

static void made_here(FILE *f, const json_t *plan, const json_t *result)
{
	char text[SHOW_MAX];

	if (has(result, "outcome", "exported") || has(result, "outcome", "imported")) {
		fprintf(f, " was <strong>%s</strong> to ", value_text(result, "outcome"));
		html_text_n(f, value_text(result, "to") ?: "a stream", 200);
		fprintf(f, " in %s.", show_ms(text, value_of(result, "total_ms")));
	} else {
		fputs(": <strong class=\"bad\">", f);
		html_text(f, value_text(result, "outcome"));
		fputs("</strong>.", f);
		reason(f, result);
		fputs(" After it: ", f);
		html_text(f, value_text(result, "guest_text"));
		fputs(".", f);
	}
	show_rows(f, plan);
	show_rows(f, result);
}

/* ---- all ---- */

static void said(FILE *f, const json_t *plan, const json_t *result)
{
	if (is_made_here(result))
		made_here(f, plan, result);
	else if (outcome_is_storage(plan, result))
		(has(result, "outcome", "moved") ? has_new_disks : has_old_disks)(f, result);
	else if (has(result, "outcome", "migrated"))
		migrated(f, plan, result);
	else if (has(result, "outcome", "disks-copied"))
		brought(f, plan, result);
	else if (has(result, "outcome", "undecided"))
		undecided(f, plan, result);
	else
		not_migrated(f, plan, result);
}

static void unsaid(FILE *f, const json_t *plan, bool began)
{
	bool here = is_made_here(plan), disks = is_of_storage(plan) || has(plan, "how", "disks");

	if (here) {
		fputs(began ? ": this is not finished, or was cut off: these events have no result." : ": this is what would be done.", f);
		show_rows(f, plan);
		return;
	}
	if (began)
		fputs(disks ? ": its disks are being copied" : " is being moved", f);
	else
		fputs(disks ? ": this is what copying its disks" : ": this is what a move", f);
	if (!is_of_storage(plan))
		destination(f, plan);
	fputs(!began  ? " would do; nothing was done."
	      : disks ? ", or that was cut off: these events have no result."
		      : ", or its move was cut off: these events have no result.",
	      f);
}

void html_outcome(FILE *f, const json_t *plan, const json_t *result, bool began)
{
	name_guest(f, plan, result);
	if (result)
		said(f, plan, result);
	else
		unsaid(f, plan, began);
}
