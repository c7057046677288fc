/* replica-ask.h: asks the host of a guest's replica whether the guest was taken over there, before its copy here is started. */
#ifndef VMFERRY_CLI_REPLICA_ASK_H
#define VMFERRY_CLI_REPLICA_ASK_H

#include "replica-conf.h"

/*
 * c: the settings of a guest whose points are made from here. 0: the host has answered; *taken: a sentence of how the guest was taken over there, malloc'ed, or NULL:
 * it was not. *settled: that is so for good; else a move of it to there is not over. -EIO: it has answered, and cannot
 * tell. -ENOENT: it knows nothing of this replica. Another -errno: it could not be asked.
 */
int replica_ask(const struct replica_conf *c, const char *guest, char **taken, bool *settled, struct err *e);
/*
 * Asks likewise. 0: it was not taken over, or could not be asked where that is no obstacle (start-alone=yes): *alone then says why, malloc'ed. -EBUSY: it was,
 * which is noted here, also for the time in which that host cannot be asked, if it is so for good. -errno: that cannot be told.
 */
int replica_check_not_taken(const struct replica_conf *c, const char *guest, char **alone, struct err *e);
/* Notes that the guest was taken over there for good, or (false) was not after all; if its points go on from here also in their store,
 * for hosts that ask this one. */
int replica_note_replaced(const struct replica_conf *c, const char *guest, bool replaced, struct err *e);

#endif
