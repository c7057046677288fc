/* script-record.c: see script-record.h. */
#include "script-record.h"
#include "program-run.h"
#include "record.h"
#include "shell-quote.h"
#include "swtpm-args.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define RUN_MS	    15000
#define RECORDS_MAX (4 * MIB)
#define WORDS_MAX   16384
#define BEFORE	    5 /* strings of a record before QEMU's own words: their number … the program */

/* One record: strings that each end with NUL. */
struct record {
	size_t count;		    /* of QEMU's words */
	const char *before[BEFORE]; /* directory, LD_LIBRARY_PATH, QEMU_MODULE_DIR, program, and the first word */
	const char *words;
};

/* The string at *p, which is moved behind it; NULL: no whole one is left. */
static const char *next_string(const char **p, const char *end)
{
	const char *s = *p, *nul = s < end ? memchr(s, 0, (size_t)(end - s)) : NULL;

	if (!nul)
		return NULL;
	*p = nul + 1;
	return s;
}

static bool next_record(const char **p, const char *end, struct record *r)
{
	const char *mark = next_string(p, end), *number = mark ? next_string(p, end) : NULL;
	size_t i;

	if (!number || strcmp(mark, RECORD_MARK) || strspn(number, "0123456789") != strlen(number))
		return false;
	r->count = strtoul(number, NULL, 10);
	for (i = 0; i < 4; i++)
		if (!(r->before[i] = next_string(p, end)))
			return false;
	r->words = *p;
	for (i = 0; i < r->count; i++)
		if (i == WORDS_MAX || !next_string(p, end))
			return false;
	return true;
}

static char **words_of(const struct record *r)
{
	char **words = xcalloc(r->count + 2, sizeof(*words));
	const char *p = r->words;
	size_t i;

	words[0] = xstrdup(r->before[3]);
	for (i = 0; i < r->count; i++, p += strlen(p) + 1)
		words[i + 1] = xstrdup(p);
	return words;
}

/* What asks QEMU of itself starts no guest. */
static bool is_question(const struct record *r)
{
	static const char *const words[] = {"--version", "-version", "--help", "-help", "-h", "help", "?"};
	const char *p = r->words;
	size_t i, k;

	for (i = 0; i < r->count; i++, p += strlen(p) + 1)
		for (k = 0; k < ARRAY_LEN(words); k++)
			if (!strcmp(p, words[k]))
				return true;
	return !r->count;
}

static char *text_or_null(const char *s)
{
	return *s ? xstrdup(s) : NULL;
}

static void take_qemu(struct guest *g, const struct record *r)
{
	g->line.argv = words_of(r);
	g->line.argc = r->count + 1;
	free(g->cwd);
	g->cwd = xstrdup(r->before[0]);
	free(g->env.ld_library_path);
	free(g->env.module_dir);
	g->env.ld_library_path = text_or_null(r->before[1]);
	g->env.module_dir = text_or_null(r->before[2]);
}

static int take_swtpm(struct guest *g, const struct record *r, struct err *e)
{
	char **words = words_of(r);
	int code;

	swtpm_fini(&g->tpm);
	code = swtpm_read(&g->tpm, words, r->count + 1, e);
	args_free_strings(words, r->count + 1);
	return code;
}

/* The same guest once more: a script that starts it again whenever it has ended. */
static bool is_same_qemu(const struct guest *g, const struct record *r)
{
	const char *p = r->words;
	size_t i;

	if (g->line.argc != r->count + 1 || strcmp(g->line.argv[0], r->before[3]) || strcmp(g->cwd, r->before[0]))
		return false;
	for (i = 0; i < r->count; i++, p += strlen(p) + 1)
		if (strcmp(g->line.argv[i + 1], p))
			return false;
	return true;
}

int script_take_records(const char *path, const char *records, size_t n, struct guest *g, struct err *e)
{
	const char *p = records, *end = records + n;
	struct record one;
	unsigned guests = 0;
	int r = 0;

	while (!r && p < end) {
		if (!next_record(&p, end, &one))
			return err_set(e, ENOTSUP, "what %s starts was not told whole", path);
		if (swtpm_is(one.before[3]))
			r = take_swtpm(g, &one, e);
		else if (is_question(&one) || (guests && is_same_qemu(g, &one)))
			continue;
		else if (!guests++)
			take_qemu(g, &one);
	}
	if (r || guests == 1)
		return r;
	return guests ? err_set(e, ENOTSUP,
				"%s starts %u QEMUs. Give one guest's command line instead, behind --: … -- qemu-system-x86_64 …", path,
				guests)
		      : err_set(e, ENOTSUP,
				"%s started no QEMU where it could change nothing (it may need something that was not allowed, or name its QEMU in a way that was not seen through). Give the guest's "
				"command line instead, behind --: … -- qemu-system-x86_64 …",
				path);
}

bool script_is_qemu(const char *program)
{
	const char *slash = strrchr(program, '/'), *base = slash ? slash + 1 : program;

	return !strncmp(base, "qemu-", 5) || !strcmp(base, "kvm");
}

/* ---- the run ---- */

struct heard {
	char *text;
	size_t n;
};

static void hear(void *ctx, const char *text, size_t n)
{
	struct heard *h = ctx;

	if (h->n + n > RECORDS_MAX)
		return;
	h->text = xrealloc(h->text, h->n + n + 1);
	memcpy(h->text + h->n, text, n);
	h->n += n;
	h->text[h->n] = '\0';
}

/* A script is run, and a unit's line is believed, with this user's rights: only root and this user may have written the file. */
int script_check_owner(const char *path, struct err *e)
{
	struct stat st;

	if (stat(path, &st))
		return err_sys(e, errno, "cannot look at %s", path);
	if ((st.st_uid && st.st_uid != geteuid()) || (st.st_mode & (S_IWGRP | S_IWOTH)))
		return err_set(e, EPERM, "%s is not believed, as others than this user may write to it", path);
	return 0;
}

char *script_shown_line(const struct guest *g)
{
	char *line = xstrdup(g->line.argv[0]);
	size_t i;

	for (i = 1; i < g->line.argc; i++) {
		AUTO_FREE char *before = line, *word = shell_quote_shown(g->line.argv[i]);

		line = xasprintf("%s %s", before, word);
	}
	return line;
}

static size_t whole_records(const char *records, size_t n)
{
	const char *p = records, *whole = records;
	struct record one;

	while (next_record(&p, records + n, &one))
		whole = p;
	return (size_t)(whole - records);
}

/* The guest's line is shown to the user before it is believed. */
static void note_line(struct guest *g, const char *path)
{
	AUTO_FREE char *line = script_shown_line(g);

	guest_note(g, "%s was run where it could change nothing, with a QEMU that only printed its words. It starts: %s", path, line);
}

/* vmferry itself, the directory, and the script's words; malloc'ed, the strings are others'. */
static char **own_words(const struct script_call *c)
{
	static char program[] = "/proc/self/exe", word[] = RECORD_WORD, here[] = ".";
	size_t n = 0;
	char **out;

	while (c->words[n])
		n++;
	out = xcalloc(n + 4, sizeof(*out));
	out[0] = program;
	out[1] = word;
	out[2] = c->dir ? (char *)c->dir : here;
	memcpy(out + 3, c->words, n * sizeof(*out));
	return out;
}

int script_record(const struct script_call *c, struct guest *g, struct err *e)
{
	AUTO_FREE char **argv = own_words(c);
	const char *path = c->words[0];
	struct heard records = {.text = NULL}, why = {.text = NULL};
	const struct program_run run = {.argv = argv,
					.env = c->env,
					.output = hear,
					.output_ctx = &records,
					.error = hear,
					.error_ctx = &why,
					.how = PROGRAM_DIES_WITH_US,
					.timeout_ms = RUN_MS};
	int status = 0, r = script_check_owner(path, e);

	if (!r)
		r = program_run(&run, &status, e);
	if (r == -ETIMEDOUT && records.n) {
		records.n = whole_records(records.text,
					  records.n); /* a loop that starts the guest again and again; the last one may be cut off */
		r = 0;
		status = 0;
	}
	if (r == -ETIMEDOUT)
		err_set(e, ETIMEDOUT, "%s did not end within %u s when it was run to see what it starts", path, RUN_MS / 1000);
	else if (!r && status && why.n)
		r = err_set(e, ENOTSUP, "%.*s", (int)strcspn(why.text, "\n"), why.text);
	else if (!r && status)
		r = err_set(e, ENOTSUP, "%s could not be run to see what it starts", path);
	if (!r)
		r = script_take_records(path, records.text ?: "", records.n, g, e);
	if (!r)
		note_line(g, path);
	free(records.text);
	free(why.text);
	return r;
}
