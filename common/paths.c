/* paths.c: see paths.h. */
#include "paths.h"
#include "journal.h"
#include "util.h"

#include <errno.h>
#include <glob.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define LENGTH_MAX 70 /* a socket's path below it must fit in 107 bytes */

/* Not below /tmp, where anybody could have made it first. */
static int own_runtime_dir(char **out, struct err *e)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	AUTO_FREE char *logind = xasprintf("/run/user/%u", (unsigned)geteuid());
	AUTO_FREE char *state = NULL;
	struct stat st;

	if (geteuid() == 0)
		*out = xstrdup("/run/vmferry");
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
		return err_set(e, EPERM, "%s belongs to user %u, who could change it: whoever has a key of it may start programs", path,
			       (unsigned)st.st_uid);
	if (st.st_mode & 077)
		return err_set(e, EPERM, "%s can be read by others: whoever has a key of it may start programs (chmod 600 %s)", path, path);
	return 0;
}

int sync_parent_dir(const char *path, struct err *e)
{
	AUTO_FREE char *dir = xstrdup(path);
	AUTO_CLOSE int fd = -1;
	char *slash = strrchr(dir, '/');

	if (slash == dir)
		slash[1] = 0;
	else if (slash)
		*slash = 0;
	fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd))
		return err_sys(e, errno, "cannot sync the directory of %s", path);
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
