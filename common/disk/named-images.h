/*
 * named-images.h: tells whether the name of a disk still leads to the file that its QEMU has open. QEMU reopens an image by its name when
 * it gives it up and when it takes it back: at the end of a migration, and when a migrated guest resumes (raw_reconfigure_getfd() of
 * block/file-posix.c). If another file has the name by then (a restored backup, a copy that was renamed), the guest silently goes on with
 * that one.
 */
#ifndef VMFERRY_NAMED_IMAGES_H
#define VMFERRY_NAMED_IMAGES_H

#include <jansson.h>
#include <stdbool.h>

/* Notes which file, or block device, has that name now: {name: {"device", "inode"}}, as journals keep it. False, and nothing is noted,
 * where there is none, or its name is not UTF-8. */
bool named_image_note(json_t *noted, const char *name);
/* True if the file at that path is the one of this entry. False, too, if that cannot be told. */
bool named_image_is(const json_t *entry, const char *path);
/* The first of the names that leads to another file now, or to none, or cannot be looked at; *why: which of them, in words behind the name.
 * Borrowed; NULL: each leads to the file that was noted. */
const char *named_image_lost(const json_t *noted, const char **why);

#endif
