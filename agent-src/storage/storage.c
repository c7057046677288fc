/* storage.c: an attempt's life: as it begins, and as it is taken up again by `vmferry recover` and by its guard (storage.h). */
#include "storage.h"
#include "exit-code.h"
#include "json-members.h"
#include "json-text.h"
#include "moving.h"
#include "own-file.h"
#include "process.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- its life ---- */

static void name_nodes(struct storage *s)
{
	qemu_prefix(s->prefix, s->id);
	for (unsigned i = 0; i < s->count; i++) {
		struct moving_disk *d = &s->disks[i];

		snprintf(d->names.file, sizeof(d->names.file), "%sf%u", s->prefix, i);
		snprintf(d->names.format, sizeof(d->names.format), "%sd%u", s->prefix, i);
		snprintf(d->names.filter, sizeof(d->names.filter), "%sm%u", s->prefix, i);
		snprintf(d->names.job, sizeof(d->names.job), "%sj%u", s->prefix, i);
	}
}

/* j: of an earlier life, and stolen; NULL: it begins. */
static int storage_new(struct storage **out, const struct storage_options *o, struct journal *j, struct err *e)
{
	struct storage *s = xcalloc(1, sizeof(*s));
	int r = j ? life_take_up(&s->life, j, &o->life, e) : life_begin(&s->life, "storage", &o->life, e);

	if (r) {
		free(s);
		return r;
	}
	s->life.journal_is_kept = true;
	s->o = o;
	s->bwlimit = o->bwlimit;
	*out = s;
	return 0;
}

static void storage_free(struct storage *s)
{
	storage_rest_let_go(s);
	qmp_close(s->qmp);
	for (unsigned i = 0; i < s->count; i++) {
		struct moving_disk *d = &s->disks[i];

		FREE_ALL(d->device, d->node, d->from, d->to, d->old.format, d->format, d->old.aside);
		json_decref(d->old.nodes);
		json_decref(d->bitmaps);
		json_decref(d->old.was);
	}
	FREE_ALL(s->disks, s->starter.path, s->starter.draft, s->starter.text, s->starter.why, s->starter.other);
	guest_fini(&s->guest);
	life_fini(&s->life);
	free(s);
}

/* ---- its journal ---- */

static json_t *describe_disk(const struct moving_disk *d)
{
	return json_of(MEMBER_TEXT("device", d->device), MEMBER_TEXT("node", d->node), MEMBER_TEXT("from", d->from),
		       MEMBER_TEXT("to", d->to), MEMBER_TEXT("from_format", d->old.format), MEMBER_TEXT("format", d->format),
		       MEMBER_FLAG("from_device", d->old.is_device), MEMBER_FLAG("to_device", d->to_device),
		       MEMBER_COUNT("from_begins", d->old.begins), MEMBER_COUNT("from_shows", d->old.shows),
		       MEMBER_COUNT("to_shows", d->to_shows), MEMBER_TEXT("aside", d->old.aside), MEMBER_COUNT("bytes", d->bytes),
		       MEMBER_SAME("old_nodes", d->old.nodes), MEMBER_SAME("was", d->old.was));
}

static json_t *monitors(const struct guest *g)
{
	json_t *out = json_array();

	for (size_t i = 0; i < g->qmp.count; i++)
		json_array_append_new(out, json_string(g->qmp.all[i]));
	return out;
}

static int begin_journal(struct storage *s, struct err *e)
{
	AUTO_FREE char *boot = boot_id();
	json_t *disks = json_array(), *paths = json_array(), *storage, *begin;

	for (size_t i = 0; i < s->count; i++) {
		struct moving_disk *d = &s->disks[i];

		if (!d->old.is_device && !d->old.another && own_file_know(d->from, d->from, &d->old.was, e)) {
			json_decref(disks);
			json_decref(paths);
			return -e->code;
		}
		json_array_append_new(disks, describe_disk(d));
		json_array_append_new(paths, json_string(s->disks[i].to));
	}
	for (size_t i = 0; i < s->guest.disk_count; i++)
		if (s->guest.disks[i].real_path)
			json_array_append_new(paths, json_string(s->guest.disks[i].real_path));
	storage = json_of(MEMBER_NEW("disks", disks), MEMBER_FLAG("rest", s->rest), MEMBER_COUNT("old", s->old),
			  MEMBER_COUNT("known_as", s->known_as), MEMBER_TEXT("script", s->starter.path),
			  MEMBER_TEXT("draft", s->starter.draft));
	begin = json_of(MEMBER_TEXT("guest", s->guest.name), MEMBER_COUNT("pid", s->guest.pid),
			MEMBER_COUNT("start_time", s->guest.start_time), MEMBER_TEXT("qmp", s->guest.qmp.path),
			MEMBER_NEW("monitors", monitors(&s->guest)), MEMBER_TEXT("boot_id", boot), MEMBER_NEW("disks", paths),
			MEMBER_NEW("storage", storage));
	return life_create_journal(&s->life, s->id, begin, e);
}

static char *text(const json_t *o, const char *key)
{
	return json_text(o, key) ? xstrdup(json_text(o, key)) : NULL;
}

/* -EBADMSG: what must be there is not. */
static int restore_disk(struct moving_disk *d, const json_t *o, struct err *e)
{
	json_t *nodes = json_object_get(o, "old_nodes"), *node;
	size_t i;

	*d = (struct moving_disk){.device = text(o, "device"),
				  .node = text(o, "node"),
				  .from = text(o, "from"),
				  .to = text(o, "to"),
				  .old.format = text(o, "from_format"),
				  .format = text(o, "format"),
				  .old.aside = text(o, "aside"),
				  .old.is_device = json_is_true(json_object_get(o, "from_device")),
				  .to_device = json_is_true(json_object_get(o, "to_device")),
				  .old.begins = (uint64_t)json_integer_value(json_object_get(o, "from_begins")),
				  .old.shows = (uint64_t)json_integer_value(json_object_get(o, "from_shows")),
				  .to_shows = (uint64_t)json_integer_value(json_object_get(o, "to_shows")),
				  .bytes = (uint64_t)json_integer_value(json_object_get(o, "bytes")),
				  .old.was = json_incref(json_object_get(o, "was")),
				  .old.nodes = json_array()};
	json_array_foreach(nodes, i, node)
		if (json_is_string(node))
			json_array_append(d->old.nodes, node);
	return d->device && d->node && d->from && d->to && d->old.format && d->format
		       ? 0
		       : err_set(e, EBADMSG, "the journal does not say which disks were to be moved");
}

static int restore(struct storage *s, struct err *e)
{
	AUTO_FREE char *boot = boot_id();
	const json_t *begin, *plan;
	json_t *disks, *one, *all;
	struct guest *g = &s->guest;
	size_t i;
	int r;

	memcpy(s->id, journal_attempt_id(s->life.journal), sizeof(s->id));
	begin = journal_begin(s->life.journal);
	plan = json_object_get(begin, "storage");
	disks = json_object_get(plan, "disks");
	all = json_object_get(begin, "monitors");
	g->name = xstrdup(json_text(begin, "guest") ?: "?");
	g->pid = (pid_t)json_integer_value(json_object_get(begin, "pid"));
	g->start_time = (uint64_t)json_integer_value(json_object_get(begin, "start_time"));
	s->rebooted = boot && json_text(begin, "boot_id") && strcmp(boot, json_text(begin, "boot_id"));
	if (s->rebooted)
		g->start_time = 0; /* the pid belongs to another process now */
	g->qmp.path = text(begin, "qmp");
	g->qmp.all = xcalloc(json_array_size(all) + 1, sizeof(*g->qmp.all));
	json_array_foreach(all, i, one)
		if (json_is_string(one))
			g->qmp.all[g->qmp.count++] = xstrdup(json_string_value(one));
	s->rest = json_is_true(json_object_get(plan, "rest"));
	s->life.how = storage_how(s->rest);
	s->old = (enum old_image)json_integer_value(json_object_get(plan, "old"));
	s->known_as = (pid_t)json_integer_value(json_object_get(plan, "known_as"));
	s->starter.path = text(plan, "script");
	s->starter.draft = text(plan, "draft");
	if (!json_array_size(disks) || json_array_size(disks) > STORAGE_DISKS_MAX || (s->starter.path && !s->starter.draft))
		return err_set(e, EBADMSG, "the journal does not say which disks were to be moved");
	s->disks = xcalloc(json_array_size(disks), sizeof(*s->disks));
	json_array_foreach(disks, i, one) {
		s->count++;
		r = restore_disk(&s->disks[i], one, e);
		if (r)
			return r;
	}
	name_nodes(s);
	life_about(&s->life, g->name, s->disks[0].to, g->pid);
	return 0;
}

static json_t *on_request(void *ctx, const char *command, const json_t *args)
{
	(void)ctx;
	(void)args;
	return strcmp(command, "status") ? json_pack("{s:s}", "error", "too late: what is left of it is being settled") : NULL;
}

/* The dead agent's goes, too. What stands in the way is no matter. */
static void remove_control_socket(struct storage *s)
{
	struct err e;

	s->life.request = on_request;
	life_open(&s->life, s->known_as, s->guest.start_time, &e);
	life_close(&s->life);
}

/* ---- its end ---- */

static bool is_over(const struct storage *s)
{
	return !life_leftovers(&s->life);
}

/* True if an attempt that left files behind has not set its script yet, so that it may be in the way of the next attempt. */
static bool is_unsettled(const struct storage *s)
{
	return !is_over(s) && !s->rest && journal_last_note(s->life.journal, "switching") &&
	       !journal_last_note(s->life.journal, "script-set");
}

/* Ends the attempt and returns the exit code. why: an earlier error; code 0: none. */
static int finish(struct storage *s, const struct err *why)
{
	bool had_guest = !s->rest, moved, is_gone;
	struct err e;
	int r = storage_settle(s, &e);

	s->life.undecided = r < 0 || is_unsettled(s);
	if (r < 0)
		return storage_tell_result(s, LIFE_UNDECIDED, &e);
	moved = r;
	e = *why;
	if (!moved && !e.code)
		err_set(&e, EIO, "QEMU did not switch to the new images");
	if (moved && why->code)
		life_note(&s->life, "%s", why->msg);
	is_gone = had_guest && !qemu_is_alive(s->guest.pid, s->guest.start_time);
	if (moved)
		return storage_tell_result(s, is_gone ? LIFE_MOVED_NOWHERE : LIFE_MOVED, &e);
	return storage_tell_result(s, is_gone ? LIFE_FAILED_NOWHERE : s->mixed ? LIFE_FAILED_IN_PART : LIFE_FAILED, &e);
}

/* ---- begun ---- */

static int refuse(struct storage *s, const struct err *e)
{
	return storage_tell_result(s, LIFE_REFUSED, e);
}

static int begin(struct storage *s, struct err *e)
{
	int r = begin_journal(s, e);

	if (r || s->rest)
		return r;
	r = guard_start(&s->guard, journal_path(s->life.journal), s->o->life.runtime_dir, 0, s->life.report.quiet, e);
	if (r)
		journal_remove(s->life.journal, false, &(struct err){0});
	if (r)
		s->life.journal = NULL;
	return r;
}

static int carry_out(struct storage *s)
{
	struct err e = {.code = 0};
	int code;

	if (begin(s, &e))
		return refuse(s, &e);
	if (s->rest ? storage_rest(s, &e) : storage_live(s, &e))
		code = finish(s, &e);
	else
		code = finish(s, &(struct err){.code = 0});
	if (code != EXIT_UNDECIDED)
		guard_dismiss(&s->guard); /* otherwise it has something to do */
	return code;
}

static int run(struct storage *s)
{
	struct err e;
	int r = attempt_id_new(s->id, &e);

	s->life.is_trial = s->o->dry_run;
	r = r ?: storage_find(s, &e) ?: storage_examine(s, &e);
	if (r)
		return refuse(s, &e);
	name_nodes(s);
	life_about(&s->life, s->guest.name, s->disks[0].to, s->guest.pid);
	storage_tell_plan(s);
	if (s->o->dry_run)
		return 0;
	return life_ask_hooks(&s->life, &e) ? refuse(s, &e) : carry_out(s);
}

int storage_run(const struct storage_options *o)
{
	struct storage *s;
	struct err e;
	int code;

	if (storage_new(&s, o, NULL, &e)) {
		fprintf(stderr, "vmferry: %s\n", e.msg);
		return EXIT_REFUSED;
	}
	life_heed_signals();
	code = run(s);
	storage_free(s);
	return code;
}

/* ---- taken up again ---- */

int storage_recover(const struct life_options *o, struct journal *j)
{
	const struct storage_options so = {.life = *o};
	struct storage *s;
	struct err e;
	int code;

	if (storage_new(&s, &so, j, &e)) {
		fprintf(stderr, "vmferry: %s\n", e.msg);
		return EXIT_UNDECIDED;
	}
	life_heed_signals();
	if (restore(s, &e)) {
		fprintf(stderr, "vmferry: %s: %s\n", journal_path(j), e.msg);
		code = EXIT_UNDECIDED;
	} else {
		err_set(&e, ECANCELED, "the agent that moved the disks has died");
		code = finish(s, &e);
		remove_control_socket(s);
	}
	storage_free(s);
	return code;
}

bool storage_guard(const struct life_options *o, struct journal *j, struct keep *kept, struct err *words)
{
	const struct storage_options so = {.life = *o};
	struct storage *s;
	bool done;
	int r;

	(void)kept;
	if (storage_new(&s, &so, j, words))
		return false;
	s->life.report.quiet = true;
	r = restore(s, words);
	if (r) {
		storage_free(s);
		return true;
	}
	r = storage_settle(s, words);
	done = r >= 0;
	if (done) {
		err_set(words, 0, "the agent that moved disks of guest %s has died: %s%s", s->guest.name,
			r ? "the guest has its new disks" : "the guest keeps its old disks",
			is_over(s) ? "" : "; what is left is settled by vmferry recover");
		s->life.undecided = is_unsettled(s);
		life_end_journal(&s->life);
		remove_control_socket(s);
	} else {
		done = !s->unreachable; /* otherwise it will be no other */
		err_prefix(words, "the agent that moved disks of guest %s has died", s->guest.name);
	}
	storage_free(s);
	return done;
}
