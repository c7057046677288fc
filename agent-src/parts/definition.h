/*
 * definition.h: the definition of a libvirt guest that is shut down, as a part of its move. libvirt keeps its books: the guest is undefined here before the
 * destination can promise anything, so that nobody starts it here any more, and defined again should it stay. Until either is certain the definition is
 * in a file of the state directory, which the journal owns. Of a guest that goes as a plain one (--as plain) nothing of it is told to the destination, which has
 * it as any other guest that is shut down.
 */
#ifndef VMFERRY_SRC_DEFINITION_H
#define VMFERRY_SRC_DEFINITION_H

#include "disks.h"
#include "files.h"
#include "libvirt-find.h"
#include "source.h"

struct definition {
	struct part part;
	struct source *src;
	const struct disks *disks;
	const struct files *files;
	struct libvirt_guest guest;
	json_t *there; /* what the destination's libvirt is, of ACCEPT */
	json_t *kept;  /* kept-definition.h: as the destination is to define it */
	char *left;    /* the guest has gone: the file that defines it here again */
};

void definition_init(struct definition *d, struct source *src, const struct disks *disks, const struct files *files);
/* As libvirt_find(). */
int definition_find(struct definition *d, const char *name, enum libvirt_wanted wanted, struct err *e);
/* The guest goes to a host without libvirt, where it is a plain one. */
bool definition_is_left_behind(const struct definition *d);
/* Into PREPARE: what the destination's libvirt is to define. */
void definition_decide(const struct definition *d, json_t *prepare);
/* The guest is one of libvirt's. */
bool definition_is_libvirts(const struct definition *d);
/* Nobody starts it here any more. Of another's guest nothing is done. */
int definition_undefine(struct definition *d, struct err *e);
/* -ECANCELED: somebody has defined it here again since. */
int definition_stays_undefined(const struct definition *d, struct err *e);

#endif
