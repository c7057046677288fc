/*
 * definition.h: the definition of a libvirt guest, as a part of its move. libvirt keeps its books. Of one that is shut down: the guest is undefined here before the
 * destination can promise anything, so that nobody starts it here any more, and defined again should it stay. Until either is certain the definition is
 * in a file of the state directory, which the journal owns. Of a guest that goes as a plain one (--as plain) nothing of it is told to the destination, which has
 * it as any other guest that is shut down.
 *
 * Of one that goes as it runs (definition-live.c) libvirt's own migration job is held from before anything is copied to the end, so that nobody changes
 * the guest. Its definition gets another name on disk before the guest stands still, so that a host that boots does not start it, and libvirt forgets the guest
 * with its QEMU, once that was given up.
 */
#ifndef VMFERRY_SRC_DEFINITION_H
#define VMFERRY_SRC_DEFINITION_H

#include "disks.h"
#include "files.h"
#include "libvirt-find.h"
#include "locked-images.h"
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
	struct lv
		*job; /* of one that goes as it runs: libvirt's migration job is this connection's; NULL: there is none, or none any more */
	json_t *begun;		     /* what libvirt there is to prepare: {"xml", "cookie", "flags"} */
	json_t *accepted;	     /* the destination's plan */
	struct locked_images locked; /* while its QEMU is held */
	bool is_aside;
	bool told; /* what becomes of volumes */
};

void definition_init(struct definition *d, struct source *src, const struct disks *disks, const struct files *files);
/* As libvirt_find(). */
int definition_find(struct definition *d, const char *name, enum libvirt_wanted wanted, struct err *e);
/* As libvirt_find_running(), into d->src->guest. */
int definition_find_running(struct definition *d, const char *vm, struct err *e);
/* The guest goes to a host without libvirt, where it is a plain one. */
bool definition_is_left_behind(const struct definition *d);
/* Into PREPARE: what the destination's libvirt is to define. */
void definition_decide(const struct definition *d, json_t *prepare);
/* The guest is one of libvirt's. */
bool definition_is_libvirts(const struct definition *d);
/* The guest goes as it runs. */
bool definition_is_live(const struct definition *d);
/* A host that boots from now on does not start it. Of another's guest nothing is done, here and below. */
int definition_set_aside(struct definition *d, struct err *e);
/* -ECANCELED: somebody has defined it otherwise since. */
int definition_stays_aside(const struct definition *d, struct err *e);
/* libvirt's job begins, once, and what libvirt there is to start the guest from is known. p: the definition's. */
int definition_begin_job(struct part *p, struct err *e);
/* It stays: libvirt's job ends, and the guest is as it was. */
void definition_end_job(struct definition *d);
/* Its QEMU is held and has let go of its disks: nobody starts it from them, should that QEMU end, before they are unlocked, or we end. In any life. */
void definition_lock_disks(struct definition *d);
/* It is about to go on. */
void definition_unlock_disks(struct definition *d);
/* It has gone, and its QEMU is held: libvirt ends that, or is to forget the guest once it is ended. In any life. -errno: not yet. */
int definition_let_go(struct definition *d, struct err *e);
/* And its QEMU has ended: images that both hosts see belong to whom they did, whatever libvirt has done with them as it forgot the guest. In any life. */
void definition_is_gone(const struct definition *d);
/* Nobody starts it here any more. Of another's guest nothing is done. */
int definition_undefine(struct definition *d, struct err *e);
/* -ECANCELED: somebody has defined it here again since. */
int definition_stays_undefined(const struct definition *d, struct err *e);

#endif
