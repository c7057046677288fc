/*
 * libvirt-plain.h: a guest of libvirt's as one that nobody keeps books of: the command line that starts it where there is no libvirt. The readers
 * are those of `import`, but the guest goes on with its own disks, media, UEFI variables and TPM. Pure.
 */
#ifndef VMFERRY_LIBVIRT_PLAIN_H
#define VMFERRY_LIBVIRT_PLAIN_H

#include "libvirt-xml.h"

/*
 * def: as libvirt_definition_read() has read xml, with the paths of volumes. Files are named as they lie here, sockets beside the first disk. What
 * differs is in out->notes, told from here. -ENOTSUP names all that such a guest cannot have, or would lose something by; -EINVAL: the definition cannot be
 * read. libvirt_plain_fini() in any case.
 */
int libvirt_plain_line(struct libvirt_plain *out, const char *xml, const struct libvirt_definition *def, struct err *e);

#endif
