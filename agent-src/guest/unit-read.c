/* unit-read.c: see unit-read.h. */
#include "unit-read.h"
#include "open-regular.h"
#include "qemu-args.h"
#include "script-record.h"
#include "systemd.h"
#include "unit-text.h"
#include "util.h"
#include "words.h"

#include <dirent.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TEXT_MAX MIB
#define SUFFIX	 ".service"

/* ---- what is refused ---- */

static bool is_off(const char *value)
{
	static const char *const off[] = {"", "no", "false", "off", "0", NULL};

	return word_index(off, value) >= 0;
}

/* Settings by which QEMU would see other files, another user or another environment than here. */
static int check_surroundings(const struct kv_list *l, struct err *e)
{
	static const char *const keys[] = {"RootDirectory", "RootImage",       "BindPaths",   "BindReadOnlyPaths", "TemporaryFileSystem",
					   "MountImages",   "ExtensionImages", "DynamicUser", "UnsetEnvironment",  "ExtensionDirectories"};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		const char *value = kv_get(l, keys[i], NULL);

		if (value && !is_off(value))
			return err_set(e, ENOTSUP, "it has %s=%s", keys[i], value);
	}
	return 0;
}

static int check_user(const struct kv_list *l, const struct unit_names *names, struct err *e)
{
	const char *said = kv_get(l, "User", NULL);
	AUTO_FREE char *user = said ? unit_specifiers(said, names, e) : xstrdup("");
	AUTO_FREE char *uid = xasprintf("%u", (unsigned)geteuid());
	const struct passwd *own = getpwuid(geteuid());

	if (!user)
		return -e->code;
	return !*user || !strcmp(user, uid) || (own && !strcmp(user, own->pw_name))
		       ? 0
		       : err_set(e, ENOTSUP, "it runs QEMU as the user %s: run vmferry as that user", user);
}

static bool is_on(const char *value)
{
	return value && (!strcmp(value, "yes") || !strcmp(value, "true") || !strcmp(value, "on") || !strcmp(value, "1"));
}

/* PrivateTmp= gives the unit a /tmp of its own, which is gone by now. */
static int check_private_tmp(const struct kv_list *l, const struct guest_line *line, struct err *e)
{
	for (size_t i = 0; i < line->argc && is_on(kv_get(l, "PrivateTmp", NULL)); i++)
		if (strstr(line->argv[i], "/tmp/"))
			return err_set(e, ENOTSUP, "it has PrivateTmp=, and its line names a file in /tmp: %s", line->argv[i]);
	return 0;
}

/* ---- its environment ---- */

static int read_text(const char *path, char **text, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	size_t n;
	int r = script_check_owner(path, e);

	if (r)
		return r;
	fd = open_regular(path);
	r = fd < 0 ? fd : read_regular(fd, TEXT_MAX, text, &n);
	if (r)
		return err_sys(e, -r, "cannot read %s", path);
	return memchr(*text, 0, n) ? err_set(e, ENOTSUP, "%s is no text", path) : 0;
}

static int read_environment_file(struct kv_list *env, const char *value, const struct unit_names *names, struct err *e)
{
	bool may_be_missing = *value == '-';
	AUTO_FREE char *path = unit_specifiers(value + may_be_missing, names, e), *text = NULL;
	int r;

	if (!path)
		return -e->code;
	if (*path != '/' || strpbrk(path, "*?["))
		return err_set(e, ENOTSUP, "its EnvironmentFile=%s is no whole path", value);
	if (may_be_missing && access(path, F_OK))
		return 0;
	r = read_text(path, &text, e) ?: unit_environment_text(env, text, e);
	return r ? err_prefix(e, "its environment (%s)", path) : 0;
}

/* The first of key's settings that counts: an empty one takes back those before it. */
static size_t first_of(const struct kv_list *l, const char *key)
{
	size_t i, first = 0;

	for (i = 0; i < l->n; i++)
		if (!strcmp(l->v[i].key, key) && !*l->v[i].value)
			first = i + 1;
	return first;
}

/* Variables of EnvironmentFile= replace those of Environment=, in whichever order the unit has them. */
static int take_environment(struct kv_list *env, const struct kv_list *l, const struct unit_names *names, struct err *e)
{
	int r = 0;

	for (size_t i = first_of(l, "Environment"); i < l->n && !r; i++)
		if (!strcmp(l->v[i].key, "Environment"))
			r = unit_environment(env, l->v[i].value, names, e);
	for (size_t i = first_of(l, "EnvironmentFile"); i < l->n && !r; i++)
		if (!strcmp(l->v[i].key, "EnvironmentFile"))
			r = read_environment_file(env, l->v[i].value, names, e);
	return r;
}

/* ---- its line ---- */

static int only_start(const struct kv_list *l, const char **value, struct err *e)
{
	size_t i, n = 0;

	for (i = first_of(l, "ExecStart"); i < l->n; i++)
		if (!strcmp(l->v[i].key, "ExecStart")) {
			*value = l->v[i].value;
			n++;
		}
	return n == 1 ? 0 : err_set(e, ENOTSUP, n ? "it starts several programs (ExecStart=)" : "it starts no program (ExecStart=)");
}

/* "-", "+" and "!" say how it is run. True: ":", nothing of its environment is put in. */
static int take_prefixes(char *program, bool *plain, struct err *e)
{
	size_t n = strspn(program, "-+!:");

	*plain = memchr(program, ':', n);
	if (strchr("@|", program[n]) && program[n])
		return err_set(e, ENOTSUP, "its program begins with '%c', which is not known here", program[n]);
	memmove(program, program + n, strlen(program + n) + 1);
	return 0;
}

static int put_specifiers_in(struct unit_word_list *w, const struct unit_names *names, struct err *e)
{
	for (size_t i = 0; i < w->n; i++) {
		char *word = unit_specifiers(w->v[i], names, e);

		if (!word)
			return -e->code;
		kv_replace(&w->v[i], word);
	}
	return 0;
}

/* Words are compared as systemctl shows them, with blanks between. */
static int compare(const struct unit_word_list *w, const char *systemd_line, struct err *e)
{
	AUTO_FREE char *all = NULL;
	size_t size, i;
	FILE *f = open_memstream(&all, &size);

	fputs("argv[]=", f);
	for (i = 0; i < w->n; i++)
		fprintf(f, "%s%s", i ? " " : "", w->v[i]);
	fputs(" ; ignore_errors=", f);
	if (fclose(f))
		abort();
	return !systemd_line || strstr(systemd_line, all) ? 0 : err_set(e, ENOTSUP, "systemd reads its ExecStart= otherwise than vmferry");
}

/* /usr/bin/env at the beginning is dropped: it only finds the program in PATH. */
static void drop_env(struct unit_word_list *w)
{
	if (w->n < 2 || strcmp(w->v[0], "/usr/bin/env") || *w->v[1] == '-' || strchr(w->v[1], '='))
		return;
	free(w->v[0]);
	memmove(w->v, w->v + 1, w->n-- * sizeof(*w->v));
}

static int take_line(struct guest *g, const struct kv_list *l, const struct kv_list *env, const struct unit_names *names,
		     const char *systemd_line, struct err *e)
{
	struct unit_word_list words = {.n = 0}, line = {.n = 0};
	const char *value = NULL;
	bool plain = false;
	int r = only_start(l, &value, e) ?: unit_split(&words, value, e);

	r = r ?: words.n ? r : err_set(e, ENOTSUP, "it starts no program (ExecStart=)");
	r = r ?: take_prefixes(words.v[0], &plain, e) ?: put_specifiers_in(&words, names, e) ?: compare(&words, systemd_line, e);
	if (!r && !plain)
		r = unit_expand(&line, &words, env, e);
	if (!r && plain) {
		line = words;
		words = (struct unit_word_list){.n = 0};
	}
	unit_words_fini(&words);
	if (r) {
		unit_words_fini(&line);
		return r;
	}
	drop_env(&line);
	g->line.argv = line.v;
	g->line.argc = line.n;
	return 0;
}

/* ---- its directory ---- */

static int take_directory(struct guest *g, const struct kv_list *l, const struct unit_names *names, struct err *e)
{
	const char *said = kv_get(l, "WorkingDirectory", NULL) ?: "";
	bool may_be_missing = *said == '-';
	AUTO_FREE char *dir = unit_specifiers(said + may_be_missing, names, e);

	if (!dir)
		return -e->code;
	if (!*dir || !strcmp(dir, "~"))
		kv_replace(&dir, xstrdup(!*dir && !names->is_user ? "/" : names->home ?: "?"));
	if (*dir != '/' || access(dir, X_OK))
		return err_set(e, ENOTSUP, "its WorkingDirectory=%s is not there", said);
	kv_replace(&g->cwd, xstrdup(dir));
	return 0;
}

/* ---- all of it ---- */

static char *copy_of(const char *s)
{
	return s && *s ? xstrdup(s) : NULL;
}

int unit_take(const struct kv_list *l, const struct unit_names *names, const char *systemd_line, struct guest *g, struct err *e)
{
	AUTO_KV struct kv_list env = {.n = 0};
	int r = check_surroundings(l, e) ?: check_user(l, names, e);

	r = r ?: take_environment(&env, l, names, e) ?: take_line(g, l, &env, names, systemd_line, e);
	r = r ?: check_private_tmp(l, &g->line, e) ?: take_directory(g, l, names, e);
	if (!r) {
		g->env.ld_library_path = copy_of(kv_get(&env, "LD_LIBRARY_PATH", NULL));
		g->env.module_dir = copy_of(kv_get(&env, "QEMU_MODULE_DIR", NULL));
	}
	return r;
}

/* Settings by which the unit gives its QEMU something of this host, or keeps it from it: "Nice=5, CPUAffinity=0-3"; malloc'ed, "": none. */
static char *grants_of(const struct kv_list *l)
{
	static const char *const keys[] = {"Nice",
					   "IOSchedulingClass",
					   "IOSchedulingPriority",
					   "CPUSchedulingPolicy",
					   "CPUSchedulingPriority",
					   "CPUAffinity",
					   "NUMAPolicy",
					   "NUMAMask",
					   "AllowedCPUs",
					   "AllowedMemoryNodes",
					   "MemoryMax",
					   "MemoryHigh",
					   "MemoryLimit",
					   "CPUQuota",
					   "CPUWeight",
					   "IOWeight",
					   "Slice",
					   "LimitMEMLOCK",
					   "OOMScoreAdjust",
					   "PrivateNetwork",
					   "NetworkNamespacePath"};
	char *list = xstrdup("");

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		const char *value = kv_get(l, keys[i], NULL);
		AUTO_FREE char *before = list;

		list = value && !is_off(value) ? xasprintf("%s%s%s=%s", before, *before ? ", " : "", keys[i], value) : xstrdup(before);
	}
	return list;
}

static void note(struct guest *g, const char *unit, const struct kv_list *l)
{
	AUTO_FREE char *line = script_shown_line(g), *grants = grants_of(l);
	const char *before = kv_get(l, "ExecStartPre", NULL);

	guest_note(g, "the unit %s starts: %s", unit, line);
	if (before && *before)
		guest_note(g, "the unit %s runs this before, and nothing does so at the destination: %s", unit, before);
	if (*grants)
		guest_note(g,
			   "the unit %s has %s, which does not go along. Set it up in what starts the guest there (its NAME.sh, or a unit)",
			   unit, grants);
}

struct surroundings {
	char *home, *runtime_dir, host[256];
	struct unit_names names;
};

static void look_around(struct surroundings *s, const char *unit)
{
	const struct passwd *own = getpwuid(geteuid());
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	bool user = geteuid() != 0;

	*s = (struct surroundings){.home = own ? xstrdup(own->pw_dir) : NULL,
				   .runtime_dir = !user			? xstrdup("/run")
						  : runtime && *runtime ? xstrdup(runtime)
									: xasprintf("/run/user/%u", (unsigned)geteuid())};
	if (gethostname(s->host, sizeof(s->host) - 1))
		s->host[0] = '\0';
	s->names = (struct unit_names){.unit = unit,
				       .home = s->home,
				       .runtime_dir = s->runtime_dir,
				       .user = own ? own->pw_name : NULL,
				       .host = *s->host ? s->host : NULL,
				       .uid = (unsigned)geteuid(),
				       .is_user = user};
}

/* ---- one that runs a script ---- */

/* The environment that systemd.exec(5) gives a program, and the unit's own. */
static char **environment_of(const struct kv_list *l, const struct surroundings *s, struct err *e)
{
	AUTO_FREE char *first =
		xasprintf("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nHOME=%s\nUSER=%s\nLOGNAME=%s\n",
			  s->home ?: "/", s->names.user ?: "root", s->names.user ?: "root");
	AUTO_KV struct kv_list env = {.n = 0};
	char **out = NULL;

	if (!unit_environment_text(&env, first, e) && !take_environment(&env, l, &s->names, e)) {
		out = xcalloc(env.n + 1, sizeof(*out));
		for (size_t i = 0; i < env.n; i++)
			out[i] = xasprintf("%s=%s", env.v[i].key, env.v[i].value);
	}
	return out;
}

/* The program, if it is not QEMU, is run where it can do nothing, to see what it starts. */
static int see_through(struct guest *g, const struct kv_list *l, const struct surroundings *s, struct err *e)
{
	struct guest_line line = g->line;
	AUTO_FREE char *dir = g->cwd;
	AUTO_FREE char **env = NULL;
	int r;

	g->line = (struct guest_line){.argc = 0};
	g->cwd = NULL;
	env = environment_of(l, s, e);
	r = env ? script_record(&(struct script_call){.words = line.argv, .dir = dir, .env = env}, g, e) : -e->code;
	args_free_strings(line.argv, line.argc);
	for (size_t i = 0; env && env[i]; i++)
		free(env[i]);
	return r;
}

static int take(const struct kv_list *l, const char *unit, const char *systemd_line, struct guest *g, struct err *e)
{
	struct surroundings s;
	int r;

	look_around(&s, unit);
	r = unit_take(l, &s.names, systemd_line, g, e);
	if (!r && !script_is_qemu(g->line.argv[0]))
		r = see_through(g, l, &s, e);
	free(s.home);
	free(s.runtime_dir);
	if (r)
		return err_prefix(e, "the unit %s", unit);
	note(g, unit, l);
	return 0;
}

static int add_file(struct kv_list *l, const char *path, struct err *e)
{
	AUTO_FREE char *text = NULL;
	int r = read_text(path, &text, e);

	if (!r && unit_parse(l, text, e))
		r = err_prefix(e, "%s", path);
	return r;
}

/* ---- one that systemd knows ---- */

static int add_files(struct kv_list *l, const char *shown, struct err *e)
{
	static const char *const properties[] = {"FragmentPath", "DropInPaths"};
	char *path, *save = NULL;
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(properties); i++) {
		AUTO_FREE char *paths = unit_property(shown, properties[i]);

		for (path = strtok_r(paths, " ", &save); path && !r; path = strtok_r(NULL, " ", &save))
			r = add_file(l, path, e);
	}
	return r;
}

int unit_read_named(const char *unit, struct guest *g, struct err *e)
{
	const char *ask[] = {"show", "-p", "LoadState,NeedDaemonReload,FragmentPath,DropInPaths,ExecStart", "--", unit, NULL};
	AUTO_FREE char *shown = NULL, *load = NULL, *changed = NULL, *start = NULL;
	struct kv_list l = {.n = 0};
	int r = systemctl(geteuid() != 0, ask, &shown, e);

	if (r)
		return err_prefix(e, "cannot ask about the unit %s", unit);
	load = unit_property(shown, "LoadState");
	changed = unit_property(shown, "NeedDaemonReload");
	start = unit_property(shown, "ExecStart");
	if (strcmp(load, "loaded"))
		return err_set(e, ENOENT, "there is no unit %s that could be started here (systemd calls it '%s')", unit, load);
	if (!strcmp(changed, "yes"))
		return err_set(e, ENOTSUP, "the unit %s was changed since systemd has read it: systemctl daemon-reload", unit);
	r = add_files(&l, shown, e) ?: take(&l, unit, start, g, e);
	kv_fini(&l);
	if (r)
		return r;
	g->unit.name = xstrdup(unit);
	g->unit.is_user = geteuid() != 0;
	g->unit.uid = geteuid();
	return 0;
}

/* ---- one by its file ---- */

bool unit_is_file(const char *vm)
{
	return strchr(vm, '/') && text_ends_with(vm, SUFFIX);
}

/* Systemd has read this file as the unit of its name. */
static bool is_known(const char *unit, const char *file)
{
	const char *ask[] = {"show", "-p", "FragmentPath", "--", unit, NULL};
	AUTO_FREE char *shown = NULL, *fragment = NULL, *real = NULL, *own = realpath(file, NULL);
	struct err ignored;

	if (!systemd_runs() || systemctl(geteuid() != 0, ask, &shown, &ignored))
		return false;
	fragment = unit_property(shown, "FragmentPath");
	real = realpath(fragment, NULL);
	return real && own && !strcmp(real, own);
}

/* "vm@.service", of vm@web1.service; NULL: it has no instance. */
static char *template_of(const char *path)
{
	const char *slash = strrchr(path, '/'), *at = strchr(slash, '@');

	return at && strcmp(at + 1, SUFFIX) ? xasprintf("%.*s@" SUFFIX, (int)(at - path), path) : NULL;
}

static int is_drop_in(const struct dirent *x)
{
	return text_ends_with(x->d_name, ".conf");
}

static int add_drop_ins(struct kv_list *l, const char *path, struct err *e)
{
	AUTO_FREE char *dir = xasprintf("%s.d", path);
	struct dirent **list;
	int i, n = scandir(dir, &list, is_drop_in, alphasort), r = 0;

	for (i = 0; i < n; i++) {
		AUTO_FREE char *file = xasprintf("%s/%s", dir, list[i]->d_name);

		r = r ?: add_file(l, file, e);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	return r;
}

int unit_read_file(const char *path, struct guest *g, struct err *e)
{
	const char *unit = strrchr(path, '/') + 1;
	AUTO_FREE char *template = template_of(path);
	const char *file = template && access(path, F_OK) ? template : path;
	struct kv_list l = {.n = 0};
	int r;

	if (strchr(unit, '@') && !template)
		return err_set(e, EINVAL, "%s is a template of units: say of which, by a name behind its @", path);
	if (is_known(unit, file))
		return unit_read_named(unit, g, e);
	r = add_file(&l, file, e);
	r = r || !template ? r : add_drop_ins(&l, template, e);
	r = r ?: add_drop_ins(&l, path, e);
	r = r ?: take(&l, unit, NULL, g, e);
	kv_fini(&l);
	if (!r)
		guest_note(g, "systemd here does not know %s: see to it that nothing starts the guest by it here again", path);
	return r;
}
