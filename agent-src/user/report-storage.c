/* report-storage.c: see report-storage.h. */
#include "report-storage.h"
#include "json-text.h"
#include "util.h"

#include <string.h>

static const char *str(const json_t *o, const char *key)
{
	return json_text(o, key) ?: "";
}

static const char *bytes(char buf[24], const json_t *o, const char *key)
{
	return format_bytes(buf, (uint64_t)json_integer_value(json_object_get(o, key)));
}

static bool is_at_rest(const json_t *ev)
{
	return !strcmp(str(ev, "how"), "storage-cold");
}

static void print_old(FILE *to, const json_t *ev)
{
	const char *old = str(ev, "old");
	json_t *d;
	size_t i;

	if (!strcmp(old, "remove"))
		fputs("  old     images are removed when all is done\n", to);
	else if (!strcmp(old, "keep"))
		fputs("  old     images stay where they are\n", to);
	json_array_foreach(json_object_get(ev, "disks"), i, d)
		if (json_text(d, "aside") && !strcmp(old, "aside"))
			fprintf(to, "  old     %s is called %s then, so that nothing starts the guest from it\n", str(d, "from"),
				str(d, "aside"));
}

void report_bitmaps(FILE *to, const json_t *d)
{
	json_t *name;
	size_t i;

	json_array_foreach(json_object_get(d, "bitmaps"), i, name)
		fprintf(to, "%s%s", i ? ", " : "          with its dirty bitmaps: ", json_string_value(name) ?: "?");
	if (i)
		fputs("\n", to);
}

void report_storage_plan(FILE *to, const json_t *ev)
{
	char a[24], b[24];
	json_t *d;
	size_t i;

	if (is_at_rest(ev))
		fprintf(to, "moving disks of guest %s, which is shut down\n", str(ev, "guest"));
	else
		fprintf(to, "moving disks of guest %s (pid %d) while it runs\n", str(ev, "guest"),
			(int)json_integer_value(json_object_get(ev, "pid")));
	json_array_foreach(json_object_get(ev, "disks"), i, d) {
		fprintf(to, "  disk    %s (%s, %s) -> %s (%s), about %s\n", str(d, "from"), str(d, "from_format"),
			bytes(a, d, "virtual_size"), str(d, "to"), str(d, "format"), bytes(b, d, "needed"));
		if (json_is_true(json_object_get(d, "flatten")))
			fputs("          with the content of its backing files: the new image needs none\n", to);
		report_bitmaps(to, d);
		if (json_is_true(json_object_get(d, "to_device")))
			fputs("          that is a block device, which is blank at its ends; what else is on it is overwritten\n", to);
	}
	if (json_text(ev, "script"))
		fprintf(to, "  start   %s is rewritten to name the new images\n", str(ev, "script"));
	else
		fprintf(to, "  start   what starts the guest again is NOT known (%s): it has to be told of the new images by hand\n",
			str(ev, "script_unknown"));
	print_old(to, ev);
}

static void print_list(FILE *to, const json_t *ev, const char *key, const char *before)
{
	json_t *v;
	size_t i;

	json_array_foreach(json_object_get(ev, key), i, v)
		fprintf(to, "  %s%s\n", before, json_string_value(v));
}

void report_storage_result(FILE *to, const json_t *ev, const struct report_style *style)
{
	json_t *d;
	size_t i;

	(void)style;
	if (strcmp(str(ev, "outcome"), "moved")) {
		fprintf(to, "%s: %s\n", str(ev, "outcome"), str(ev, "reason"));
		if (!strcmp(str(ev, "outcome"), "undecided"))
			fprintf(to, "which disks the guest has is NOT known: %s; delete nothing\n", str(ev, "guest_text"));
		else if (json_is_true(json_object_get(ev, "mixed")))
			fprintf(to, "SOME of the guest's disks are at their new places, as is said below: %s\n", str(ev, "guest_text"));
		else if (strcmp(str(ev, "outcome"), "refused"))
			fprintf(to, "the guest keeps its disks: %s\n", str(ev, "guest_text"));
		print_list(to, ev, "notes", "note      ");
		print_list(to, ev, "leftovers", "left behind ");
		return;
	}
	fprintf(to, "moved: the guest has its new disks (%s)\n", str(ev, "guest_text"));
	json_array_foreach(json_object_get(ev, "disks"), i, d)
		fprintf(to, "  disk      %s (%s)\n", str(d, "to"), str(d, "format"));
	fprintf(to, "  total     %.1f s", json_number_value(json_object_get(ev, "total_ms")) / 1000);
	if (json_object_get(ev, "held_ms"))
		fprintf(to, "; for %.0f ms requests to these disks waited", json_number_value(json_object_get(ev, "held_ms")));
	fprintf(to, "\n  verified  %s\n",
		json_is_true(json_object_get(ev, "verified")) ? "each new image is the old one, bit for bit"
							      : "no: QEMU reported the copies equal; vmferry did not compare them");
	if (json_text(ev, "script"))
		fprintf(to, "  start     %s starts the guest from its new images\n", str(ev, "script"));
	else
		fprintf(to, "  start     WHAT STARTS THE GUEST AGAIN IS NOT KNOWN (%s): tell it of the new images, or it does not start\n",
			str(ev, "script_unknown"));
	print_list(to, ev, "notes", "note      ");
	print_list(to, ev, "leftovers", "left behind ");
}
