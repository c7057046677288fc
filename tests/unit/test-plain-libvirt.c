/*
 * test-plain-libvirt.c: command lines as definitions of libvirt's, one test for each of tests/data/args/NAME: the definition and what is
 * told of it, or why there is none, as tests/data/plain-libvirt/NAME.expect says. Whatever the line, a word that nobody has heard of is
 * refused or told of, and nothing is lost without a word. Definitions are those of libvirt's own schema, where that is installed.
 *
 * UPDATE=1 writes what is into those files: to be read before it is committed.
 */
#include "args-corpus.h"
#include "libvirt-xml.h"
#include "plain-libvirt.h"
#include "qemu-args.h"
#include "qemu-opts.h"
#include "util.h"

#include <dirent.h>
#include <errno.h>
#include <libxml/parser.h>
#include <libxml/relaxng.h>
#include <unistd.h>

#define EXPECTED "tests/data/plain-libvirt"
#define UNHEARD	 "x-unheard"

/* A line as it would be expanded here. */
struct line {
	char *argv[WORDS_MAX], **expanded;
	size_t argc, count;
};

static void read_line(struct line *l, const char *name)
{
	AUTO_FREE char *path = xasprintf(DIRECTORY "/%s", name);
	struct args_config configs[4];
	size_t i, n = 0;
	struct file f;
	struct err e;

	read_case(&f, path);
	l->argc = split(get(&f, "line"), l->argv, ARRAY_LEN(l->argv));
	for (i = 0; i < f.n; i++)
		if (!strncmp(f.v[i].name, "config ", 7))
			configs[n++] = (struct args_config){f.v[i].name + 7, f.v[i].text};
	l->count = 0;
	l->expanded = NULL;
	if (qemu_args_expand(&l->expanded, &l->count, l->argv, l->argc, configs, n, &e))
		l->expanded = NULL;
	free_case(&f);
}

static void free_line(struct line *l)
{
	args_free_strings(l->expanded, l->count);
	while (l->argc)
		free(l->argv[--l->argc]);
}

/* The bridge of a tap, as on this host. */
static char *bridge_of(const char *tap)
{
	return strncmp(tap, "tap", 3) ? NULL : xasprintf("br-%s", tap);
}

static int make(struct plain_libvirt *out, char *const *argv, size_t argc, struct err *e)
{
	AUTO_FREE char *name = qemu_args_name(argv, argc);
	struct plain_guest g = {.argv = argv,
				.argc = argc,
				.name = name ?: "vm",
				.cwd = "/home/user",
				.emulator =
					argc && strstr(argv[0], "aarch64") ? "/usr/bin/qemu-system-aarch64" : "/usr/bin/qemu-system-x86_64",
				.uuid = "11111111-2222-4333-8444-555555555555",
				.tpm2 = true,
				.bridge_of = bridge_of};

	return plain_libvirt_make(out, &g, e);
}

static void print(FILE *out, char *const *argv, size_t argc)
{
	struct plain_libvirt p;
	struct err e;
	size_t i;

	if (make(&p, argv, argc, &e)) {
		fprintf(out, "refused: %s\n", e.msg);
		assert_null(p.xml);
	} else {
		for (i = 0; i < p.note_count; i++)
			fprintf(out, "note: %s\n", p.notes[i]);
		fputs(p.xml, out);
	}
	plain_libvirt_fini(&p);
}

static void is_as_expected(void **state)
{
	const char *name = *state;
	AUTO_FREE char *path = xasprintf(EXPECTED "/%s.expect", name), *is = NULL, *text = xcalloc(1, 1 << 16);
	struct line l;
	size_t n;
	FILE *out = open_memstream(&is, &n);

	read_line(&l, name);
	if (l.expanded)
		print(out, l.expanded, l.count);
	fclose(out);
	free_line(&l);
	out = fopen(path, getenv("UPDATE") ? "we" : "re");
	if (!out)
		fail_msg("there is no %s", path);
	if (getenv("UPDATE"))
		fputs(is, out);
	else
		assert_true(fread(text, 1, (1 << 16) - 1, out) < (1 << 16) - 1);
	fclose(out);
	if (!getenv("UPDATE"))
		assert_string_equal(is, text);
}

/* ---- whatever the line ---- */

static void each_line(void (*check)(const char *name, char **argv, size_t argc))
{
	DIR *d = opendir(DIRECTORY);
	struct dirent *one;
	struct line l;

	assert_non_null(d);
	while ((one = readdir(d))) {
		if (*one->d_name == '.')
			continue;
		read_line(&l, one->d_name);
		if (l.expanded)
			check(one->d_name, l.expanded, l.count);
		free_line(&l);
	}
	closedir(d);
}

/* Everything that is told of a line, and refused. */
static char *told_of(char *const *argv, size_t argc)
{
	struct plain_libvirt p;
	struct err e = {.msg = ""};
	char *all;
	size_t i;

	all = xstrdup(make(&p, argv, argc, &e) ? e.msg : "");
	for (i = 0; i < p.note_count; i++) {
		char *more = xasprintf("%s\n%s", all, p.notes[i]);

		free(all);
		all = more;
	}
	plain_libvirt_fini(&p);
	return all;
}

static bool is_key_list(const char *option)
{
	static const char *const lists[] = {"machine", "M",	"accel",    "cpu",    "smp",	"m",   "boot", "rtc",
					    "smbios",  "drive", "blockdev", "device", "netdev", "nic", "net",  "global"};
	size_t i;

	for (i = 0; i < ARRAY_LEN(lists) && strcmp(lists[i], option) != 0; i++)
		;
	return i < ARRAY_LEN(lists);
}

/* The same line with that key in one of its options. False: it is another kind of word, or one that is refused as it is. */
static void with_unheard(const char *name, char **argv, size_t argc)
{
	AUTO_FREE char *as_is = told_of(argv, argc);
	struct qemu_opt opt;
	size_t i = 1, at;
	bool goes = !strstr(as_is, "cannot have what this one has");

	while (at = i, goes && qemu_opt_next(argv, argc, &i, &opt)) {
		char *word = argv[i - 1], *more = xasprintf("%s," UNHEARD "=1", word);
		AUTO_FREE char *told = NULL;

		if (is_key_list(opt.name) && opt.value && *opt.value != '{' && i == at + 2) {
			argv[i - 1] = more;
			told = told_of(argv, argc);
			argv[i - 1] = word;
			if (!strstr(told, UNHEARD))
				fail_msg("%s: nothing is said of -%s %s:\n%s", name, opt.name, more, told);
		}
		free(more);
	}
}

static void a_key_that_nobody_knows_is_told_of(void **state)
{
	(void)state;
	each_line(with_unheard);
}

/* An option, a device and an object of no known kind. */
static void with_unknown_words(const char *name, char **argv, size_t argc)
{
	static char *const words[][2] = {{(char *)"-" UNHEARD, (char *)"1"},
					 {(char *)"-device", (char *)UNHEARD},
					 {(char *)"-object", (char *)UNHEARD ",id=o"}};
	AUTO_FREE char **longer = xcalloc(argc + 3, sizeof(*longer));
	size_t i;

	for (i = 0; i < ARRAY_LEN(words); i++) {
		AUTO_FREE char *told = NULL;

		memcpy(longer, argv, argc * sizeof(*argv));
		longer[argc] = words[i][0];
		longer[argc + 1] = words[i][1];
		told = told_of(longer, argc + 2);
		if (!strstr(told, UNHEARD) || !strstr(told, "cannot have"))
			fail_msg("%s: %s %s is not refused:\n%s", name, words[i][0], words[i][1], told);
	}
}

static void a_device_that_nobody_knows_is_refused(void **state)
{
	(void)state;
	each_line(with_unknown_words);
}

/* ---- libvirt's own word ---- */

static const char *schema(void)
{
	static const char *const places[] = {"/usr/share/libvirt/schemas/domain.rng", "build/libvirt/usr/share/libvirt/schemas/domain.rng"};
	size_t i;

	for (i = 0; i < ARRAY_LEN(places) && access(places[i], R_OK); i++)
		;
	return i < ARRAY_LEN(places) ? places[i] : NULL;
}

static xmlRelaxNG *rules;

/* Checks that our reader of libvirt's definitions reads these, too. */
static void is_valid(const char *name, char **argv, size_t argc)
{
	struct libvirt_definition d;
	struct plain_libvirt p;
	struct err e;
	xmlRelaxNGValidCtxt *c;
	xmlDoc *doc;
	int r;

	if (make(&p, argv, argc, &e)) {
		plain_libvirt_fini(&p);
		return;
	}
	if (libvirt_definition_read(&d, p.xml, strlen(p.xml), &e))
		fail_msg("%s: %s\n%s", name, e.msg, p.xml);
	libvirt_definition_fini(&d);
	doc = xmlReadMemory(p.xml, (int)strlen(p.xml), NULL, NULL, 0);
	c = rules ? xmlRelaxNGNewValidCtxt(rules) : NULL;
	r = c ? xmlRelaxNGValidateDoc(c, doc) : 0;
	if (r)
		fail_msg("%s is not as libvirt's schema wants it:\n%s", name, p.xml);
	xmlRelaxNGFreeValidCtxt(c);
	xmlFreeDoc(doc);
	plain_libvirt_fini(&p);
}

static void definitions_are_as_libvirt_wants_them(void **state)
{
	xmlRelaxNGParserCtxt *parser = schema() ? xmlRelaxNGNewParserCtxt(schema()) : NULL;

	(void)state;
	rules = parser ? xmlRelaxNGParse(parser) : NULL;
	each_line(is_valid);
	xmlRelaxNGFree(rules);
	xmlRelaxNGFreeParserCtxt(parser);
}

/* ---- all of it ---- */

static int is_case(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

int main(void)
{
	static struct CMUnitTest tests[CASES_MAX] = {
		cmocka_unit_test(a_key_that_nobody_knows_is_told_of),
		cmocka_unit_test(a_device_that_nobody_knows_is_refused),
		cmocka_unit_test(definitions_are_as_libvirt_wants_them),
	};
	struct dirent **found;
	int n = scandir(DIRECTORY, &found, is_case, alphasort), i, count = 3;

	assert_true(n > 0 && n < CASES_MAX - count);
	for (i = 0; i < n; i++)
		tests[count++] =
			(struct CMUnitTest){.name = found[i]->d_name, .test_func = is_as_expected, .initial_state = found[i]->d_name};
	i = _cmocka_run_group_tests("plain-libvirt", tests, (size_t)count, NULL, NULL);
	while (n)
		free(found[--n]);
	free(found);
	return i;
}
