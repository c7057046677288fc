/* image-held.c: see image-held.h. */
#include "image-held.h"
#include "block-device.h"
#include "durable-file.h"
#include "util.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HELD_AT (1LL << 62) /* the byte that is locked: behind any image, and behind the offsets of image-mark.c */

/* A device's mark is named after the device's identity, as far as that is known. Its number may be reused once a volume or a loop device is
 * gone, and the device may come back with another; and a device has many paths. */
static char *device_mark(dev_t device)
{
	AUTO_FREE char *name = block_device_here("/sys", device);

	for (size_t i = 0; name[i]; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr(":.-", name[i]))
			name[i] = '_';
	return xasprintf("/run/vmferry-held-%.200s", name);
}

char *image_held_path(const char *image)
{
	const char *name = strrchr(image, '/');
	struct stat st;

	name = name ? name + 1 : image;
	return !stat(image, &st) && S_ISBLK(st.st_mode) ? device_mark(st.st_rdev)
							: xasprintf("%.*s.%s.vmferry-held", (int)(name - image), image, name);
}

/* The name under which a mark is first made, so that under its final name it always contains its owner's name. */
static char *unfinished(const char *mark, const char *owner)
{
	return xasprintf("%s.%.8s", mark, owner);
}

int image_hold(const char *mark, const char *owner, struct err *e)
{
	AUTO_FREE char *temp = unfinished(mark, owner);
	int r = write_new_file(temp, 0644, owner, e);

	if (r)
		return r;
	r = rename_new(temp, mark);
	if (!r)
		return sync_parent_dir(mark, e);
	unlink(temp);
	if (r == -EEXIST)
		return err_set(
			e, EEXIST,
			"%s is there: another host holds a guest with this image, and may take it back. Settle that move first (vmferry "
			"keep or revert, on that host); if it is settled, remove this file",
			mark);
	return err_sys(e, -r, "cannot make %s", mark);
}

/* True if the error proves that there is no such file. Other errors (of a network file system, say) prove nothing. */
static bool is_no_file(int why)
{
	return why == ENOENT || why == ENOTDIR || why == ENAMETOOLONG;
}

/* 1: the mark is this owner's; 0: it is another's, or there is none; -errno: that cannot be told. */
static int is_owners(const char *mark, const char *owner)
{
	AUTO_CLOSE int fd = open(mark, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char text[64] = "";

	if (fd < 0)
		return is_no_file(errno) || errno == ELOOP || errno == ENXIO ? 0 : -errno; /* a link, a socket */
	if (read(fd, text, sizeof(text) - 1) < 0)
		return errno == EISDIR ? 0 : -errno;
	return !strcmp(text, owner);
}

int image_let_go(const char *mark, const char *owner, struct err *e)
{
	AUTO_FREE char *temp = unfinished(mark, owner);
	int r;

	if (unlink(temp) && !is_no_file(errno))
		return err_sys(e, errno, "cannot remove %s", temp);
	r = is_owners(mark, owner);
	if (r < 0)
		return err_sys(e, -r, "cannot tell whose %s is", mark);
	return r && unlink(mark) && !is_no_file(errno) ? err_sys(e, errno, "cannot remove %s", mark) : 0;
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

/* True if there is a mark, or if that cannot be told. */
static bool is_there(const char *mark)
{
	return !access(mark, F_OK) || !is_no_file(errno);
}

bool image_is_held(const char *image)
{
	AUTO_FREE char *mark = image_held_path(image);

	return is_there(mark) || is_locked(image);
}
