/*
 * image-whole.h: whether all of an image is there, and what its disk begins with.
 *
 * A copy that was cut off keeps its header, and QEMU reads zeros for what is missing. What the header and the tables of an image say of
 * its length is compared with that of the file, by qemu-img where it can, and here. Run these after image_examine() alone, as qemu-img
 * opens the image.
 */
#ifndef VMFERRY_IMAGE_WHOLE_H
#define VMFERRY_IMAGE_WHOLE_H

#include "disk-content.h"
#include "err.h"
#include "foreign-image.h"

/*
 * Sets *out. is_said: its description says that it is raw, which then is not doubted. 0; -EINVAL: it is cut off, damaged, or not a disk;
 * -EIO, -errno: it cannot be read.
 */
int image_check_whole(const char *qemu_img, const struct image_source *s, bool is_said, struct disk_content *out, struct err *e);
/*
 * The first max bytes of the disk, a multiple of 64 KiB, or as many as it has. 0; -EIO, -errno: they cannot be read. After image_examine().
 */
int image_start(const char *qemu_img, const struct image_source *s, size_t max, uint8_t *to, size_t *n, struct err *e);

#endif
