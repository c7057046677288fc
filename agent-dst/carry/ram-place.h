/*
 * ram-place.h: puts pages straight into the waiting destination QEMU's RAM.
 *
 * A block whose host address QEMU tells is written by process_vm_writev, or, where that is forbidden, through a mapping
 * of its memfd; any other (unknown address, or resized at load: /rom@…) is held here and goes to QEMU as PAGE records of the thin stream. Fixed per block, never mixed.
 * Placement is idempotent; each page belongs to one channel, so channels' threads need no locks among them.
 */
#ifndef VMFERRY_RAM_PLACE_H
#define VMFERRY_RAM_PLACE_H

#include "err.h"
#include "object.h"
#include "qmp.h"
#include "ram-blocks.h"

struct ram_target {
	char name[256];
	uint64_t bytes;
	uint64_t host; /* address in QEMU; 0: held here */
	bool fresh;    /* private anonymous memory: a page that is not present is zero */
	uint8_t *held;
	uint8_t *map; /* QEMU's memory, mapped here too, from its file */
	int map_fd;
	uint64_t map_offset;
	struct page_table table;
};

struct ram_place;

/* Asks the waiting QEMU for its blocks and probes one write. -EACCES when its memory may not be written (then only
 * opaque is possible). pid: the destination QEMU. */
int ram_place_open(struct ram_place **out, struct qmp *q, pid_t pid, struct err *e);
/* Does the same as ram_place_open() with blocks whose addresses are known (name, max_bytes and host), for a QEMU that nobody may ask. */
int ram_place_open_at(struct ram_place **out, const struct ram_block_place *blocks, size_t count, pid_t pid, struct err *e);
void ram_place_free(struct ram_place *p);

/* Finds the target of a block that the source announced; called from channels' threads. */
int ram_place_target(struct ram_place *p, const char *name, uint64_t bytes, struct ram_target **out, struct err *e);
/* Writes raw contents for extents (checked to lie in the target); data is their concatenation. */
int ram_place_write(struct ram_place *p, struct ram_target *t, const struct data_extent *x, unsigned n, const uint8_t *data, struct err *e);
/* Makes one extent zero. first_time: none of its pages was ever placed. */
int ram_place_zero(struct ram_place *p, struct ram_target *t, uint64_t offset, uint64_t bytes, bool first_time, struct err *e);
/* The held blocks, for the thin stream: calls fn for each page that was placed. */
void ram_place_held(struct ram_place *p, void (*fn)(void *arg, const char *block, uint64_t offset, const uint8_t *data), void *arg);
/* Words for the plan that say how pages are placed. */
const char *ram_place_how(const struct ram_place *p);

#endif
