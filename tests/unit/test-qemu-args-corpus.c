/*
 * test-qemu-args-corpus.c: real-life command lines, and what becomes of them: one test for each tests/data/args/NAME.
 *
 * A file has sections, "== SECTION" on a line of its own; what is before the first says what it is.
 *
 *   line      the source's command line, as a shell takes it
 *   options   a line each: map FROM TO [FORMAT] · eject FROM · net NIC=WHAT · machine TYPE · cwd DIR · cold
 *   config F  the contents of -readconfig F
 *   expect    the destination's line, but for -incoming, -S and the agent's monitor, or
 *   refused   why there is none
 *   notes     what the plan says
 *   files     ROLE ro|rw PATH [-> TO]
 *   nics      NETDEV DEVICE MODEL MAC: TYPE ATTACH [-> TYPE ATTACH]
 *   start     the line that starts it again; only where it is of interest
 *
 * UPDATE=1 writes what is (expect … nics) into the files: to be read before it is committed.
 */
#include "args-corpus.h"
#include "qemu-args.h"
#include "util.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define QMP "/run/vmferry/vmferry.qmp"

static void put(struct file *f, const char *name, const char *text)
{
	size_t i;

	for (i = 0; i < f->n && strcmp(f->v[i].name, name); i++)
		;
	if (i == f->n) {
		if (!*text)
			return;
		assert_true(f->n < ARRAY_LEN(f->v));
		f->v[f->n++] = (struct section){.name = xstrdup(name)};
	}
	free(f->v[i].text);
	f->v[i].text = xstrdup(text);
}

/* ---- options ---- */

struct settings {
	struct args_map maps[32];
	struct args_net_map nets[8];
	struct args_config configs[4];
	struct args_options o;
	char *words[128];
	size_t word_count;
};

static void read_option(struct settings *s, char *const *w, size_t n)
{
	if (!strcmp(w[0], "map") && n >= 3)
		s->maps[s->o.disk_count++] =
			(struct args_map){.from = w[1], .to = w[2], .format = n > 3 ? w[3] : NULL, .to_device = !strncmp(w[2], "/dev/", 5)};
	else if (!strcmp(w[0], "eject") && n == 2)
		s->maps[s->o.disk_count++] = (struct args_map){.from = w[1]};
	else if (!strcmp(w[0], "net") && n == 3)
		s->nets[s->o.net_count++] = (struct args_net_map){w[1], w[2]};
	else if (!strcmp(w[0], "machine") && n == 2)
		s->o.machine = w[1];
	else if (!strcmp(w[0], "cwd") && n == 2)
		s->o.cwd = w[1];
	else if (!strcmp(w[0], "cold") && n == 1)
		s->o.at_rest = s->o.no_state = true;
	else
		fail_msg("option %s?", w[0]);
}

static void read_settings(struct settings *s, const struct file *f)
{
	AUTO_FREE char *text = xstrdup(get(f, "options") ? get(f, "options") : "");
	char *line, *save = NULL;
	size_t i;

	*s = (struct settings){.o = {.socket_dir = "/dst",
				     .disks = s->maps,
				     .nets = s->nets,
				     .configs = s->configs,
				     .private_qmp = QMP,
				     .tpm = true,
				     .cwd = "/home/user"}};
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char **words = s->words + s->word_count;
		size_t n = split(line, words, ARRAY_LEN(s->words) - s->word_count);

		s->word_count += n;
		if (n)
			read_option(s, words, n);
	}
	for (i = 0; i < f->n; i++)
		if (!strncmp(f->v[i].name, "config ", 7))
			s->configs[s->o.config_count++] = (struct args_config){f->v[i].name + 7, f->v[i].text};
}

/* ---- what is ---- */

static const char *or_dash(const char *s)
{
	return s ? s : "-";
}

static char *nics_text(const struct args_result *r)
{
	char *text = NULL;
	size_t i;

	for (i = 0; i < r->nic_count; i++) {
		const struct args_nic *n = &r->nics[i];
		bool same = !strcmp(n->type, n->to_type) && !strcmp(or_dash(n->attach), or_dash(n->to_attach));
		AUTO_FREE char *to = same ? xstrdup("") : xasprintf(" -> %s %s", n->to_type, or_dash(n->to_attach));
		AUTO_FREE char *line = xasprintf("%s %s %s %s: %s %s%s", or_dash(n->netdev), or_dash(n->device), or_dash(n->model),
						 or_dash(n->mac), n->type, or_dash(n->attach), to);

		add_text(&text, line);
	}
	return text ? text : xstrdup("");
}

static char *files_text(const struct args_result *r)
{
	char *text = NULL;
	size_t i;

	for (i = 0; i < r->file_count; i++) {
		const struct args_file *f = &r->files[i];
		bool same = f->to && !strcmp(f->path, f->to);
		AUTO_FREE char *line =
			xasprintf("%s %s %s%s%s", args_role_name(f->role), f->read_only ? "ro" : "rw", f->path, same ? "" : " -> ",
				  same	  ? ""
				  : f->to ? f->to
					  : "nothing");

		assert_true(args_role_of(args_role_name(f->role)) == f->role);
		add_text(&text, line);
	}
	return text ? text : xstrdup("");
}

static char *notes_text(const struct args_result *r)
{
	char *text = NULL;
	size_t i;

	for (i = 0; i < r->note_count; i++)
		add_text(&text, r->notes[i]);
	return text ? text : xstrdup("");
}

/* Without what every destination's line ends with. */
static char *line_text(char *const *argv, size_t argc)
{
	AUTO_FREE char *rest = qemu_args_start_line(argv, argc, NULL, QMP);

	return xasprintf("%s\n", rest);
}

static void check(struct file *f, const char *path, const char *section, const char *is, bool *changed)
{
	const char *want = get(f, section);

	if (want && !strcmp(want, is))
		return;
	if (!want && !*is)
		return;
	if (getenv("UPDATE")) {
		put(f, section, is);
		*changed = true;
		return;
	}
	fail_msg("%s: %s is\n%s\nand should be\n%s", path, section, is, want ? want : "(nothing)");
}

static void write_case(const struct file *f, const char *path)
{
	FILE *out = fopen(path, "we");
	size_t i;

	assert_non_null(out);
	for (i = 0; i < f->n; i++) {
		if (i && (!f->v[i].text || !*f->v[i].text))
			continue;
		if (i)
			fprintf(out, "== %s\n", f->v[i].name);
		fputs(f->v[i].text, out);
	}
	fclose(out);
}

static void check_result(struct file *f, const char *path, struct args_result *r, bool *changed)
{
	AUTO_FREE char *line = line_text(r->argv, r->argc), *notes = notes_text(r), *files = files_text(r), *nics = nics_text(r);
	AUTO_FREE char *start = qemu_args_start_line(r->argv, r->argc, "/usr/bin/qemu-system-x86_64", QMP);
	AUTO_FREE char *start_line = xasprintf("%s\n", start);

	assert_true(r->argc > 5);
	if (!get(f, "options") || strncmp(get(f, "options"), "cold\n", 5))
		assert_string_equal(r->argv[r->argc - 5], "-incoming");
	assert_string_equal(r->argv[r->argc - 3], "-S");
	assert_string_equal(r->argv[r->argc - 1], "unix:" QMP ",server=on,wait=on");
	assert_null(strstr(start, QMP));
	check(f, path, "expect", line, changed);
	check(f, path, "notes", notes, changed);
	check(f, path, "files", files, changed);
	check(f, path, "nics", nics, changed);
	if (get(f, "start"))
		check(f, path, "start", start_line, changed);
}

static void a_line_becomes_what_is_expected(void **state)
{
	const char *path = *state;
	char *argv[WORDS_MAX];
	struct args_result r = {.argc = 0};
	struct err e = {.code = 0};
	bool changed = false;
	struct settings s;
	struct file f;
	size_t argc;

	read_case(&f, path);
	assert_non_null(get(&f, "line"));
	argc = split(get(&f, "line"), argv, ARRAY_LEN(argv));
	read_settings(&s, &f);
	if (qemu_args_rewrite(&r, argv, argc, &s.o, &e) < 0) {
		AUTO_FREE char *why = xasprintf("%s\n", e.msg);

		check(&f, path, "refused", why, &changed);
		if (get(&f, "expect"))
			fail_msg("%s: refused: %s", path, e.msg);
	} else {
		if (get(&f, "refused"))
			fail_msg("%s: is not refused", path);
		check_result(&f, path, &r, &changed);
	}
	if (changed)
		write_case(&f, path);
	args_result_fini(&r);
	while (argc)
		free(argv[--argc]);
	while (s.word_count)
		free(s.words[--s.word_count]);
	free_case(&f);
}

static int is_case(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

int main(void)
{
	static struct CMUnitTest tests[CASES_MAX];
	struct dirent **names;
	int n = scandir(DIRECTORY, &names, is_case, alphasort), i, failed;

	if (n <= 0 || n > CASES_MAX) {
		fprintf(stderr, "FAIL: no cases in " DIRECTORY "; run this from the top of the tree\n");
		return 1;
	}
	for (i = 0; i < n; i++) {
		tests[i].name = xstrdup(names[i]->d_name);
		tests[i].test_func = a_line_becomes_what_is_expected;
		tests[i].initial_state = xasprintf(DIRECTORY "/%s", names[i]->d_name);
		free(names[i]);
	}
	free(names);
	failed = _cmocka_run_group_tests("qemu-args-corpus", tests, (size_t)n, NULL, NULL);
	for (i = 0; i < n; i++) {
		free((char *)tests[i].name);
		free(tests[i].initial_state);
	}
	return failed;
}
