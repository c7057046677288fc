/* replica-whereabouts.h: where the guest itself is, as the replica's host remembers: it may have moved on from here, or have come by
 * other means than its replica. */
#ifndef VMFERRY_CLI_REPLICA_WHEREABOUTS_H
#define VMFERRY_CLI_REPLICA_WHEREABOUTS_H

#include "points.h"

struct run;

/*
 * Has the guest that runs here from a point, or has run, stayed? 0. -EREMOTE: it went on to another host, which has what it has written since. -EBUSY: a
 * command that may take it there is not over, or that cannot be told.
 */
int replica_check_stayed(const char *state_dir, const char *guest, const struct points *p, struct err *e);
/*
 * May the guest be started here from a point? 0. -EEXIST: the guest itself came to this host since its newest point was made, by another way than its replica.
 * -EBUSY: it runs here, or is on its way, or that cannot be told.
 */
int replica_check_absent(const char *state_dir, const char *guest, const struct points *p, struct err *e);
/* -EBUSY: a guest of that name runs here. */
int replica_check_no_guest_runs(const char *guest, struct err *e);
/*
 * May its run, whose QEMU has ended, be thrown away? script: what started it here; overlays: count paths, from which it ran. 0. -EREMOTE: the script is gone, as
 * after a move, or names other disks, as after a change of them: what the guest has written since may be elsewhere. -errno: that cannot be told.
 */
int replica_check_script(const char *script, char *const *overlays, size_t count, struct err *e);
/* Does only the last step of replica_check_absent(). -EEXIST: the guest has come to this host. */
int replica_check_came(const char *state_dir, const char *guest, const struct points *p, struct err *e);
/* The guest runs here from a point; if that cannot be noted it is told. */
void replica_note_here(const struct run *r, const char *state_dir);

#endif
