/* disk-files.h: which file each disk of a description is: one that the user names, or what lies beside the description or below it. */
#ifndef VMFERRY_IMPORT_DISK_FILES_H
#define VMFERRY_IMPORT_DISK_FILES_H

#include "sources.h"

#define DISK_NONE "none" /* in place of a file: the disk is left out */

/* Sets s->disks, whose path stays NULL for a drive, and for a disk that is to be made blank. 0; -ENOENT, -EINVAL; -errno. */
int disk_files_find(struct sources *s, struct guest_description *d, const struct sources_named *named, struct err *e);

/* Whether the user has another file for it (--disk). */
bool disk_is_said(const struct described_disk *k, const struct sources_named *named);

#endif
