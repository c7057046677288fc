/*
 * qemu-find.h: finds the QEMU of this host that is to run a guest. Distributions give the same program different names and places: on an
 * x86_64 host qemu-system-x86_64, qemu-kvm and kvm are the same, on an aarch64 host qemu-system-aarch64, qemu-kvm and kvm are.
 */
#ifndef VMFERRY_QEMU_FIND_H
#define VMFERRY_QEMU_FIND_H

#include "err.h"

#include <stdbool.h>

/* The places to look at. machine: the host's, as uname(2) says it ("x86_64"); places: directories, separated by ", ". */
struct qemu_host {
	const char *machine, *places;
};

/*
 * Finds the program exe, or unless `only` (--qemu: a person means that one) another of the same name in the usual places, or of one that
 * means the same. Malloc'ed; NULL: there is none, and *e says where it was looked for, and what to do.
 */
char *qemu_find(const char *exe, bool only, struct err *e);
/* Finds a QEMU in these places. */
char *qemu_find_among(const struct qemu_host *h, const char *exe, bool only, struct err *e);
/* Finds a QEMU by its name alone in the usual places, or, unless `only`, one whose name means the same. Malloc'ed; NULL: there is none. */
char *qemu_find_name(const char *name, bool only);
/* "qemu-system-ARCHITECTURE" of the program exe, which may be called qemu-kvm here. Malloc'ed; NULL: it is no QEMU by its name. */
char *qemu_find_program(const char *exe);
char *qemu_find_program_on(const struct qemu_host *h, const char *exe);

/* Packages with QEMU, by distribution: the end of a sentence that says to install one. */
#define QEMU_PACKAGES "(Debian, Ubuntu: qemu-system-x86; Fedora, RHEL: qemu-kvm; openSUSE: qemu-x86; Arch: qemu-base)"

#endif
