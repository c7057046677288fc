/* script-record.c: see script-record.h. */
#include "script-record.h"
#include "program-run.h"
#include "qemu-args.h"
#include "record.h"
#include "shell-quote.h"
#include "swtpm-args.h"
#include "util.h"
#include "words.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define RUN_MS	    15000
#define RECORDS_MAX (4 * MIB)
#define WORDS_MAX   16384
#define BEFORE	    4
#define LOOP_STARTS 16 /* starts of the same QEMU that show a loop, which does nothing else */
#define ASKED_MAX   2000
#define SAID_MAX    4096 /* bytes that are kept of the end of the script's output */

/* A record consists of strings that each end with NUL. */
struct record {
	const char *note;	    /* kind of a note; NULL: the record of a QEMU or a swtpm */
	size_t count;		    /* number of QEMU's words */
	const char *before[BEFORE]; /* directory, LD_LIBRARY_PATH, QEMU_MODULE_DIR and program; of a note: what, program, user and words */
	const char *words;
};

/* Next string at *p, which is advanced past it; NULL: no complete one is left. */
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
	const char *mark = next_string(p, end), *number = "0";

	if (!mark)
		return false;
	r->note = !strcmp(mark, RECORD_NOTE) ? "" : NULL;
	if (!r->note && (strcmp(mark, RECORD_MARK) || !(number = next_string(p, end)) || !text_is_digits(number)))
		return false;
	r->count = strtoul(number, NULL, 10);
	for (size_t i = 0; i < BEFORE; i++)
		if (!(r->before[i] = next_string(p, end)))
			return false;
	r->words = *p;
	for (size_t i = 0; i < r->count; i++)
		if (i == WORDS_MAX || !next_string(p, end))
			return false;
	if (r->note)
		r->note = r->before[0];
	return true;
}

static char **words_of(const struct record *r)
{
	char **words = xcalloc(r->count + 2, sizeof(*words));
	const char *p = r->words;

	words[0] = xstrdup(r->before[3]);
	for (size_t i = 0; i < r->count; i++, p += strlen(p) + 1)
		words[i + 1] = xstrdup(p);
	return words;
}

/* An option that only asks QEMU about itself starts no guest. */
static bool is_question(const struct record *r)
{
	static const char *const words[] = {"--version", "-version", "--help", "-help", "-h", "help", "?", NULL};
	const char *p = r->words;

	for (size_t i = 0; i < r->count; i++, p += strlen(p) + 1)
		if (word_index(words, p) >= 0)
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

/* Against the directory in which the script started it, as QEMU's own names are. */
static void make_absolute(char **path, const char *dir)
{
	AUTO_FREE char *before = *path;

	*path = qemu_args_absolute(*dir ? dir : NULL, before);
}

static int take_swtpm(struct guest *g, const struct record *r, struct err *e)
{
	char **words = words_of(r);
	int code;

	swtpm_fini(&g->tpm);
	code = swtpm_read(&g->tpm, words, r->count + 1, e);
	args_free_strings(words, r->count + 1);
	if (!code) {
		make_absolute(&g->tpm.socket, r->before[0]);
		make_absolute(&g->tpm.state, r->before[0]);
	}
	return code;
}

/* The same guest once more: a script that starts it again whenever it has ended. */
static bool is_same_qemu(const struct guest *g, const struct record *r)
{
	const char *p = r->words;

	if (g->line.argc != r->count + 1 || strcmp(g->line.argv[0], r->before[3]) || strcmp(g->cwd, r->before[0]))
		return false;
	for (size_t i = 0; i < r->count; i++, p += strlen(p) + 1)
		if (strcmp(g->line.argv[i + 1], p))
			return false;
	return true;
}

/* ---- what could not be as it is outside ---- */

#define INSTEAD "Give the guest's command line instead, behind --: … -- qemu-system-x86_64 …"

#define SPEAKS "%s speaks to a monitor, or to another socket, which may change the guest that it starts: %s. " INSTEAD

struct taken {
	const char *path;
	unsigned guests, again; /* again: how often the first one was started once more */
	unsigned starts;	/* starts: of the first one, since anything else was new */
	bool cut, deaf;
	char *asked, *failed, *makes, *waited; /* calls, for people; NULL: none */
	char *held;			       /* words before QEMU's, for people; NULL: none */
	const char *said;
};

/* "sudo -n x", for people; malloc'ed */
static char *call_of(const struct record *r)
{
	AUTO_FREE char *all = xasprintf("%s%s%s", r->before[1], *r->before[3] ? " " : "", r->before[3]);

	return text_shown(all);
}

static void take_question(struct taken *t, const struct record *r, char **list)
{
	AUTO_FREE char *call = call_of(r), *line = xasprintf("`%s`", call);
	char *before = *list;

	if (before && (strstr(before, line) || strlen(before) > ASKED_MAX))
		return;
	*list = xasprintf("%s%s%s", before ?: "", before ? ", " : "", line);
	free(before);
	t->starts = 0;
}

/* A request behind its QEMU's line does not change that line any more. */
static int refuse_dependence(const struct taken *t, const struct record *r, struct err *e)
{
	AUTO_FREE char *call = call_of(r);

	if (!strcmp(r->note, RECORD_READ))
		return err_set(
			e, ENOTSUP,
			"%s writes a file and then looks at it, which it cannot do where vmferry runs it, and its QEMU's line may depend on that: %s. " INSTEAD,
			t->path, call);
	return err_set(
		e, ENOTSUP,
		"%s connects to a socket before it starts its QEMU, and gets no answer where vmferry runs it: the command line may depend "
		"on that answer. Who connects to what: %s. " INSTEAD,
		t->path, call);
}

/* A call by which the script reached somebody, or looked at a file. */
static int take_reach(struct taken *t, const struct record *r, struct err *e)
{
	AUTO_FREE char *call = call_of(r);

	if (!t->guests)
		return refuse_dependence(t, r, e);
	if (!strcmp(r->note, RECORD_REACHED))
		return err_set(e, ENOTSUP, SPEAKS, t->path, call);
	if (!strcmp(r->note, RECORD_ABROAD))
		take_question(t, r, &t->asked);
	return 0;
}

static int take_note(struct taken *t, const struct record *r, struct err *e)
{
	AUTO_FREE char *call = call_of(r), *user = text_shown(r->before[2]);

	if (!strcmp(r->note, RECORD_USER))
		return err_set(
			e, ENOTSUP,
			"%s runs this as the user %s, and so perhaps QEMU: %s. Run vmferry as that user, with what that user would start. " INSTEAD,
			t->path, user, r->before[3]);
	if (!strcmp(r->note, RECORD_SPOKE))
		return err_set(e, ENOTSUP, SPEAKS, t->path, call);
	if (!strcmp(r->note, RECORD_ASKED))
		take_question(t, r, &t->asked);
	else if (!strcmp(r->note, RECORD_MADE))
		take_question(t, r, &t->makes);
	else if (!strcmp(r->note, RECORD_FAILED))
		take_question(t, r, &t->failed);
	else if (!strcmp(r->note, RECORD_WAITED))
		take_question(t, r, &t->waited);
	else if (!strcmp(r->note, RECORD_HELD))
		t->held = t->held ?: text_shown(r->before[3]);
	else if (!strcmp(r->note, RECORD_REACHED) || !strcmp(r->note, RECORD_ABROAD) || !strcmp(r->note, RECORD_READ))
		return take_reach(t, r, e);
	else if (!strcmp(r->note, RECORD_DEAF))
		t->deaf = true;
	else if (!strcmp(r->note, RECORD_CUT))
		t->cut = true;
	else
		return err_set(e, ENOTSUP, "what %s starts was told in a way that is not known", t->path);
	return 0;
}

/* The configuration that the script gives its QEMU on a stream, as from a here-document; no other process can read it again. */
static int take_config(const struct taken *t, const struct record *r, struct guest *g, struct err *e)
{
	const char *path = r->before[2], *text = r->before[3];
	struct guest_line *l = &g->line;

	for (size_t i = 0; i < l->config_count; i++)
		if (!strcmp(l->configs[i].path, path))
			return strcmp(l->configs[i].text, text)
				       ? err_set(e, ENOTSUP, "%s gives its QEMUs different configurations by -readconfig %s. " INSTEAD,
						 t->path, path)
				       : 0;
	l->configs = xrealloc(l->configs, (l->config_count + 1) * sizeof(*l->configs));
	l->configs[l->config_count++] = (struct args_config){xstrdup(path), xstrdup(text)};
	guest_note(g, "what %s gives its QEMU by -readconfig %s is worked into the guest's command line", t->path, path);
	return 0;
}

static int take_record(struct taken *t, const struct record *r, struct guest *g, struct err *e)
{
	if (r->note && !strcmp(r->note, RECORD_CONFIG))
		return take_config(t, r, g, e);
	if (r->note)
		return take_note(t, r, e);
	if (swtpm_is(r->before[3]))
		return take_swtpm(g, r, e);
	if (is_question(r))
		return 0;
	t->starts++;
	if (t->guests && is_same_qemu(g, r)) {
		t->again++;
		return 0;
	}
	if (!t->guests++)
		take_qemu(g, r);
	return 0;
}

/* The last line that has more than blanks; malloc'ed, for people, or NULL. */
static char *last_line(const char *said)
{
	const char *end = said + strlen(said), *from;

	while (end > said && strchr(" \t\r\n", end[-1]))
		end--;
	for (from = end; from > said && from[-1] != '\n'; from--)
		;
	if (from == end)
		return NULL;
	AUTO_FREE char *line = xasprintf("%.*s", (int)(end - from), from);

	return text_shown(line);
}

/* A sentence about why the script came no further; malloc'ed. */
static char *what_was_heard(const struct taken *t)
{
	AUTO_FREE char *words = t->said ? last_line(t->said) : NULL;

	return xasprintf("%s%s%s%s%s%s%s%s%s", t->waited ? "It looked again and again for what was not there (who, and for what): " : "",
			 t->waited ?: "", t->waited ? ". " : "", t->asked ? "It had no answer from these: " : "", t->asked ?: "",
			 t->asked ? ". " : "", words ? "Its last words were: \"" : "", words ?: "", words ? "\". " : "");
}

static bool has_word(const struct guest *g, const char *word)
{
	for (size_t i = 1; i < g->line.argc; i++)
		if (!strcmp(g->line.argv[i] + (g->line.argv[i][0] == '-' && g->line.argv[i][1] == '-'), word))
			return true;
	return false;
}

static int judge(const struct taken *t, struct guest *g, struct err *e)
{
	AUTO_FREE char *heard = what_was_heard(t);

	if (t->guests > 1)
		return err_set(e, ENOTSUP, "%s starts %u QEMUs. " INSTEAD, t->path, t->guests);
	if (t->cut && t->starts < LOOP_STARTS)
		return err_set(
			e, ENOTSUP,
			"%s did not end within %u s, or was killed, when it was run to see what it starts, so it may start more than was seen (it may wait for "
			"something that does not come there, as QEMU's socket or a helper's). %s" INSTEAD,
			t->path, RUN_MS / 1000, heard);
	if (!t->guests)
		return err_set(
			e, ENOTSUP,
			"%s started no QEMU where it could change nothing (it may need something that was not allowed, or name its QEMU in a way that was not seen "
			"through). %s" INSTEAD,
			t->path, heard);
	free(g->makes);
	g->makes = xstrdup(t->makes);
	if (t->asked)
		guest_note(
			g,
			"%s had no answer from these where it was run, and took them to have succeeded: %s. Look whether its line is right",
			t->path, t->asked);
	if (t->deaf)
		guest_note(
			g,
			"whom %s asks by sockets of its own, and whether it reads files that it has written, is not told on this host (a container's "
			"filter of system calls, or an old kernel): look whether its line is right",
			t->path);
	if (t->again)
		guest_note(g, "%s starts this QEMU again when it has ended; what starts the guest at the destination does that once%s",
			   t->path, has_word(g, "-no-reboot") ? ", and a guest that reboots ends there (-no-reboot)" : "");
	if (t->held)
		guest_note(
			g,
			"%s runs its QEMU by `%s`, which does not go along. Set it up in what starts the guest there (its NAME.sh, or a unit)",
			t->path, t->held);
	if (t->failed)
		guest_note(
			g,
			"%s asks its QEMU something, which failed when vmferry tried it (%s): look whether the guest's command line is right",
			t->path, t->failed);
	return 0;
}

int script_take_records(const char *path, const char *records, size_t n, const char *said, struct guest *g, struct err *e)
{
	const char *p = records, *end = records + n;
	struct taken t = {.path = path, .said = said};
	struct record one;
	int r = 0;

	while (!r && p < end)
		r = next_record(&p, end, &one) ? take_record(&t, &one, g, e)
					       : err_set(e, ENOTSUP, "what %s starts was not told whole", path);
	r = r ?: judge(&t, g, e);
	FREE_ALL(t.asked, t.failed, t.held, t.makes, t.waited);
	return r;
}

bool script_is_qemu(const char *program)
{
	const char *base = path_base(program);

	return !strncmp(base, "qemu-", 5) || !strcmp(base, "kvm");
}

/* ---- the run ---- */

struct heard {
	char *text;
	size_t n;
	bool full; /* text that comes later is dropped */
};

static void hear(void *ctx, const char *text, size_t n)
{
	struct heard *h = ctx;

	h->full = h->full || h->n + n > RECORDS_MAX;
	if (h->full)
		return;
	h->text = xrealloc(h->text, h->n + n + 1);
	memcpy(h->text + h->n, text, n);
	h->n += n;
	h->text[h->n] = '\0';
}

/* The last line that the script itself has printed, or the recorder after it. */
static void hear_last(void *ctx, const char *text, size_t n)
{
	struct heard *h = ctx;
	size_t more = MIN(n, SAID_MAX), keep = MIN(h->n, SAID_MAX - more);

	h->text = xrealloc(h->text, SAID_MAX + 1);
	memmove(h->text, h->text + h->n - keep, keep);
	memcpy(h->text + keep, text + n - more, more);
	h->n = keep + more;
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

	for (size_t i = 1; i < g->line.argc; i++) {
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

/* Keeps the whole records of a run that was ended, or heard in part, and adds that it was. */
static void cut_off(struct heard *h)
{
	static const char cut[] = RECORD_NOTE "\0" RECORD_CUT "\0\0\0";

	h->n = whole_records(h->text, h->n);
	h->text = xrealloc(h->text, h->n + sizeof(cut));
	memcpy(h->text + h->n, cut, sizeof(cut));
	h->n += sizeof(cut);
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

static void note_config_changes(struct guest *g, const struct guest *again, const char *path)
{
	for (size_t i = 0; i < g->line.config_count && i < again->line.config_count; i++)
		if (strcmp(g->line.configs[i].text, again->line.configs[i].text) != 0)
			guest_note(
				g,
				"%s makes another configuration each time that it is run (-readconfig %s): a run of its own has others, and what "
				"starts the guest at the destination always has that of the move",
				path, g->line.configs[i].path);
}

void script_note_changes(struct guest *g, const struct guest *again, const char *path)
{
	AUTO_FREE char *all = xstrdup("");

	note_config_changes(g, again, path);

	for (size_t i = 1; i < g->line.argc && g->line.argc == again->line.argc; i++) {
		AUTO_FREE char *before = all;
		AUTO_FREE char *one = NULL;

		all = NULL;
		if (!strcmp(g->line.argv[i], again->line.argv[i])) {
			all = xstrdup(before);
			continue;
		}
		one = shell_quote_shown(g->line.argv[i]);
		all = xasprintf("%s%s%s", before, *before ? ", " : "", one);
	}
	if (g->line.argc != again->line.argc)
		guest_note(g,
			   "%s starts another QEMU each time that it is run: what starts the guest at the destination has this run's words",
			   path);
	else if (*all)
		guest_note(
			g,
			"%s makes other words each time that it is run: a run of its own has others, and what starts the guest at the destination "
			"always has those of the move. Here: %s",
			path, all);
}

static int record_once(const struct script_call *c, struct guest *g, bool *ended, struct err *e)
{
	AUTO_FREE char **argv = own_words(c);
	const char *path = c->words[0];
	struct heard records = {.text = NULL}, why = {.text = NULL};
	const struct program_run run = {.argv = argv,
					.env = c->env,
					.output = hear,
					.output_ctx = &records,
					.error = hear_last,
					.error_ctx = &why,
					.how = PROGRAM_DIES_WITH_US,
					.timeout_ms = RUN_MS};
	int status = 0, r = script_check_owner(path, e);
	bool is_cut = false;

	r = r ?: program_run(&run, &status, e);
	if ((r == -ETIMEDOUT || records.full) && records.n) {
		cut_off(&records);
		is_cut = true;
		r = 0;
		status = 0;
	}
	*ended = !records.full && r != -ETIMEDOUT && !is_cut;
	if (r == -ETIMEDOUT)
		err_set(e, ETIMEDOUT, "%s did not end within %u s when it was run to see what it starts", path, RUN_MS / 1000);
	else if (!r && status && why.n) {
		AUTO_FREE char *line = last_line(why.text);

		r = err_set(e, ENOTSUP, "%s", line ?: path);
	} else if (!r && status)
		r = err_set(e, ENOTSUP, "%s could not be run to see what it starts", path);
	r = r ?: script_take_records(path, records.text ?: "", records.n, why.text, g, e);
	free(records.text);
	free(why.text);
	return r;
}

int script_record(const struct script_call *c, struct guest *g, struct err *e)
{
	struct guest again = {.pid = 0};
	struct err ignored;
	bool ended;
	int r = record_once(c, g, &ended, e);

	if (r)
		return r;
	note_line(g, c->words[0]);
	if (ended && !record_once(c, &again, &ended, &ignored)) /* a script that does not end takes long */
		script_note_changes(g, &again, c->words[0]);
	guest_fini(&again);
	return 0;
}
