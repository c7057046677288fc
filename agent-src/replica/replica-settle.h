/* replica-settle.h: points of a replica that were cut off. */
#ifndef VMFERRY_REPLICA_SETTLE_H
#define VMFERRY_REPLICA_SETTLE_H

#include "replica-conf.h"

/* Recovers a point of the guest, or its move to its replica, that was cut off, before the next is made; what fails is told. */
void replica_settle_earlier(const struct replica_conf *c, const char *guest);

#endif
