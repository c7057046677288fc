/* aside.c: see aside.h. */
#include "aside.h"
#include "durable-file.h"
#include "fault.h"
#include "json-text.h"
#include "named-images.h"
#include "own-file.h"
#include "process.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define IMAGES	   "old-images"
#define SCRIPT	   "start-script"
#define QEMU_FILES "qemu-files"

static struct aside *aside_of(struct part *p)
{
	return container_of(p, struct aside, part);
}

static char *aside_name(const struct aside *a, const char *path)
{
	char id[2 * ATTEMPT_ID_LEN + 1];

	return xasprintf("%s.moved-%.8s", path, attempt_id_format(a->part.a->id, id));
}

static bool has_gone(const struct part *p)
{
	return p->a->handoff.state == HO_SRC_RELEASED;
}

/* ---- the plan ---- */

/* True if PATH is the script itself by which the guest was named, not a symbolic link to it. */
static bool is_named_script(const struct aside *a, const char *path)
{
	AUTO_FREE char *real = a->script ? realpath(a->script, NULL) : NULL;
	struct stat st;

	return real && !strcmp(real, path) && !lstat(a->script, &st) && !S_ISLNK(st.st_mode);
}

int aside_check_name(const char *path, const char *what, struct err *e)
{
	AUTO_FREE char *copy = xstrdup(path);
	AUTO_FREE char *base = xstrdup(path);

	if (!text_is_utf8(path))
		return err_set(e, EILSEQ, "the name of %s %s is not UTF-8 text", what, path);
	if (access(dirname(copy), W_OK | X_OK))
		return err_sys(e, errno,
			       "vmferry could not rename %s %s here once the guest has gone, which keeps the guest from being "
			       "started a second time",
			       what, path);
	return strlen(basename(base)) + strlen(".moved-12345678") > NAME_MAX
		       ? err_set(e, ENAMETOOLONG,
				 "vmferry could not rename %s %s here once the guest has gone: the name is too long to "
				 "append to",
				 what, path)
		       : 0;
}

static bool is_at_rest(const struct aside *a)
{
	return !a->src->guest.pid;
}

static void find_scripts(struct aside *a)
{
	char **images;
	size_t n = guest_images(&a->src->guest, &images), i;

	guest_scripts_find(&a->scripts, &a->src->guest, (const char *const *)images, n);
	args_free_strings(images, n);
	for (i = 0; i < a->scripts.count; i++)
		if (is_named_script(a, a->scripts.list[i].path))
			guest_scripts_drop(&a->scripts, i--);
}

static int examine(struct part *p, struct err *e)
{
	struct aside *a = aside_of(p);
	int r = a->script && aside_check_name(a->script, "the script", e) ? source_obstacle(a->src, e) : 0;

	if (r || a->src->opt->in_place)
		return r;
	find_scripts(a);
	a->starter = a->unit->autostart.starter ? xstrdup(a->unit->autostart.starter) : NULL;
	a->images = a->starter && !a->src->opt->starter.is_stopped;
	for (size_t i = 0; i < a->scripts.count && !r; i++)
		if (a->scripts.list[i].ours && aside_check_name(a->scripts.list[i].path, "the script", e))
			r = source_obstacle(a->src, e);
	return r;
}

static int refuse_image(const struct aside *a, const char *what, const char *why, struct err *e)
{
	return err_set(e, ENOTSUP,
		       "%s, and may start it again when it has gone. %s%s%s. Stop that first, and then say so: --starter-stopped",
		       a->starter, what ?: "The guest", what ? " cannot get another name, which would prevent it: " : " ", why);
}

static int check_image(const struct aside *a, const char *path, struct err *e)
{
	struct stat st;

	if (stat(path, &st))
		return err_sys(e, errno, "cannot look at %s", path);
	if (!S_ISREG(st.st_mode))
		return refuse_image(a, path, "it is not a regular file", e);
	return aside_check_name(path, "the disk", e);
}

/* Now it is known which disks are copied, and which both hosts use. */
static int agree(struct part *p, const json_t *said, struct err *e)
{
	struct aside *a = aside_of(p);
	const json_t *shared = json_array_get(a->src->shared_paths, 0) ?: json_array_get(a->src->disks_by_word, 0);
	json_t *path;
	size_t i;
	int r = 0;

	(void)said;
	if (!a->images)
		return 0;
	if (shared)
		return refuse_image(a, json_string_value(shared), "the destination uses it, too", e);
	if (!json_array_size(a->src->disk_paths))
		return refuse_image(a, NULL, "has no disk that could get another name", e);
	json_array_foreach(a->src->disk_paths, i, path)
		if (!r && check_image(a, json_string_value(path), e))
			r = source_obstacle(a->src, e);
	return r;
}

/* ---- what is noted before anything is done ---- */

/* Lists the guest's disks as they are now, and those that its QEMU was started with, which a starter would use. */
static int list_images(const struct aside *a, json_t *out, struct err *e)
{
	char **images;
	size_t n = guest_images(&a->src->guest, &images), i;
	struct stat st;
	json_t *known;
	int r = 0;

	for (i = 0; i < n && !r; i++) {
		AUTO_FREE char *to = aside_name(a, images[i]);

		if (json_find(out, "path", images[i]) || stat(images[i], &st) || !S_ISREG(st.st_mode))
			continue;
		r = own_file_know(images[i], images[i], &known, e);
		if (r)
			break;
		json_object_set_new(known, "aside", json_string(to));
		json_array_append_new(out, known);
	}
	args_free_strings(images, n);
	return r;
}

static int own_images(struct aside *a, struct err *e)
{
	json_t *list = json_array();
	int r = list_images(a, list, e);

	if (!r)
		return attempt_own(a->part.a, IMAGES, json_pack("{s:o}", "files", list), e);
	json_decref(list);
	return r;
}

static bool is_its_pidfile(const char *path, pid_t pid)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char text[32] = "";

	return fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && atol(text) == pid;
}

static bool is_its_own(const struct args_file *f, pid_t pid)
{
	struct stat st;

	if (!f->path || *f->path != '/' || lstat(f->path, &st))
		return false;
	return (f->role == ARGS_LISTEN && S_ISSOCK(st.st_mode) && process_has_socket(pid, f->path)) ||
	       (f->role == ARGS_PIDFILE && S_ISREG(st.st_mode) && is_its_pidfile(f->path, pid));
}

/* Journals the sockets and pidfiles that this QEMU made, so that only those are removed later. */
static int own_qemu_files(struct aside *a, struct err *e)
{
	const struct guest *g = &a->src->guest;
	struct args_result line;
	struct err ignored;
	json_t *list = json_array(), *known;

	if (is_at_rest(a) || guest_read_line(g, true, &line, &ignored)) {
		json_decref(list);
		return 0;
	}
	for (size_t i = 0; i < line.file_count; i++)
		if (is_its_own(&line.files[i], g->pid) && text_is_utf8(line.files[i].path) &&
		    !own_file_know(line.files[i].path, line.files[i].path, &known, &ignored))
			json_array_append_new(list, known);
	args_result_fini(&line);
	if (json_array_size(list))
		return attempt_own(a->part.a, QEMU_FILES, json_pack("{s:o}", "files", list), e);
	json_decref(list);
	return 0;
}

static int prepare(struct part *p, struct err *e)
{
	struct aside *a = aside_of(p);
	int r = a->images ? own_images(a, e) : 0;

	return r || a->src->opt->in_place ? r : own_qemu_files(a, e);
}

/* ---- scripts ---- */

static void note_renamed(struct aside *a, const char *from, const char *to)
{
	a->renamed = a->renamed ?: json_array();
	json_array_append_new(a->renamed, json_pack("{s:s,s:s}", "from", from, "to", to));
}

static int set_script_aside(struct aside *a, const char *path, struct err *e)
{
	AUTO_FREE char *to = aside_name(a, path);
	int r = attempt_own(a->part.a, SCRIPT, json_pack("{s:s,s:s}", "path", path, "aside", to), e);

	fault_point("src-script-noted");
	if (r)
		return r;
	r = own_file_set_aside(path, to, e);
	return r && r != -ENOENT ? err_prefix(e, "the guest is to be started by it no more") : 0;
}

int aside_scripts(struct aside *a, struct err *e)
{
	int r = a->script ? set_script_aside(a, a->script, e) : 0;

	for (size_t i = 0; i < a->scripts.count && !r; i++)
		if (a->scripts.list[i].ours)
			r = set_script_aside(a, a->scripts.list[i].path, e);
	fault_point("src-set-aside");
	return r;
}

/* Completes a rename that a crash cut short: rename_new() may have left the old name behind, or the new name may not be durable yet. */
static int end_rename(const char *path, const char *to, struct err *e)
{
	return are_one_file(path, to) ? own_file_set_aside(path, to, e) : sync_parent_dir(to, e);
}

/* Gives the script its name back, unless another file has taken that name meanwhile. */
static int undo_script(struct part *p, const json_t *detail, struct err *e)
{
	const char *path = json_text(detail, "path"), *to = json_text(detail, "aside");
	struct stat st;
	int r;

	if (!path || !to)
		return err_set(e, EBADMSG, "the journal does not say which");
	if (lstat(to, &st))
		return errno == ENOENT ? 0 : err_sys(e, errno, "cannot look at %s", to);
	if (has_gone(p)) {
		note_renamed(aside_of(p), path, to);
		return end_rename(path, to, e);
	}
	r = rename_new(to, path);
	return r ? err_sys(e, -r, "cannot give %s its name %s back", to, path) : sync_parent_dir(path, e);
}

/* ---- images ---- */

/* Renames an image, unless it has its new name already or another file has its name. */
static int set_image_aside(const json_t *file, bool rebooted, struct err *e)
{
	const char *path = json_text(file, "path"), *to = json_text(file, "aside");
	struct stat st;
	int r;

	if (!path || !to)
		return err_set(e, EBADMSG, "the journal does not say which");
	if (!lstat(to, &st))
		return end_rename(path, to, e);
	r = own_file_look(file, rebooted, e);
	if (r && r != -EUCLEAN) /* a name can be given back, so doubt is no reason to leave it */
		return MIN(r, 0);
	return own_file_set_aside(path, to, e);
}

static int put_image_back(const json_t *file, bool rebooted, struct err *e)
{
	const char *path = json_text(file, "path"), *to = json_text(file, "aside");
	struct stat st;
	json_auto_t *known = NULL;

	(void)rebooted;
	if (!path || !to)
		return err_set(e, EBADMSG, "the journal does not say which");
	if (lstat(to, &st) && !lstat(path, &st))
		return 0;
	known = json_copy((json_t *)(uintptr_t)file);
	json_object_set_new(known, "path", json_string(to));
	return own_file_put_back(known, path, e);
}

/* The images that the journal says are to lose their names; a new reference, or NULL. */
static json_t *noted_images(const struct aside *a)
{
	json_t *owned, *entry, *out = NULL;
	size_t i;

	if (!a->part.a->journal || journal_owned(a->part.a->journal, &owned))
		return NULL;
	json_array_foreach(owned, i, entry)
		if (!out && !strcmp(json_text(entry, "kind") ?: "", IMAGES))
			out = json_incref(json_object_get(json_object_get(entry, "detail"), "files"));
	json_decref(owned);
	return out;
}

/* The journal is of an earlier boot. */
static bool has_rebooted(const struct aside *a)
{
	return !is_this_boot(json_text(journal_begin(a->part.a->journal), "boot_id"));
}

/* Acts on each image, whatever becomes of one; returns the first error. */
static int each_image(const struct aside *a, const json_t *files, int (*act)(const json_t *file, bool rebooted, struct err *e),
		      struct err *e)
{
	bool rebooted = files && has_rebooted(a);
	struct err why;
	json_t *file;
	size_t i;
	int r = 0, one;

	json_array_foreach((json_t *)files, i, file) {
		one = act(file, rebooted, &why);
		if (one && !r)
			*e = why;
		r = r ?: one;
	}
	return r;
}

bool aside_has_images(const struct aside *a)
{
	json_auto_t *files = noted_images(a);

	return json_array_size(files) > 0;
}

int aside_images(struct aside *a, struct err *e)
{
	json_auto_t *files = noted_images(a);
	int r = each_image(a, files, set_image_aside, e);

	if (files)
		fault_point("src-images-aside");
	return r;
}

int aside_give_back(struct aside *a, struct err *e)
{
	json_auto_t *files = noted_images(a);
	int r = each_image(a, files, put_image_back, e);

	if (files)
		fault_point("src-images-back");
	return r;
}

static int undo_images(struct part *p, const json_t *detail, struct err *e)
{
	struct aside *a = aside_of(p);
	const json_t *files = json_object_get(detail, "files");
	struct stat st;
	json_t *file;
	size_t i;
	int r = each_image(a, files, has_gone(p) ? set_image_aside : put_image_back, e);

	json_array_foreach((json_t *)files, i, file)
		if (has_gone(p) && !lstat(json_text(file, "aside") ?: "", &st))
			note_renamed(a, json_text(file, "path"), json_text(file, "aside"));
	return r;
}

/* The journal knows an image's name in this life; once the journal is gone, the list of told renames does. */
char *aside_path(const struct aside *a, const char *path)
{
	json_t *files = noted_images(a), *one;
	char *now = NULL;
	struct stat st;
	size_t i;

	json_array_foreach(files, i, one)
		if (!now && !strcmp(json_text(one, "path") ?: "", path) && !lstat(json_text(one, "aside") ?: "", &st))
			now = xstrdup(json_text(one, "aside"));
	json_decref(files);
	return now ?: xstrdup(json_text(json_find(a->renamed, "from", path), "to") ?: path);
}

static bool is_one_of(const json_t *list, const char *key, const json_t *was)
{
	json_t *one;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)list, i, one)
		if (named_image_is(was, json_text(one, key) ?: ""))
			return true;
	return false;
}

bool aside_has(const struct aside *a, const json_t *was)
{
	json_auto_t *files = noted_images(a);

	return is_one_of(files, "aside", was) || is_one_of(a->renamed, "to", was);
}

/* ---- what QEMU leaves ---- */

/* A file that may belong to another process by now is left alone. */
static int undo_qemu_files(struct part *p, const json_t *detail, struct err *e)
{
	const json_t *files = json_object_get(detail, "files");
	json_t *file;
	size_t i;

	(void)e;
	json_array_foreach((json_t *)files, i, file) {
		struct err ignored;

		if (has_gone(p) && json_text(file, "path"))
			own_file_remove(file, false, &ignored);
	}
	return 0;
}

/* ---- what is told ---- */

static void tell_foreign(const struct aside *a, json_t *out)
{
	for (size_t i = 0; i < a->scripts.count && !a->images; i++) {
		const struct guest_script *s = &a->scripts.list[i];

		if (!s->ours && !access(s->path, F_OK))
			report_warning(out, "%s, which vmferry did not write%s, would start the guest here a second time", s->path,
				       s->plain ? "" : ", and which names its disk");
	}
}

static void add_if_renamed(json_t *out, const json_t *file)
{
	const char *path = json_text(file, "path"), *to = json_text(file, "aside");
	struct stat st;

	if (path && to && !lstat(to, &st))
		json_array_append_new(out, json_pack("{s:s,s:s}", "from", path, "to", to));
}

/* Lists the images that have other names while it is undecided whether they keep them. */
static json_t *renamed_by_journal(const struct aside *a)
{
	json_t *out = json_array(), *owned, *entry, *file;
	size_t i, k;

	if (!a->part.a->journal || journal_owned(a->part.a->journal, &owned))
		return out;
	json_array_foreach(owned, i, entry) {
		const json_t *detail = json_object_get(entry, "detail");

		if (!strcmp(json_text(entry, "kind") ?: "", SCRIPT))
			add_if_renamed(out, detail);
		if (strcmp(json_text(entry, "kind") ?: "", IMAGES))
			continue;
		json_array_foreach(json_object_get(detail, "files"), k, file)
			add_if_renamed(out, file);
	}
	json_decref(owned);
	return out;
}

/* The first, and the others behind it. */
static void tell_renamed(const json_t *renamed, json_t *out)
{
	json_t *first = json_copy(json_array_get(renamed, 0)), *one, *also = json_array();
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)renamed, i, one)
		if (i)
			json_array_append(also, one);
	if (first)
		json_object_set(first, "also", also);
	if (first)
		json_object_set(out, "set_aside", first);
	json_decref(first);
	json_decref(also);
}

static void tell(const struct part *p, enum part_tale tale, json_t *out)
{
	const struct aside *a = container_of(p, const struct aside, part);

	if (tale == TELL_PLAN)
		tell_foreign(a, out);
	if (tale == TELL_RESULT && has_gone(p)) {
		tell_foreign(a, out);
		tell_renamed(a->renamed, out);
	} else if (tale == TELL_RESULT && handoff_is_given_up(&p->a->handoff)) {
		json_t *now = renamed_by_journal(a);

		tell_renamed(now, out);
		json_decref(now);
	}
}

static void fini(struct part *p)
{
	struct aside *a = aside_of(p);

	free(a->script);
	free(a->starter);
	guest_scripts_fini(&a->scripts);
	json_decref(a->renamed);
}

static const struct part_undo undo[] = {{SCRIPT, "the name of the script that starts it", undo_script},
					{IMAGES, "the names of its disks", undo_images},
					{QEMU_FILES, "sockets and the pidfile of its QEMU", undo_qemu_files},
					{NULL, NULL, NULL}};

static const struct part_ops ops =
	{.name = "aside", .apart = true, .examine = examine, .agree = agree, .prepare = prepare, .undo = undo, .tell = tell, .fini = fini};

void aside_init(struct aside *a, struct source *src, const struct unit *unit)
{
	*a = (struct aside){.part = {&ops, src->part.a}, .src = src, .unit = unit};
}
