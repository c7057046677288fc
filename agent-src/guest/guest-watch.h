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
	json_t *drives;	  /* by name: node, file, size */
	size_t anonymous; /* devices without an id */
	json_t *devices;  /* the others, of a guest of libvirt's, whose line does not say them; otherwise NULL */
	unsigned awaited; /* answers to guest_watch_ask() */
	bool asked;
	struct err wrong;	     /* the first thing that has changed */
	void (*answered)(void *ctx); /* all of guest_watch_ask(); may be NULL */
	void *ctx;
};

/* After guest_query() and guest_check_drift(): takes note of what there is. */
int guest_watch_begin(struct guest_watch *w, const struct guest *g, struct qmp *q, struct err *e);
/* 0, or -EBUSY: between guest_query() and that somebody has put another image into a drive. */
int guest_watch_check(const struct guest_watch *w, struct err *e);
/* An answer to query-block. */
void guest_watch_drives(struct guest_watch *w, const json_t *blocks);
/* Asks QEMU about drives, block jobs and devices; the answers come while the loop runs. Once. */
void guest_watch_ask(struct guest_watch *w, struct qmp *q);
/* It was asked and has answered. */
bool guest_watch_answered(const struct guest_watch *w);
/* 0, or -EBUSY: somebody has changed the guest, and what. */
int guest_watch_result(const struct guest_watch *w, struct err *e);
/* A QMP event that says so at once. */
void guest_watch_event(struct guest_watch *w, const char *name, const json_t *data);
void guest_watch_fini(struct guest_watch *w);

#endif
