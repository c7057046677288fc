/* paths.c: see paths.h. */
#include "paths.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define LENGTH_MAX 70 /* a socket's path below it must fit in 107 bytes */

int runtime_dir_get(char **out, const char *override, struct err *e)
{
	const char *env = getenv("VMFERRY_RUNTIME_DIR"), *xdg = getenv("XDG_RUNTIME_DIR");
	struct stat st;
	char *path;

	if (override || (env && *env))
		path = xstrdup(override ? override : env);
	else if (geteuid() == 0)
		path = xstrdup("/run/vmferry");
	else if (xdg && *xdg)
		path = xasprintf("%s/vmferry", xdg);
	else
		path = xasprintf("/tmp/vmferry-%u", (unsigned)geteuid());
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
