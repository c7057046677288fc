/* report.c: see report.h. A dead terminal must not end a move, nor one that nobody reads delay it: output.h. */
#include "output.h"
#include "report.h"
#include "report-progress.h"
#include "report-storage.h"
#include "json-text.h"
#include "log.h"
#include "util.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *str(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static double num(const json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}

static const char *bytes(char buf[24], const json_t *o, const char *key)
{
	return format_bytes(buf, (uint64_t)num(o, key));
}

/* ---- one printer per kind of event ---- */

static void print_file(FILE *to, const json_t *f)
{
	const char *transfer = str(f, "transfer");
	char a[24];

	fprintf(to, "  file    %s (%s, %s)", str(f, "from"), str(f, "role"), bytes(a, f, "size"));
	if (!strcmp(transfer, "copy"))
		fprintf(to, " -> %s\n", str(f, "to"));
	else if (!strcmp(transfer, "eject"))
		fputs(": not taken along, its drive is empty there\n", to);
	else if (strcmp(str(f, "kind"), "file") && *str(f, "kind"))
		fprintf(to, " is there; nobody has compared it, as it is a %s here\n", str(f, "kind"));
	else
		fputs(json_is_true(json_object_get(f, "other")) ? " is there, though with other content\n" : " is there already\n", to);
}

/* "bridge br0" */
static const char *attachment(char *buf, size_t cap, const char *type, const char *to)
{
	snprintf(buf, cap, "%s%s%s", type, *to ? " " : "", to);
	return buf;
}

static void print_nic(FILE *to, const json_t *n)
{
	const char *name = str(n, "netdev"), *model = str(n, "model"), *mac = str(n, "mac");
	char here[128], there[128];

	fprintf(to, "  nic     %s (%s%s%s): %s -> %s\n", *name ? name : "?", *model ? model : "no device", *mac ? ", " : "", mac,
		attachment(here, sizeof(here), str(n, "type"), str(n, "attach")),
		attachment(there, sizeof(there), str(n, "to_type"), str(n, "to_attach")));
}

/* The guest is shut down, and stays so. */
static bool is_cold(const json_t *ev)
{
	return !strcmp(str(ev, "how"), "cold");
}

/* It is shut down, and boots there. */
static bool is_warm(const json_t *ev)
{
	return !strcmp(str(ev, "how"), "warm");
}

/* It stays, and its disks are brought. */
static bool is_of_disks_only(const json_t *ev)
{
	return !strcmp(str(ev, "how"), "disks");
}

/* Its memory goes nowhere. */
static bool is_storage(const json_t *ev)
{
	return !strncmp(str(ev, "how"), "storage", strlen("storage"));
}

/* To another QEMU of this host. */
static bool is_in_place(const json_t *ev)
{
	return json_is_true(json_object_get(ev, "in_place"));
}

static bool is_without_memory(const json_t *ev)
{
	return is_cold(ev) || is_warm(ev) || is_of_disks_only(ev) || is_storage(ev);
}

static void print_staying(FILE *to, const json_t *d, bool in_place)
{
	char a[24];

	bool by_word = json_is_true(json_object_get(d, "by_word"));

	fprintf(to, "  disk    %s (%s, %s) stays where it is%s", str(d, "from"), str(d, "format"), bytes(a, d, "virtual_size"),
		in_place  ? ""
		: by_word ? ", as you say that the destination sees the same one"
			  : ": the destination sees the same file");
	if (strcmp(str(d, "from"), str(d, "to")))
		fprintf(to, " as %s", str(d, "to"));
	fputs("\n", to);
}

/* "          with its dirty bitmaps: daily, weekly" */
static void print_disk_plan(FILE *to, const json_t *d, bool in_place)
{
	char a[24], b[24];

	if (!strcmp(str(d, "transfer"), "shared")) {
		print_staying(to, d, in_place);
		return;
	}
	if (!strcmp(str(d, "transfer"), "empty")) {
		fprintf(to, "  disk    %s (%s) is left behind -> %s, an empty one of %s\n", str(d, "from"), str(d, "format"), str(d, "to"),
			bytes(a, d, "virtual_size"));
		return;
	}
	fprintf(to, "  disk    %s (%s, %s, %s in use) -> %s, copied%s", str(d, "from"), str(d, "format"), bytes(a, d, "virtual_size"),
		bytes(b, d, "allocated"), str(d, "to"),
		json_is_true(json_object_get(d, "flatten")) ? " with its backing files into one image" : "");
	if (json_is_true(json_object_get(d, "device")))
		fprintf(to, " onto that block device, which is cleared first\n");
	else
		fprintf(to, " as it is not there, mode %s, owner %s\n", str(d, "mode"), str(d, "owner"));
	report_bitmaps(to, d);
	if (json_is_true(json_object_get(d, "begun")))
		fprintf(to, "          goes on from what an earlier move has left of it: %s\n", str(d, "reuse"));
	else if (json_is_true(json_object_get(d, "replaces")))
		fprintf(to, "          what is the same in the old copy there does not travel; it is deleted once the guest runs there\n");
	else if (json_object_get(d, "reuse"))
		fprintf(to, "          what is the same in %s there does not travel\n", str(d, "reuse"));
}

static void print_plan(FILE *to, const json_t *ev)
{
	json_t *v;
	size_t i;
	char a[24];

	if (is_cold(ev))
		fprintf(to, "moving guest %s, which is shut down, to %s\n", str(ev, "guest"), str(ev, "destination"));
	else if (is_of_disks_only(ev))
		fprintf(to, "copying the disks of guest %s (pid %d, QEMU %s), which stays here, to %s\n", str(ev, "guest"),
			(int)num(ev, "pid"), str(ev, "qemu_version"), str(ev, "destination"));
	else
		fprintf(to, "moving guest %s (pid %d, %s, %s of memory, QEMU %s) to %s%s\n", str(ev, "guest"), (int)num(ev, "pid"),
			str(ev, "machine"), bytes(a, ev, "ram_bytes"), str(ev, "qemu_version"),
			is_in_place(ev) ? "another process, in its place, of QEMU " : str(ev, "destination"),
			is_in_place(ev) ? str(ev, "destination_qemu_version") : "");
	if (is_warm(ev))
		fputs("  it runs on while its disks are copied, is then told to shut down, and boots there\n", to);
	json_array_foreach(json_object_get(ev, "disks"), i, v)
		print_disk_plan(to, v, is_in_place(ev));
	if (is_of_disks_only(ev))
		return;
	if (!is_cold(ev) && !is_warm(ev))
		fprintf(to, "  memory  %s\n", str(ev, "ram_mode"));
	json_array_foreach(json_object_get(ev, "files"), i, v)
		print_file(to, v);
	json_array_foreach(json_object_get(ev, "programs"), i, v)
		fprintf(to, "  runs    %s there, by QEMU\n", json_string_value(v));
	json_array_foreach(json_object_get(ev, "nics"), i, v)
		print_nic(to, v);
	json_array_foreach(json_object_get(ev, "findings"), i, v)
		fprintf(to, "  there   %s\n", json_string_value(v));
	json_array_foreach(json_object_get(ev, "notes"), i, v)
		fprintf(to, "  change  %s\n", json_string_value(v));
	json_array_foreach(json_object_get(ev, "afterwards"), i, v)
		fprintf(to, "  after   %s\n", json_string_value(v));
	json_array_foreach(json_object_get(ev, "warnings"), i, v)
		fprintf(to, "  warning %s\n", json_string_value(v));
}

/* How long the guest is not to be had. */
static void print_away(FILE *to, double ms)
{
	if (ms < 1000)
		fprintf(to, "away for %.0f ms", ms);
	else
		fprintf(to, "away for %.*f s", ms < 10000 ? 1 : 0, ms / 1000);
}

static void print_kinds(FILE *to, const json_t *kinds)
{
	json_t *v;
	size_t i;
	char a[24];

	json_array_foreach(kinds, i, v) {
		fprintf(to, "  %-7s %.*f s, %s, ", str(v, "how"), num(v, "total_s") < 10 ? 1 : 0, num(v, "total_s"),
			bytes(a, v, "bytes_wire"));
		print_away(to, num(v, "away_ms"));
		fprintf(to, "%s: %s%s\n", is_cold(v) || is_warm(v) ? ", and its shutdown and boot" : "", str(v, "why"),
			json_is_true(json_object_get(v, "proposed")) ? "; the best here" : "");
	}
}

static bool is_over_its_limit(const json_t *ev)
{
	return json_object_get(ev, "max_downtime_ms") && num(ev, "downtime_ms") > num(ev, "max_downtime_ms");
}

static void print_estimate(FILE *to, const json_t *ev)
{
	const char *not_sampled = json_string_value(json_object_get(ev, "memory_not_sampled"));
	char a[24], b[24], c[24];

	fprintf(to, "  link    %s/s, round trip %.2f ms", bytes(a, ev, "link_bps"), num(ev, "round_trip_ms"));
	if (is_without_memory(ev))
		fputc('\n', to);
	else
		fprintf(to, "; the guest writes %s/s of memory\n", bytes(b, ev, "dirty_bps"));
	if (is_without_memory(ev))
		fprintf(to, "  holds   %s on disks\n", bytes(b, ev, "disk_bytes"));
	else if (not_sampled)
		fprintf(to, "  holds   %s of memory, taken to be like its disks (%s), and %s on disks\n", bytes(a, ev, "ram_bytes"),
			not_sampled, bytes(b, ev, "disk_bytes"));
	else
		fprintf(to, "  holds   %s of memory, %.0f %% of it zeros and %.0f %% of the rest on a disk, too, and %s on disks\n",
			bytes(a, ev, "ram_bytes"), 100 * num(ev, "zero"), 100 * num(ev, "seeded"), bytes(b, ev, "disk_bytes"));
	print_kinds(to, json_object_get(ev, "kinds"));
	if (!json_is_true(json_object_get(ev, "converges"))) {
		fprintf(to, "  about   it writes too fast for this link: say what is to be done about that (--on-stall)\n");
		return;
	}
	fprintf(to, "  about   %s on the wire", bytes(a, ev, "bytes_wire"));
	if (num(ev, "bytes_wire_most") > num(ev, "bytes_wire_least"))
		fprintf(to, " (%s to %s, by what codec is chosen)", bytes(b, ev, "bytes_wire_least"), bytes(c, ev, "bytes_wire_most"));
	fprintf(to, " in %.*f s, as fast as the ", num(ev, "total_s") < 10 ? 1 : 0, num(ev, "total_s"));
	if (!strcmp(str(ev, "limited_by"), "storage"))
		fprintf(to, "storage there takes it, %s/s", bytes(a, ev, "store_bps"));
	else
		fprintf(to, "%s", strcmp(str(ev, "limited_by"), "link") ? "processors allow" : "link allows");
	if (is_cold(ev))
		fputs("; the guest stays shut down\n", to);
	else if (is_of_disks_only(ev))
		fputs("; the guest stays here\n", to);
	else if (is_warm(ev))
		fprintf(to, ", and %.0f ms of downtime beside its shutdown and boot\n", num(ev, "downtime_ms"));
	else
		fprintf(to, ", and %.0f ms of downtime%s\n", num(ev, "downtime_ms"),
			is_over_its_limit(ev) ? ", more than is allowed (--max-downtime): no waiting makes it shorter" : "");
}

static void print_leftovers(FILE *to, const json_t *ev)
{
	json_t *v;
	size_t i;

	json_array_foreach(json_object_get(ev, "leftovers"), i, v)
		fprintf(to, "  left behind %s\n", json_string_value(v));
	if (json_object_get(ev, "kept"))
		fputs("  then      vmferry recover VM --resume, or the same vmferry migrate again, goes on with what is kept; vmferry recover VM "
		      "removes it\n",
		      to);
}

static void print_set_aside(FILE *to, const json_t *one)
{
	if (one)
		fprintf(to, "  here      %s is called %s now, so that nothing starts the guest here\n", str(one, "from"), str(one, "to"));
}

static void print_afterwards(FILE *to, const json_t *ev)
{
	char a[24];
	json_t *v;
	size_t i;

	if (json_object_get(ev, "start_script"))
		fprintf(to, "  there     %s starts the guest again; %s\n", str(ev, "start_script"), str(ev, "after_reboot"));
	if (json_object_get(ev, "after_error"))
		fprintf(to, "  there     could not be done: %s\n", str(ev, "after_error"));
	json_array_foreach(json_object_get(ev, "disabled"), i, v)
		fprintf(to, "  here      unit %s was stopped and disabled; to have it back: %s\n", str(v, "unit"), str(v, "again"));
	print_set_aside(to, json_object_get(ev, "set_aside"));
	json_array_foreach(json_object_get(json_object_get(ev, "set_aside"), "also"), i, v)
		print_set_aside(to, v);
	if (*str(json_object_get(ev, "tpm_left"), "dir"))
		fprintf(to, "  here      %s has what the guest's TPM held, and may be deleted\n",
			str(json_object_get(ev, "tpm_left"), "dir"));
	if (json_object_get(json_object_get(ev, "tpm_left"), "pid"))
		fprintf(to, "  here      the swtpm that was its TPM, process %d, does not end by itself\n",
			(int)num(json_object_get(ev, "tpm_left"), "pid"));
	json_array_foreach(json_object_get(ev, "deletable"), i, v)
		fprintf(to, "  here      %s (%s) may be deleted\n", str(v, "path"), bytes(a, v, "bytes"));
	json_array_foreach(json_object_get(ev, "warnings"), i, v)
		fprintf(to, "  warning   %s\n", json_string_value(v));
	print_leftovers(to, ev);
}

static void print_disk(FILE *to, const json_t *d)
{
	char read[24], wire[24], kept[24];

	fprintf(to, "  disk      %s: %s, %d rounds, %s read, %s on the wire", str(d, "to"), str(d, "format"), (int)num(d, "rounds"),
		bytes(read, d, "bytes_read"), bytes(wire, d, "bytes_wire"));
	if (json_object_get(d, "reuse"))
		fprintf(to, ", %s from %s", bytes(kept, d, "bytes_kept"), str(d, "reuse"));
	fputc('\n', to);
}

/* GiB of the guest that were carried; 0 in opaque mode, which does not know. */
static double gib_moved(const json_t *ev)
{
	double bytes_moved = num(json_object_get(ev, "ram"), "pages") * 4096;
	json_t *disk;
	size_t i;

	json_array_foreach(json_object_get(ev, "disks"), i, disk)
		bytes_moved += num(disk, "bytes_read");
	return !strcmp(str(json_object_get(ev, "ram"), "mode"), "pages") ? bytes_moved / (1 << 30) : 0;
}

#define LARGEST 3

/* Both agents' CPU time, and for what most of it went. */
static void print_cpu(FILE *to, const json_t *ev)
{
	struct {
		const char *agent, *stage;
		double s;
	} top[LARGEST + 1] = {{NULL, NULL, 0}}, swap;
	double sum = 0, gib = gib_moved(ev);
	const char *agent, *stage;
	json_t *stages, *v;
	unsigned i;

	json_object_foreach(json_object_get(ev, "cpu_s"), agent, stages)
		json_object_foreach(stages, stage, v) {
			sum += json_number_value(v);
			top[LARGEST].agent = agent;
			top[LARGEST].stage = stage;
			top[LARGEST].s = json_number_value(v);
			for (i = LARGEST; i && top[i].s > top[i - 1].s; i--) {
				swap = top[i];
				top[i] = top[i - 1];
				top[i - 1] = swap;
			}
		}
	fprintf(to, "  cpu       %.2f s", sum);
	if (gib > 0)
		fprintf(to, ", %.2f s per GiB", sum / gib);
	for (i = 0; i < LARGEST && top[i].s > 0; i++)
		fprintf(to, "%s %s %s %.2f", i ? "," : "; most:", top[i].agent, top[i].stage, top[i].s);
	fputc('\n', to);
}

static void print_disks(FILE *to, const json_t *ev)
{
	json_t *v;
	size_t i;

	json_array_foreach(json_object_get(ev, "disks"), i, v)
		print_disk(to, v);
}

static void print_outages(FILE *to, const json_t *ev)
{
	const json_t *o = json_object_get(ev, "outages");
	char again[24];

	if (o)
		fprintf(to, "  outages   %d, %.1f s without a connection in all, %s sent again\n", (int)num(o, "count"),
			num(o, "ms") / 1000, bytes(again, o, "bytes_again"));
}

static void print_total(FILE *to, const json_t *ev)
{
	char a[24], b[24];

	if (is_in_place(ev))
		fprintf(to, "  total     %.1f s, %s carried from one process of this host to another\n", num(ev, "total_ms") / 1000,
			bytes(a, ev, "bytes_wire"));
	else
		fprintf(to, "  total     %.1f s, %s on the wire (%s/s), %s\n", num(ev, "total_ms") / 1000, bytes(a, ev, "bytes_wire"),
			format_bytes(b, num(ev, "total_ms") > 0 ? (uint64_t)(num(ev, "bytes_wire") / num(ev, "total_ms") * 1000) : 0),
			str(ev, "transport"));
	print_outages(to, ev);
}

static void print_verified(FILE *to, const json_t *ev, const char *before)
{
	if (json_is_true(json_object_get(ev, "verified")))
		fprintf(to, "  verified  all digests matched %s before it %s\n",
			is_in_place(ev) ? "in the other QEMU" : "at the destination", before);
	else
		fprintf(to, "  verified  no%s%s\n", *str(ev, "unverified") ? ": " : "", str(ev, "unverified"));
}

static void print_cold_result(FILE *to, const json_t *ev)
{
	if (json_object_get(ev, "started_pid"))
		fprintf(to, "migrated: the guest is at the destination, and was started there (pid %d)\n", (int)num(ev, "started_pid"));
	else
		fputs("migrated: the guest is at the destination, shut down\n", to);
	if (json_object_get(ev, "transport")) { /* else recover: what was measured died with the first agent */
		print_total(to, ev);
		print_disks(to, ev);
		print_verified(to, ev, "was given up here");
	}
	print_afterwards(to, ev);
}

/* "longer than the 300 ms allowed: recheck 194, device state 83": the two parts that took most. Disks are brought to stable storage beside the
 * memory, and count if they took longer. */
static void print_too_long(FILE *to, const json_t *d)
{
	double memory = num(d, "ram") + num(d, "recheck"), disks = num(d, "disk") > memory ? num(d, "disk") : 0;
	const struct {
		const char *name;
		double ms;
	} parts[] = {{"memory", num(d, "ram")},	      {"recheck", num(d, "recheck")}, {"device state", num(d, "device_state")},
		     {"journals", num(d, "journal")}, {"start", num(d, "start")},     {"disks", disks}};
	size_t i, first = 0, second = 1;

	if (!json_object_get(d, "allowed") || num(d, "total") <= num(d, "allowed"))
		return;
	for (i = 1; i < sizeof(parts) / sizeof(*parts); i++) {
		if (parts[i].ms > parts[first].ms)
			second = first, first = i;
		else if (parts[i].ms > parts[second].ms)
			second = i;
	}
	fprintf(to, "            longer than the %.0f ms allowed: %s %.0f, %s %.0f\n", num(d, "allowed"), parts[first].name,
		parts[first].ms, parts[second].name, parts[second].ms);
}

static void print_blackout(FILE *to, const json_t *ev)
{
	const json_t *d = json_object_get(ev, "downtime_ms"), *ram = json_object_get(ev, "ram");
	char a[24], checked[48] = "";

	if (num(d, "recheck") >= 0.5)
		snprintf(checked, sizeof(checked), ", recheck %.0f", num(d, "recheck"));
	fprintf(to, "  downtime  %.0f ms (predicted %.0f): disks %.0f, memory %.0f%s, device state %.0f, journals %.0f, start %.0f\n",
		num(d, "total"), num(d, "predicted"), num(d, "disk"), num(d, "ram"), checked, num(d, "device_state"), num(d, "journal"),
		num(d, "start"));
	print_too_long(to, d);
	fprintf(to, "  memory    mode %s, %d rounds, %.0f pages, %.0f zero pages, %.0f with the disks, %s %s\n", str(ram, "mode"),
		(int)num(ram, "rounds"), num(ram, "pages"), num(ram, "zero_pages"), num(ram, "seed_pages"), bytes(a, ram, "bytes_wire"),
		is_in_place(ev) ? "carried" : "on the wire");
	if (num(ram, "missed_pages") > 0)
		fprintf(to,
			"  memory    QEMU had left out %.0f pages that the guest has written: found in its memory when it stood, and sent\n",
			num(ram, "missed_pages"));
}

static void print_shutdown(FILE *to, const json_t *ev)
{
	const json_t *d = json_object_get(ev, "downtime_ms");

	if (json_is_true(json_object_get(ev, "forced")))
		fputs("  shutdown  none: it was stopped as if the plug was pulled (--force)\n", to);
	else if (num(ev, "shutdown_ms") > 0)
		fprintf(to, "  shutdown  %.1f s from when it was told to\n", num(ev, "shutdown_ms") / 1000);
	else
		fputs("  shutdown  by itself, before it was told to\n", to);
	fprintf(to, "  downtime  %.0f ms from then until it began to boot: disks %.0f\n", num(d, "total"), num(d, "disk"));
}

static void print_brought(FILE *to, const json_t *ev)
{
	json_t *v;
	size_t i;

	fprintf(to, "copied: the disks are at the destination, and the guest is %s\n", str(ev, "guest_text"));
	print_total(to, ev);
	print_disks(to, ev);
	json_array_foreach(json_object_get(ev, "leftovers"), i, v)
		fprintf(to, "  kept      %s\n", json_string_value(v));
	fputs("  then      vmferry migrate, without --only-disks, moves the guest, and carries what has changed since; vmferry recover VM removes "
	      "them\n",
	      to);
}

static void print_obstacles(FILE *to, const json_t *ev)
{
	const json_t *list = json_object_get(ev, "obstacles");
	json_t *one;
	size_t i;

	fprintf(to, "%s: %zu things stand in the way\n", str(ev, "outcome"), json_array_size(list));
	json_array_foreach((json_t *)list, i, one)
		fprintf(to, "  %zu  %s\n", i + 1, json_string_value(one));
}

static void print_result(FILE *to, const json_t *ev)
{
	char a[24], b[24];

	if (!strcmp(str(ev, "outcome"), "disks-copied")) {
		print_brought(to, ev);
		return;
	}
	if (strcmp(str(ev, "outcome"), "migrated")) {
		if (json_array_size(json_object_get(ev, "obstacles")) > 1)
			print_obstacles(to, ev);
		else
			fprintf(to, "%s: %s\n", str(ev, "outcome"), str(ev, "reason"));
		if (strcmp(str(ev, "guest_text"), "not found"))
			fprintf(to, "the guest is now: %s\n", str(ev, "guest_text"));
		print_leftovers(to, ev);
		return;
	}
	if (is_cold(ev)) {
		print_cold_result(to, ev);
		return;
	}
	if (!num(ev, "destination_pid")) { /* recover: what was measured died with the first agent */
		fputs("migrated: the guest runs at the destination\n", to);
		print_afterwards(to, ev);
		return;
	}
	fprintf(to, "migrated: the guest %s (pid %d)\n",
		is_in_place(ev) ? "runs on in another QEMU of this host"
		: is_warm(ev)	? "boots at the destination"
				: "runs at the destination",
		(int)num(ev, "destination_pid"));
	print_total(to, ev);
	if (is_warm(ev))
		print_shutdown(to, ev);
	else
		print_blackout(to, ev);
	print_disks(to, ev);
	print_verified(to, ev, "started");
	fprintf(to, "  agents    %s of own memory at the source, %s at the destination\n", bytes(a, ev, "agent_rss_anon"),
		bytes(b, ev, "destination_agent_rss_anon"));
	print_cpu(to, ev);
	print_afterwards(to, ev);
}

/* Names and sentences come from guests and from the other host: their control characters are not for the terminal. */
static void clean(json_t *v)
{
	json_t *member;
	const char *key;
	char *copy;
	size_t i;

	if (json_is_string(v)) {
		copy = xstrdup(json_string_value(v));
		text_make_printable(copy, false);
		json_string_set(v, copy);
		free(copy);
	}
	json_array_foreach(v, i, member)
		clean(member);
	json_object_foreach(v, key, member)
		clean(member);
}

static void show_progress(struct report *r, const json_t *ev)
{
	char *text;
	size_t n;
	FILE *to;
	unsigned logged = log_lines();
	int lines = logged == r->logged ? r->lines : 0;

	if (!r->block && !json_is_true(json_object_get(ev, "second")))
		return;
	to = open_memstream(&text, &n);
	if (!to)
		return;
	if (r->block)
		report_progress_block(to, ev, !is_without_memory(ev), &lines);
	else
		report_progress_line(to, ev);
	fclose(to);
	if (output_put(2, OUTPUT_PASSING, text, n))
		r->lines = lines, r->logged = logged;
	free(text);
}

static void show(struct report *r, const json_t *ev)
{
	const char *kind = str(ev, "event");
	char *text;
	size_t n;
	FILE *to;

	if (!strcmp(kind, "progress")) {
		show_progress(r, ev);
		return;
	}
	to = open_memstream(&text, &n);
	if (!to)
		return;
	r->lines = 0; /* what follows stands below the last progress */
	if (!strcmp(kind, "plan") && is_storage(ev))
		report_storage_plan(to, ev);
	else if (!strcmp(kind, "result") && is_storage(ev))
		report_storage_result(to, ev);
	else if (!strcmp(kind, "plan") && !r->quiet_plan)
		print_plan(to, ev);
	else if (!strcmp(kind, "estimate"))
		print_estimate(to, ev);
	else if (!strcmp(kind, "notice"))
		fprintf(to, "%s\n", str(ev, "text"));
	else if (!strcmp(kind, "result"))
		print_result(to, ev);
	fclose(to);
	output_put(2, !strcmp(kind, "result") ? OUTPUT_LAST : OUTPUT_TEXT, text, n);
	free(text);
}

/* Of a reader that is too slow: progress is lost first, then other events, the result never. */
static void put_json(struct report *r, const json_t *event, const char *line)
{
	const char *kind = str(event, "event");
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
}

void report_emit(struct report *r, json_t *event)
{
	char *line = json_text_dump(event, JSON_COMPACT | JSON_REAL_PRECISION(9));
	json_t *shown;

	if (line) {
		if (r->json && !r->quiet)
			put_json(r, event, line);
		if (!r->json && !r->quiet) {
			shown = json_deep_copy(event);
			clean(shown);
			show(r, shown);
			json_decref(shown);
		}
		if (r->follow)
			r->follow(r->ctx, line);
	}
	free(line);
	json_decref(event);
}

double report_eta_s(uint64_t left, double rate_bps)
{
	return rate_bps >= 1024 ? (double)left / rate_bps : 0;
}

void report_notice(struct report *r, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	report_emit(r, json_pack("{s:s,s:s}", "event", "notice", "text", text));
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
