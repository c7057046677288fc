/*
 * firmware-list.h: the firmware that this host has. Distributions describe it in files (QEMU's docs/interop/firmware.json), and each puts
 * it into folders of its own.
 */
#ifndef VMFERRY_FIRMWARE_LIST_H
#define VMFERRY_FIRMWARE_LIST_H

#include <jansson.h>
#include <stdbool.h>

/* Returns true to stop: it is found. */
typedef bool (*firmware_descriptor_fn)(void *ctx, const json_t *descriptor);
typedef bool (*firmware_file_fn)(void *ctx, const char *path);

/*
 * Calls fn for each descriptor in $XDG_CONFIG_HOME (~/.config), /etc and /usr/share, each with /qemu/firmware, in the order of their names:
 * of the same name in several directories the first counts. NULL stands for one that cannot be read. root: "", or a directory that stands
 * for / (tests).
 */
bool firmware_each(const char *root, firmware_descriptor_fn fn, void *ctx);
/* Calls fn for each file that has firmware in it: those that descriptors name, then what is in the folders of distributions, in the order
 * of names. */
bool firmware_each_file(const char *root, firmware_file_fn fn, void *ctx);

/* Packages with UEFI firmware, by distribution: the end of a sentence that says to install one. */
#define FIRMWARE_PACKAGES "(Debian, Ubuntu: ovmf; Fedora, RHEL, Arch: edk2-ovmf; openSUSE: qemu-ovmf-x86_64)"

#endif
