/*
 * own-files.c: firmware, ROMs and pictures by names without a directory, which QEMU looks for where it was started, and then among its own files. They get whole
 * paths in the guest's line, as the destination has another directory, and other files there. See guest_write_in_own_files() in qemu-discover.h.
 */
#include "qemu-discover.h"
#include "obstacles.h"
#include "process.h"
#include "program-run.h"
#include "qemu-opts.h"
#include "qemu-props.h"
#include "util.h"
#include "words.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ASK_MS	 5000
#define DIRS_MAX 65536

/* ---- among its own ---- */

/* Firmware that each QEMU brings along, or depends on: the destination's has its own. */
static bool is_of_every_qemu(const char *name)
{
	static const char *const names[] = {"bios.bin", "bios-256k.bin", "bios-microvm.bin", "qboot.rom", NULL};

	return word_index(names, name) >= 0;
}

/* QEMU's words: its program, the directories that the line adds, and the question. malloc'ed, the strings are others'. */
static char **words_of(const struct guest *g, char *exe)
{
	static char option[] = "-L", help[] = "help";
	char **words = xcalloc(g->line.expanded_count + 4, sizeof(*words));
	struct qemu_opt opt;
	size_t i = 1, n = 0;

	words[n++] = exe;
	while (qemu_opt_next(g->line.expanded, g->line.expanded_count, &i, &opt))
		if (!strcmp(opt.name, "L") && opt.value) {
			words[n++] = option;
			words[n++] = (char *)opt.value;
		}
	words[n++] = option;
	words[n] = help;
	return words;
}

struct heard {
	char text[DIRS_MAX];
	size_t n;
};

static void hear(void *ctx, const char *text, size_t n)
{
	struct heard *h = ctx;
	size_t fits = MIN(n, sizeof(h->text) - 1 - h->n);

	memcpy(h->text + h->n, text, fits);
	h->n += fits;
	h->text[h->n] = '\0';
}

static void forget(void *ctx, const char *text, size_t n)
{
	(void)ctx, (void)text, (void)n;
}

static char *find_among(const struct guest *g, const char *dirs, const char *name)
{
	AUTO_FREE char *copy = xstrdup(dirs);
	char *dir, *rest = copy;

	while ((dir = strsep(&rest, "\n"))) {
		AUTO_FREE char *said = *dir ? xasprintf("%s/%s", dir, name) : NULL;
		char *path = said ? guest_path(g, said) : NULL;

		if (path && !access(path, R_OK))
			return path;
		free(path);
	}
	return NULL;
}

static char *find_own(const struct guest *g, const char *name)
{
	AUTO_FREE char *running = g->pid ? xasprintf("/proc/%d/exe", (int)g->pid) : NULL;
	AUTO_FREE char **words = is_of_every_qemu(name) ? NULL : words_of(g, running ?: g->exe);
	AUTO_FREE struct heard *dirs = xcalloc(1, sizeof(*dirs));
	struct program_run run =
		{.argv = words, .output = hear, .output_ctx = dirs, .error = forget, .how = PROGRAM_DIES_WITH_US, .timeout_ms = ASK_MS};
	struct err ignored;
	int status;
	char *path;

	if (!words || program_run(&run, &status, &ignored) || status)
		return NULL;
	path = find_among(g, dirs->text, name);
	if (!path || !g->pid || process_sees(g->pid, path))
		return path;
	free(path);
	return NULL;
}

/* ---- into the line ---- */

/* Files that QEMU looks for where it was started, and then among its own, if their names have no directory. */
static const struct own_file {
	const char *option, *key, *implied_key; /* key NULL: the whole value. "*.KEY": of whatever driver */
	bool firmware;
} own_files[] = {{"bios", NULL, NULL, true},	     {"machine", "firmware", NULL, true},  {"M", "firmware", NULL, true},
		 {"device", "romfile", NULL, false}, {"global", "*.romfile", NULL, false}, {"option-rom", "romfile", "romfile", false},
		 {"boot", "splash", NULL, false}};

/* DRIVER.KEY=VALUE, or driver=,property=,value= in any order. */
static char **own_file_value(const struct own_file *f, struct kv_list *l)
{
	const char *property = kv_get(l, "property", NULL);
	struct kv *value = kv_find(l, "value", NULL);

	if (*f->key != '*') {
		struct kv *found = kv_find(l, f->key, f->implied_key);

		return found ? &found->value : NULL;
	}
	for (size_t i = 0; i < l->n; i++) {
		const char *dot = l->v[i].key ? strrchr(l->v[i].key, '.') : NULL;

		if (dot && !strcmp(dot, f->key + 1))
			return &l->v[i].value;
	}
	return property && value && !strcmp(property, f->key + 2) ? &value->value : NULL;
}

/* Firmware among QEMU's own files gets its whole path: the destination may have it under another one, or none, and is given it then. */
static int write_in_own(const struct guest *g, char **name)
{
	char *path = find_own(g, *name);

	if (path)
		kv_replace(name, path);
	return path ? 1 : 0;
}

/* Gives the file beside QEMU its whole path. 1: it is one; 0: it is QEMU's own, or has a directory in its name. A running QEMU has read that file only
 * if it was there by then. why_not: what stands against that; NULL: nothing. */
static int write_in_path(const struct guest *g, const struct own_file *f, char **name, const char *why_not, struct err *e)
{
	AUTO_FREE char *path = **name && !strchr(*name, '/') ? guest_path(g, *name) : NULL;
	const char *how;

	if (!path)
		return 0;
	if (access(path, F_OK))
		return why_not || !f->firmware ? 0 : write_in_own(g, name);
	how = why_not ?: guest_read_another(g, path);
	if (how)
		return err_set(e, ENOTSUP,
			       "%s (-%s) may be the file %s, which %s, or one of QEMU's own: have the guest started with the whole path",
			       *name, f->option, path, how);
	kv_replace(name, xstrdup(path));
	return 1;
}

static int write_in_value(const struct guest *g, const struct own_file *f, char **word, const char *why_not, struct err *e)
{
	struct props p;
	char **name;
	int r;

	if (!f->key)
		return write_in_path(g, f, word, why_not, e);
	props_parse(&p, *word);
	name = own_file_value(f, &p.l);
	r = name ? write_in_path(g, f, name, why_not, e) : 0;
	if (r > 0)
		kv_replace(word, props_print(&p));
	props_fini(&p);
	return r;
}

static int write_in_files(const struct guest *g, char **words, size_t count, const char *why_not, struct obstacles *o, struct err *e)
{
	struct qemu_opt opt;
	size_t i = 1, k;
	int r = 0;

	while (r >= 0 && qemu_opt_next(words, count, &i, &opt))
		for (k = 0; k < ARRAY_LEN(own_files) && opt.value && r >= 0; k++)
			if (!strcmp(opt.name, own_files[k].option) && write_in_value(g, &own_files[k], &words[i - 1], why_not, e) < 0)
				r = obstacles_fact(o, e);
	return r;
}

/* The destination gets the words as they are, and files of -readconfig likewise: what is still without a path there cannot be given one. */
static int check_configs(const struct guest *g, struct obstacles *o, struct err *e)
{
	struct err ignored;
	char **words;
	size_t count;
	int r;

	if (qemu_args_expand(&words, &count, g->line.argv, g->line.argc, g->line.configs, g->line.config_count, &ignored))
		return 0; /* said elsewhere */
	r = write_in_files(g, words, count, "is named by -readconfig or -set", o, e);
	args_free_strings(words, count);
	return r;
}

int guest_write_in_own_files(struct guest *g, struct obstacles *o, struct err *e)
{
	int r = write_in_files(g, g->line.argv, g->line.argc, NULL, o, e);

	r = r ? r : check_configs(g, o, e);
	return r || !g->line.expanded ? r : write_in_files(g, g->line.expanded, g->line.expanded_count, NULL, o, e);
}
