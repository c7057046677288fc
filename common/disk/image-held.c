/* image-held.c: see image-held.h. */
#include "image-held.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HELD_AT (1LL << 62) /* the byte that is locked: behind any image, and behind the offsets of image-mark.c */

char *image_held_path(const char *image)
{
	const char *name = strrchr(image, '/');

	name = name ? name + 1 : image;
	return xasprintf("%.*s.%s.vmferry-held", (int)(name - image), image, name);
}

static int sync_directory_of(const char *path, struct err *e)
{
	AUTO_FREE char *copy = xstrdup(path);
	AUTO_CLOSE int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) ? err_sys(e, errno, "cannot sync the directory of %s", path) : 0;
}

int image_hold(const char *mark, struct err *e)
{
	AUTO_CLOSE int fd = open(mark, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd < 0 && errno == EEXIST)
		return err_set(
			e, EEXIST,
			"%s is there: another host holds a guest with this image, and may take it back. Settle that move first (vmferry "
			"keep or revert, on that host); if it is settled, remove this file",
			mark);
	if (fd < 0)
		return err_sys(e, errno, "cannot make %s", mark);
	return sync_directory_of(mark, e);
}

int image_hold_device(const char *device, struct err *e)
{
	struct flock l = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = HELD_AT, .l_len = 1};
	int fd = open(device, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return err_sys(e, errno, "cannot open %s", device);
	if (!fcntl(fd, F_OFD_SETLK, &l))
		return fd;
	err_sys(e, errno, "cannot lock %s", device);
	close(fd);
	return -e->code;
}

static bool is_locked(const char *image)
{
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = HELD_AT, .l_len = 1};
	struct stat st;
	AUTO_CLOSE int fd = !stat(image, &st) && S_ISBLK(st.st_mode) ? open(image, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;

	return fd >= 0 && !fcntl(fd, F_OFD_GETLK, &l) && l.l_type != F_UNLCK && l.l_start == HELD_AT;
}

bool image_is_held(const char *image)
{
	AUTO_FREE char *mark = image_held_path(image);

	return !access(mark, F_OK) || is_locked(image);
}
