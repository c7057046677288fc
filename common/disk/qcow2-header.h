/* qcow2-header.h: the files that an image needs, read from its header (QEMU's docs/interop/qcow2). The rest of the image is not
 * read. */
#ifndef VMFERRY_QCOW2_HEADER_H
#define VMFERRY_QCOW2_HEADER_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct qcow2_header {
	bool is_qcow2;			/* if false, the rest is empty */
	uint64_t bytes;			/* size of the disk in the image */
	bool is_ordinary;		/* version, clusters, refcounts and compression are QEMU's defaults */
	bool encrypted;			/* encrypted by any method */
	char *backing, *backing_format; /* names as the image has them, malloc'ed; NULL: none, not given */
	char *data_file;		/* the image's external data file; NULL: none */
	uint32_t snapshots, bitmaps;	/* inside it */
};

/* Reads a header. -EBADMSG: it begins like a qcow2 image but is not valid; -errno. qcow2_header_fini() after 0. */
int qcow2_header_read(const char *path, struct qcow2_header *out, struct err *e);
/* Does the same as qcow2_header_read() with the file's first bytes. Pure; path is for messages. */
int qcow2_header_parse(const char *path, const uint8_t *p, size_t n, struct qcow2_header *out, struct err *e);
void qcow2_header_fini(struct qcow2_header *h);

#endif
