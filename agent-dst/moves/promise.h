/* promise.h: memory and room of this host that guests on their way here were promised (promised.h), for one that is moved here. Private to this folder. */
#ifndef VMFERRY_DST_PROMISE_H
#define VMFERRY_DST_PROMISE_H

#include <jansson.h>
#include <stdint.h>

struct transfer;

/*
 * Where a directory is yet to be chosen: notes that the guest's disks (bytes) go to dir (NULL: that is open), and gives what others were promised: a new array; NULL: that
 * cannot be told. Of two that choose at once the later one sees the other's choice.
 */
json_t *promise_choice(struct transfer *t, const char *dir, uint64_t bytes);

/* Once the plan is made: notes what this guest needs, if its move has a ticket, and adds what is lacking to the obstacles. */
void promise_examine(struct transfer *t);
/* Its QEMU is there: what that has taken is no promise any more. */
void promise_follow_qemu(struct transfer *t);

#endif
