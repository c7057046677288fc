/* paths.c: see paths.h. */
#include "paths.h"
#include "durable-file.h"
#include "util.h"

#include <errno.h>
#include <glob.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define LENGTH_MAX 70 /* a socket's path below it must fit in 107 bytes */

/* mkdir -p, 0700 for what it creates. */
static int make_dirs(char *path, struct err *e)
{
	for (char *p = path + 1;; p++) {
		char c = *p;

		if (c && c != '/')
			continue;
		*p = 0;
		if (!mkdir(path, 0700)) {
			int r = sync_parent_dir(path, e);

			if (r)
				return r;
		} else if (errno != EEXIST) {
			return err_sys(e, errno, "cannot create the state directory %s", path);
		}
		*p = c;
		if (!c)
			return 0;
	}
}

static const char *env(const char *name)
{
	const char *v = getenv(name);

	return v && *v ? v : NULL;
}

int state_dir_get(char **out, const char *override, struct err *e)
{
	AUTO_FREE char *dir = NULL;
	struct stat st;
	int r;

	if (override && *override)
		dir = xstrdup(override);
	else if (env("VMFERRY_STATE_DIR"))
		dir = xstrdup(env("VMFERRY_STATE_DIR"));
	else if (!geteuid())
		dir = xstrdup("/var/lib/vmferry");
	else if (env("XDG_STATE_HOME"))
		dir = xasprintf("%s/vmferry", env("XDG_STATE_HOME"));
	else if (env("HOME"))
		dir = xasprintf("%s/.local/state/vmferry", env("HOME"));
	else
		return err_set(e, ENOENT, "no place for journals: set VMFERRY_STATE_DIR or HOME");
	r = make_dirs(dir, e);
	if (r)
		return r;
	if (stat(dir, &st))
		return err_sys(e, errno, "cannot use the state directory %s", dir);
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ENOTDIR, "the state directory %s is not a directory", dir);
	if (st.st_uid != geteuid() || st.st_mode & 022)
		return err_set(e, EPERM, "the state directory %s must be yours, and no other user may write to it (chmod go-w)", dir);
	*out = dir;
	dir = NULL;
	return 0;
}

/* Our own runtime directory. It is never below /tmp, where another user could have made it first. */
static int own_runtime_dir(char **out, struct err *e)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	AUTO_FREE char *logind = xasprintf("/run/user/%u", (unsigned)geteuid());
	AUTO_FREE char *state = NULL;
	struct stat st;

	if (geteuid() == 0)
		*out = xstrdup(ROOT_RUNTIME_DIR);
	else if (xdg && *xdg)
		*out = xasprintf("%s/vmferry", xdg);
	else if (!lstat(logind, &st) && S_ISDIR(st.st_mode) && st.st_uid == geteuid())
		*out = xasprintf("%s/vmferry", logind);
	else if (state_dir_get(&state, NULL, e))
		return err_prefix(e, "no place for sockets: set XDG_RUNTIME_DIR, or VMFERRY_RUNTIME_DIR");
	else
		*out = xasprintf("%s/run", state);
	return 0;
}

int runtime_dir_get(char **out, const char *override, struct err *e)
{
	const char *env = getenv("VMFERRY_RUNTIME_DIR");
	char *path = NULL;
	struct stat st;

	if (override || (env && *env))
		path = xstrdup(override ? override : env);
	else if (own_runtime_dir(&path, e))
		return -e->code;
	if (path[0] != '/' || strlen(path) > LENGTH_MAX) {
		err_set(e, EINVAL, "the runtime directory %s must be an absolute path of at most %d bytes", path, LENGTH_MAX);
	} else if (mkdir(path, 0700) && errno != EEXIST) {
		err_sys(e, errno, "cannot create %s", path);
	} else if (lstat(path, &st) || !S_ISDIR(st.st_mode) || st.st_uid != geteuid() || st.st_mode & 022) {
		err_set(e, EPERM, "%s is not a directory that is ours alone", path);
	} else {
		*out = path;
		return 0;
	}
	free(path);
	return -e->code;
}

int secret_file_check(int fd, const char *path, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st))
		return err_sys(e, errno, "cannot look at %s", path);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return err_set(e, EPERM, "%s belongs to user %u, who could change it: a client with a key from it may start programs", path,
			       (unsigned)st.st_uid);
	if (st.st_mode & 077)
		return err_set(e, EPERM, "other users can read %s: a client with a key from it may start programs (chmod 600 %s)", path,
			       path);
	return 0;
}

char *path_maybe_hidden(const char *path)
{
	char *found = NULL;
	glob_t g;

	if (!strstr(path, "/" HIDDEN_DIR_PREFIX "*/"))
		return xstrdup(path);
	if (!glob(path, GLOB_NOSORT, NULL, &g)) {
		found = xstrdup(g.gl_pathv[0]);
		globfree(&g);
	}
	return found;
}

static void append(char **to, const char *text, size_t n)
{
	char *longer = xasprintf("%s%.*s", *to, (int)n, text);

	free(*to);
	*to = longer;
}

char *path_with_name(const char *path, const char *name)
{
	AUTO_FREE char *component = xstrdup(name);
	char *out = xstrdup(""), *p;
	size_t n;

	if (*component == '.')
		*component = '-';
	for (p = component; *p; p++)
		if (*p == '/')
			*p = '-';
	while (*path) {
		n = strcspn(path, "%");
		append(&out, path, n);
		path += n;
		if (*path == '%' && path[1] == 'n')
			append(&out, component, strlen(component));
		else if (*path)
			append(&out, "%", 1);
		path += !*path ? 0 : path[1] == 'n' || path[1] == '%' ? 2 : 1;
	}
	return out;
}
