/* locked-images.c: see locked-images.h. */
#include "locked-images.h"
#include "block-device.h"
#include "process.h"
#include "util.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int images_lock_beside(struct locked_images *h, const char *path, enum image_use use, struct err *e)
{
	struct locked_image *one;
	int fd, r = image_lock(path, use, &fd, e);

	if (r)
		return r;
	h->list = xrealloc(h->list, (h->count + 1) * sizeof(*h->list));
	one = &h->list[h->count++];
	*one = (struct locked_image){.path = xstrdup(path), .fd = fd, .alone_fd = -1};
	return fstat(fd, &one->st) ? err_sys(e, errno, "cannot look at %s", path) : 0;
}

int images_lock(struct locked_images *h, const char *path, enum image_use use, bool alone, const char *of_running, struct err *e)
{
	int r = images_lock_beside(h, path, use, e);
	struct locked_image *one;
	AUTO_FREE char *who = NULL;
	pid_t pid;

	if (r == -EBUSY)
		return err_set(e, EBUSY, "%s is in use: a QEMU, or another agent of ours, has locked it. %s", path, of_running);
	if (r)
		return r;
	one = &h->list[h->count - 1];
	if (S_ISBLK(one->st.st_mode))
		return block_device_open_alone(path, &one->alone_fd, e);
	if (image_is_written(one->fd))
		return err_set(e, EBUSY, "%s is open for writing somewhere (is it mounted?): it must be left alone while it is copied",
			       path);
	pid = alone ? process_that_opened(path, 0) : 0;
	who = process_text(pid);
	return pid ? err_set(e, EBUSY, "%s is open in %s: it must be left alone while it is copied", path, who) : 0;
}

const struct locked_image *images_locked(const struct locked_images *h, const char *path)
{
	size_t i;

	for (i = 0; i < h->count && strcmp(h->list[i].path, path); i++)
		;
	return i < h->count ? &h->list[i] : NULL;
}

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static int unchanged(const struct locked_image *h, struct err *e)
{
	struct stat st;

	if (stat(h->path, &st))
		return err_sys(e, errno, "%s, while it was copied", h->path);
	if (S_ISBLK(h->st.st_mode) && st.st_rdev == h->st.st_rdev)
		return 0;
	if (image_is_written(h->fd))
		return err_set(e, EBUSY, "%s was opened for writing while it was copied: was the guest started?", h->path);
	return st.st_ino == h->st.st_ino && st.st_dev == h->st.st_dev && st.st_size == h->st.st_size &&
			       same_time(st.st_mtim, h->st.st_mtim) && same_time(st.st_ctim, h->st.st_ctim)
		       ? 0
		       : err_set(e, ESTALE, "%s was written to, or replaced, while it was copied", h->path);
}

int images_unchanged(const struct locked_images *h, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < h->count && !r; i++)
		r = unchanged(&h->list[i], e);
	return r;
}

void images_unlock(struct locked_images *h)
{
	for (size_t i = 0; i < h->count; i++) {
		close(h->list[i].fd);
		if (h->list[i].alone_fd >= 0)
			close(h->list[i].alone_fd);
		free(h->list[i].path);
	}
	free(h->list);
	*h = (struct locked_images){NULL, 0};
}
