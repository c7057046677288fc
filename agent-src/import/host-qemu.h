/* host-qemu.h: finds this host's QEMU for the guest, and its features. */
#ifndef VMFERRY_HOST_QEMU_H
#define VMFERRY_HOST_QEMU_H

#include "err.h"
#include "guest-description.h"

#include <stdbool.h>

struct host_qemu {
	char *exe, *img; /* absolute: qemu-system-x86_64, and qemu-img beside it or in PATH */
	char *devices;	 /* output of "-device help" */
	char *machines;	 /* output of "-machine help" */
	bool kvm;	 /* /dev/kvm can be used by this user */
	bool sandbox;	 /* QEMU has -sandbox */
};

/* wish: a path, or a name in PATH or the usual places; NULL: $QEMU, or `usual` ("qemu-system-x86_64"), which may have another name here
 * (qemu-find.h). 0, or -ENOENT and others, with what to do about it. */
int host_qemu_find(struct host_qemu *q, const char *wish, const char *usual, struct err *e);
/* Finds qemu-img: beside that QEMU, or in PATH; malloc'ed. */
int host_qemu_find_img(char **out, const char *exe, struct err *e);
void host_qemu_fini(struct host_qemu *q);
/* True if QEMU has a device of that name. q is a struct host_qemu. */
bool host_qemu_has(const void *q, const char *device);
/* Asks QEMU for the help of an option ("-chardev", "socket,help"): its text, malloc'ed, empty if it does not answer. */
char *host_qemu_help(const struct host_qemu *q, const char *option, const char *what);
/* The machine type that the guest is to have: its own, or the nearest (machine-type.h), of which it gets a note, or the newest of its kind. Malloc'ed,
 * NULL: there is none of the kind. */
char *host_qemu_machine(const struct host_qemu *q, struct guest_description *d);

#endif
