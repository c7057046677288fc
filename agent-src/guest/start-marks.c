/* start-marks.c: see start-marks.h. */
#include "start-marks.h"
#include "open-regular.h"
#include "util.h"
#include "words.h"

#include <pwd.h>
#include <search.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT_MAX  (256 * KIB)
#define DEPTH_MAX 2
#define READ_MAX  1024 /* scripts that one text leads to */
#define DIRS_MAX  8

/* ---- the guest's files ---- */

static void add_file(struct start_marks *m, const char *path)
{
	char *real = path && *path == '/' ? realpath(path, NULL) ?: xstrdup(path) : NULL;

	if (real && !words_have(m->files, m->count, real))
		words_add(&m->files, &m->count, real);
	else
		free(real);
}

static void add_files_of_line(struct start_marks *m, const struct args_result *line, enum args_role role)
{
	for (size_t i = 0; i < line->file_count; i++)
		if (line->files[i].role == role)
			add_file(m, line->files[i].path);
}

void start_marks_of(struct start_marks *m, const struct guest *g)
{
	struct args_result line = {.file_count = 0};
	struct err ignored;
	bool known = !guest_look_at_line(g, true, &line, &ignored);

	*m = (struct start_marks){.program = g->exe ? xstrdup(path_base(g->exe)) : NULL};
	m->count = m->image_count = guest_images(g, &m->files);
	guest_scripts_find(&m->scripts, g, (const char *const *)m->files, m->image_count);
	if (known)
		add_files_of_line(m, &line, ARGS_PIDFILE);
	m->pidfile_end = m->count;
	if (known)
		add_files_of_line(m, &line, ARGS_LISTEN);
	for (size_t i = 0; i < g->qmp.count; i++)
		add_file(m, g->qmp.all[i]);
	if (known)
		args_result_fini(&line);
}

void start_marks_fini(struct start_marks *m)
{
	args_free_strings(m->files, m->count);
	args_free_strings(m->idle, m->idle_count);
	guest_scripts_fini(&m->scripts);
	free(m->program);
	*m = (struct start_marks){.program = NULL};
}

static bool may_write(const struct stat *st, uid_t user, const gid_t *groups, size_t count)
{
	size_t i;

	if (st->st_uid == user)
		return st->st_mode & S_IWUSR;
	for (i = 0; i < count && groups[i] != st->st_gid; i++)
		;
	return st->st_mode & (i < count ? S_IWGRP : S_IWOTH);
}

bool start_marks_may_be_written(const struct start_marks *m, uid_t user, const gid_t *groups, size_t count)
{
	struct stat st;

	for (size_t i = 0; i < m->image_count; i++)
		if (!stat(m->files[i], &st) && may_write(&st, user, groups, count))
			return true;
	return false;
}

/* ---- the words of a text that may be paths ---- */

static const char ends[] = " \t\r\n\"'=:;,&|<>()[]{}$`";

/* Directories that a text may be about: that which it is run in, its own, and those that it names. */
struct dirs {
	char *v[DIRS_MAX];
	size_t n;
};

/* Directories of a distribution's own, which many scripts name, above all in PATH: what is in there is only looked for by its whole path, or by a
 * script that lies or runs there. */
static bool is_systems(const char *path)
{
	static const char *const names[] = {"/",    "/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/lib",
					    "/lib", "/dev", "/proc", "/sys",	 NULL};

	return word_index(names, path) >= 0;
}

/* Words of a shell's, which are most of a script. */
static bool is_shells(const char *word)
{
	static const char *const names[] = {"if",   "then",  "else",  "elif",  "fi",	"case", "esac", "in",
					    "for",  "while", "until", "do",    "done",	"echo", "exit", "return",
					    "true", "false", "test",  "local", "shift", "set",	NULL};

	return word_index(names, word) >= 0;
}

static bool is_dir(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISDIR(st.st_mode);
}

static void add_dir(struct dirs *d, const char *path, bool is_named)
{
	AUTO_FREE char *real = path && *path == '/' && d->n < DIRS_MAX && is_dir(path) ? realpath(path, NULL) : NULL;

	if (real && !(is_named && is_systems(real)) && !words_have(d->v, d->n, real))
		d->v[d->n++] = xstrdup(real);
}

static char *with(char *text /* taken */, const char *what, const char *by)
{
	const char *p = text, *at;
	char *out = NULL;
	size_t size;
	FILE *f = open_memstream(&out, &size);

	for (; (at = strstr(p, what)); p = at + strlen(what))
		fprintf(f, "%.*s%s", (int)(at - p), p, by);
	fputs(p, f);
	if (fclose(f))
		abort();
	free(text);
	return out;
}

/* The text with the home directory in place of its names; malloc'ed. */
static char *expand_home(const char *text, uid_t user)
{
	const struct passwd *own = getpwuid(user);
	AUTO_FREE char *below = own ? xasprintf("%s/", own->pw_dir) : NULL;
	char *out = xstrdup(text);

	return own ? with(with(with(out, "${HOME}/", below), "$HOME/", below), "~/", below) : out;
}

/* The word at *p, which is moved behind it; malloc'ed, NULL: there is none. What is behind a variable is relative to its value. */
static char *next_word(const char *text, const char **p)
{
	const char *word;
	size_t n, skip = 0;

	*p += strspn(*p, ends);
	word = *p;
	n = strcspn(word, ends);
	*p += n;
	if (n && word > text && strchr("$}", word[-1]) && memchr(word, '/', n))
		skip = strcspn(word, "/") + 1;
	return n ? xasprintf("%.*s", (int)(n - skip), word + skip) : NULL;
}

static char *resolved(const char *word, const char *dir)
{
	AUTO_FREE char *full = *word == '/' ? xstrdup(word) : xasprintf("%s/%s", dir, word);

	return access(full, F_OK) ? NULL : realpath(full, NULL);
}

/* ---- texts ---- */

struct reading {
	struct start_marks *m;
	const struct start_runner *by;
	unsigned depth; /* scripts that are followed from here on */
	bool runs_qemu;
};

static bool is_known(const struct start_marks *m, const char *path)
{
	return m->known && !strcmp(m->known, path);
}

static bool is_script_of(const struct start_marks *m, const char *path)
{
	const struct guest_scripts *s = &m->scripts;

	for (size_t i = 0; i < s->count; i++)
		if (!strcmp(s->list[i].path, path) && !is_known(m, path))
			return true;
	return false;
}

static bool file_starts(const struct reading *r, const char *path);

/* The files whose names say that a text starts the guest: *from up to the end that is returned. */
static size_t telling(const struct reading *r, size_t *from)
{
	*from = r->runs_qemu ? 0 : r->m->image_count;
	return r->runs_qemu ? r->m->count : r->by->looks_after ? r->m->pidfile_end : *from;
}

/* The file that the word names is one of these, or a script that starts the guest. */
static bool leads(const struct reading *r, const char *path)
{
	size_t from, end = telling(r, &from);

	return words_have(r->m->files + from, end - from, path) || (r->depth && (is_script_of(r->m, path) || file_starts(r, path)));
}

static bool word_leads(const struct reading *r, const struct dirs *dirs, const char *word)
{
	bool yes = false;

	word += strspn(word, "-@:+!|"); /* what systemd reads in front of a path */
	if (is_shells(word))
		return false;
	for (size_t i = 0; i < (*word == '/' ? 1 : dirs->n) && *word && !yes; i++) {
		AUTO_FREE char *path = resolved(word, dirs->n ? dirs->v[i] : "/");

		yes = path && leads(r, path);
	}
	return yes;
}

static int compare_words(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* True if a word of the text leads to the guest. Each word is looked at once: a long script has the same few hundred again and again. */
static bool words_lead(const struct reading *r, const struct dirs *dirs, const char *text)
{
	void *seen = NULL;
	const char *p = text;
	bool yes = false;
	char *word;

	while (!yes && (word = next_word(text, &p)))
		if (*(char **)tsearch(word, &seen, compare_words) == word)
			yes = word_leads(r, dirs, word);
		else
			free(word);
	tdestroy(seen, free);
	return yes;
}

static bool text_starts(struct reading *r, const char *dir, const char *told)
{
	AUTO_FREE char *text = expand_home(told, r->by->user);
	struct dirs dirs = {.n = 0};
	size_t i, end;
	const char *p;
	char *word;
	bool yes;

	r->runs_qemu = text_runs_qemu(text, r->m->program);
	end = telling(r, &i);
	for (; i < end; i++)
		if (text_has_name(text, r->m->files[i]))
			return true;
	if (!r->runs_qemu && !r->depth)
		return false;
	add_dir(&dirs, dir, false);
	add_dir(&dirs, r->by->cwd, false);
	for (p = text; (word = next_word(text, &p)); free(word))
		add_dir(&dirs, word, true);
	yes = words_lead(r, &dirs, text);
	for (i = 0; i < dirs.n; i++)
		free(dirs.v[i]);
	return yes;
}

/* A file that only holds words of a script, as a report of vmferry's, runs nothing. */
static bool is_program(const char *path, const struct stat *st, const char *text)
{
	return st->st_mode & (S_IXUSR | S_IXGRP | S_IXOTH) || text_starts_with(text, "#!") || text_ends_with(path, ".sh");
}

/* A text that is not long; NULL: it is none, or a stranger's. named: a text names it, and what for is unknown. */
static char *text_of(const char *path, uid_t user, bool named)
{
	AUTO_CLOSE int fd = open_regular(path);
	struct stat st;
	char *text;
	size_t n;

	if (fd < 0 || fstat(fd, &st) || (st.st_uid && st.st_uid != geteuid() && st.st_uid != user) || read_regular(fd, TEXT_MAX, &text, &n))
		return NULL;
	if (!memchr(text, 0, n) && (!named || is_program(path, &st, text)))
		return text;
	free(text);
	return NULL;
}

/* A script is followed by as many others as depth says, so that scripts which run each other come to an end. Many processes run the same ones: an
 * answer "no" is kept. */
static bool file_starts(const struct reading *r, const char *path)
{
	struct start_marks *m = r->m;
	struct reading its = {m, r->by, r->depth - 1, false};
	AUTO_FREE char *text = NULL, *dir = xasprintf("%.*s", (int)(path_base(path) - path), path);
	AUTO_FREE char *question = xasprintf("%u %u %s %s", r->depth, (unsigned)r->by->user, r->by->cwd ?: "", path);
	bool known = is_known(m, path) || words_have(m->files, m->count, path) || words_have(m->idle, m->idle_count, question);
	bool yes;

	text = known || m->read >= READ_MAX ? NULL : text_of(path, r->by->user, r->depth <= DEPTH_MAX);
	if (!text)
		return false;
	m->read++;
	yes = guest_script_starts(path, (const char *const *)m->files, m->image_count) || text_starts(&its, dir, text);
	if (!yes && m->read < READ_MAX)
		words_add(&m->idle, &m->idle_count, xstrdup(question));
	return yes;
}

bool start_marks_line(const struct start_marks *m, const struct start_runner *by, const char *text)
{
	struct reading r = {(struct start_marks *)(uintptr_t)m, by, 0, false};

	return text_starts(&r, NULL, text);
}

bool start_marks_text(struct start_marks *m, const struct start_runner *by, const char *text)
{
	struct reading r = {m, by, DEPTH_MAX, false};

	m->read = 0;
	return text_starts(&r, NULL, text);
}

bool start_marks_file(struct start_marks *m, const struct start_runner *by, const char *path)
{
	struct reading r = {m, by, DEPTH_MAX + 1, false};
	AUTO_FREE char *real = realpath(path, NULL);

	m->read = 0;
	return real && (is_script_of(m, real) || file_starts(&r, real));
}
