/* disk-files.h: finds the file of each disk of a description: as the user names it, or beside or below the description. */
#ifndef VMFERRY_IMPORT_DISK_FILES_H
#define VMFERRY_IMPORT_DISK_FILES_H

#include "sources.h"

#define DISK_NONE "none" /* word in place of a file: leave the disk out */

/* Sets s->disks, whose path stays NULL for a drive, and for a disk that is to be made blank. 0; -ENOENT, -EINVAL; -errno. */
int disk_files_find(struct sources *s, struct guest_description *d, const struct sources_named *named, struct err *e);

/* True if the user names another file for the disk (--disk). */
bool disk_is_said(const struct described_disk *k, const struct sources_named *named);

#endif
