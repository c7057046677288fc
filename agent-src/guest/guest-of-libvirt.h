/* guest-of-libvirt.h: what libvirt's word is worth where a guest is looked for: its QEMUs mostly run as another user. */
#ifndef VMFERRY_GUEST_OF_LIBVIRT_H
#define VMFERRY_GUEST_OF_LIBVIRT_H

#include "qemu-discover.h"

/* Another user's process that this host's libvirt runs a guest as is no foreign one: its name is libvirt's, and of its line nothing is believed. */
void guest_take_if_libvirts(struct guest *g);
/* The user of its QEMU is libvirt's choice. */
bool guest_is_run_by_libvirt(const struct guest *g);
/* A guest that does not run may be one that libvirt defines: " libvirt has …"; malloc'ed, "" if not. */
char *guest_libvirts_word(const char *vm);

#endif
