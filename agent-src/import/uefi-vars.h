/* uefi-vars.h: the variables of a guest's UEFI firmware, out of a file of this host: as they are, or in a qcow2 image, as Fedora and libvirt there have them. */
#ifndef VMFERRY_UEFI_VARS_H
#define VMFERRY_UEFI_VARS_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads the UEFI variables in the image at path as the firmware sees them; *out is malloc'ed. 0; -EINVAL: the image has none; -errno. */
int uefi_vars_read(const char *qemu_img, const char *path, uint8_t **out, size_t *n, struct err *e);
/* True if the variables are for a firmware whose variables take so many bytes. */
bool uefi_vars_fit(const uint8_t *own, size_t n, size_t bytes);

#endif
