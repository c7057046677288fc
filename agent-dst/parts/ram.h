/*
 * ram.h: the guest's memory and device state as they arrive: pages are put straight into the waiting QEMU's memory, and the thin stream
 * that is left is held until QEMU takes it; or (opaque mode) QEMU takes its own streams as they come.
 */
#ifndef VMFERRY_DST_RAM_H
#define VMFERRY_DST_RAM_H

#include "data-receive.h"
#include "ram-feed.h"
#include "target.h"

/* Device state and what lies around it. */
struct thin_stream {
	uint8_t *bytes;
	size_t n, fed, cap;
	uint64_t mark; /* where the pages go in that we hold */
	bool marked, mark_fed;
};

struct ram {
	struct part part;
	struct target *target;
	bool opaque;
	const char *why;  /* it is */
	unsigned multifd; /* QEMU's channels */
	char *incoming;	  /* QEMU's socket */
	struct ram_place *place;
	struct thin_stream thin;
	struct feed *feed;
	unsigned streams_open, streams_ended;
	bool waits; /* QEMU was told to wait by somebody else, who alone has its monitor */
	bool loaded;
	uint64_t loaded_ns;
};

void ram_init(struct ram *r, struct target *target);
/* Pages if its RAM can be reached, unless the user chose. */
int ram_choose_mode(struct ram *r, struct err *e);
/* opaque: QEMU waits for its streams from now on. */
int ram_listen(struct ram *r, struct err *e);
/* A QEMU waits at that socket already, which somebody else has started. */
int ram_take_waiting(struct ram *r, const char *socket, struct err *e);
/* pages: only now does QEMU learn of a migration at all. */
int ram_load(struct ram *r, struct err *e);
/* Takes what a receiver has received of the streams. */
int ram_take(struct ram *r, const struct receive_event *rev, struct err *e);
/* QEMU has loaded all that there is. */
bool ram_is_loaded(const struct ram *r);
void ram_stop_feeding(struct ram *r);

#endif
