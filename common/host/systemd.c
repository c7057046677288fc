/* systemd.c: see systemd.h. */
#include "systemd.h"
#include "process.h"
#include "util.h"
#include "words.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define SYSTEMCTL_MS 15000 /* two in a row are well within what the peer waits for */
#define WORDS_MAX    16
#define SYSTEMD_RUN  "/usr/bin/systemd-run"

bool systemd_runs(void)
{
	struct stat st;

	return !lstat("/run/systemd/system", &st) && S_ISDIR(st.st_mode);
}

static char *user_runtime_dir(void)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");

	return xdg && *xdg ? xstrdup(xdg) : xasprintf("/run/user/%u", (unsigned)geteuid());
}

/* systemctl's first line, which says what went wrong; those after it hint at other commands. */
static const char *what_it_said(char *text)
{
	char *end = text + strlen(text), *line;

	while (end > text && (end[-1] == '\n' || end[-1] == ' '))
		*--end = '\0';
	line = strchr(text, '\n');
	if (line)
		*line = '\0';
	return *text ? text : "it failed and did not say why";
}

int systemctl(bool user, const char *const *words, char **out, struct err *e)
{
	AUTO_FREE char *dir = user_runtime_dir();
	AUTO_FREE char *env = xasprintf("XDG_RUNTIME_DIR=%s", dir);
	const char *argv[WORDS_MAX + 6] =
		{"env", user ? env : "LC_ALL=C", "systemctl", user ? "--user" : "--system", "--no-ask-password", "--no-pager"};
	struct process_output said;
	int r;

	for (size_t i = 0; words[i] && i + 7 < ARRAY_LEN(argv); i++)
		argv[i + 6] = words[i];
	r = process_run((char *const *)argv, SYSTEMCTL_MS, &said, e);
	if (r)
		return err_prefix(e, "systemctl %s", words[0]);
	if (said.status)
		return err_set(e, EREMOTEIO, "systemctl %s: %s", words[0], what_it_said(said.text));
	if (out)
		*out = xstrdup(said.text);
	return 0;
}

/* cgroups(7): the cgroup that we are in is a service's, or one below it. *user: of our user's manager. */
static bool in_service(bool *user)
{
	FILE *f = fopen("/proc/self/cgroup", "re");
	char line[1024], *part, *path, *save;
	bool yes = false;

	*user = false;
	while (f && !yes && fgets(line, sizeof(line), f)) {
		path = !strncmp(line, "0::", 3) ? line + 3 : strstr(line, ":name=systemd:");
		for (part = path ? strtok_r(path, "/\n", &save) : NULL; part; part = strtok_r(NULL, "/\n", &save)) {
			if (!strncmp(part, "user@", 5))
				*user = true;
			else if (text_ends_with(part, ".service") || text_ends_with(part, ".scope"))
				yes = text_ends_with(part, ".service");
		}
	}
	if (f)
		fclose(f);
	return yes;
}

void free_words(char **words)
{
	for (size_t i = 0; words && words[i]; i++)
		free(words[i]);
	free(words);
}

#define SCOPE_WORDS 10

/* The words before the program's own, up to "--". Running `true` with them shows whether they work. */
static char **scope_words(bool user, const char *unit, const char *description)
{
	char **words = xcalloc(SCOPE_WORDS + 1, sizeof(*words));

	words[0] = xstrdup(SYSTEMD_RUN);
	words[1] = xstrdup(user ? "--user" : "--system");
	words[2] = xstrdup("--scope");
	words[3] = xstrdup("--quiet");
	words[4] = xstrdup("--collect");
	words[5] = xasprintf("--unit=%s", unit);
	words[6] = xasprintf("--description=%s", description);
	words[7] = xstrdup("--property=Before=" GUESTS_TARGET);
	words[8] = xstrdup("--no-ask-password");
	words[9] = xstrdup("--");
	return words;
}

static int try_scope(bool user, const char *unit, struct err *e)
{
	AUTO_FREE char *name = xasprintf("try-%s", unit);
	char **words = scope_words(user, name, name);
	char *argv[SCOPE_WORDS + 2] = {NULL};
	struct process_output said;
	int r;

	memcpy(argv, words, SCOPE_WORDS * sizeof(*argv));
	argv[SCOPE_WORDS] = "true";
	r = process_run(argv, SYSTEMCTL_MS, &said, e);
	if (!r && said.status)
		r = err_set(e, EREMOTEIO, "systemd-run: %s", what_it_said(said.text));
	free_words(words);
	return r;
}

char **systemd_scope(const char *unit, const char *description, struct err *e)
{
	bool user;

	*e = (struct err){.code = 0};
	if (!systemd_runs() || !in_service(&user) || try_scope(user, unit, e))
		return NULL;
	return scope_words(user, unit, description);
}

char *systemd_unit_dir(bool user, bool runtime)
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

	if (!user)
		return xstrdup(runtime ? "/run/systemd/system" : "/etc/systemd/system");
	if (runtime) {
		AUTO_FREE char *dir = user_runtime_dir();

		return xasprintf("%s/systemd/user", dir);
	}
	return config && *config ? xasprintf("%s/systemd/user", config) : xasprintf("%s/.config/systemd/user", home ? home : "");
}

int make_dirs(const char *path, struct err *e)
{
	AUTO_FREE char *copy = xstrdup(path);
	char *slash;

	for (slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(copy, 0755) && errno != EEXIST)
			return err_sys(e, errno, "cannot create the directory %s", copy);
		*slash = '/';
	}
	if (mkdir(copy, 0755) && errno != EEXIST)
		return err_sys(e, errno, "cannot create the directory %s", copy);
	return 0;
}

bool dir_is_writable(const char *path)
{
	AUTO_FREE char *copy = xstrdup(path);
	char *slash;

	while (access(copy, F_OK) && (slash = strrchr(copy, '/')) && slash != copy)
		*slash = '\0';
	return !access(copy, W_OK | X_OK);
}
