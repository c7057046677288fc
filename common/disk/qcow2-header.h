/* qcow2-header.h: what an image file says of the files that it needs, read from its header (QEMU's docs/interop/qcow2). Nothing else of it
 * is looked at. */
#ifndef VMFERRY_QCOW2_HEADER_H
#define VMFERRY_QCOW2_HEADER_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct qcow2_header {
	bool is_qcow2;			/* else all the rest is empty */
	uint64_t bytes;			/* of the disk in it */
	bool is_ordinary;		/* version, clusters, refcounts, compression: as QEMU makes one when it is told nothing */
	bool encrypted;			/* with whatever */
	char *backing, *backing_format; /* as it names them, malloc'ed; NULL: none, not said */
	char *data_file;		/* its external data file; NULL: none */
	uint32_t snapshots, bitmaps;	/* inside it */
};

/* 0; -EBADMSG: it begins as a qcow2 image does, and goes on as none; -errno. qcow2_header_fini() after 0. */
int qcow2_header_read(const char *path, struct qcow2_header *out, struct err *e);
/* The same of its first bytes. Pure; path is for messages. */
int qcow2_header_parse(const char *path, const uint8_t *p, size_t n, struct qcow2_header *out, struct err *e);
void qcow2_header_fini(struct qcow2_header *h);

#endif
