/*
 * narrow-mounts.c: see narrow-mounts.h. A file system in memory has the names of what is left, each a mount of the file or directory itself, and
 * becomes the root directory: mount_namespaces(7), pivot_root(2).
 */
#include "narrow-mounts.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* The directory that becomes the root: any that is there, and holds nothing that is needed. */
static const char *place_for(const struct left *l, size_t count)
{
	static const char *const places[] = {"/mnt", "/media", "/srv", "/opt", "/tmp", "/boot", "/home"};
	size_t i, k, n;
	struct stat st;

	for (i = 0; i < ARRAY_LEN(places); i++) {
		n = strlen(places[i]);
		for (k = 0; k < count && (strncmp(l[k].path, places[i], n) || (l[k].path[n] != '/' && l[k].path[n])); k++)
			;
		if (k == count && !lstat(places[i], &st) && S_ISDIR(st.st_mode))
			return places[i];
	}
	return NULL;
}

static int make_parents(char *path, size_t from)
{
	char *slash;

	for (slash = path + from; (slash = strchr(slash + 1, '/'));) {
		*slash = '\0';
		if (mkdir(path, 0755) && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return 0;
}

/* Bind-mounts a path into the new root, if it exists. */
static int put(const char *root, const struct left *l)
{
	AUTO_CLOSE int fd = open(l->path, O_PATH | O_CLOEXEC), file = -1;
	AUTO_FREE char *to = xasprintf("%s%s", root, l->path), *from = xasprintf("/proc/self/fd/%d", fd);
	unsigned long flags = MS_REMOUNT | MS_BIND | MS_NOSUID | (l->writable ? 0 : MS_RDONLY);
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st))
		return 0;
	r = make_parents(to, strlen(root));
	if (r)
		return r;
	if (S_ISDIR(st.st_mode))
		r = mkdir(to, 0755) && errno != EEXIST ? -errno : 0;
	else
		r = (file = open(to, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600)) < 0 && errno != EROFS && errno != EACCES ? -errno
																  : 0;
	if (r)
		return r;
	return mount(from, to, NULL, MS_BIND, NULL) || mount(NULL, to, NULL, flags, NULL) ? -errno : 0;
}

/* The file has its name already: a program that runs cannot be opened once more to make one. */
static bool stands_before(const struct left *l, size_t at)
{
	size_t i;

	for (i = 0; i < at && (strcmp(l[i].path, l[at].path) || l[i].writable != l[at].writable); i++)
		;
	return i < at;
}

int narrow_mounts(const struct left *l, size_t count)
{
	const char *root = place_for(l, count);
	int r = 0;

	if (!root)
		return -ENOTSUP;
	if (unshare(CLONE_NEWNS))
		return errno == EPERM || errno == ENOSYS || errno == EINVAL ? -ENOTSUP : -errno;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount("none", root, "tmpfs", MS_NOSUID, "mode=755,size=4m"))
		return -errno;
	for (size_t i = 0; i < count && !r; i++)
		r = stands_before(l, i) ? 0 : put(root, &l[i]);
	if (r)
		return r;
	if (mount(NULL, root, NULL, MS_REMOUNT | MS_BIND | MS_NOSUID | MS_RDONLY, NULL) || chdir(root) ||
	    syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH) || chdir("/"))
		return -errno;
	return 0;
}
