/*
 * packed-sources.h: sources whose disks must be unpacked before they can be looked at: archives of a guest (vzdump's, XVA), and images that are
 * compressed each by itself (packed.h, tarred-disk.h).
 */
#ifndef VMFERRY_IMPORT_PACKED_SOURCES_H
#define VMFERRY_IMPORT_PACKED_SOURCES_H

#include "sources.h"

/* A kind of archive. */
struct archive_kind {
	const char *text; /* word for its guest's description */
	/* Assigns the archive's disks to those of d. */
	void (*find)(struct sources *s, struct guest_description *d, const struct sources_named *named);
	/* Unpacks into the spool, which exists. */
	int (*unpack)(struct sources *s, struct guest_description *d, struct err *e);
};

extern const struct archive_kind vma_archive, xva_archive;

/* Reads the guest's description into s->text. 0; -EINVAL: the archive has none, or is damaged; -errno. */
int archive_open(struct sources *s, const struct archive_kind *kind, struct err *e);

#endif
