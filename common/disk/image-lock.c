/* image-lock.c: see image-lock.h. */
#include "image-lock.h"
#include "lease.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

/* The first of the bytes for permissions that a process has; other bytes are for those that it denies to others (QEMU's
 * block/file-posix.c). */
#define HAS	100
#define FORBIDS 200
#define READ	(1 << 0)
#define WRITE	(1 << 1)
#define RESIZE	(1 << 3)
#define ALL	0x1f

static int lock_byte(int fd, int byte, short type)
{
	struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

	return fcntl(fd, F_OFD_SETLK, &l) ? -errno : 0;
}

/* True if another process has locked the byte. */
static bool is_locked(int fd, int byte)
{
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

	return !fcntl(fd, F_OFD_GETLK, &l) && l.l_type != F_UNLCK;
}

static int lock_bytes(int fd, unsigned has, unsigned forbids)
{
	int i, r = 0;

	for (i = 0; i < 5 && !r; i++) {
		if (has & 1u << i)
			r = lock_byte(fd, HAS + i, F_RDLCK);
		if (!r && forbids & 1u << i)
			r = lock_byte(fd, FORBIDS + i, F_RDLCK);
	}
	return r;
}

/* Takes its own locks before it checks the others', as QEMU does: of two processes that start at once, at most one succeeds. */
static int take(int fd, unsigned has, unsigned forbids)
{
	int i, r = lock_bytes(fd, has, forbids);

	for (i = 0; i < 5 && !r; i++)
		if ((has & 1u << i && is_locked(fd, FORBIDS + i)) || (forbids & 1u << i && is_locked(fd, HAS + i)))
			r = -EAGAIN;
	return r;
}

bool image_is_written(int fd)
{
	return lease_try(fd, F_RDLCK) == -EAGAIN;
}

static bool is_locked_at(const char *path, int byte)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool yes = fd >= 0 && is_locked(fd, byte);

	if (fd >= 0)
		close(fd);
	return yes;
}

bool image_is_locked_to_write(const char *path)
{
	return is_locked_at(path, HAS + 1); /* WRITE */
}

bool image_is_forbidden_to_write(const char *path)
{
	return is_locked_at(path, FORBIDS + 1);
}

void image_unlock(int fd)
{
	struct flock all = {.l_type = F_UNLCK, .l_whence = SEEK_SET};

	fcntl(fd, F_OFD_SETLK, &all);
}

int image_lock(const char *path, enum image_use use, int *fd, struct err *e)
{
	int r = 0;

	*fd = open(path, (use == IMAGE_OWN ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	if (*fd < 0)
		return err_sys(e, errno, "cannot open %s", path);
	/* flock, which QEMU does not use, keeps out other agents. NFS maps it to another lock that needs a file open for writing */
	if ((use == IMAGE_READ || use == IMAGE_OWN) && flock(*fd, LOCK_EX | LOCK_NB) && errno != EBADF)
		r = -errno;
	if (!r && use == IMAGE_BESIDE)
		r = lock_bytes(*fd, 0, WRITE | RESIZE);
	else if (!r)
		r = use == IMAGE_OWN ? take(*fd, READ | WRITE | RESIZE, ALL) : take(*fd, READ, WRITE | RESIZE);
	if (!r)
		return 0;
	close(*fd);
	*fd = -1;
	return r == -EAGAIN || r == -EACCES ? err_set(e, EBUSY, "%s is in use: a QEMU, or another move, has locked it", path)
					    : err_sys(e, -r, "cannot lock %s", path);
}
