/* file-kind.h: tells by its contents whether a file to import is an image, or a description, and of which kind. */
#ifndef VMFERRY_IMPORT_FILE_KIND_H
#define VMFERRY_IMPORT_FILE_KIND_H

#include "guest-description.h"

#include <stddef.h>

enum file_kind {
	KIND_IMAGE,
	KIND_OVA,
	KIND_OVF,
	KIND_VMX,
	KIND_LIBVIRT,
	KIND_HYPERV,
	KIND_HYPERV_JSON,
	KIND_PROXMOX,
	KIND_QUICKEMU,
	KIND_BOX,
	KIND_PACKED,
	KIND_VMA,
	KIND_VBOX,
	KIND_UTM,
	KIND_XVA
};

typedef int (*description_read_fn)(struct guest_description *d, const char *text, size_t n, struct err *e);

/* Finds a file's kind. -EINVAL: such a file cannot be imported; -errno: it cannot be read. */
int file_kind_of(enum file_kind *out, const char *path, struct err *e);
/* Finds the only description in a directory, and its kind; *path is malloc'ed. -ENOENT: none; -EINVAL: several. */
int file_kind_in(char **path, enum file_kind *kind, const char *dir, struct err *e);
/* The reader of a kind of description (readers.h). */
description_read_fn file_kind_reader(enum file_kind kind);

#endif
