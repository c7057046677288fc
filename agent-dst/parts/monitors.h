/* monitors.h: keeps all clients but this agent from its QEMU's monitors until the guest is ours. */
#ifndef VMFERRY_MONITORS_H
#define VMFERRY_MONITORS_H

#include "target.h"

/* A listening socket of QEMU's, as query-chardev names it. */
struct chardev_socket {
	bool is_unix, is_websocket, connected;
	char address[256]; /* path, or HOST:PORT */
	char peer[128];
};

/* Hides QEMU's monitors from all other clients. -EBUSY: another client is connected already. -ENOTSUP: a monitor cannot be kept from
 * others. */
int monitors_hide(struct target *t, struct err *e);
/* detail: of "hidden" in the journal. The sockets that were hidden there get their names back, if the guest is here (that may have been
 * done already); else they are removed. */
int monitors_undo(const struct target *t, const json_t *detail, struct err *e);
/* Waits a moment until QEMU reports each monitor as ours. -EBUSY: one is not; -ENOTSUP: as above. */
int monitors_wait_until_alone(struct target *t, struct err *e);
/* Frees the TCP ports for other clients. */
void monitors_let_go(struct target *t);
/* Pure. False: this is no listening socket. */
bool monitors_parse(const char *filename, struct chardev_socket *out);
/* Pure. Whether what has that label in QEMU's answer to query-chardev is a monitor, or has one behind it. */
bool monitors_has(const struct args_result *line, const json_t *chardevs, const char *label);
/* Gives the monitors their names back once the guest is ours; the journal says where they are. */
void monitors_give_back(struct target *t);

#endif
