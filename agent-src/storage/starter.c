/* starter.c: what starts the guest again, and which images it names (moving.h). */
#include "autostart.h"
#include "durable-file.h"
#include "fault.h"
#include "guest-at-rest.h"
#include "guest-scripts.h"
#include "moving.h"
#include "qemu-args.h"
#include "qemu-opts.h"
#include "rights.h"
#include "script-read.h"
#include "shell-quote.h"
#include "start-script.h"
#include "util.h"
#include "words.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- what a line names ---- */

/* Replaces one image by the other in the script's words. */
static int change(const struct storage *s, struct guest *script, const struct moving_disk *d, bool to_new, struct err *e)
{
	const char *from = to_new ? d->from : d->to;
	struct script_image is = {script, from};
	struct disk_line_change c = {.is_it = guest_script_is_image,
				     .ctx = &is,
				     .to = to_new ? d->to : d->from,
				     .format = to_new ? d->format : d->old.format,
				     .to_device = to_new ? d->to_device : d->old.is_device,
				     .begins = to_new ? 0 : d->old.begins,
				     .shows = to_new ? d->to_shows : d->old.shows,
				     .same_bytes = goes_as_it_is(s, d)};
	char **words;
	size_t count;
	int r = disk_line_change(script->line.argv, script->line.argc, &c, &words, &count, NULL, e);

	if (r <= 0)
		return r ?: err_set(e, ENOENT, "it does not name the image %s", from);
	args_free_strings(script->line.argv, script->line.argc);
	script->line.argv = words;
	script->line.argc = count;
	return 0;
}

/* ---- its text ---- */

/* Everything before its last line, and that line with other words. If nobody has edited the script that can be told of what is made of it, too. */
static char *text_with(const char *text, size_t exec_at, const struct guest *script)
{
	struct qemu_opt opt;
	char *out;
	size_t size, i = 1;
	FILE *f = open_memstream(&out, &size);
	AUTO_FREE char *program = shell_quote(script->line.argv[0]);

	fprintf(f, "%.*sexec %s", (int)exec_at, text, program);
	while (qemu_opt_next(script->line.argv, script->line.argc, &i, &opt)) {
		AUTO_FREE char *dashed = xasprintf("-%s", opt.name);
		AUTO_FREE char *name = shell_quote(dashed);
		AUTO_FREE char *value = opt.value ? shell_quote(opt.value) : NULL;

		if (*opt.name)
			fprintf(f, " \\\n    %s", name);
		if (value)
			fprintf(f, "%s%s", *opt.name ? " " : " \\\n    ", value);
	}
	fputc('\n', f);
	if (fclose(f))
		abort();
	if (start_script_origin(text) == SCRIPT_OURS)
		start_script_seal(out);
	return out;
}

/* A file beside the script, with this text, owner, mode and access control list of the script; durable. */
static int write_draft(const struct starter *s, const char *text, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	struct rights rights;
	int r = rights_read(&rights, s->path, e);

	if (r)
		return r;
	if (unlink(s->draft) && errno != ENOENT) /* an earlier life may have left it; nobody else takes such a name */
		return err_sys(e, errno, "cannot remove %s", s->draft);
	fd = open(s->draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, errno, "cannot create %s", s->draft);
	r = pwrite_all(fd, text, strlen(text), 0);
	if (r)
		return err_sys(e, -r, "cannot write %s", s->draft);
	r = rights_give(&rights, fd, s->draft, e);
	if (r > 0)
		life_note(life_now(), "%s", e->msg);
	return r < 0 ? r : fsync(fd) ? err_sys(e, errno, "cannot write %s", s->draft) : 0;
}

void starter_remove_draft(struct storage *s)
{
	if (s->starter.draft)
		unlink(s->starter.draft);
}

/* Text of the script that names the image wanted for each disk. *text: NULL if the script names them already. */
static int text_wanted(const struct storage *s, bool all_new, char **text, char **was, struct err *e)
{
	struct guest script = {.pid = 0};
	AUTO_FREE char *now = NULL;
	size_t exec_at;
	bool changed = false;
	int r = script_read_text(s->starter.path, &script, &now, &exec_at, e);

	*text = NULL;
	for (unsigned i = 0; i < s->count && !r; i++) {
		const struct moving_disk *d = &s->disks[i];
		bool is_new = all_new || d->switched;
		int has = guest_script_names(&script, is_new ? d->to : d->from, NULL, e);

		if (has)
			r = has < 0 ? has : 0;
		else
			r = change(s, &script, d, is_new, e);
		changed |= !has;
	}
	if (!r && changed)
		*text = text_with(now, exec_at, &script);
	if (!r && was) {
		*was = now;
		now = NULL;
	}
	guest_fini(&script);
	return r ? err_prefix(e, "the script %s", s->starter.path) : 0;
}

int starter_prepare(struct storage *s, struct err *e)
{
	AUTO_FREE char *text = NULL;
	int r;

	if (!s->starter.path)
		return 0;
	free(s->starter.text);
	s->starter.text = NULL;
	r = text_wanted(s, true, &text, &s->starter.text, e);
	if (!r && !text)
		r = err_set(e, ESTALE, "the script %s names the new images already", s->starter.path);
	r = r ?: write_draft(&s->starter, text, e);
	if (!r) /* the script shows from now on what has happened */
		r = life_journal_note(&s->life, "switching", json_pack("{s:s}", "script", s->starter.path), e);
	return r;
}

/* The one name stands for the one text or the other, whenever the power fails. */
static int take_its_place(const struct storage *s, struct err *e)
{
	return rename(s->starter.draft, s->starter.path) ? err_sys(e, errno, "cannot replace %s", s->starter.path)
							 : sync_parent_dir(s->starter.path, e);
}

int starter_switch(struct storage *s, struct err *e)
{
	struct guest script = {.pid = 0};
	AUTO_FREE char *now = NULL;
	size_t exec_at;
	int r;

	if (!s->starter.path)
		return 0;
	r = script_read_text(s->starter.path, &script, &now, &exec_at, e);
	guest_fini(&script);
	if (!r && strcmp(now, s->starter.text))
		r = err_set(e, ESTALE, "another program changed the script %s meanwhile", s->starter.path);
	fault_point("src-script");
	r = r ?: take_its_place(s, e);
	fault_point("src-script-named");
	if (!r && starter_names_new(s, e) != 1)
		r = e->code ? -e->code : err_set(e, EIO, "the script %s does not name the new images", s->starter.path);
	return r;
}

int starter_set(struct storage *s, struct err *e)
{
	AUTO_FREE char *text = NULL;
	int r;

	if (!s->starter.path)
		return 0;
	r = text_wanted(s, false, &text, NULL, e);
	if (!r && text)
		r = write_draft(&s->starter, text, e);
	return r || !text ? r : take_its_place(s, e);
}

int starter_names_new(struct storage *s, struct err *e)
{
	struct guest script = {.pid = 0};
	unsigned i, fresh = 0, old = 0;
	int r = script_read(s->starter.path, &script, e);

	for (i = 0; i < s->count && !r; i++) {
		int is_new = guest_script_names(&script, s->disks[i].to, NULL, e),
		    is_old = is_new < 0 ? is_new : guest_script_names(&script, s->disks[i].from, NULL, e);

		if (is_new < 0 || is_old < 0)
			r = -e->code;
		fresh += is_new && !is_old;
		old += is_old && !is_new;
	}
	guest_fini(&script);
	if (r)
		return err_prefix(e, "what starts the guest, %s", s->starter.path);
	e->code = 0;
	if (fresh == s->count || old == s->count)
		return fresh == s->count;
	return err_set(e, EBADMSG, "%s, which starts the guest, names neither all of its old images nor all of its new ones",
		       s->starter.path);
}

/* ---- which it is ---- */

static char *draft_of(const struct storage *s, const char *path)
{
	AUTO_FREE char *dir = xstrdup(path);
	AUTO_FREE char *base = xstrdup(path);
	char id[2 * ATTEMPT_ID_LEN + 1];

	return xasprintf("%s/.%s.vmferry-%.8s", dirname(dir), basename(base), attempt_id_format(s->id, id));
}

/* 1: this script starts a guest from images of ours; how their disks are used is noted. 0: it is none, or of other images. */
static int uses_our_images(struct storage *s, const char *path, struct err *e)
{
	struct guest script = {.pid = 0};
	struct err ignored;
	unsigned i, n = 0;
	int r = 0;

	if (script_read(path, &script, &ignored)) {
		guest_fini(&script);
		return 0;
	}
	for (i = 0; i < s->count && r >= 0; i++) {
		struct moving_disk *d = &s->disks[i];
		struct disk_line_options o;

		r = guest_script_names(&script, d->from, &o, e);
		n += r > 0;
		if (r > 0 && !d->options_known) {
			d->o = o;
			d->options_known = true;
		}
	}
	guest_fini(&script);
	if (r < 0)
		return err_prefix(e, "%s", path);
	return n && n < s->count ? err_set(e, ENOTSUP, "%s, which starts the guest, does not name all of these disks", path) : n != 0;
}

static int take(struct storage *s, const char *path, struct err *e)
{
	AUTO_FREE char *real = realpath(path, NULL);
	AUTO_FREE char *dir = xstrdup(real ? real : path);
	int r;

	if (!real)
		return err_sys(e, errno, "what starts the guest, %s", path);
	r = uses_our_images(s, real, e);
	if (r < 0)
		return r;
	if (!r) {
		struct guest script = {.pid = 0};

		r = script_read(real, &script, e);
		guest_fini(&script);
		return r ?: err_set(e, EINVAL, "%s does not name these disks", real);
	}
	if (!text_is_utf8(real))
		return err_set(e, EILSEQ, "the name %s is not UTF-8 text", real);
	if (access(dirname(dir), W_OK | X_OK))
		return err_sys(e, errno, "%s is to be replaced", real);
	free(s->starter.path);
	s->starter.path = xstrdup(real);
	s->starter.draft = draft_of(s, real);
	return 0;
}

/* Chooses, among scripts beside the guest's files, the one in which its disks can be changed. */
static int choose(struct storage *s, const struct guest_scripts *all, const char **found, struct err *e)
{
	for (size_t i = 0; i < all->count; i++) {
		const char *path = all->list[i].path;
		int r = all->list[i].plain ? uses_our_images(s, path, e) : 0;

		if (r < 0)
			return r;
		if (r && *found)
			return err_set(e, EINVAL,
				       "%s and %s both start a guest from these disks: say which is the right one (--start-script)", *found,
				       path);
		if (r)
			*found = path;
	}
	return 0;
}

/* Notes another script that would start the guest from its old images. */
static void note_others(struct storage *s, const struct guest_scripts *all)
{
	for (size_t i = 0; i < all->count && !s->starter.other; i++) {
		const struct guest_script *x = &all->list[i];
		bool same = s->starter.path && !strcmp(x->path, s->starter.path);

		if (same && x->linked)
			s->starter.other = xasprintf("another name (a hard link) of %s", x->path);
		else if (!same)
			s->starter.other = xstrdup(x->path);
	}
}

/* The unit that might start it, as a move would find it (whether that may be changed is no matter here); malloc'ed, or NULL. */
static char *unit_of(const struct guest *g, bool *user)
{
	struct autostart a;
	struct err ignored;
	char *unit;

	if (autostart_examine(&a, g, false, &ignored) && !a.unit)
		a.unit = xstrdup(g->unit.name);
	unit = xstrdup(a.unit);
	*user = a.user;
	autostart_fini(&a);
	return unit;
}

/* An option that is on one of two lines of a guest: its disks, which may have been moved since, and what only the agent that brought it needed. */
static bool is_of_one(const struct qemu_opt *o)
{
	static const char *const names[] = {"drive", "blockdev", "hda", "hdb", "hdc", "hdd", "", "incoming", "S", "daemonize", "L", NULL};

	return word_index(names, o->name) >= 0 || (!strcmp(o->name, "qmp") && o->value && strstr(o->value, "/vmferry.qmp,"));
}

static bool next_of_both(const struct guest_line *l, size_t *i, struct qemu_opt *o)
{
	bool more;

	while ((more = qemu_opt_next(l->argv, l->argc, i, o)) && is_of_one(o))
		;
	return more;
}

/* True if the guest's QEMU has the command line that this script has. */
static bool has_started(const char *path, const struct guest *g)
{
	struct guest script = {.pid = 0};
	struct qemu_opt a, b;
	size_t i = 1, k = 1;
	struct err ignored;
	bool more = true, same = !script_read(path, &script, &ignored);

	while (same && more) {
		more = next_of_both(&script.line, &i, &a);
		same = more == next_of_both(&g->line, &k, &b);
		if (same && more)
			same = !strcmp(a.name, b.name) && !strcmp(a.value ?: "", b.value ?: "");
	}
	guest_fini(&script);
	return same;
}

static int find(struct storage *s, const struct guest_scripts *all, struct err *e)
{
	AUTO_FREE char *unit = NULL;
	const char *found = NULL;
	struct err why;
	bool user;
	int r;

	if (s->o->start_script || s->starter.path)
		return take(s, s->o->start_script ?: s->starter.path, e);
	if (s->rest) {
		s->starter.why = xstrdup("the guest was named by its command line alone");
		return 0;
	}
	r = choose(s, all, &found, e);
	if (r)
		return r;
	unit = unit_of(&s->guest, &user);
	if (unit) {
		AUTO_FREE char *of_unit = NULL;

		if (unit_script(unit, user, &of_unit, &why)) {
			s->starter.why = xasprintf("the guest runs in the unit %s, or is started by it, and %s", unit, why.msg);
			return 0;
		}
		return take(s, of_unit, e);
	}
	if (found) {
		s->starter.other_line = !has_started(found, &s->guest);
		return take(s, found, e);
	}
	s->starter.why = xstrdup("no script as vmferry leaves one lies beside its files");
	return 0;
}

int starter_find(struct storage *s, struct err *e)
{
	const char **images = xcalloc(s->count, sizeof(*images));
	struct guest_scripts all;
	int r;

	for (unsigned i = 0; i < s->count; i++)
		images[i] = s->disks[i].from;
	guest_scripts_find(&all, &s->guest, images, s->count);
	free(images);
	r = find(s, &all, e);
	if (!r) {
		note_others(s, &all);
		if (s->starter.path && !s->starter.other)
			s->starter.other = guest_starter_beside(&s->guest, s->starter.path);
	}
	guest_scripts_fini(&all);
	return r;
}
