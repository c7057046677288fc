/*
 * files.h: the host files that the guest only reads, which the destination lacks: sent over the control channel, before its QEMU is started.
 * Holes are left out. Which files is the destination's decision (ACCEPT).
 */
#ifndef VMFERRY_FILES_H
#define VMFERRY_FILES_H

#include "data-plane.h"
#include "source.h"

struct file_out;

struct files {
	struct part part;
	struct source *src;
	struct data_plane *data; /* data plane, which has the bandwidth limit */
	json_t *described;
	/* for each described file that has lost its name: a path under which it can be read, as the guest's QEMU has it open; NULL: its own
	 * path */
	char **held;
	struct file_out *list; /* files to be sent */
	size_t count, now;
	uint64_t left, sent, begin_ns;
	int64_t credit; /* bytes that the bandwidth limit lets go now; negative after a piece that was more */
	unsigned ticks;
};

void files_init(struct files *f, struct source *src, struct data_plane *data);
/* Sends them from now on, at the conductor's ticks, if there are any. */
void files_begin(struct files *f);

#endif
