/* tell.c: what the user is told (docs/report.md has the events). */
#include "error-stop.h"
#include "history.h"
#include "json-text.h"
#include "log.h"
#include "moving.h"
#include "util.h"

#include <errno.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const old_words[] = {[OLD_AUTO] = "auto", [OLD_KEEP] = "keep", [OLD_ASIDE] = "aside", [OLD_REMOVE] = "remove"};

static json_t *tell_disks(const struct storage *s)
{
	json_t *out = json_array();
	unsigned i;

	for (i = 0; i < s->count; i++) {
		const struct moving_disk *d = &s->disks[i];

		json_array_append_new(out, json_pack("{s:s,s:s,s:s,s:s,s:I,s:I,s:b,s:b,s:s*,s:O*}", "from", d->from, "to", d->to,
						     "from_format", d->from_format, "format", d->format, "virtual_size",
						     (json_int_t)d->bytes, "needed", (json_int_t)d->needed, "to_device", d->to_device,
						     "flatten", !s->rest && d->guest && d->guest->chain_count, "aside", d->aside, "bitmaps",
						     json_array_size(d->bitmaps) ? d->bitmaps : NULL));
	}
	return out;
}

static const char *how(const struct storage *s)
{
	return s->rest ? "storage-cold" : "storage";
}

void storage_tell_plan(struct storage *s)
{
	report_emit(&s->report, json_pack("{s:s,s:s,s:s,s:i,s:o,s:s*,s:s*,s:s}", "event", "plan", "how", how(s), "guest", s->guest.name,
					  "pid", (int)s->guest.pid, "disks", tell_disks(s), "script", s->starter.path, "script_unknown",
					  s->starter.path ? NULL : s->starter.why, "old", old_words[s->old]));
}

void storage_tell_stage(struct storage *s, const char *stage)
{
	s->told.stage = stage;
	report_emit(&s->report, json_pack("{s:s,s:s,s:s}", "event", "stage", "how", how(s), "stage", stage));
}

static uint64_t done_of(const struct storage *s, uint64_t *total)
{
	uint64_t done = 0;
	unsigned i;

	*total = 0;
	for (i = 0; i < s->count; i++) {
		done += s->disks[i].done;
		*total += s->disks[i].total;
	}
	return MIN(done, *total);
}

static json_t *tell_each(const struct storage *s)
{
	json_t *out = json_array();
	unsigned i;

	for (i = 0; i < s->count; i++) {
		const struct moving_disk *d = &s->disks[i];
		uint64_t done = MIN(d->done, d->total);
		const char *slash = strrchr(d->to, '/');

		json_array_append_new(out, json_pack("{s:s,s:f,s:I}", "name", slash ? slash + 1 : d->to, "percent",
						     d->total ? 100.0 * (double)done / (double)d->total : 0.0, "left",
						     (json_int_t)(d->total - done)));
	}
	return out;
}

void storage_tell_progress(struct storage *s)
{
	uint64_t now = now_ns(), total, done = done_of(s, &total), every = s->report.often ? 100000000ULL : 1000000000ULL;
	double seconds = (double)(now - s->told.at_ns) / 1e9, rate;
	bool second;

	if (now - s->told.at_ns < every)
		return;
	second = now - s->told.second_ns >= 1000000000ULL;
	rate = s->told.at_ns && done > s->told.done ? (double)(done - s->told.done) / seconds : 0;
	report_emit(&s->report,
		    json_pack("{s:s,s:s,s:s,s:f,s:I,s:f,s:f,s:b,s:o}", "event", "progress", "how", how(s), "stage", s->told.stage, "t_ms",
			      (double)(now - s->told.begin_ns) / 1e6, "left", (json_int_t)(total - done), "rate_bps", rate, "eta_s",
			      report_eta_s(total - done, rate), "second", second, "disks", tell_each(s)));
	if (second)
		s->told.second_ns = now;
	s->told.at_ns = now;
	s->told.done = done;
	s->told.rate_bps = rate;
}

json_t *storage_tell_status(const struct storage *s)
{
	uint64_t total, done = done_of(s, &total);

	return json_pack("{s:s,s:i,s:s,s:s,s:s,s:I,s:f}", "guest", s->guest.name, "pid", (int)s->guest.pid, "destination",
			 s->count ? s->disks[0].to : "?", "how", how(s), "stage", s->told.stage ?: "connect", "disk_left",
			 (json_int_t)(total - done), "rate_bps", s->told.rate_bps);
}

static void put(json_t *list, const char *fmt, va_list ap)
{
	char line[1024];

	vsnprintf(line, sizeof(line), fmt, ap);
	text_make_utf8(line);
	json_array_append_new(list, json_string(line));
}

void storage_tell_note(struct storage *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put(s->told.notes, fmt, ap);
	va_end(ap);
}

void storage_tell_leftover(struct storage *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put(s->told.leftovers, fmt, ap);
	va_end(ap);
}

/* malloc'ed. */
static char *words_for(const char *run_state)
{
	const char *broken = error_stop_state(run_state);

	if (broken)
		return xasprintf("the guest stands, stopped by %s (QEMU says: %s)", error_stop_cause(broken), broken);
	return strcmp(run_state, "paused") ? xstrdup("the guest runs as before") : xstrdup("the guest is paused");
}

static char *guest_words(struct storage *s, int code)
{
	char state[32] = "";
	struct err ignored;

	if (s->rest || code == 8 || code == 6)
		return xstrdup(s->rest ? "the guest is shut down, as it was" : code == 8 ? "its QEMU has ended" : "undecided");
	if (!s->qmp || s->qmp_lost || storage_run_state(s, state, &ignored))
		*state = '\0';
	return words_for(state);
}

/* The history gets this end, for whoever asks later. */
static void remember(const struct storage *s, json_t *result)
{
	json_t *entry = json_pack("{s:s*,s:s,s:O}", "guest", s->guest.name, "how", how(s), "result", result);
	struct err e;

	if (history_add(s->o->state_dir, entry, &e))
		log_error("the end of this is not in the history: %s", e.msg);
	json_decref(entry);
}

void storage_tell_result(struct storage *s, bool moved, const struct err *why, int code)
{
	AUTO_FREE char *words = guest_words(s, code);
	json_t *r =
		json_pack("{s:s,s:s,s:s,s:i,s:s,s:o,s:O,s:O,s:I,s:b}", "event", "result", "how", how(s), "outcome",
			  moved				  ? "moved"
			  : code == 3			  ? "refused"
			  : code == 6			  ? "undecided"
			  : why && why->code == ECANCELED ? "rolled-back"
							  : "failed",
			  "exit_code", code, "guest_text", words, "disks", tell_disks(s), "leftovers", s->told.leftovers, "notes",
			  s->told.notes, "total_ms", (json_int_t)((now_ns() - s->told.begin_ns) / 1000000), "verified", s->rest && moved);

	if (s->guest.name)
		json_object_set_new(r, "guest", json_string(s->guest.name));
	if (s->mixed)
		json_object_set_new(r, "mixed", json_true());
	if (!moved && why && why->code)
		json_object_set_new(r, "reason", json_string(why->msg));
	if (moved && s->starter.path)
		json_object_set_new(r, "script", json_string(s->starter.path));
	if (moved && s->told.held_ns)
		json_object_set_new(r, "held_ms", json_real((double)s->told.held_ns / 1e6));
	if (moved && !s->starter.path)
		json_object_set_new(r, "script_unknown", json_string(s->starter.why ?: "it was not known when this began"));
	if (code != 3)
		remember(s, r);
	report_emit(&s->report, r);
}
