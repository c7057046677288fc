/*
 * arriving-ram.h: receives the guest's memory and device state: pages are written straight into the waiting QEMU's memory, and the remaining thin
 * stream is held until QEMU takes it; or (opaque mode) QEMU takes its own streams as they come.
 */
#ifndef VMFERRY_ARRIVING_RAM_H
#define VMFERRY_ARRIVING_RAM_H

#include "data-receive.h"
#include "ram-feed.h"
#include "target.h"

/* The thin stream: QEMU's stream without the pages, mostly device state. */
struct thin_stream {
	uint8_t *bytes;
	size_t n, fed, cap;
	uint64_t mark; /* place of the pages that we hold */
	bool marked, mark_fed;
};

struct ram {
	struct part part;
	struct target *target;
	bool opaque;
	const char *why;  /* reason why it is opaque */
	unsigned multifd; /* QEMU's channels */
	char *incoming;	  /* QEMU's socket */
	struct ram_place *place;
	struct thin_stream thin;
	struct feed *feed;
	unsigned streams_open, streams_ended;
	bool waits; /* another program, which alone has QEMU's monitor, has told it to wait */
	bool loaded;
	uint64_t loaded_ns;
};

void ram_init(struct ram *r, struct target *target);
/* Chooses pages if QEMU's RAM can be reached, unless the user chose a mode. */
int ram_choose_mode(struct ram *r, struct err *e);
/* Makes QEMU wait for its streams from now on, in opaque mode. */
int ram_listen(struct ram *r, struct err *e);
/* Uses a QEMU that another program has started, and that waits at that socket already. */
int ram_take_waiting(struct ram *r, const char *socket, struct err *e);
/* Has QEMU load the guest. In pages mode QEMU only now learns of a migration. */
int ram_load(struct ram *r, struct err *e);
/* Takes what a receiver has received of the streams. */
int ram_take(struct ram *r, const struct receive_event *rev, struct err *e);
/* True if QEMU has loaded everything. */
bool ram_is_loaded(const struct ram *r);
void ram_stop_feeding(struct ram *r);

#endif
