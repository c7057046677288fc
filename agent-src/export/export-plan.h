/* export-plan.h: which files of a guest go into a bundle, and as what. Looks at files; changes nothing. */
#ifndef VMFERRY_EXPORT_PLAN_H
#define VMFERRY_EXPORT_PLAN_H

#include "bundle.h"
#include "qemu-discover.h"

/* The source of a disk's contents. */
struct export_disk {
	const struct guest_disk *live; /* disk to be copied by QEMU, or from its files under lock; NULL: read-only */
	char *path;		       /* path of its image */
	const char *format;
	bool is_block;
	uint64_t part_at, part_bytes; /* range of a raw image that is the disk; 0, 0: all of it */
	uint64_t allocated;	      /* bytes, about */
};

struct export_plan {
	struct export_disk disks[BUNDLE_DISKS_MAX]; /* disks, in b's order */
	char *files[BUNDLE_FILES_MAX];		    /* source of each of b's files; NULL: left behind */
	uint64_t needed;			    /* bytes, about */
	char **notes;
	size_t note_count;
};

/* Fills b's line, disks and files (their names; no digests yet) and *p. 0; -ENOTSUP, -EINVAL, -errno: why the guest cannot be exported. */
int export_plan(struct export_plan *p, struct bundle *b, const struct guest *g, bool no_media, struct err *e);
void export_plan_fini(struct export_plan *p);

#endif
