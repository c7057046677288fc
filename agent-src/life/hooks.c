/* hooks.c: see hooks.h. */
#include "hooks.h"
#include "program-run.h"
#include "util.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define OF_HOST	   "/etc/vmferry/hooks"
#define WORDS_MAX  512
#define ENV_OF_OUR 5

/* ---- which ---- */

static int is_skipped(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return *d->d_name == '.' || d->d_name[n - 1] == '~' || strstr(d->d_name, ".dpkg-") != NULL;
}

static int is_taken(const struct dirent *d)
{
	return !is_skipped(d);
}

/* 1: it is there, and nobody else could have written it. */
static int is_own(const char *path, struct err *e)
{
	struct stat st;

	if (stat(path, &st))
		return errno == ENOENT ? 0 : err_sys(e, errno, "cannot look at %s", path);
	if ((st.st_uid && st.st_uid != geteuid()) || st.st_mode & 022)
		return err_set(e, EPERM, "%s must be writable by you alone (chown, chmod go-w), as what is in it is run", path);
	return 1;
}

/* ---- running one ---- */

/* The last line that it printed. */
struct words {
	char text[WORDS_MAX];
	size_t n;
	bool ended; /* the next byte begins another line */
};

static void hear(void *ctx, const char *text, size_t n)
{
	struct words *w = ctx;

	for (size_t i = 0; i < n; i++) {
		if (w->ended)
			w->n = 0;
		w->ended = text[i] == '\n';
		if (!w->ended && w->n < sizeof(w->text) - 1)
			w->text[w->n++] = text[i];
	}
}

static const char *last_line(struct words *w)
{
	w->text[w->n] = '\0';
	text_make_utf8(w->text);
	text_make_printable(w->text, false);
	return w->text;
}

static int judge(const char *path, int status, struct words *w, struct err *e)
{
	const char *said = last_line(w);

	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	if (WIFEXITED(status))
		return err_set(e, EACCES, "%s says no (exit code %d)%s%s", path, WEXITSTATUS(status), *said ? ": " : "", said);
	return err_set(e, EACCES, "%s was ended by signal %d", path, WTERMSIG(status));
}

static int run_one(const char *path, const struct hook_about *about, char *const *env, int event_fd, struct err *e)
{
	char *argv[] = {(char *)(uintptr_t)path, NULL};
	struct words said = {.n = 0};
	struct program_run run = {.argv = argv, .env = env, .input = event_fd, .output = hear, .output_ctx = &said, .timeout_ms = HOOK_MS};
	struct stat st;
	int status, r = is_own(path, e);

	if (r < 0 || !r || stat(path, &st) || !S_ISREG(st.st_mode))
		return r < 0 ? r : 0;
	if (access(path, X_OK)) {
		about->skipped(about->ctx, path);
		return 0;
	}
	lseek(event_fd, 0, SEEK_SET);
	return program_run(&run, &status, e) ?: judge(path, status, &said, e);
}

/* ---- all of them ---- */

static int event_file(const json_t *event, struct err *e)
{
	AUTO_FREE char *text = json_dumps(event, JSON_COMPACT);
	size_t n = text ? strlen(text) : 0;
	int fd = memfd_create("event", MFD_CLOEXEC);

	if (fd < 0 || write(fd, text, n) != (ssize_t)n || write(fd, "\n", 1) != 1) {
		if (fd >= 0)
			close(fd);
		return err_sys(e, errno ?: EIO, "cannot make the event for a hook");
	}
	return fd;
}

/* Ours, and what the event is about; malloc'ed with its last strings, ended by NULL. */
static bool is_of_hooks(const char *variable)
{
	static const char *const names[ENV_OF_OUR] = {"VMFERRY_GUEST=", "VMFERRY_DESTINATION=", "VMFERRY_KIND=", "VMFERRY_HEALTH=",
						      "VMFERRY_HEALTH_BEFORE="};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!strncmp(variable, names[i], strlen(names[i])))
			return true;
	return false;
}

static char **environment(const struct hook_about *about, char *own[ENV_OF_OUR])
{
	size_t n = 0, count = ENV_OF_OUR, i;
	char **env;

	own[0] = xasprintf("VMFERRY_GUEST=%s", about->guest ?: "");
	own[1] = xasprintf("VMFERRY_DESTINATION=%s", about->destination ?: "");
	own[2] = xasprintf("VMFERRY_KIND=%s", about->how ?: "");
	own[3] = xasprintf("VMFERRY_HEALTH=%s", about->health ?: "");
	own[4] = xasprintf("VMFERRY_HEALTH_BEFORE=%s", about->health_before ?: "");
	while (environ[n])
		n++;
	env = xcalloc(n + ENV_OF_OUR + 1, sizeof(*env));
	for (i = 0; i < ENV_OF_OUR; i++)
		env[i] = own[i];
	for (i = 0; i < n; i++)
		if (!is_of_hooks(environ[i]))
			env[count++] = environ[i];
	return env;
}

static int run_all(const char *dir, const struct hook_about *about, const json_t *event, struct err *e)
{
	AUTO_CLOSE int fd = event_file(event, e);
	AUTO_FREE char **env = NULL;
	char *own[ENV_OF_OUR];
	struct dirent **names = NULL;
	int n, i, r = fd < 0 ? fd : 0;

	if (r)
		return r;
	n = scandir(dir, &names, is_taken, alphasort);
	if (n < 0)
		return err_sys(e, errno, "cannot read %s", dir);
	env = environment(about, own);
	for (i = 0; i < n; i++) {
		AUTO_FREE char *path = xasprintf("%s/%s", dir, names[i]->d_name);

		r = r ?: run_one(path, about, env, fd, e);
		free(names[i]);
	}
	free(names);
	for (i = 0; i < ENV_OF_OUR; i++)
		free(own[i]);
	return r;
}

int hooks_run(const char *kind, const struct hook_about *about, const json_t *event, struct err *e)
{
	const char *named = getenv("VMFERRY_HOOKS"), *at = named ?: OF_HOST;
	AUTO_FREE char *dir = xasprintf("%s/%s", at, kind);
	int r = *at ? is_own(at, e) : 0;

	r = r == 1 ? is_own(dir, e) : r;
	return r == 1 ? run_all(dir, about, event, e) : r;
}
