/*
 * image-base.h: the images that a qcow2 is on (its backing files), as far as the user lets them be read: one could be any file of this host.
 * Those that lie in the directory of the image are let, as what lies beside a description is, and those that are named.
 */
#ifndef VMFERRY_IMPORT_IMAGE_BASE_H
#define VMFERRY_IMPORT_IMAGE_BASE_H

#include "foreign-image.h"

#define IMAGE_BASES_MAX 32

/*
 * Sets s->bases, from the nearest on, of an image that has one. 0; -EINVAL: it is none that may be read, or none that is known; -ENOENT: it
 * is not here.
 */
int image_find_bases(struct image_source *s, struct err *e);
/* The i-th base as a source of its own, on the bases behind it; its strings are s's. */
struct image_source image_base_source(const struct image_source *s, size_t i);

#endif
