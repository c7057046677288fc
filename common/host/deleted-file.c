/* deleted-file.c: see deleted-file.h. */
#include "deleted-file.h"
#include "util.h"

#include <dirent.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DELETED " (deleted)"

/* The target of a link in /proc; false: it cannot be read. */
static bool read_link(const char *link, char target[PATH_MAX])
{
	ssize_t n = readlink(link, target, PATH_MAX - 1);

	target[MAX(n, 0)] = '\0';
	return n >= 0;
}

/* Fills target, as read_link(). The file may as well be called so. */
static bool has_lost_its_name(const char *link, char target[PATH_MAX])
{
	size_t k = strlen(DELETED), n = read_link(link, target) ? strlen(target) : 0;
	struct stat it, named;

	if (n <= k || strcmp(target + n - k, DELETED))
		return false;
	return stat(link, &it) || lstat(target, &named) || it.st_dev != named.st_dev || it.st_ino != named.st_ino;
}

char *process_program(pid_t pid)
{
	AUTO_FREE char *link = xasprintf("/proc/%d/exe", (int)pid);
	char target[PATH_MAX];

	if (has_lost_its_name(link, target))
		target[strlen(target) - strlen(DELETED)] = '\0';
	return *target ? xstrdup(target) : NULL;
}

/* The kernel's name of a file that had this path, with the links on the way resolved. Malloc'ed. */
static char *deleted_name(const char *path)
{
	AUTO_FREE char *real = realpath(path, NULL), *copy = xstrdup(path), *dir = real ? NULL : realpath(dirname(copy), NULL);
	const char *base = strrchr(path, '/');

	return dir && base ? xasprintf("%s%s" DELETED, strcmp(dir, "/") ? dir : "", base) : xasprintf("%s" DELETED, real ?: path);
}

char *process_holds_deleted(pid_t pid, const char *path)
{
	AUTO_FREE char *name = deleted_name(path), *dir = xasprintf("/proc/%d/fd", (int)pid);
	struct stat first = {.st_ino = 0}, st;
	char *found = NULL, target[PATH_MAX];
	DIR *d = opendir(dir);
	struct dirent *x;
	bool one = true;

	while (d && (x = readdir(d))) {
		AUTO_FREE char *fd = xasprintf("%s/%s", dir, x->d_name);

		if (!has_lost_its_name(fd, target) || strcmp(target, name) || stat(fd, &st) || !S_ISREG(st.st_mode))
			continue;
		one &= !found || (st.st_dev == first.st_dev && st.st_ino == first.st_ino);
		first = st;
		free(found);
		found = xstrdup(fd);
	}
	if (d)
		closedir(d);
	if (!one)
		free(found);
	return one ? found : NULL;
}
