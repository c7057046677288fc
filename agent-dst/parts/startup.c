/* startup.c: see startup.h. */
#include "startup.h"
#include "afterwards.h"
#include "arrived.h"
#include "image-name.h"
#include "json-text.h"
#include "log.h"
#include "monitors.h"
#include "names.h"
#include "start-script.h"
#include "systemd.h"
#include "util.h"

#include <poll.h>
#include <string.h>
#include <time.h>

#define AT_ONCE_MS 1500 /* time after which a QEMU that still runs counts as started */

static struct startup *startup_of(struct part *p)
{
	return container_of(p, struct startup, part);
}

static json_t *list_disks(const struct disks *ds)
{
	json_t *out = json_array();

	for (size_t i = 0; i < ds->count; i++)
		json_array_append_new(out, json_string(ds->list[i].path));
	return out;
}

static int examine(struct part *p, struct err *e)
{
	struct startup *s = startup_of(p);
	struct target *t = s->target;
	char id[2 * ATTEMPT_ID_LEN + 1];

	json_auto_t *disks = NULL;
	int r;

	if (target_is_in_place(t)) /* the program that started the guest starts it again */
		return 0;
	r = afterwards_plan(&s->plan, t->name, t->dir, attempt_id_format(p->a->id, id),
			    json_is_true(json_object_get(t->description, "install_unit")), e);
	if (r)
		return target_obstacle(t, e);
	disks = list_disks(s->disks);
	afterwards_replace(s->plan, disks);
	return 0;
}

static int describe(struct part *p, json_t *accept, struct err *e)
{
	const struct startup *s = startup_of(p);

	(void)e;
	json_object_set(accept, "start_script", json_object_get(s->plan, "script"));
	if (json_object_get(s->plan, "unit"))
		json_object_set(accept, "unit", json_object_get(s->plan, "unit"));
	return 0;
}

/* Adds the mounts without which QEMU would not start. */
static void need_mounts(const struct startup *s, const struct target *t)
{
	afterwards_need(s->plan, json_text(s->plan, "script"));
	for (size_t i = 0; i < t->args.file_count; i++) {
		const struct args_file *f = &t->args.files[i];

		if ((args_role_is_content(f->role) || args_role_is_written(f->role)) && f->to && *f->to == '/')
			afterwards_need(s->plan, f->to);
	}
}

static int draft(const struct startup *s, const struct target *t, struct err *e)
{
	char **env = target_environment(t);
	time_t now = time(NULL);
	struct tm tm;
	char date[32];
	const char *from = json_text(t->description, "host");
	AUTO_FREE char *came = xasprintf("moved here from %s", from ? from : "another host");
	char **tpm = tpm_start_line(s->tpm), **dirs = names_fleeting_dirs(&t->args, t->dir);
	struct start_script text = {t->name, came, date, t->exe, t->args.argv, t->args.argc, env, t->qmp_path, tpm, dirs};
	AUTO_FREE char *script = NULL;

	strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S UTC", gmtime_r(&now, &tm));
	script = start_script_text(&text);
	target_free_environment(env);
	free_words(tpm);
	free_words(dirs);
	need_mounts(s, t);
	return afterwards_prepare(s->part.a->journal, s->plan, script, e);
}

int startup_draft(struct startup *s, struct err *e)
{
	return s->plan ? draft(s, s->target, e) : 0;
}

/* An earlier life has let the guest run here, and it may have gone elsewhere since, by a move of ours. What cannot be told counts as such. */
static bool may_have_left(const struct attempt *a)
{
	struct err ignored;
	bool left;

	return a->handoff.restarted && (arrived_has_left(a, &left, &ignored) || left);
}

/* ---- images that others have given the guest here ---- */

enum place { NOWHERE, BENEATH, ON_TOP };

static bool has_name(const char *name, const char *path)
{
	AUTO_FREE char *file = name ? image_name_file(name) : NULL;

	return file && !strcmp(file, path);
}

static enum place place_in(const json_t *inserted, const char *path)
{
	const json_t *image = json_object_get(inserted, "image");

	if (has_name(json_text(inserted, "file"), path))
		return ON_TOP;
	while ((image = json_object_get(image, "backing-image")))
		if (has_name(json_text(image, "filename"), path))
			return BENEATH;
	return NOWHERE;
}

static bool is_a_base(const struct disks *ds, const char *path)
{
	for (size_t i = 0; i < ds->count; i++)
		if (ds->list[i].backing && !strcmp(ds->list[i].backing, path))
			return true;
	return false;
}

/* The image that the guest writes to in place of that disk; NULL: it writes to the disk, or has none of it. */
static const char *instead_of(const struct arriving_disk *d, const json_t *blocks)
{
	const char *instead = NULL;
	const json_t *block;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)blocks, i, block) {
		const json_t *inserted = json_object_get(block, "inserted");
		enum place place = place_in(inserted, d->path);

		if (place == ON_TOP)
			return NULL;
		if (place == BENEATH)
			instead = json_text(inserted, "file");
	}
	return instead;
}

/* Words for afterwards_settle(), or NULL. The script names the images that came. Somebody may have put others over them since (a snapshot), as while the
 * guest could be had back: started by the script it would go on as it was before that. */
static char *doubt_by_images(const struct startup *s)
{
	struct qmp *q = s->target->qmp;
	json_t *blocks = NULL;
	char *words = NULL;
	struct err e;

	if (!q || !qmp_alive(q) || qmp_call(q, "query-block", NULL, &blocks, &e))
		return NULL;
	for (size_t i = 0; i < s->disks->count && !words; i++) {
		const struct arriving_disk *d = &s->disks->list[i];
		const char *instead = is_a_base(s->disks, d->path) ? NULL : instead_of(d, blocks);

		if (instead)
			words = xasprintf(
				"another client made a snapshot of the guest since it runs here, so the guest writes to %s and no longer "
				"to %s, which its script names: write the new path into the script",
				instead, d->path);
	}
	json_decref(blocks);
	return words;
}

void startup_settle(struct startup *s, bool went_on)
{
	AUTO_FREE char *images = NULL;

	if (s->settled || s->part.a->dead)
		return;
	monitors_give_back(s->target);
	went_on |= may_have_left(s->part.a);
	images = went_on ? NULL : doubt_by_images(s);
	s->settled = afterwards_settle(s->part.a->journal, went_on ? "the guest may have left this host since: see where it runs" : images);
}

static int run_script(struct startup *s, const char *script, struct err *e)
{
	char *argv[] = {"sh", (char *)script, NULL};
	char **scope = target_scope(s->target);
	int r = qemu_launch(&s->started, "/bin/sh", argv, NULL, scope, NULL, NULL, e);

	free_words(scope);
	return r;
}

static void note_error(struct startup *s, const char *why)
{
	log_error("%s", why);
	json_object_del(s->settled, "started_pid");
	json_object_set_new(s->settled, "after_error", json_string(why));
}

void startup_run(struct startup *s)
{
	const char *script = json_text(s->settled, "start_script");
	struct err e;

	if (s->run || !script || json_object_get(s->settled, "after_error"))
		return;
	s->run = true;
	s->started_ns = now_ns();
	if (run_script(s, script, &e))
		note_error(s, e.msg);
	else
		json_object_set_new(s->settled, "started_pid", json_integer(s->started.pid));
}

void startup_look_at_started(struct startup *s)
{
	uint64_t ran_ms = (now_ns() - s->started_ns) / 1000000;

	if (s->started.pidfd < 0)
		return;
	if (poll(&(struct pollfd){.fd = s->started.pidfd, .events = POLLIN}, 1, (int)(AT_ONCE_MS - MIN(AT_ONCE_MS, ran_ms))) > 0) {
		AUTO_FREE char *tail = qemu_log_tail(&s->started);
		AUTO_FREE char *why = xasprintf("%s was run, and ended at once: %s", json_text(s->settled, "start_script"), tail);

		note_error(s, why);
	}
	qemu_let_go(&s->started);
}

void startup_tell_not_run(struct startup *s)
{
	if (s->run || !s->settled || json_object_get(s->settled, "after_error"))
		return;
	json_object_set_new(s->settled, "after_error",
			    json_string("starting the guest (--start): the agent that was to do so has died; look whether it runs, and "
					"run its script if not"));
}

static void tell(const struct part *p, enum part_tale tale, json_t *out)
{
	const struct startup *s = container_of(p, const struct startup, part);

	if (tale == TELL_RESULT && s->settled)
		json_object_update(out, s->settled);
}

static void fini(struct part *p)
{
	qemu_let_go(&startup_of(p)->started);
	json_decref(startup_of(p)->plan);
	json_decref(startup_of(p)->settled);
}

static const struct part_ops ops = {.name = "startup", .examine = examine, .describe = describe, .tell = tell, .fini = fini};

void startup_init(struct startup *s, struct target *target, const struct disks *disks, const struct tpm *tpm)
{
	*s = (struct startup){.part = {&ops, target->part.a}, .target = target, .disks = disks, .tpm = tpm, .started = QEMU_PROC_NONE};
}
