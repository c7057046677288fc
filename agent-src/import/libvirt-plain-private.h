/* libvirt-plain-private.h: what the files of libvirt-plain.h share. */
#ifndef VMFERRY_LIBVIRT_PLAIN_PRIVATE_H
#define VMFERRY_LIBVIRT_PLAIN_PRIVATE_H

#include "libvirt-plain.h"

/* -ENOTSUP names all that such a guest cannot have, or would lose something by. */
int plain_check_soundness(const char *xml, const struct libvirt_definition *def, struct err *e);
/* -ENOTSUP: the line of a guest that runs names a file that its definition does not, or has what no stranger's line may have. */
int plain_judge_line(const struct libvirt_plain *p, const struct libvirt_definition *d, struct err *e);

#endif
