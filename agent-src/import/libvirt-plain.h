/*
 * libvirt-plain.h: a guest of libvirt's as one that nobody keeps books of: the command line that starts it where there is no libvirt. The readers
 * are those of `import`, but the guest goes on with its own disks, media, UEFI variables and TPM. Pure.
 */
#ifndef VMFERRY_LIBVIRT_PLAIN_H
#define VMFERRY_LIBVIRT_PLAIN_H

#include "libvirt-xml.h"

/*
 * def: as libvirt_definition_read() has read xml, with the paths of volumes. Files are named as they lie here, sockets in dir; NULL: beside the
 * first disk. What differs is in out->notes, told from here. -ENOTSUP names all that such a guest cannot have, or would lose something by; -EINVAL: the definition cannot be
 * read. libvirt_plain_fini() in any case.
 */
int libvirt_plain_line(struct libvirt_plain *out, const char *xml, const struct libvirt_definition *def, const char *dir, struct err *e);

/*
 * The same of one that runs, and goes on with its memory: argv is the line of its QEMU, whose devices, names and places the other QEMU must have for
 * what it loads. xml, def: as libvirt has the guest now. What QEMU's line names, and the definition does not, is believed of nobody: QEMU is another user's.
 * nets: values of --map-net. whole: the disks there are based on nothing that the line here names.
 */
struct plain_live {
	char *const *argv;
	size_t argc;
	const char *const *nets;
	size_t net_count;
	const char *dir; /* of sockets */
	bool whole;
};
int libvirt_plain_live_line(struct libvirt_plain *out, const char *xml, const struct libvirt_definition *def, const struct plain_live *live,
			    struct err *e);

#endif
