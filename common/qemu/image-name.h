/*
 * image-name.h: what QEMU calls an image (the "file" of a drive or a block node): its file's name, or "json:{…}" where name and format do
 * not tell all. Pure.
 */
#ifndef VMFERRY_QEMU_IMAGE_NAME_H
#define VMFERRY_QEMU_IMAGE_NAME_H

#include <stdbool.h>

/* The name of the local file, malloc'ed; NULL: there is none. */
char *image_name_file(const char *name);
/* The file of an image that stands on it, as that image may name it, too: "/base" of "file:/base", and of a tree of nothing but drivers and
 * that name; "base", which lies where the image above does. Malloc'ed. NULL: it is no file, there is more to it than that, or it lies where
 * QEMU was started ("file:base"). */
char *image_name_below(const char *name);
/* True if a raw disk shows only a later part of the file: QEMU's raw driver has an `offset`, at any node. */
bool image_begins_later(const char *name);
/* True if a raw disk ends where `size` of the raw driver says: at the top node, or at one below. */
bool image_ends_by_size(const char *name);
bool image_ends_by_size_below(const char *name);
/* True if the name says no more about the disk than its file, its format and the part that is shown. */
bool image_is_plain(const char *name);

#endif
