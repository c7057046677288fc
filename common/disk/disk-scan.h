/*
 * disk-scan.h: reads a disk from its beginning to its end, with several reads in flight, and hands over the contents in order. Holes are
 * left out.
 */
#ifndef VMFERRY_DISK_SCAN_H
#define VMFERRY_DISK_SCAN_H

#include "disk-io.h"

#define SCAN_PIECE (256 * KIB)

struct disk_scan;

struct disk_scan_for {
	/* Called before each window of reads: 0: go on; 1: stop here; -errno. It may pump the loop; the last window's buffers must not be
	 * used after it. */
	int (*before)(void *ctx, struct err *e);
	/* Called with each piece. at: a multiple of SCAN_PIECE; buf: aligned (DISK_ALIGN), and valid until before() or disk_scan_run()
	 * returns. 0 or -errno. */
	int (*piece)(void *ctx, uint64_t at, const uint8_t *buf, uint32_t bytes, struct err *e);
	void *ctx;
};

struct disk_scan *disk_scan_new(struct loop *l);
void disk_scan_free(struct disk_scan *s);
/* Reads the first bytes of d; or, if step is more than SCAN_PIECE (and a multiple of it), one piece somewhere in each step. 0, or -errno:
 * the rest was not read. */
int disk_scan_run(struct disk_scan *s, struct disk_io *d, uint64_t bytes, uint64_t step, const struct disk_scan_for *f, struct err *e);

#endif
