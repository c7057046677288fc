/* report-plan.c: see report-plan.h. */
#include "report-plan.h"
#include "moment.h"
#include "report-storage.h"
#include "report-text.h"

struct plan {
	FILE *to;
	const json_t *ev;
	bool details;
	size_t hidden; /* lines that only details have */
};

/* A line that nobody has to read is printed with details alone; otherwise it is counted. */
static bool is_shown(struct plan *p)
{
	p->hidden += !p->details;
	return p->details;
}

static void print_file(struct plan *p, const json_t *f)
{
	const char *transfer = event_text(f, "transfer"), *kind = event_text(f, "kind");
	bool copied = !strcmp(transfer, "copy"), ejected = !strcmp(transfer, "eject"), unknown = *kind && strcmp(kind, "file") != 0;
	bool renamed = !ejected && strcmp(event_text(f, "from"), event_text(f, "to")) != 0;
	char a[24];

	if (!copied && !ejected && !unknown && !renamed && !event_flag(f, "other") && !is_shown(p))
		return;
	fprintf(p->to, "  file     %s (%s, %s)", event_text(f, "from"), event_text(f, "role"), event_bytes(a, f, "size"));
	if (copied)
		fprintf(p->to, " -> %s\n", event_text(f, "to"));
	else if (ejected)
		fputs(": not taken along, its drive is empty there\n", p->to);
	else if (unknown)
		fprintf(p->to, " is there; its contents were not compared, as it is a %s here\n", kind);
	else if (renamed)
		fprintf(p->to, " is there already, as %s\n", event_text(f, "to"));
	else
		fputs(event_flag(f, "other") ? " is there, though with other content\n" : " is there already\n", p->to);
}

/* "bridge br0" */
static const char *attachment(char *buf, size_t cap, const char *type, const char *to)
{
	snprintf(buf, cap, "%s%s%s", type, *to ? " " : "", to);
	return buf;
}

static void print_nic(struct plan *p, const json_t *n, size_t number)
{
	const char *name = event_text(n, "netdev"), *model = event_text(n, "model"), *mac = event_text(n, "mac");
	char here[128], there[128];

	attachment(here, sizeof(here), event_text(n, "type"), event_text(n, "attach"));
	attachment(there, sizeof(there), event_text(n, "to_type"), event_text(n, "to_attach"));
	if (*name)
		fprintf(p->to, "  network  %s", name);
	else
		fprintf(p->to, "  network  #%zu", number);
	if (p->details && (*model || *mac))
		fprintf(p->to, " (%s%s%s)", model, *model && *mac ? ", " : "", mac);
	fprintf(p->to, ": %s", here);
	if (strcmp(here, there))
		fprintf(p->to, " -> %s\n", there);
	else /* a libvirt guest that becomes a plain one may have had another network here: a note tells of it */
		fputs(strcmp(here, "user") ? ", as here\n" : ", QEMU's own NAT\n", p->to);
}

static void print_staying(const struct plan *p, const json_t *d)
{
	char a[24];

	fprintf(p->to, "  disk     %s (%s, %s) stays where it is%s", event_text(d, "from"), event_text(d, "format"),
		event_bytes(a, d, "virtual_size"),
		is_in_place(p->ev)	   ? ""
		: event_flag(d, "by_word") ? ", as you say that the destination sees the same one"
					   : ": the destination sees the same file");
	if (strcmp(event_text(d, "from"), event_text(d, "to")))
		fprintf(p->to, " as %s", event_text(d, "to"));
	fputs("\n", p->to);
}

static void print_what_is_reused(const struct plan *p, const json_t *d)
{
	const char *reuse = event_text(d, "reuse");

	if (event_flag(d, "begun") && !strcmp(event_text(p->ev, "how"), "replica"))
		fputs("           all of it is compared with what the newest point there has\n", p->to);
	else if (event_flag(d, "begun"))
		fprintf(p->to, "           goes on from what an earlier move has left of it: %s\n", reuse);
	else if (event_flag(d, "replaces"))
		fputs("           what is the same in the old copy there does not travel; that copy is deleted once the guest runs there\n",
		      p->to);
	else if (*reuse)
		fprintf(p->to, "           what is the same in %s there does not travel\n", reuse);
	else if (json_object_get(d, "reuse_gone"))
		fprintf(p->to, "           all of it travels: what it had there before, %s, is gone\n", event_text(d, "reuse_gone"));
}

/* Length of what a person should see of the disk's place there: an image of a point has that name only until the point is whole, so it is the replica's directory. */
static int length_of_place(const struct plan *p, const char *to)
{
	const char *points = !strcmp(event_text(p->ev, "how"), "replica") ? strstr(to, "/points/") : NULL;

	return (int)(points ? (size_t)(points - to) : strlen(to));
}

static void print_disk_plan(const struct plan *p, const json_t *d)
{
	const char *transfer = event_text(d, "transfer"), *to = event_text(d, "to");
	char a[24], b[24];

	if (!strcmp(transfer, "shared")) {
		print_staying(p, d);
		return;
	}
	if (!strcmp(transfer, "empty")) {
		fprintf(p->to, "  disk     %s (%s) is left behind -> %s, an empty one of %s\n", event_text(d, "from"),
			event_text(d, "format"), event_text(d, "to"), event_bytes(a, d, "virtual_size"));
		return;
	}
	fprintf(p->to, "  disk     %s (%s, %s, %s in use) -> %.*s%s", event_text(d, "from"), event_text(d, "format"),
		event_bytes(a, d, "virtual_size"), event_bytes(b, d, "allocated"), length_of_place(p, to), to,
		event_flag(d, "flatten") ? ", with its backing files in one image" : "");
	if (event_number(d, "device_bytes") > 0)
		fprintf(p->to,
			", a block device of %s, which is cleared first as far as the disk goes; the guest sees the size that it sees now\n",
			event_bytes(a, d, "device_bytes"));
	else if (event_flag(d, "device"))
		fputs(", a block device, which is cleared first\n", p->to);
	else if (p->details)
		fprintf(p->to, ", mode %s, owner %s\n", event_text(d, "mode"), event_text(d, "owner"));
	else
		fputs("\n", p->to);
	report_bitmaps(p->to, d);
	print_what_is_reused(p, d);
}

static void print_alike(const struct plan *p)
{
	int images = (int)event_number(json_object_get(p->ev, "alike"), "images");

	if (images)
		fprintf(p->to, "  alike    what is the same in %d image%s there does not travel\n", images, images == 1 ? "" : "s");
}

static void print_head(const struct plan *p)
{
	const json_t *ev = p->ev;
	const char *moving = event_flag(ev, "trial") ? "would move" : "moving";
	char a[24];

	if (is_cold(ev)) {
		fprintf(p->to, "%s guest %s, which is shut down, to %s\n", moving, event_text(ev, "guest"), event_text(ev, "destination"));
		return;
	}
	if (is_head_start(ev)) {
		fprintf(p->to, "%s guest %s (pid %d), which runs, cold to %s\n", moving, event_text(ev, "guest"),
			(int)event_number(ev, "pid"), event_text(ev, "destination"));
		fputs("  its disks go ahead while it runs; once it is down what has changed since follows, and it is started there\n",
		      p->to);
		return;
	}
	if (is_of_disks_only(ev) && !event_number(ev, "pid")) {
		fprintf(p->to, "%s the newest point of guest %s, whose replica is here, on to %s\n",
			event_flag(ev, "trial") ? "would send" : "sending", event_text(ev, "guest"), event_text(ev, "destination"));
		return;
	}
	if (is_of_disks_only(ev)) {
		fprintf(p->to, "%s the disks of guest %s (pid %d, QEMU %s), which stays here, to %s\n",
			event_flag(ev, "trial") ? "would copy" : "copying", event_text(ev, "guest"), (int)event_number(ev, "pid"),
			event_text(ev, "qemu_version"), event_text(ev, "destination"));
		return;
	}
	fprintf(p->to, "%s guest %s (pid %d, %s, %s of memory, QEMU %s) to %s%s\n", moving, event_text(ev, "guest"),
		(int)event_number(ev, "pid"), event_text(ev, "machine"), event_bytes(a, ev, "ram_bytes"), event_text(ev, "qemu_version"),
		is_in_place(ev) ? "another process, in its place, of QEMU " : event_text(ev, "destination"),
		is_in_place(ev) ? event_text(ev, "destination_qemu_version") : "");
	if (is_warm(ev))
		fputs("  it runs on while its disks are copied, is then told to shut down, and boots there\n", p->to);
}

/* A line for each sentence of the event's array of that name. */
static void print_sentences(struct plan *p, const char *key, const char *label, bool always)
{
	json_t *v;
	size_t i;

	json_array_foreach(json_object_get(p->ev, key), i, v)
		if (always || is_shown(p))
			fprintf(p->to, "  %-8s %s\n", label, json_string_value(v));
}

static void print_moment(const struct plan *p)
{
	char at[MOMENT_TEXT];

	if (json_object_get(p->ev, "held_until"))
		fprintf(p->to, "  when     copied at once, and switched over at %s\n",
			moment_text(at, (time_t)event_number(p->ev, "held_until")));
}

void report_plan(FILE *to, const json_t *ev, bool details)
{
	struct plan p = {.to = to, .ev = ev, .details = details};
	json_t *v;
	size_t i;

	print_head(&p);
	json_array_foreach(json_object_get(ev, "disks"), i, v)
		print_disk_plan(&p, v);
	print_alike(&p);
	if (is_of_disks_only(ev))
		return;
	if (json_object_get(ev, "ram_mode") && is_shown(&p))
		fprintf(to, "  memory   %s\n", event_text(ev, "ram_mode"));
	json_array_foreach(json_object_get(ev, "files"), i, v)
		print_file(&p, v);
	print_sentences(&p, "programs", "runs", true); /* programs that QEMU there will run */
	json_array_foreach(json_object_get(ev, "nics"), i, v)
		print_nic(&p, v, i + 1);
	print_moment(&p);
	print_sentences(&p, "findings", "there", false);
	print_sentences(&p, "cautions", "there", true);
	print_sentences(&p, "notes", "change", false);
	print_sentences(&p, "afterwards", "after", true);
	print_sentences(&p, "warnings", "warning", true);
	if (p.hidden)
		fprintf(to, "  (-v shows %zu more line%s: what is compared there, and what is adapted in the command line)\n", p.hidden,
			p.hidden == 1 ? "" : "s");
}

/* ---- what it would cost ---- */

/* "33 ms", "4.2 s" */
static const char *time_text(char buf[24], double ms)
{
	if (ms < 1000)
		snprintf(buf, 24, "%.0f ms", ms);
	else
		snprintf(buf, 24, "%.*f s", ms < 10000 ? 1 : 0, ms / 1000);
	return buf;
}

/* "87 ms", "2.1 s + boot"; "-" of a guest that is paused anyway. */
static void print_downtime_of(char *to, size_t cap, const json_t *kind)
{
	char away[24];

	if (json_object_get(kind, "away_ms"))
		snprintf(to, cap, "%s%s", time_text(away, event_number(kind, "away_ms")), is_cold(kind) || is_warm(kind) ? " + boot" : "");
	else
		snprintf(to, cap, "-");
}

static void print_kinds(FILE *to, const json_t *kinds)
{
	json_t *v;
	size_t i;
	char a[24], total[24], down[48];

	if (json_array_size(kinds))
		fprintf(to, "  %-7s %-8s %-10s %s\n", "HOW", "TAKES", "SENDS", "DOWNTIME");
	json_array_foreach(kinds, i, v) {
		print_downtime_of(down, sizeof(down), v);
		fprintf(to, "  %-7s %-8s %-10s %-14s %s%s\n", event_text(v, "how"), time_text(total, event_number(v, "total_s") * 1000),
			event_bytes(a, v, "bytes_wire"), down, event_text(v, "why"),
			event_flag(v, "proposed") && json_array_size(kinds) > 1 ? "; the best here" : "");
	}
}

static bool is_over_its_limit(const json_t *ev)
{
	return !event_flag(ev, "paused") && json_object_get(ev, "max_downtime_ms") &&
	       event_number(ev, "downtime_ms") > event_number(ev, "max_downtime_ms");
}

static const char over_its_limit[] = ", more than is allowed (--max-downtime): no waiting makes it shorter";

static void print_samples(FILE *to, const json_t *ev)
{
	const char *not_sampled = json_text(ev, "memory_not_sampled");
	char a[24], b[24];

	if (!event_number(ev, "ram_bytes"))
		fprintf(to, "  in use  %s on disks\n", event_bytes(b, ev, "disk_bytes"));
	else if (not_sampled)
		fprintf(to, "  in use  %s of its memory, taken to be like its disks (%s), and %s on disks\n",
			event_bytes(a, ev, "ram_bytes"), not_sampled, event_bytes(b, ev, "disk_bytes"));
	else
		fprintf(to,
			"  in use  %s of its memory so far, %.0f %% of that zeros and %.0f %% of the rest on a disk, too, and %s on disks\n",
			event_bytes(a, ev, "ram_bytes"), 100 * event_number(ev, "zero"), 100 * event_number(ev, "seeded"),
			event_bytes(b, ev, "disk_bytes"));
}

static void print_downtime(FILE *to, const json_t *ev)
{
	double ms = event_number(ev, "downtime_ms");

	if (event_flag(ev, "paused"))
		fputs("; the guest stays paused\n", to);
	else if (is_cold(ev))
		fputs("; the guest stays shut down\n", to);
	else if (is_of_disks_only(ev))
		fputs("; the guest stays here\n", to);
	else if (is_head_start(ev))
		fputs(" while it runs; then it is away for its shutdown, a comparison of its disks, and its boot\n", to);
	else if (is_warm(ev))
		fprintf(to, ", and %.0f ms of downtime beside its shutdown and boot\n", ms);
	else
		fprintf(to, ", and %.0f ms of downtime%s\n", ms, is_over_its_limit(ev) ? over_its_limit : "");
}

void report_estimate(FILE *to, const json_t *ev, bool details)
{
	char a[24], b[24], c[24];

	fprintf(to, "  link    %s/s, round trip %.2f ms", event_bytes(a, ev, "link_bps"), event_number(ev, "round_trip_ms"));
	if (!event_number(ev, "ram_bytes"))
		fputc('\n', to);
	else
		fprintf(to, "; the guest writes %s/s of memory\n", event_bytes(b, ev, "dirty_bps"));
	if (details || json_text(ev, "memory_not_sampled"))
		print_samples(to, ev);
	if (event_flag(ev, "old_copy_not_counted"))
		fputs("  (not counting what the old copy there saves)\n", to);
	print_kinds(to, json_object_get(ev, "kinds"));
	if (event_flag(ev, "converges") && !details && json_array_size(json_object_get(ev, "kinds"))) { /* the table has said all else */
		if (is_over_its_limit(ev))
			fprintf(to, "  about   %.0f ms of downtime%s\n", event_number(ev, "downtime_ms"), over_its_limit);
		return;
	}
	if (!event_flag(ev, "converges")) {
		fputs("  about   it writes too fast for this link: say what is to be done about that (--on-stall)\n", to);
		return;
	}
	fprintf(to, "  about   %s on the wire", event_bytes(a, ev, "bytes_wire"));
	if (event_number(ev, "bytes_wire_most") > event_number(ev, "bytes_wire_least"))
		fprintf(to, " (%s to %s, by what codec is chosen)", event_bytes(b, ev, "bytes_wire_least"),
			event_bytes(c, ev, "bytes_wire_most"));
	fprintf(to, " in %.*f s, as fast as the ", event_number(ev, "total_s") < 10 ? 1 : 0, event_number(ev, "total_s"));
	if (!strcmp(event_text(ev, "limited_by"), "storage"))
		fprintf(to, "storage there takes it, %s/s", event_bytes(a, ev, "store_bps"));
	else
		fputs(strcmp(event_text(ev, "limited_by"), "link") ? "processors allow" : "link allows", to);
	print_downtime(to, ev);
}
