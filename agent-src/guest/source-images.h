/*
 * source-images.h: the images that the guest's QEMU writes to, and whether their names still lead to them (named-images.h). As the guest is handed over QEMU
 * opens each once more by its name, and again if the guest is taken back.
 */
#ifndef VMFERRY_SOURCE_IMAGES_H
#define VMFERRY_SOURCE_IMAGES_H

#include "qemu-discover.h"

/* Images that QEMU has open and writes to, and their data files, as {name: …}: *images, a new reference. Call it after guest_query(). One whose name leads to
 * another file already is not in it: guest_reads_what_is_there() finds that. */
int source_images_of(const struct guest *g, struct qmp *q, json_t **images, struct err *e);
/* 0, or -ESTALE: a name leads to another file now, or to none. Takes microseconds: a guest may stand still. */
int source_images_named(const struct guest *g, const json_t *images, struct err *e);
/* Does likewise for a guest that stands because its QEMU has let go of its images, and that must not go on: the error says what a person does. */
int source_images_named_again(const struct guest *g, const json_t *images, struct err *e);
/* A path below /proc at which the file of that entry can be read, as QEMU has it open; malloc'ed, NULL: it has it no more. */
char *source_image_held_at(const struct guest *g, const json_t *entry);

#endif
