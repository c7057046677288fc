/* convert.h: converts a foreign image into one for QEMU, by qemu-img as our child. */
#ifndef VMFERRY_CONVERT_H
#define VMFERRY_CONVERT_H

#include "child.h"
#include "err.h"
#include "foreign-image.h"

#include <stdint.h>

/*
 * Runs qemu-img on an image. If a stranger has made it qemu-img sees nothing but its files and target (NULL: it only looks), makes no file that it may
 * write to longer than write_bytes, and ends when it has taken more CPU time than such an image can need. As child_run().
 */
int convert_run(char *const *argv, const struct image_source *s, const char *target, uint64_t write_bytes, program_said_fn output,
		void *ctx, struct err *e);
/* Measures the size that the guest sees, and the estimated size of its new image, in bytes. -EIO: qemu-img cannot read it. */
int convert_measure(const char *qemu_img, struct image_source *s, uint64_t *virtual_bytes, uint64_t *needed, struct err *e);
/* Reduces `needs` of measured raw images by written zeros, which become holes. Takes as long as reading the images. 0; -ECANCELED;
 * -errno. */
int convert_measure_zeros(const struct image_source *disks, size_t count, uint64_t *needs, struct err *e);
struct convert_how {
	bool compress; /* qcow2 only */
	uint64_t rate; /* bytes a second; 0: no limit */
	bool unsynced; /* the caller syncs the target */
};

/*
 * Writes target, an empty file that is ours already, and syncs it; what is zero stays a hole. A stranger's image has been measured before: that bounds what
 * is written. how: NULL: as fast as can be. what: for the progress. 0; -EIO, -ECANCELED: it is no image then.
 */
int convert_image(const char *qemu_img, const struct image_source *s, const char *target, const char *format, const struct convert_how *how,
		  const char *what, struct err *e);

/* Makes an empty disk of that size in target, an empty file of ours. compress: its clusters can be compressed by the best codec that qemu-img has. */
int convert_blank(const char *qemu_img, const char *target, const char *format, bool compress, uint64_t bytes, struct err *e);

#endif
