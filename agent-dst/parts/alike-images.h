/*
 * alike-images.h: which files here may have contents that an arriving disk is to have, too: those beside the places where disks go; if the last part of that
 * directory is the guest's name, also those in directories beside it (--disk-dir /vm/%n). Files of strangers are left alone, and so is what is kept of moves.
 */
#ifndef VMFERRY_ALIKE_IMAGES_H
#define VMFERRY_ALIKE_IMAGES_H

#include "alike-fill.h"

#include <sys/types.h>

struct alike_images {
	struct alike_image list[ALIKE_IMAGES_MAX]; /* the one that was written last comes first */
	int64_t written_ns[ALIKE_IMAGES_MAX];
	unsigned count;
};

/* Adds those for a disk that goes to path, of a guest of that name, and is to belong to owner (-1: to us). */
void alike_images_add(struct alike_images *im, const char *path, const char *guest, long owner);
/* Bytes of all. */
uint64_t alike_images_bytes(const struct alike_images *im);
void alike_images_fini(struct alike_images *im);

#endif
