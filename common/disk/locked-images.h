/*
 * locked-images.h: locks the image files of a guest that is shut down while they are copied, so that nobody starts it; and checks whether
 * they were written to all the same.
 */
#ifndef VMFERRY_LOCKED_IMAGES_H
#define VMFERRY_LOCKED_IMAGES_H

#include "image-lock.h"

#include <stddef.h>
#include <sys/stat.h>

struct locked_image {
	char *path;
	int fd;		/* descriptor for reading */
	int alone_fd;	/* descriptor that keeps a block device from being mounted; -1: it is a file */
	struct stat st; /* attributes when it was locked */
};

/* Empty: {NULL, 0}. */
struct locked_images {
	struct locked_image *list;
	size_t count;
};

/*
 * Locks another image. of_running: a sentence for the error if the guest runs. alone: no process may even read it. -EBUSY: another process
 * has it; -errno of image_lock(). Images that were locked stay so after an error, too.
 */
int images_lock(struct locked_images *h, const char *path, enum image_use use, bool alone, const char *of_running, struct err *e);
/* Takes the lock alone, at once, whoever has the image open: a QEMU that is held may. */
int images_lock_beside(struct locked_images *h, const char *path, enum image_use use, struct err *e);
/* The entry of a locked image; NULL: it is not locked. */
const struct locked_image *images_locked(const struct locked_images *h, const char *path);
/* 0: all of them are unchanged. -EBUSY: a process has one open for writing; -ESTALE: it was written to, or another file has its name.
 * Writes to a block device cannot be detected; but it could not be mounted, and no QEMU could open it. */
int images_unchanged(const struct locked_images *h, struct err *e);
void images_unlock(struct locked_images *h);

#endif
