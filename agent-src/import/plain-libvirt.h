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
	const char *path;   /* as the line names it, whole */
	const char *format; /* in which QEMU reads it */
};

/* The guest, with what its line does not say. */
struct plain_guest {
	char *const *argv; /* with -readconfig and -set worked in */
	size_t argc;
	const char *name, *cwd;
	const char *emulator; /* a whole path */
	const char *machine;  /* the type that it is to have; NULL: its line's */
	const char *uuid;     /* for one whose line has none */
	const struct plain_image *images;
	size_t image_count;
	const char *const *nets; /* --map-net: NIC=WHAT */
	size_t net_count;
	bool tpm2;
	char *(*bridge_of)(const char *tap); /* the bridge that a tap of this host is on, malloc'ed, or NULL; may be NULL */
};

struct plain_libvirt {
	char *xml;
	char **notes; /* what is not as it was, told from here */
	size_t note_count;
};

/* 0; -ENOTSUP names all that libvirt cannot have, or the guest would lose something by; -EINVAL: the line, or a wish for a network, cannot be understood.
 * plain_libvirt_fini() in any case. */
int plain_libvirt_make(struct plain_libvirt *out, const struct plain_guest *g, struct err *e);
void plain_libvirt_fini(struct plain_libvirt *p);

#endif
