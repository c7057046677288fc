/* unit.h: the systemd unit that might start the guest here again (autostart.h), as a part of its move: kept from that in time, settled at the end. */
#ifndef VMFERRY_UNIT_H
#define VMFERRY_UNIT_H

#include "autostart.h"
#include "source.h"

struct unit {
	struct part part;
	struct source *src;
	struct autostart autostart;
	json_t *disabled; /* units that no longer start the guest here, and how that is undone */
};

void unit_init(struct unit *u, struct source *src);
/* unit_hold(): before memory is copied; unit_block(): before the guest is stopped. */
int unit_hold(struct unit *u, struct err *e);
int unit_block(struct unit *u, struct err *e);
/* Blocks the unit of a guest that is shut down. */
int unit_block_now(struct unit *u, struct err *e);
/* Does what the unit would have done when QEMU ended; after a rollback. */
void unit_make_up(struct unit *u);

#endif
