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
#include "source.h"

struct definition {
	struct part part;
	struct source *src;
	const struct disks *disks;
	const struct files *files;
	struct libvirt_guest guest;
	json_t *there;	  /* the destination's libvirt, from ACCEPT */
	json_t *kept;	  /* kept-definition.h: the definition for the destination */
	char *left;	  /* the guest has gone: path of the file that defines it here again */
	struct lv *job;	  /* connection that owns libvirt's migration job, while a running guest moves; NULL: no job */
	json_t *begun;	  /* input for the destination's libvirt to prepare with: {"xml", "cookie", "flags"} */
	json_t *changed;  /* another client has changed it here since: {"what": [words], "file"}; NULL: no */
	json_t *accepted; /* the destination's plan */
	bool is_aside;
	bool told; /* the user was told what happens to volumes */
};

void definition_init(struct definition *d, struct source *src, const struct disks *disks, const struct files *files);
/* Wraps libvirt_find(). */
int definition_find(struct definition *d, const char *name, enum libvirt_wanted wanted, struct err *e);
/* Wraps libvirt_find_running(); fills d->src->guest. */
int definition_find_running(struct definition *d, const char *vm, struct err *e);
/* The guest goes to a host without libvirt, where it is a plain one. */
bool definition_is_left_behind(const struct definition *d);
/* Adds to PREPARE what the destination's libvirt is to define. */
void definition_decide(const struct definition *d, json_t *prepare);
/* The guest is one of libvirt's. */
bool definition_is_libvirts(const struct definition *d);
/* The guest goes as it runs. */
bool definition_is_live(const struct definition *d);
/* Keeps libvirt from autostarting the guest when this host boots. Does nothing for a guest that is not libvirt's, here and below. */
int definition_set_aside(struct definition *d, struct err *e);
/* -ECANCELED: another client has changed the definition since. */
int definition_stays_aside(const struct definition *d, struct err *e);
/* -ESTALE: libvirt's definition, autostart or snapshots of the guest are not as they were when it was found; -ENOENT: it is not defined any
 * more. */
int definition_is_as_found(const struct definition *d, struct err *e);
/* Begins libvirt's migration job, once, and fetches what the other libvirt needs to start the guest. p: the definition's part. */
int definition_begin_job(struct part *p, struct err *e);
/* Ends libvirt's job; the guest stays here as it was. */
void definition_end_job(struct definition *d);
/* The guest has gone and its QEMU is held: libvirt ends QEMU, or is to forget the guest once QEMU has ended. In any life. -errno: not
 * yet. */
int definition_let_go(struct definition *d, struct err *e);
/* QEMU has ended: restores the owners of shared images, which libvirt may have changed as it forgot the guest. In any life. */
void definition_is_gone(const struct definition *d);
/* Removes the definition from libvirt, so that the guest cannot be started here. Does nothing for a guest that is not libvirt's. */
int definition_undefine(struct definition *d, struct err *e);
/* -ECANCELED: another client has defined the guest here again since. */
int definition_stays_undefined(const struct definition *d, struct err *e);

#endif
