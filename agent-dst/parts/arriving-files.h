/*
 * arriving-files.h: the host files that a guest only reads and QEMU needs here when it starts: kernel, firmware, media. Each is
 * here already with the same content, or is received over the control channel before QEMU is started.
 */
#ifndef VMFERRY_ARRIVING_FILES_H
#define VMFERRY_ARRIVING_FILES_H

#include "arriving-disks.h"

/* A file that the guest only reads. */
struct carried {
	unsigned file; /* index in DESCRIBE's files */
	const json_t *description;
	enum { CARRY_PRESENT, CARRY_COPY, CARRY_EJECT } transfer;
	char *to;
	bool other; /* present, but not the same */
	uint64_t size;
	/* open only while the file is received; otherwise -1 */
	int fd;
	char *temp;
	struct XXH3_state_s *hash;
};

struct files {
	struct part part;
	struct target *target;
	const struct disks *disks;
	struct carried *list;
	size_t count;
	unsigned awaited; /* number of these files that the source is still sending */
};

void files_init(struct files *f, struct target *target, const struct disks *disks);
/* Maps the command line's files to their places here: up to two entries for each. */
size_t files_map(const struct files *f, struct args_map *map);
/* Closes the files that are being received. */
void files_close(struct files *f);

#endif
