/*
 * plain-libvirt.h: a plain guest as one of libvirt's: the definition of the machine that a QEMU command line starts. Pure.
 *
 * libvirt gives devices their places on the PCI bus, so that this is for a guest that boots. Each word of the line is taken, or told of, or refused:
 * whatever this does not know is refused if it is an option or a device, and told of if it is a property of one.
 */
#ifndef VMFERRY_PLAIN_LIBVIRT_H
#define VMFERRY_PLAIN_LIBVIRT_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>

struct plain_image {
	const char *path;   /* name on the line, made absolute */
	const char *format; /* format in which QEMU reads it */
};

/* The guest, with facts that are not on its line. */
struct plain_guest {
	char *const *argv; /* line with -readconfig and -set worked in */
	size_t argc;
	const char *name, *cwd;
	const char *emulator; /* absolute path */
	const char *machine;  /* machine type to use; NULL: the line's */
	const char *uuid;     /* used if the line has none */
	const struct plain_image *images;
	size_t image_count;
	const char *const *nets; /* --map-net: NIC=WHAT */
	size_t net_count;
	bool tpm2;
	char *(*bridge_of)(const char *tap); /* the bridge that a tap of this host is on, malloc'ed, or NULL; may be NULL */
};

struct plain_libvirt {
	char *xml;
	char **notes; /* differences, from this host's point of view */
	size_t note_count;
};

/* Makes the definition. -ENOTSUP: names everything that libvirt does not support, or that the guest would lose; -EINVAL: the line, or a
 * wish for a network, is malformed. plain_libvirt_fini() in any case. */
int plain_libvirt_make(struct plain_libvirt *out, const struct plain_guest *g, struct err *e);
void plain_libvirt_fini(struct plain_libvirt *p);

#endif
