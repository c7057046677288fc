/* report-result.c: see report-result.h. */
#include "report-result.h"
#include "exit-code.h"
#include "json-text.h"
#include "report-text.h"
#include "shell-quote.h"
#include "util.h"

static void print_leftovers(FILE *to, const json_t *ev)
{
	json_t *v;
	size_t i;

	json_array_foreach(json_object_get(ev, "leftovers"), i, v)
		fprintf(to, "  left behind %s\n", json_string_value(v));
	if (json_object_get(ev, "kept")) {
		AUTO_FREE char *vm = shell_quote_shown(*event_text(ev, "vm") ? event_text(ev, "vm") : "VM");

		fprintf(to,
			"  then      vmferry recover %s --resume, or the same command again, goes on with what is kept; vmferry recover %s removes it\n",
			vm, vm);
	}
}

/* The script runs QEMU in the foreground, also if the guest's own line had -daemonize. */
static void print_start_script(FILE *to, const json_t *ev)
{
	AUTO_FREE char *script = shell_quote_shown(event_text(ev, "start_script"));

	fprintf(to, "  there     %s starts the guest again", event_text(ev, "start_script"));
	if (!json_object_get(ev, "unit"))
		fprintf(to, " in the foreground (in the background: systemd-run sh %s, as an ordinary user with --user)", script);
	fprintf(to, "; %s\n", event_text(ev, "after_reboot"));
}

static void print_set_aside(FILE *to, const json_t *ev, const json_t *one, const struct report_style *style)
{
	const char *from = event_text(one, "from"), *name = event_text(one, "to");
	const json_t *left = json_find(json_object_get(ev, "deletable"), "path", name);
	const char *end = strrchr(from, '/');
	char a[24];

	if (!one)
		return;
	if (end && !strncmp(from, name, (size_t)(end + 1 - from))) /* a name in the same directory needs no directory */
		name += end + 1 - from;
	fprintf(to, "  here      %s is called %s now, so that nothing starts the guest here", from, name);
	if (left)
		fprintf(to, "; it %smay be deleted%s (%s)", style->care, style->plain, event_bytes(a, left, "bytes"));
	fputc('\n', to);
}

/* A file that was reported with its new name is not reported again. */
static bool is_set_aside(const json_t *ev, const char *path)
{
	const json_t *aside = json_object_get(ev, "set_aside");

	return json_find(json_object_get(aside, "also"), "to", path) || !strcmp(event_text(aside, "to"), path);
}

static void print_changed(FILE *to, const json_t *changed)
{
	json_t *v;
	size_t i;

	json_array_foreach(json_object_get(changed, "what"), i, v)
		fprintf(to,
			"  here      another client changed %s in libvirt after the guest had gone; the destination does not have "
			"that change\n",
			json_string_value(v));
	if (json_object_get(changed, "file"))
		fprintf(to, "  here      its definition as it was changed: %s\n", event_text(changed, "file"));
}

static void print_disabled(FILE *to, const json_t *ev)
{
	json_t *v;
	size_t i;

	json_array_foreach(json_object_get(ev, "disabled"), i, v)
		fprintf(to, "  here      unit %s was stopped and disabled; to have it start the guest again, once that is back here: %s\n",
			event_text(v, "unit"), event_text(v, "again"));
}

static void print_not_done(FILE *to, const json_t *ev)
{
	if (json_object_get(ev, "after_error"))
		fprintf(to, "  there     could not be done: %s\n", event_text(ev, "after_error"));
}

static void print_warnings(FILE *to, const json_t *ev, const struct report_style *style)
{
	json_t *v;
	size_t i;

	json_array_foreach(json_object_get(ev, "warnings"), i, v)
		fprintf(to, "  %swarning%s   %s\n", style->care, style->plain, json_string_value(v));
}

void report_to_heed(FILE *to, const json_t *ev, const struct report_style *style)
{
	print_not_done(to, ev);
	print_disabled(to, ev);
	print_warnings(to, ev, style);
}

static void print_afterwards(FILE *to, const json_t *ev, const struct report_style *style)
{
	char a[24];
	json_t *v;
	size_t i;

	if (json_object_get(ev, "start_script"))
		print_start_script(to, ev);
	if (json_object_get(ev, "defined") && event_flag(ev, "transient"))
		fprintf(to, "  there     libvirt has it, transient as here, and forgets it once it is shut down\n");
	else if (json_object_get(ev, "defined"))
		fprintf(to, "  there     libvirt has it: virsh start %s%s\n", event_text(ev, "defined"),
			event_flag(ev, "autostart") ? "; it starts when that host boots" : "");
	if (json_object_get(ev, "definition_left"))
		fprintf(to, "  here      libvirt does not define it any more; its definition: %s\n", event_text(ev, "definition_left"));
	if (json_object_get(ev, "definition_changed"))
		print_changed(to, json_object_get(ev, "definition_changed"));
	print_not_done(to, ev);
	print_disabled(to, ev);
	print_set_aside(to, ev, json_object_get(ev, "set_aside"), style);
	json_array_foreach(json_object_get(json_object_get(ev, "set_aside"), "also"), i, v)
		print_set_aside(to, ev, v, style);
	if (*event_text(json_object_get(ev, "tpm_left"), "dir"))
		fprintf(to, "  here      %s has what the guest's TPM held, and may be deleted\n",
			event_text(json_object_get(ev, "tpm_left"), "dir"));
	if (json_object_get(json_object_get(ev, "tpm_left"), "pid"))
		fprintf(to, "  here      the swtpm that was its TPM, process %d, does not end by itself\n",
			(int)event_number(json_object_get(ev, "tpm_left"), "pid"));
	json_array_foreach(json_object_get(ev, "deletable"), i, v)
		if (!is_set_aside(ev, event_text(v, "path")))
			fprintf(to, "  here      %s (%s) %smay be deleted%s\n", event_text(v, "path"), event_bytes(a, v, "bytes"),
				style->care, style->plain);
	print_warnings(to, ev, style);
	print_leftovers(to, ev);
}

/* An image of a replica's point has another name than it is told here by now. */
static void print_disk(FILE *to, const json_t *d, bool is_of_point)
{
	char read[24], wire[24], kept[24];

	fprintf(to, "  disk      %s: %s, %d rounds, %s read, %s on the wire", event_text(d, is_of_point ? "from" : "to"),
		event_text(d, "format"), (int)event_number(d, "rounds"), event_bytes(read, d, "bytes_read"),
		event_bytes(wire, d, "bytes_wire"));
	if (json_object_get(d, "reuse"))
		fprintf(to, ", %s from %s", event_bytes(kept, d, "bytes_kept"), is_of_point ? "what was there" : event_text(d, "reuse"));
	else if (event_flag(d, "alike"))
		fprintf(to, ", %s from other images there", event_bytes(kept, d, "bytes_kept"));
	fputc('\n', to);
}

/* GiB of the guest that were carried; 0 in opaque mode, which does not know. */
static double gib_moved(const json_t *ev)
{
	double bytes_moved = event_number(json_object_get(ev, "ram"), "pages") * 4096;
	json_t *disk;
	size_t i;

	json_array_foreach(json_object_get(ev, "disks"), i, disk)
		bytes_moved += event_number(disk, "bytes_read");
	return !strcmp(event_text(json_object_get(ev, "ram"), "mode"), "pages") ? bytes_moved / (1 << 30) : 0;
}

#define LARGEST 3

/* Prints both agents' CPU time, and what took most of it. */
static void print_cpu(FILE *to, const json_t *ev)
{
	struct {
		const char *agent, *stage;
		double s;
	} top[LARGEST + 1] = {{NULL, NULL, 0}}, swap;
	double sum = 0, gib = gib_moved(ev);
	const char *agent, *stage;
	json_t *stages, *v;

	json_object_foreach(json_object_get(ev, "cpu_s"), agent, stages)
		json_object_foreach(stages, stage, v) {
			sum += json_number_value(v);
			top[LARGEST].agent = agent;
			top[LARGEST].stage = stage;
			top[LARGEST].s = json_number_value(v);
			for (unsigned i = LARGEST; i && top[i].s > top[i - 1].s; i--) {
				swap = top[i];
				top[i] = top[i - 1];
				top[i - 1] = swap;
			}
		}
	fprintf(to, "  cpu       %.2f s", sum);
	if (gib > 0)
		fprintf(to, ", %.2f s per GiB", sum / gib);
	for (unsigned i = 0; i < LARGEST && top[i].s > 0; i++)
		fprintf(to, "%s %s %s %.2f", i ? "," : "; most:", top[i].agent, top[i].stage, top[i].s);
	fputc('\n', to);
}

static void print_disks(FILE *to, const json_t *ev)
{
	json_t *v;
	size_t i;

	json_array_foreach(json_object_get(ev, "disks"), i, v)
		print_disk(to, v, !strcmp(event_text(ev, "how"), "replica"));
}

static void print_outages(FILE *to, const json_t *ev)
{
	const json_t *o = json_object_get(ev, "outages");
	char again[24];

	if (o)
		fprintf(to, "  outages   %d, %.1f s without a connection in all, %s sent again\n", (int)event_number(o, "count"),
			event_number(o, "ms") / 1000, event_bytes(again, o, "bytes_again"));
}

/* The head start of a guest that ran and went cold: how much was there before it went down. */
static void print_ahead(FILE *to, const json_t *ev)
{
	const json_t *ahead = json_object_get(ev, "ahead");
	int passes = (int)event_number(ahead, "passes");
	char a[24];

	if (ahead)
		fprintf(to, "  ahead     %.1f s while it ran, and until it was down: %d pass%s over its disks, %s on the wire\n",
			event_number(ahead, "ms") / 1000, passes, passes == 1 ? "" : "es", event_bytes(a, ahead, "bytes_wire"));
}

static void print_total(FILE *to, const json_t *ev)
{
	char a[24], b[24];

	if (is_in_place(ev))
		fprintf(to, "  total     %.1f s, %s carried from one process of this host to another\n",
			event_number(ev, "total_ms") / 1000, event_bytes(a, ev, "bytes_wire"));
	else
		fprintf(to, "  total     %.1f s, %s on the wire (%s/s), %s\n", event_number(ev, "total_ms") / 1000,
			event_bytes(a, ev, "bytes_wire"),
			format_bytes(b, event_number(ev, "total_ms") > 0
						? (uint64_t)(event_number(ev, "bytes_wire") / event_number(ev, "total_ms") * 1000)
						: 0),
			event_text(ev, "transport"));
	print_outages(to, ev);
}

static void print_verified(FILE *to, const json_t *ev, const char *before)
{
	if (event_flag(ev, "verified"))
		fprintf(to, "  verified  all digests matched %s before it %s\n",
			is_in_place(ev) ? "in the other QEMU" : "at the destination", before);
	else
		fprintf(to, "  verified  no%s%s\n", *event_text(ev, "unverified") ? ": " : "", event_text(ev, "unverified"));
}

static void print_cold_result(FILE *to, const json_t *ev, const struct report_style *style, bool details)
{
	fprintf(to, "%smigrated%s: the guest is at the destination, ", style->good, style->plain);
	if (json_object_get(ev, "started_pid"))
		fprintf(to, "and was started there (pid %d)\n", (int)event_number(ev, "started_pid"));
	else if (event_flag(ev, "started"))
		fputs("and libvirt has started it there\n", to);
	else
		fputs("shut down\n", to);
	print_ahead(to, ev);
	if (json_object_get(ev, "transport")) { /* else recover: what was measured died with the first agent */
		print_total(to, ev);
		if (json_object_get(ev, "away_ms"))
			fprintf(to, "  away      %.1f s, from the end of its QEMU here to its start there\n",
				event_number(ev, "away_ms") / 1000);
		if (details)
			print_disks(to, ev);
		print_verified(to, ev, "was given up here");
	}
	print_afterwards(to, ev, style);
}

/* "longer than the 300 ms allowed: recheck 194, device state 83": the two parts that took most. Disks are brought to stable storage beside the
 * memory, and count if they took longer. */
static void print_too_long(FILE *to, const json_t *d)
{
	double memory = event_number(d, "ram") + event_number(d, "recheck"),
	       disks = event_number(d, "disk") > memory ? event_number(d, "disk") : 0;
	const struct {
		const char *name;
		double ms;
	} parts[] = {{"memory", event_number(d, "ram")},
		     {"recheck", event_number(d, "recheck")},
		     {"device state", event_number(d, "device_state")},
		     {"taken over", event_number(d, "take_over")},
		     {"journals", event_number(d, "journal")},
		     {"start", event_number(d, "start")},
		     {"disks", disks}};
	size_t i, first = 0, second = 1;

	if (!json_object_get(d, "allowed") || event_number(d, "total") <= event_number(d, "allowed"))
		return;
	for (i = 1; i < sizeof(parts) / sizeof(*parts); i++) {
		if (parts[i].ms > parts[first].ms)
			second = first, first = i;
		else if (parts[i].ms > parts[second].ms)
			second = i;
	}
	fprintf(to, "            longer than the %.0f ms allowed: %s %.0f, %s %.0f\n", event_number(d, "allowed"), parts[first].name,
		parts[first].ms, parts[second].name, parts[second].ms);
}

static void print_blackout(FILE *to, const json_t *ev, bool details)
{
	const json_t *d = json_object_get(ev, "downtime_ms");

	fprintf(to, "  downtime  %.0f ms (predicted %.0f)", event_number(d, "total"), event_number(d, "predicted"));
	if (details) {
		fprintf(to, ": disks %.0f, memory %.0f", event_number(d, "disk"), event_number(d, "ram"));
		if (event_number(d, "recheck") >= 0.5)
			fprintf(to, ", recheck %.0f", event_number(d, "recheck"));
		fprintf(to, ", device state %.0f", event_number(d, "device_state"));
		if (json_object_get(d, "take_over"))
			fprintf(to, ", taken over %.0f", event_number(d, "take_over"));
		fprintf(to, ", journals %.0f, start %.0f", event_number(d, "journal"), event_number(d, "start"));
	}
	fputs("\n", to);
	print_too_long(to, d);
}

static void print_memory(FILE *to, const json_t *ev)
{
	const json_t *ram = json_object_get(ev, "ram");
	char a[24];

	fprintf(to, "  memory    mode %s, %d rounds, %.0f pages, %.0f zero pages, %.0f with the disks, %s %s\n", event_text(ram, "mode"),
		(int)event_number(ram, "rounds"), event_number(ram, "pages"), event_number(ram, "zero_pages"),
		event_number(ram, "seed_pages"), event_bytes(a, ram, "bytes_wire"), is_in_place(ev) ? "carried" : "on the wire");
	if (event_number(ram, "missed_pages") > 0)
		fprintf(to, "  memory    QEMU had left out %.0f pages that the guest has written: they were found and sent\n",
			event_number(ram, "missed_pages"));
}

static void print_shutdown(FILE *to, const json_t *ev)
{
	const json_t *d = json_object_get(ev, "downtime_ms");

	if (event_flag(ev, "forced"))
		fputs("  shutdown  none: it was stopped as if the plug was pulled (--force)\n", to);
	else if (event_number(ev, "shutdown_ms") > 0)
		fprintf(to, "  shutdown  %.1f s from when it was told to\n", event_number(ev, "shutdown_ms") / 1000);
	else
		fputs("  shutdown  by itself, before it was told to\n", to);
	fprintf(to, "  downtime  %.0f ms from then until it began to boot: disks %.0f\n", event_number(d, "total"),
		event_number(d, "disk"));
}

static void print_brought(FILE *to, const json_t *ev, const struct report_style *style, bool details)
{
	AUTO_FREE char *vm = shell_quote_shown(*event_text(ev, "vm") ? event_text(ev, "vm") : "VM");
	const char *again = event_text(ev, "move_again");
	json_t *v;
	size_t i;

	fprintf(to, "%scopied%s: the disks are at the destination, and the guest is %s\n", style->good, style->plain,
		event_text(ev, "guest_text"));
	print_total(to, ev);
	if (details)
		print_disks(to, ev);
	json_array_foreach(json_object_get(ev, "leftovers"), i, v)
		fprintf(to, "  kept      %s\n", json_string_value(v));
	fprintf(to, "  then      %s moves the guest, and carries what has changed since; vmferry recover %s removes them\n",
		*again ? again : "the same command without --only-disks", vm);
}

static void print_point(FILE *to, const json_t *ev, const struct report_style *style, bool details)
{
	fprintf(to, "%spoint %.0f%s is on stable storage at the replica, and the guest is %s\n", style->good, event_number(ev, "point"),
		style->plain, event_text(ev, "guest_text"));
	print_total(to, ev);
	if (details)
		print_disks(to, ev);
}

void report_to_do(FILE *to, const json_t *ev, const struct report_style *style)
{
	if (report_is_success(ev)) {
		print_afterwards(to, ev, style);
		return;
	}
	if (json_object_get(ev, "start_here"))
		fprintf(to, "to start the old copy here: sh %s\n", event_text(ev, "start_here"));
	print_leftovers(to, ev);
}

static void print_obstacles(FILE *to, const json_t *ev, const struct report_style *style)
{
	const json_t *list = json_object_get(ev, "obstacles");
	json_t *one;
	size_t i;

	fprintf(to, "%s%s%s: %zu things stand in the way\n", style->bad, event_text(ev, "outcome"), style->plain, json_array_size(list));
	json_array_foreach((json_t *)list, i, one)
		fprintf(to, "  %zu  %s\n", i + 1, json_string_value(one));
}

/* A move that was undone as somebody asked is no failure: recover has done its work, or the guest was wanted back. */
static bool is_as_asked(const json_t *ev)
{
	return (event_flag(ev, "by_recover") || event_flag(ev, "reverted")) && event_number(ev, "exit_code") == EXIT_SOURCE;
}

static bool leaves_nothing(const json_t *ev)
{
	return !strcmp(event_text(ev, "outcome"), "rolled-back") && event_number(ev, "exit_code") == EXIT_SOURCE &&
	       !event_flag(ev, "by_recover") && !json_object_get(ev, "start_here") && !json_array_size(json_object_get(ev, "leftovers"));
}

static void print_failure(FILE *to, const json_t *ev, const struct report_style *style)
{
	if (json_array_size(json_object_get(ev, "obstacles")) > 1)
		print_obstacles(to, ev, style);
	else
		fprintf(to, "%s%s%s: %s\n", is_as_asked(ev) ? style->good : style->bad, event_text(ev, "outcome"), style->plain,
			event_text(ev, "reason"));
	if (strcmp(event_text(ev, "guest_text"), "not found") && !event_flag(ev, "replaced")) /* the reason says what runs here */
		fprintf(to, "the guest is now: %s\n", event_text(ev, "guest_text"));
	report_to_do(to, ev, style);
	if (leaves_nothing(ev))
		fprintf(to, "nothing of %s is left%s, after %.1f s\n", is_of_disks_only(ev) ? "this attempt" : "the move",
			is_in_place(ev) ? "" : ", here or at the destination", event_number(ev, "total_ms") / 1000);
}

static void print_migrated(FILE *to, const json_t *ev, const struct report_style *style, bool details)
{
	bool was_shut_down = json_object_get(ev, "shutdown_ms");
	char a[24], b[24];

	fprintf(to, "%smigrated%s: the guest %s (pid %d)\n", style->good, style->plain,
		is_in_place(ev) ? "runs on in another QEMU of this host"
		: was_shut_down ? "boots at the destination"
				: "runs at the destination",
		(int)event_number(ev, "destination_pid"));
	print_total(to, ev);
	if (was_shut_down)
		print_shutdown(to, ev);
	else
		print_blackout(to, ev, details);
	print_verified(to, ev, "started");
	print_afterwards(to, ev, style);
	if (!details)
		return;
	print_memory(to, ev);
	print_disks(to, ev);
	fprintf(to, "  agents    %s of own memory at the source, %s at the destination\n", event_bytes(a, ev, "agent_rss_anon"),
		event_bytes(b, ev, "destination_agent_rss_anon"));
	print_cpu(to, ev);
}

bool report_is_success(const json_t *ev)
{
	const char *outcome = event_text(ev, "outcome");

	return !strcmp(outcome, "migrated") || !strcmp(outcome, "disks-copied") || !strcmp(outcome, "point-made") ||
	       !strcmp(outcome, "moved") || !strcmp(outcome, "exported") || !strcmp(outcome, "imported") || !strcmp(outcome, "recovered");
}

void report_result(FILE *to, const json_t *ev, const struct report_style *style, bool details)
{
	if (!report_is_success(ev)) {
		print_failure(to, ev, style);
	} else if (!strcmp(event_text(ev, "outcome"), "disks-copied")) {
		print_brought(to, ev, style, details);
	} else if (!strcmp(event_text(ev, "outcome"), "point-made")) {
		print_point(to, ev, style, details);
	} else if (is_cold(ev)) {
		print_cold_result(to, ev, style, details);
	} else if (!event_number(ev, "destination_pid")) { /* recover: what was measured died with the first agent */
		fprintf(to, "%smigrated%s: the guest runs at the destination\n", style->good, style->plain);
		print_afterwards(to, ev, style);
	} else {
		print_migrated(to, ev, style, details);
	}
}
