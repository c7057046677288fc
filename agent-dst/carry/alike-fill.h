/*
 * alike-fill.h: fills arriving disks, which nobody else has or writes to yet, with what other images here have of them.
 *
 * Theory of operation. Before round 0 the source names what its disks have by hashes of blocks (WANT). Once all of that is here a thread looks through the
 * images that were chosen (alike-images.h), as plain bytes in blocks, whatever format they are of: clusters of images are aligned, too. Whatever it finds it
 * writes to all places where it is wanted, from the very buffer that it has hashed, so that an image may change as it likes. Then it tells the source what is
 * there (HAVE). From there on the disk is as one that has begun: the source tells of every sector of it, names what is there by its content hash, and that is
 * read again from the disk itself. So nothing is ever believed of an image, nor of this thread.
 */
#ifndef VMFERRY_ALIKE_FILL_H
#define VMFERRY_ALIKE_FILL_H

#include "data-receive.h"

#define ALIKE_IMAGES_MAX 64

/* A file that may have contents that are wanted, as it was when it was chosen. */
struct alike_image {
	char *path;
	uint64_t device, inode, bytes;
};

struct alike_fill;

/* images, which stay as they are, are looked through for ms at most, from the last WANT on. */
struct alike_fill *alike_fill_new(struct receive_shared *shared, const struct alike_image *images, unsigned count, unsigned ms);
/* A WANT, from any receiver's thread. -EPROTO. The last one starts the thread, which tells shared->events (RECEIVE_HAVE). */
int alike_fill_want(struct alike_fill *f, const struct msg_want *m, struct err *e);
/* True if everything was written and reported, so that contents may arrive. Any thread. */
bool alike_fill_is_over(const struct alike_fill *f);
/* Ends the thread; nothing is wanted any more. NULL ok. */
void alike_fill_end(struct alike_fill *f);
/* Call this once no receiver is left. NULL ok. */
void alike_fill_free(struct alike_fill *f);

#endif
