/*
 * machine-type.h: which machine type of a QEMU is nearest to one that it may not have. Distributions have types of their own: RHEL's
 * pc-q35-rhel9.4.0, Ubuntu's pc-q35-noble and pc-i440fx-noble-v2, Proxmox VE's pc-q35-8.1+pve0; each is made from the type of a version of QEMU. Pure.
 */
#ifndef VMFERRY_MACHINE_TYPE_H
#define VMFERRY_MACHINE_TYPE_H

#include <stdbool.h>

/* help: output of "-machine help". */
bool machine_type_is_in(const char *help, const char *type);
/* The type itself if QEMU has it; else the type of its kind (q35, i440fx, virt) with the next version, or the newest of that kind.
 * Malloc'ed; NULL: unknown kind, or no such type. */
char *machine_type_nearest(const char *help, const char *type);

#endif
