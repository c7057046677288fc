/* image-create.h: makes the destination's empty disk images, with nothing but the QEMU binary itself. */
#ifndef VMFERRY_IMAGE_CREATE_H
#define VMFERRY_IMAGE_CREATE_H

#include "err.h"
#include "loop.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct image {
	const char *path; /* must not exist */
	const char *format;
	const char *backing, *backing_format; /* NULL: none */
	uint64_t bytes;
	unsigned cluster_size; /* 0: the format's default */
	const json_t *qcow2;   /* qcow2_options_add(); NULL: all as QEMU has it */
	unsigned mode;
	long uid, gid;	 /* -1: leave */
	const char *acl; /* in hex; NULL: none */
	bool full;	 /* raw: all its blocks are set aside, where the file system does that */
};

/* Is this a format that can be made and moved? */
bool image_format_known(const char *format);
/* qemu, env: the binary that will run the guest; work_dir: for a socket and a log. */
int image_create(struct loop *l, const char *qemu, char *const *env, const char *work_dir, const struct image *im, struct err *e);

#endif
