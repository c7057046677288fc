/* image-held.c: see image-held.h. */
#include "image-held.h"
#include "durable-file.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define HELD_AT (1LL << 62) /* the byte that is locked: behind any image, and behind the offsets of image-mark.c */

/* A device's number, as it has many names; it holds until the next boot, which may number devices otherwise. */
char *image_held_path(const char *image)
{
	const char *name = strrchr(image, '/');
	struct stat st;

	name = name ? name + 1 : image;
	return !stat(image, &st) && S_ISBLK(st.st_mode) ? xasprintf("/run/vmferry-held-%u:%u", major(st.st_rdev), minor(st.st_rdev))
							: xasprintf("%.*s.%s.vmferry-held", (int)(name - image), image, name);
}

/* The name under which a mark is made, so that it has its owner's name in it from its first moment. */
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

static bool is_owners(const char *mark, const char *owner)
{
	AUTO_CLOSE int fd = open(mark, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char text[64] = "";

	return fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && !strcmp(text, owner);
}

int image_let_go(const char *mark, const char *owner, struct err *e)
{
	AUTO_FREE char *temp = unfinished(mark, owner);

	unlink(temp);
	return is_owners(mark, owner) && unlink(mark) ? err_sys(e, errno, "cannot remove %s", mark) : 0;
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
