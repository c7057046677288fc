/* xva-disks.h: the disks of an XVA (xva.h), and images that are compressed, unpacked to where they are converted from. */
#ifndef VMFERRY_IMPORT_XVA_DISKS_H
#define VMFERRY_IMPORT_XVA_DISKS_H

#include "sources.h"

/* Reads the description into s->text. 0; -EINVAL: it is damaged; -errno. */
int xva_disks_open(struct sources *s, struct err *e);
/* Finds the folder of each disk of d. */
void xva_disks_find(struct sources *s, struct guest_description *d);
/* What sources_unpack() does of an XVA. */
int xva_disks_unpack(struct sources *s, struct guest_description *d, const char *dir, struct err *e);
/* What it does of images that are compressed each by itself (gzip, zstd). */
int packed_disks_unpack(struct sources *s, struct guest_description *d, const char *dir, struct err *e);

#endif
