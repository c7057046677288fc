/* image-create.h: empty disk images, made with nothing but the QEMU binary itself. */
#ifndef VMFERRY_IMAGE_CREATE_H
#define VMFERRY_IMAGE_CREATE_H

#include "err.h"
#include "loop.h"
#include "qmp.h"
#include "rights.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct image {
	const char *path; /* must not exist */
	const char *as;	  /* final name, for sentences; NULL: path */
	const char *format;
	const char *backing, *backing_format; /* NULL: none */
	uint64_t bytes;
	unsigned cluster_size;	     /* 0: the format's default */
	const json_t *qcow2;	     /* qcow2_options_add(); NULL: all as QEMU has it */
	const struct rights *rights; /* NULL: as it was made */
	bool full;		     /* raw: all its blocks are set aside, where the file system does that */
};

/* True if this is a format that can be made and moved. */
bool image_format_known(const char *format);
/*
 * The new file at fd, which is empty, gets its length and its blocks if it is raw, and its rights; its name is durable then. 0; 1: all but its
 * access control list, and *e says why; -errno.
 */
int image_dress(int fd, const struct image *im, struct err *e);
/* Writes the image's header by a QEMU that has the file open as that node, in a job of that name. */
int image_format(struct loop *l, struct qmp *q, const struct image *im, const char *node, const char *job, struct err *e);
/* Makes the file, dresses it, and formats it. qemu, env: the binary that will run the guest; work_dir: for a socket and a log. As image_dress(). */
int image_create(struct loop *l, const char *qemu, char *const *env, const char *work_dir, const struct image *im, struct err *e);

#endif
