/* guest-scripts.c: see guest-scripts.h. */
#include "guest-scripts.h"
#include "disk-line.h"
#include "guest-at-rest.h"
#include "open-regular.h"
#include "script-read.h"
#include "start-script.h"
#include "systemd.h"
#include "unit-text.h"
#include "util.h"
#include "words.h"

#include <ctype.h>
#include <dirent.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT_MAX MIB

/* ---- one script ---- */

/* A name without a directory is one in that which the script changes to; by itself it says of none. */
bool guest_script_is_image(void *ctx, const char *path)
{
	const struct script_image *image = ctx;
	const char *cwd = image->script->cwd ?: "/";
	AUTO_FREE char *full = *path == '/' ? xstrdup(path) : xasprintf("%s/%s", strcmp(cwd, "/") ? cwd : "", path);
	AUTO_FREE char *real = realpath(full, NULL);

	return !strcmp(full, image->path) || (real && !strcmp(real, image->path));
}

int guest_script_names(const struct guest *script, const char *image, struct disk_line_options *o, struct err *e)
{
	struct script_image is = {script, image};
	struct disk_line_change look = {.is_it = guest_script_is_image, .ctx = &is};

	return disk_line_change(script->line.argv, script->line.argc, &look, NULL, NULL, o, e);
}

/* NULL: it is not a text, or too long for a script that starts a guest. */
static char *text_of(const char *path, struct stat *st)
{
	AUTO_CLOSE int fd = open_regular(path);
	char *text;
	size_t n;

	if (fd < 0 || fstat(fd, st) || read_regular(fd, TEXT_MAX, &text, &n))
		return NULL;
	if (!memchr(text, 0, n))
		return text;
	free(text);
	return NULL;
}

static bool is_of_a_name(char c)
{
	return isalnum((unsigned char)c) || strchr("._-", c);
}

bool text_has_name(const char *text, const char *name)
{
	const char *p = text;
	size_t n = strlen(name);

	for (; n && (p = strstr(p, name)); p++)
		if ((p == text || !is_of_a_name(p[-1])) && (!p[n] || !is_of_a_name(p[n])))
			return true;
	return false;
}

static bool is_directory(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISDIR(st.st_mode);
}

/* The path whose last name ends there may be a program's; images lie in directories that are called as QEMU is. */
static bool may_be_run(const char *text, const char *end)
{
	const char *begin = end;
	AUTO_FREE char *path = NULL;

	while (begin > text && !strchr(" \t\r\n\"'=:;,&|<>()[]{}$`", begin[-1]))
		begin--;
	path = xasprintf("%.*s", (int)(end - begin), begin);
	return *end != '/' && strcmp(path, "/dev/kvm") && !(*path == '/' && is_directory(path));
}

/* A program of that name, which may begin with the slash before it. behind: what follows; "": nothing of a name; NULL: the name may be longer. */
static bool text_runs(const char *text, const char *program, const char *behind)
{
	for (const char *p = *program ? strstr(text, program) : NULL; p; p = strstr(p + 1, program)) {
		const char *end = p + strlen(program);
		bool is_whole = *program == '/' || p == text || !is_of_a_name(p[-1]);

		while (!behind && *end && is_of_a_name(*end))
			end++;
		if ((!behind || (is_whole && (!*end || !is_of_a_name(*end)) && text_starts_with(end, behind))) && may_be_run(text, end))
			return true;
	}
	return false;
}

bool text_runs_qemu(const char *text, const char *program)
{
	return text_runs(text, "qemu-system", NULL) || text_runs(text, "qemu-kvm", NULL) || text_runs(text, "/kvm", "") ||
	       text_runs(text, "/kvm-spice", "") || text_runs(text, "kvm", " -") || (program && text_runs(text, program, ""));
}

/* The text runs QEMU, and has the image's path, or its name where the script lies in its directory. */
static bool mentions(const char *text, const char *path, const char *image)
{
	const char *name = strrchr(image, '/') + 1, *slash = strrchr(path, '/');
	bool beside = slash - path == name - 1 - image && !strncmp(path, image, (size_t)(slash - path));

	if (!text_runs_qemu(text, NULL))
		return false;
	return text_has_name(text, image) || (beside && text_has_name(text, name));
}

/* True if root or we own the file: another user may want us to believe that a script of theirs starts the guest. */
static bool is_trusted(const struct stat *st)
{
	return !st->st_uid || st->st_uid == geteuid();
}

/* Fills all but the path. False: it does not start a guest from one of the images. */
static bool look_at(struct guest_script *s, const char *path, const char *const *images, size_t count)
{
	struct stat st = {.st_mode = 0};
	AUTO_FREE char *text = text_of(path, &st);
	struct guest script = {.pid = 0};
	struct err ignored;
	bool named = false;

	if (!text || !is_trusted(&st))
		return false;
	s->plain = !script_parse(path, text, &script, &ignored);
	for (size_t i = 0; i < count && !named; i++)
		named = (s->plain && guest_script_names(&script, images[i], NULL, &ignored)) ||
			((!s->plain || !script.cwd) && mentions(text, path, images[i]));
	guest_fini(&script);
	s->ours = s->plain && start_script_origin(text) != SCRIPT_FOREIGN;
	s->linked = st.st_nlink > 1;
	return named;
}

bool guest_script_text_starts(const char *path, const char *text, const char *const *images, size_t count)
{
	size_t i;

	for (i = 0; i < count && !mentions(text, path, images[i]); i++)
		;
	return i < count;
}

bool guest_script_starts(const char *path, const char *const *images, size_t count)
{
	struct guest_script ignored = {.path = NULL};

	return look_at(&ignored, path, images, count);
}

/* ---- all of them ---- */

struct search {
	struct guest_scripts *out;
	const char *const *images;
	size_t count;
	char **dirs; /* directories searched, and a NULL */
	size_t dir_count;
};

static bool is_known(const struct guest_scripts *s, const char *path)
{
	size_t i;

	for (i = 0; i < s->count && strcmp(s->list[i].path, path); i++)
		;
	return i < s->count;
}

static void consider(struct search *f, const char *path)
{
	AUTO_FREE char *real = realpath(path, NULL);
	struct guest_script s = {.path = NULL};

	if (!real || is_known(f->out, real) || !look_at(&s, real, f->images, f->count))
		return;
	s.path = xstrdup(real);
	f->out->list = xrealloc(f->out->list, (f->out->count + 1) * sizeof(*f->out->list));
	f->out->list[f->out->count++] = s;
}

static bool is_script_name(const char *name)
{
	size_t n = strlen(name);

	return n > 3 && *name != '.' && !strcmp(name + n - 3, ".sh");
}

static bool was_looked_at(struct search *f, const char *dir)
{
	if (words_have(f->dirs, f->dir_count, dir))
		return true;
	words_add(&f->dirs, &f->dir_count, xstrdup(dir));
	return false;
}

/* Looks for scripts in the directory of a file of the guest's, where a move or an import leaves one. */
static void look_beside(struct search *f, const char *file)
{
	AUTO_FREE char *copy = xstrdup(file ?: "");
	const char *dir = dirname(copy);
	DIR *list = !file || *file != '/' || was_looked_at(f, dir) ? NULL : opendir(dir);
	struct dirent *x;

	while (list && (x = readdir(list))) {
		AUTO_FREE char *path = is_script_name(x->d_name) ? xasprintf("%s/%s", dir, x->d_name) : NULL;

		if (path)
			consider(f, path);
	}
	if (list)
		closedir(list);
}

static void look_at_unit(struct search *f, const char *unit, bool user)
{
	AUTO_FREE char *path = NULL;
	struct err ignored;

	if (!unit_script(unit, user, &path, &ignored))
		consider(f, path);
}

/* The unit that it runs in, and the one that --install-unit has made. */
static void look_at_units(struct search *f, const struct guest *g)
{
	bool user = g->unit.name ? g->unit.is_user : geteuid() != 0;
	AUTO_FREE char *plain = unit_plain_name(g->name);
	AUTO_FREE char *ours = xasprintf("vmferry-%s.service", plain);
	AUTO_FREE char *dir = systemd_unit_dir(user, false);
	AUTO_FREE char *file = xasprintf("%s/%s", dir, ours);

	if (!systemd_runs())
		return;
	if (g->unit.name && !unit_is_generic(g->unit.name))
		look_at_unit(f, g->unit.name, user);
	if (!access(file, F_OK))
		look_at_unit(f, ours, user);
}

/* The guest as its QEMU was started, if that can be told: g's line may have disks that were plugged in, or put in place of an image. */
static const struct guest *as_started(const struct guest *g, struct guest *buf)
{
	char pid[16];
	struct err ignored;

	snprintf(pid, sizeof(pid), "%d", (int)g->pid);
	return g->pid && !guest_find(buf, pid, &ignored) && buf->start_time == g->start_time ? buf : g;
}

static void add_image(char ***out, size_t *n, const char *path)
{
	char *real = path && *path == '/' ? realpath(path, NULL) : NULL;

	if (real && !words_have(*out, *n, real))
		words_add(out, n, real);
	else
		free(real);
}

size_t guest_images(const struct guest *g, char ***out)
{
	struct guest buf = {.pid = 0};
	struct args_result line;
	struct err ignored;
	size_t i, n = 0;

	*out = NULL;
	for (i = 0; i < g->disk_count; i++)
		if (!g->disks[i].read_only && !g->disks[i].removable)
			add_image(out, &n, g->disks[i].real_path);
	if (!guest_look_at_line(as_started(g, &buf), true, &line, &ignored)) {
		for (i = 0; i < line.file_count; i++)
			if (args_file_is_disk(&line.files[i]))
				add_image(out, &n, line.files[i].path);
		args_result_fini(&line);
	}
	guest_fini(&buf);
	return n;
}

static void look_beside_files_of_line(struct search *f, const struct guest *g)
{
	struct args_result line;
	struct err ignored;

	if (guest_look_at_line(g, true, &line, &ignored))
		return;
	for (size_t i = 0; i < line.file_count; i++)
		if (args_file_is_disk(&line.files[i]) || args_role_is_made(line.files[i].role))
			look_beside(f, line.files[i].path);
	args_result_fini(&line);
}

static void look_beside_its_files(struct search *f, const struct guest *g)
{
	struct guest buf = {.pid = 0};

	look_beside(f, g->qmp.path);
	for (size_t i = 0; i < g->qmp.count; i++)
		look_beside(f, g->qmp.all[i]);
	for (size_t i = 0; i < g->disk_count; i++)
		if (!g->disks[i].read_only)
			look_beside(f, g->disks[i].real_path);
	look_beside_files_of_line(f, as_started(g, &buf));
	guest_fini(&buf);
}

void guest_scripts_find(struct guest_scripts *out, const struct guest *g, const char *const *images, size_t count)
{
	struct search f = {.out = out, .images = images, .count = count};

	*out = (struct guest_scripts){.list = NULL};
	look_beside_its_files(&f, g);
	look_at_units(&f, g);
	args_free_strings(f.dirs, f.dir_count);
}

void guest_scripts_drop(struct guest_scripts *s, size_t i)
{
	free(s->list[i].path);
	memmove(&s->list[i], &s->list[i + 1], (--s->count - i) * sizeof(*s->list));
}

void guest_scripts_fini(struct guest_scripts *s)
{
	for (size_t i = 0; i < s->count; i++)
		free(s->list[i].path);
	free(s->list);
	*s = (struct guest_scripts){.list = NULL};
}
