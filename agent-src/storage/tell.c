/* tell.c: what the user is told (docs/report.md has the events). */
#include "error-stop.h"
#include "json-members.h"
#include "moving.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const old_words[] = {[OLD_AUTO] = "auto", [OLD_KEEP] = "keep", [OLD_ASIDE] = "aside", [OLD_REMOVE] = "remove"};

static json_t *tell_disks(const struct storage *s)
{
	json_t *out = json_array();

	for (unsigned i = 0; i < s->count; i++) {
		const struct moving_disk *d = &s->disks[i];

		json_array_append_new(out, json_of(MEMBER_TEXT("from", d->from), MEMBER_TEXT("to", d->to),
						   MEMBER_TEXT("from_format", d->old.format), MEMBER_TEXT("format", d->format),
						   MEMBER_COUNT("virtual_size", d->bytes), MEMBER_COUNT("needed", d->needed),
						   MEMBER_FLAG("to_device", d->to_device),
						   MEMBER_FLAG("flatten", !s->rest && d->guest && d->guest->chain_count),
						   MEMBER_TEXT("aside", d->old.aside),
						   MEMBER_SAME("bitmaps", json_array_size(d->bitmaps) ? d->bitmaps : NULL)));
	}
	return out;
}

void storage_tell_plan(struct storage *s)
{
	life_emit(&s->life, "plan",
		  json_pack("{s:s,s:i,s:o,s:s*,s:s*,s:s}", "guest", s->guest.name, "pid", (int)s->guest.pid, "disks", tell_disks(s),
			    "script", s->starter.path, "script_unknown", s->starter.path ? NULL : s->starter.why, "old",
			    old_words[s->old]));
}

static uint64_t done_of(const struct storage *s, uint64_t *total)
{
	uint64_t done = 0;

	*total = 0;
	for (unsigned i = 0; i < s->count; i++) {
		done += s->disks[i].done;
		*total += s->disks[i].total;
	}
	return MIN(done, *total);
}

static json_t *tell_each(void *ctx)
{
	const struct storage *s = ctx;
	json_t *out = json_array();

	for (unsigned i = 0; i < s->count; i++) {
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
	uint64_t total, done = done_of(s, &total);

	if (total) /* QEMU knows how much there is once its jobs have begun */
		life_progress(&s->life, done, total, tell_each);
}

/* malloc'ed. */
static char *words_for(const char *run_state)
{
	const char *broken = error_stop_state(run_state);

	if (!strcmp(run_state, "shutdown"))
		return xstrdup("the guest has shut down by itself, and its QEMU stays, as it was told to");
	if (broken)
		return xasprintf("the guest stands, stopped by %s (QEMU says: %s)", error_stop_cause(broken), broken);
	return run_state_stands(run_state) ? xstrdup("the guest is paused") : xstrdup("the guest runs as before");
}

static char *guest_words(struct storage *s, enum life_ending ending)
{
	bool is_gone = ending == LIFE_FAILED_NOWHERE || ending == LIFE_MOVED_NOWHERE;
	char state[32] = "";
	struct err ignored;

	if (s->rest || is_gone || ending == LIFE_UNDECIDED)
		return xstrdup(s->rest ? "the guest is shut down, as it was" : is_gone ? "its QEMU has ended" : "undecided");
	if (!s->qmp || s->qmp_lost || storage_run_state(s, state, &ignored))
		*state = '\0';
	return words_for(state);
}

int storage_tell_result(struct storage *s, enum life_ending ending, const struct err *why)
{
	bool moved = ending == LIFE_MOVED || ending == LIFE_MOVED_NOWHERE;
	AUTO_FREE char *words = guest_words(s, ending);
	json_t *r = json_pack("{s:s,s:o,s:b}", "guest_text", words, "disks", tell_disks(s), "verified", s->rest && moved);

	if (s->mixed)
		json_object_set_new(r, "mixed", json_true());
	if (moved && s->starter.path)
		json_object_set_new(r, "script", json_string(s->starter.path));
	if (moved && s->held_ns)
		json_object_set_new(r, "held_ms", json_real((double)s->held_ns / 1e6));
	if (moved && !s->starter.path)
		json_object_set_new(r, "script_unknown", json_string(s->starter.why ?: "it was not known when this began"));
	return life_end(&s->life, ending, moved ? NULL : why, r);
}
