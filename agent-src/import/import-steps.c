/* import-steps.c: see import-steps.h. */
#include "import-steps.h"
#include "draft.h"
#include "util.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The guest has no process yet, so ours stands for it in the socket's name. */
int import_open_life(struct life *l, const struct import_options *o, const char *guest, const char *dir, struct err *e)
{
	life_about(l, guest, dir, 0);
	return o->dry_run ? 0 : life_open(l, getpid(), 0, e);
}

static void tell_plan(struct life *l, const struct import_options *o, const struct import_steps *steps, const void *ctx)
{
	json_t *plan = steps->plan(ctx);

	json_object_update_new(plan, json_pack("{s:s,s:s}", "guest", l->subject.guest, "to", l->subject.to));
	if (o->dry_run) {
		AUTO_FREE char *line = steps->line(ctx);

		text_make_utf8(line);
		json_object_set_new(plan, "command_line", json_string(line));
	}
	life_emit(l, "plan", plan);
}

static int tell_success(struct life *l, const struct import_options *o, const struct import_steps *steps, const void *ctx, pid_t pid)
{
	bool waits = o->start == IMPORT_PAUSED;
	AUTO_FREE char *title = pid ? xasprintf("imported: the guest %s (pid %d)",
						waits ? "waits, paused; cont at its monitor lets it run" : "runs", (int)pid)
				    : xstrdup("imported");
	AUTO_FREE char *start = steps->start(ctx, pid);
	json_t *rows = json_array();

	life_row(rows, "start", "%s", start);
	return life_end(l, LIFE_IMPORTED, NULL,
			json_pack("{s:s,s:s,s:i,s:o}", "title", title, "to", l->subject.to, "pid", (int)pid, "rows", rows));
}

int import_carry_out(struct life *l, const struct import_options *o, const struct import_steps *steps, void *ctx)
{
	pid_t pid = 0;
	struct err e;
	int r;

	l->is_trial = o->dry_run;
	life_heed_signals();
	if (steps->look(ctx, &e)) {
		steps->clean(ctx, true);
		return life_end(l, LIFE_REFUSED, &e, NULL);
	}
	tell_plan(l, o, steps, ctx);
	if (o->dry_run)
		return 0;
	r = life_ask_hooks(l, &e);
	if (!r) {
		life_keep_journal(l);
		r = steps->make(ctx, &pid, &e);
	}
	steps->clean(ctx, r != 0);
	return r ? life_end(l, LIFE_FAILED, &e, NULL) : tell_success(l, o, steps, ctx, pid);
}

int import_make_script(struct made *made, const char *path, const struct start_script *s, struct err *e)
{
	struct start_script dated = *s;
	time_t now = time(NULL);
	struct tm tm;
	char date[32];
	AUTO_FREE char *text = NULL;
	const char *draft;
	int r = made_add(made, path, &draft, e);

	strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S UTC", gmtime_r(&now, &tm));
	dated.date = date;
	text = start_script_text(&dated);
	return r ?: draft_write(draft, text, strlen(text), 0700, e);
}
