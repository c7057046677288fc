/*
 * report-command.c: see report-command.h.
 *
 * The page is made in memory and then put in place whole: whoever looks at it meanwhile sees the one before.
 */
#include "report-command.h"
#include "command-options.h"
#include "durable-file.h"
#include "exit-code.h"
#include "history.h"
#include "html-input.h"
#include "html-move.h"
#include "html-replica.h"
#include "json-text.h"
#include "paths.h"
#include "same-file.h"
#include "util.h"
#include "words.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

static const char before[] =
	"usage: vmferry report [FILE... | --last [VM]] [-o OUTPUT] [--only-medians]\n"
	"\n"
	"Makes one HTML page of figures, charts and timelines, for any browser and for paper. It is complete in itself: it "
	"loads nothing and runs nothing, so it can be sent as it is. FILE is one of\n"
	"\n"
	"  what vmferry bench wrote: the page compares vmferry with QEMU's own migration; while the run goes on, too\n"
	"  what vmferry migrate --json printed, or storage --json: the page is about that move; --json=fine makes a finer timeline\n"
	"  what vmferry replica status VM --json printed, at either host: the page is about that replica, with its last 200 points\n"
	"\n"
	"and is told apart by what is in it; - is standard input. Several runs of bench, of one machine, make one page. "
	"docs/bench.md and docs/report.md say what these files hold.\n"
	"\n";

static const char after[] = "\n"
			    "For example:\n"
			    "\n"
			    "  vmferry bench --lab -o run.json; vmferry report run.json     # makes run.html\n"
			    "  vmferry migrate vm1 root@host-b --json=fine >move.json; vmferry report move.json\n"
			    "\n"
			    "Exit code: 0 the page was made; 1 it was not, and why; 2 wrong usage.\n";

struct choice {
	const char *output;
	bool only_medians, last;
};

#define MEMBER(name) offsetof(struct choice, name)

static const struct command_option rows[] = {
	{"last", NULL,
	 "the page is about the last move from this host (of VM) that vmferry history has: without timelines, as its progress was not kept",
	 OPT_FLAG, .offset = MEMBER(last)},
	{"output", "FILE",
	 "where the page goes; - is standard output. Default: FILE with .html in place of its ending; with --last NAME-move.html", OPT_TEXT,
	 .offset = MEMBER(output), .letter = 'o'},
	{"only-medians", NULL,
	 "of a run, no timelines but of the move in the middle of each tool's, and of what did not go well: a page of many moves is far "
	 "smaller",
	 OPT_FLAG, .offset = MEMBER(only_medians)},
	{.name = NULL},
};

/* ---- where it goes ---- */

/* "runs/a.json" is "runs/a.html"; malloc'ed. */
static char *default_output(const char *input)
{
	const char *slash = strrchr(input, '/'), *name = slash ? slash + 1 : input, *dot = strrchr(name, '.');

	if (!strcmp(input, "-"))
		return xstrdup("-");
	return xasprintf("%.*s.html", dot && dot != name ? (int)(dot - input) : (int)strlen(input), input);
}

static int write_all(int fd, const char *p, size_t n)
{
	ssize_t r;

	for (; n; p += r, n -= (size_t)r) {
		r = write(fd, p, n);
		if (r < 0 && errno == EINTR)
			r = 0;
		if (r < 0)
			return -errno;
	}
	return 0;
}

/* A file is replaced; a device, a pipe and standard output are written to. */
static int put_page(const char *output, const char *page, size_t n, struct err *e)
{
	bool is_stdout = !strcmp(output, "-");
	struct stat st;
	int fd, r;

	if (!is_stdout && (stat(output, &st) || S_ISREG(st.st_mode)))
		return replace_file(output, page, n, e) ? err_prefix(e, "the page has no place; another: -o FILE") : 0;
	fd = is_stdout ? dup(1) : open(output, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	r = fd < 0 ? -errno : write_all(fd, page, n);
	if (fd >= 0)
		close(fd);
	return r ? err_sys(e, -r, "cannot write the page to %s", is_stdout ? "standard output" : output) : 0;
}

/* ---- what it is about ---- */

/* "a.json, b.json"; malloc'ed. */
static char *names_of(char *const *paths, size_t count)
{
	char *all = NULL, *longer;

	for (size_t i = 0; i < count; i++, all = longer) {
		longer = xasprintf("%s%s%s", all ?: "", all ? ", " : "", !strcmp(paths[i], "-") ? "standard input" : path_base(paths[i]));
		free(all);
	}
	return all;
}

/* Standard input becomes what was read of it. */
static int give_back_stdin(const struct input *in, struct err *e)
{
	AUTO_CLOSE int fd = memfd_create("input", MFD_CLOEXEC);

	if (fd < 0 || pwrite_all(fd, in->text, in->text_length, 0) || dup2(fd, 0))
		return err_sys(e, errno, "no memory for what was read");
	return 0;
}

/* in: input_fini() in any case. */
static int read_all_of(struct input *in, char *const *paths, size_t count, run_page_fn *of_run, struct err *e)
{
	int r = input_read(in, paths[0], e);

	if (!r && !of_run && !in->is_move && !html_is_replica(in->root))
		return in->text && give_back_stdin(in, e) ? -e->code : REPORT_OF_RUN;
	for (size_t i = 1; i < count && !r; i++) {
		struct input more;

		r = input_read(&more, paths[i], e);
		if (!r && input_join(in, &more, e))
			r = err_prefix(e, "%s", paths[i]);
		input_fini(&more);
	}
	return r;
}

/* The events of the last move that has ended, as it printed them. *guest: whose, malloc'ed. in: input_fini() in any case. */
static int read_last(struct input *in, const char *of, char **guest, struct err *e)
{
	AUTO_FREE char *dir = NULL, *events = NULL;
	json_t *all, *last;
	int r = state_dir_get(&dir, NULL, e);

	*in = (struct input){.root = NULL};
	if (r)
		return r;
	all = history_read(dir, of);
	last = json_array_get(all, json_array_size(all) ? json_array_size(all) - 1 : 0);
	if (last) {
		json_t *of_last = json_object_get(last, "result");

		if (!json_object_get(of_last, "at"))
			json_object_set(of_last, "at", json_object_get(last, "at"));
	}
	if (last) {
		AUTO_FREE char *plan = json_dumps(json_object_get(last, "plan"), JSON_COMPACT);
		AUTO_FREE char *result = json_dumps(json_object_get(last, "result"), JSON_COMPACT);

		*guest = xstrdup(json_text(last, "guest") ?: "guest");
		events = xasprintf("%s%s%s\n", plan ?: "", plan ? "\n" : "", result ?: "");
		r = input_parse(in, events, strlen(events), e);
	} else {
		r = err_set(e, ENOENT, "the history has no move that has ended: vmferry history shows it");
	}
	json_decref(all);
	return r;
}

/* page: malloc'ed, whatever is returned. */
static int render(const struct input *in, run_page_fn *of_run, const char *name, bool only_medians, char **page, size_t *n, struct err *e)
{
	FILE *f = open_memstream(page, n);
	bool failed;
	int r;

	if (!f)
		return err_sys(e, errno, "no memory for the page");
	r = in->is_move			? html_move_page(f, in->root, in->is_cut, name, e)
	    : html_is_replica(in->root) ? html_replica_page(f, in->root, name, e)
					: of_run(f, in->root, only_medians, name, e);
	if (r)
		err_prefix(e, "%s", name);
	failed = ferror(f);
	if ((fclose(f) || failed) && !r)
		r = err_set(e, ENOMEM, "no memory for the page");
	return r;
}

/* *output: NULL, or malloc'ed; where the page is then. */
static int make_report(const struct choice *c, char *const *words, size_t count, run_page_fn *of_run, char **output, struct err *e)
{
	AUTO_FREE char *page = NULL, *name = c->last ? xstrdup("the history of this host") : names_of(words, count), *guest = NULL;
	struct input in;
	size_t n, i;
	int r;

	for (i = 0; i < count && !c->last; i++)
		if (paths_lead_to_one(words[i], *output))
			return err_set(e, EINVAL, "%s is what the report is to be made of; another place for the page: -o FILE", *output);
	r = c->last ? read_last(&in, words[0], &guest, e) : read_all_of(&in, words, count, of_run, e);
	r = r ?: render(&in, of_run, name, c->only_medians, &page, &n, e);
	input_fini(&in);
	if (!*output && guest)
		*output = path_with_name("%n-move.html", guest);
	return r ?: put_page(*output, page, n, e);
}

int report_command(int argc, char **argv, run_page_fn *of_run)
{
	static const struct option_table tables[] = {{rows, 0}, {NULL, 0}};
	static const struct command_usage usage = {"vmferry report", before, after, .tables = tables};
	struct choice c = {.last = false};
	AUTO_FREE char *output = NULL;
	struct err e;
	int first, r = command_take(&usage, argc, argv, &c, &first);

	if (r)
		return MAX(r, 0);
	if (c.last ? argc - first > 1 : argc - first < 1 || (c.output && !*c.output)) {
		fprintf(stderr,
			"vmferry: report takes a FILE, or several of vmferry bench, or --last, and -o where the page goes; vmferry report --help tells more\n");
		return EXIT_USAGE;
	}
	output = c.output ? xstrdup(c.output) : c.last ? NULL : default_output(argv[first]);
	r = make_report(&c, argv + first, (size_t)(argc - first), of_run, &output, &e);
	if (r == REPORT_OF_RUN)
		return r;
	if (r) {
		fprintf(stderr, "vmferry: %s\n", e.msg);
		return EXIT_SOURCE;
	}
	if (strcmp(output, "-"))
		fprintf(stderr, "%s\n", output);
	return 0;
}
