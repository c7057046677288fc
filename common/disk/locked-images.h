/*
 * locked-images.h: the image files of a guest that is shut down, locked while they are copied, so that nobody starts it; and whether somebody has
 * written to them all the same.
 */
#ifndef VMFERRY_LOCKED_IMAGES_H
#define VMFERRY_LOCKED_IMAGES_H

#include "image-lock.h"

#include <stddef.h>
#include <sys/stat.h>

struct locked_image {
	char *path;
	int fd;		/* for reading */
	int alone_fd;	/* of a block device: nobody mounts it meanwhile; -1: it is a file */
	struct stat st; /* when it was locked */
};

/* Empty: {NULL, 0}. */
struct locked_images {
	struct locked_image *list;
	size_t count;
};

/*
 * Locks one more. of_running: a sentence for whoever wants that with a guest that runs. alone: no process may even read it. -EBUSY: somebody has it;
 * -errno of image_lock(). One that was locked stays so after an error, too.
 */
int images_lock(struct locked_images *h, const char *path, enum image_use use, bool alone, const char *of_running, struct err *e);
/* NULL: it is not locked. */
const struct locked_image *images_locked(const struct locked_images *h, const char *path);
/* 0: all of them are what they were. -EBUSY: somebody has one open for writing; -ESTALE: it was written to, or another file has its name. Whether a block
 * device was written to cannot be told: that nobody could mount it, and no QEMU open it, is what there is. */
int images_unchanged(const struct locked_images *h, struct err *e);
void images_unlock(struct locked_images *h);

#endif
