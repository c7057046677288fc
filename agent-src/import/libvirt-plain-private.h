/* libvirt-plain-private.h: what both files of libvirt-plain.h share. */
#ifndef VMFERRY_LIBVIRT_PLAIN_PRIVATE_H
#define VMFERRY_LIBVIRT_PLAIN_PRIVATE_H

#include "libvirt-plain.h"

/* -ENOTSUP names all that such a guest cannot have, or would lose something by. */
int plain_check_soundness(const char *xml, const struct libvirt_definition *def, struct err *e);

#endif
