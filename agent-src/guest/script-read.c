/* script-read.c: see script-read.h. */
#include "script-read.h"
#include "open-regular.h"
#include "swtpm-args.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCRIPT_MAX MIB
#define WORDS_MAX  16384

/* ---- words, as sh reads them: what is not plain text in quotes is refused ---- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_special(char c)
{
	return strchr("\"$`;&|<>()*?[]#~!{}", c) != NULL;
}

struct word {
	char *text;
	size_t n, cap;
};

static void put(struct word *w, char c)
{
	if (w->n + 1 >= w->cap)
		w->text = xrealloc(w->text, w->cap = 2 * w->cap + 64);
	w->text[w->n++] = c;
	w->text[w->n] = '\0';
}

/* The word at *p, which is moved behind it; NULL: it is not plain, and e says so. */
static char *take_word(const char **p, struct err *e)
{
	struct word w = {xcalloc(1, 64), 0, 64};
	const char *s = *p;

	while (*s && *s != '\n' && !is_blank(*s)) {
		if (*s == '\'') {
			for (s++; *s && *s != '\''; s++)
				put(&w, *s);
			if (!*s)
				goto refused;
			s++;
		} else if (*s == '"') {
			for (s++; *s && !strchr("\"$`\\", *s); s++)
				put(&w, *s);
			if (*s != '"')
				goto refused;
			s++;
		} else if (*s == '\\' && s[1] == '\n') {
			s += 2;
		} else if (*s == '\\' && s[1]) {
			put(&w, s[1]);
			s += 2;
		} else if (*s == '\\' || (is_special(*s) && !(*s == '#' && w.n))) {
			goto refused;
		} else {
			put(&w, *s++);
		}
	}
	*p = s;
	return w.text;
refused:
	err_set(e, ENOTSUP, "it has more than plain words (at \"%.20s\")", s);
	free(w.text);
	return NULL;
}

static void skip_blanks(const char **p)
{
	while (is_blank(**p) || (**p == '\\' && (*p)[1] == '\n'))
		*p += **p == '\\' ? 2 : 1;
}

/* Reads all words up to the end of the line. */
static int take_line(const char **p, char ***words, size_t *count, struct err *e)
{
	*words = xcalloc(1, sizeof(**words));
	*count = 0;
	for (skip_blanks(p); **p && **p != '\n'; skip_blanks(p)) {
		char *w = *count < WORDS_MAX ? take_word(p, e) : NULL;

		if (!w)
			return *count < WORDS_MAX ? -e->code : err_set(e, E2BIG, "it has too many words");
		*words = xrealloc(*words, (*count + 2) * sizeof(**words));
		(*words)[(*count)++] = w;
		(*words)[*count] = NULL;
	}
	return 0;
}

/* ---- its lines ---- */

static int take_export(struct guest *g, const char *word, struct err *e)
{
	static const char ld[] = "LD_LIBRARY_PATH=", modules[] = "QEMU_MODULE_DIR=";
	char **to = text_starts_with(word, ld) ? &g->env.ld_library_path : text_starts_with(word, modules) ? &g->env.module_dir : NULL;

	if (!to)
		return err_set(e, ENOTSUP, "it sets %.*s", (int)strcspn(word, "="), word);
	free(*to);
	*to = xstrdup(strchr(word, '=') + 1);
	return 0;
}

static int take_command(struct guest *g, char **words, size_t count, struct err *e)
{
	int r = 0;

	if (!strcmp(words[0], "exec") && count > 1) {
		g->line.argc = count - 1;
		g->line.argv = xcalloc(count, sizeof(*g->line.argv));
		for (size_t i = 1; i < count; i++)
			g->line.argv[i - 1] = xstrdup(words[i]);
		return 0;
	}
	if (swtpm_is(words[0])) {
		swtpm_fini(&g->tpm);
		return swtpm_read(&g->tpm, words, count, e);
	}
	if (!strcmp(words[0], "set") && count == 2 && words[1][0] == '-' && strspn(words[1] + 1, "eux") == strlen(words[1] + 1))
		return 0;
	if (!strcmp(words[0], "mkdir") && count > 2 && !strcmp(words[1], "-p"))
		return 0; /* directory of its sockets: whoever runs the guest makes such by rules of his own */
	if (strcmp(words[0], "export") || count < 2)
		return err_set(e, ENOTSUP, "it runs more than QEMU (%s)", words[0]);
	for (size_t i = 1; i < count && !r; i++)
		r = take_export(g, words[i], e);
	return r;
}

static bool take_literal(const char **p, const char *text)
{
	if (!text_starts_with(*p, text))
		return false;
	*p += strlen(text);
	return true;
}

static bool is_cd(const char *p)
{
	return text_starts_with(p, "cd") && is_blank(p[2]);
}

/* "$(dirname "$0")" and what means the same: where the script is. Malloc'ed; NULL: it says something else. */
static char *take_own_dir(const char **p, const char *path)
{
	static const char *const ways[] = {"\"$(dirname \"$0\")\"", "\"$(dirname -- \"$0\")\"", "$(dirname $0)", "\"${0%/*}\""};
	const char *slash = strrchr(path, '/');

	for (size_t i = 0; i < ARRAY_LEN(ways); i++)
		if (slash && take_literal(p, ways[i]))
			return slash == path ? xstrdup("/") : xasprintf("%.*s", (int)(slash - path), path);
	return NULL;
}

/* Directories that only sh could resolve are refused: ".." removes the name before it even if that is a symbolic link, and "-" is the
 * previous directory. */
static bool is_plain_dir(const char *dir)
{
	const char *p = dir;

	while ((p = strstr(p, "..")) && ((p > dir && p[-1] != '/') || (p[2] && p[2] != '/')))
		p++;
	return !p && *dir != '-';
}

/* "cd DIR", and what then follows in its line: "|| exit", or the next command behind "&&". */
static int take_cd(const char **p, const char *path, struct guest *g, struct err *e)
{
	bool or_not_at_all = true, does_more = false, plain;
	char *dir;

	*p += 2;
	skip_blanks(p);
	if (take_literal(p, "-- "))
		skip_blanks(p);
	dir = take_own_dir(p, path) ?: take_word(p, e);
	if (!dir)
		return -e->code;
	plain = is_plain_dir(dir);
	if (plain && *dir != '/' && *dir && g->cwd) {
		char *whole = xasprintf("%s/%s", strcmp(g->cwd, "/") ? g->cwd : "", dir);

		free(dir);
		dir = whole;
	}
	skip_blanks(p);
	if (take_literal(p, "||")) {
		skip_blanks(p);
		does_more = !take_literal(p, "exit");
		*p += strspn(*p, " \t0123456789");
	} else if (!take_literal(p, "&&")) {
		or_not_at_all = false;
	}
	skip_blanks(p);
	if (does_more || (**p && **p != '\n' && !text_starts_with(*p, "exec ")))
		err_set(e, ENOTSUP, "it does more than to change its directory to %s", dir);
	else if (*dir != '/' || !plain)
		err_set(e, ENOTSUP, "it changes its directory to %s, and does not say where that is", dir);
	else if (!or_not_at_all && access(dir, X_OK))
		err_set(e, ENOTSUP, "it goes on even if there is no directory %s, which there is not", dir);
	else
		e->code = 0;
	free(g->cwd);
	g->cwd = dir;
	return -e->code;
}

static int parse(const char *path, const char *text, struct guest *g, size_t *exec_at, struct err *e)
{
	const char *p = text;
	char **words;
	size_t count;
	int r = 0;

	while (*p && !r && !g->line.argc) {
		if (is_cd(p)) {
			r = take_cd(&p, path, g, e);
		} else if (*p == '\n') {
			p++;
		} else if (*p == '#') {
			p += strcspn(p, "\n");
		} else {
			*exec_at = (size_t)(p - text); /* position of the last line, in the end */
			r = take_line(&p, &words, &count, e);
			if (!r && count)
				r = take_command(g, words, count, e);
			args_free_strings(words, count);
		}
	}
	p += strspn(p, " \t\n");
	if (!r && *p)
		r = err_set(e, ENOTSUP, "something stands behind its exec");
	if (!r && !g->line.argc)
		r = err_set(e, ENOTSUP, "it has no line that begins with exec");
	return r;
}

static int parse_of(const char *path, const char *text, struct guest *g, size_t *exec_at, struct err *e)
{
	struct err why;

	return parse(path, text, g, exec_at, &why)
		       ? err_set(e, ENOTSUP,
				 "%s is not a script as vmferry leaves one to start a guest: %s. Give the guest's command line "
				 "instead, behind --: … -- qemu-system-x86_64 …",
				 path, why.msg)
		       : 0;
}

int script_parse(const char *path, const char *text, struct guest *g, struct err *e)
{
	size_t ignored;

	return parse_of(path, text, g, &ignored, e);
}

int script_read_text(const char *path, struct guest *g, char **out, size_t *exec_at, struct err *e)
{
	AUTO_CLOSE int fd = open_regular(path);
	AUTO_FREE char *text = NULL;
	size_t n;
	int r = fd < 0 ? fd : read_regular(fd, SCRIPT_MAX, &text, &n);

	if (r == -EFBIG)
		return err_set(e, EFBIG, "%s is too long for a script that starts a guest", path);
	if (r)
		return err_sys(e, -r, "cannot read %s", path);
	if (memchr(text, 0, n))
		return err_set(e, ENOTSUP, "%s is no text", path);
	r = parse_of(path, text, g, exec_at, e);
	if (!r) {
		*out = text;
		text = NULL;
	}
	return r;
}

int script_read(const char *path, struct guest *g, struct err *e)
{
	AUTO_FREE char *text = NULL;
	size_t ignored;

	return script_read_text(path, g, &text, &ignored, e);
}
