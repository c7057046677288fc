/*
 * guest-watch.h: is the guest still what it was when its move began?
 *
 * Others have monitors, too. Bitmap and export of a disk belong to one block node: once a snapshot or a job has put another
 * in its place, what the guest writes passes them by, and QEMU tells nobody. So the drives are looked at while they are
 * copied, and all of it once more when the guest has stopped, before the last word goes to the destination.
 */
#ifndef VMFERRY_GUEST_WATCH_H
#define VMFERRY_GUEST_WATCH_H

#include "qemu-discover.h"

struct guest_watch {
	const struct guest *guest;
	json_t *drives;	  /* drives by name: node, file, size */
	size_t anonymous; /* devices without an id */
	json_t *devices;  /* devices with an id, of a guest of libvirt's, whose line does not name them; otherwise NULL */
	unsigned awaited; /* number of outstanding answers to guest_watch_ask() */
	bool asked;
	struct err wrong;	     /* the first change found */
	void (*answered)(void *ctx); /* called when all answers to guest_watch_ask() have come; may be NULL */
	void *ctx;
};

/* Notes the guest's state; after guest_query() and guest_check_drift(). */
int guest_watch_begin(struct guest_watch *w, const struct guest *g, struct qmp *q, struct err *e);
/* -EBUSY: another client has changed a drive's image between guest_query() and guest_watch_begin(). */
int guest_watch_check(const struct guest_watch *w, struct err *e);
/* Takes an answer to query-block. */
void guest_watch_drives(struct guest_watch *w, const json_t *blocks);
/* Asks QEMU about drives, block jobs and devices; the answers come while the loop runs. Once. */
void guest_watch_ask(struct guest_watch *w, struct qmp *q);
/* True if QEMU was asked and has answered. */
bool guest_watch_answered(const struct guest_watch *w);
/* -EBUSY: another client has changed the guest; *e says what. */
int guest_watch_result(const struct guest_watch *w, struct err *e);
/* Takes a QMP event that reports such a change at once. */
void guest_watch_event(struct guest_watch *w, const char *name, const json_t *data);
void guest_watch_fini(struct guest_watch *w);

#endif
