/* promise.h: memory and room of this host that guests on their way here were promised (promised.h), for one that is moved here. Private to this folder. */
#ifndef VMFERRY_DST_PROMISE_H
#define VMFERRY_DST_PROMISE_H

#include <jansson.h>
#include <stdint.h>

struct transfer;

/* Notes that the guest's disks (bytes) go to dir (NULL: not chosen yet), and returns a new array with what other moves were promised; NULL:
 * that cannot be told. If two moves choose at once, the later one sees the other's choice. */
json_t *promise_choice(struct transfer *t, const char *dir, uint64_t bytes);

/* Notes what this guest needs once the plan is made, if its move has a ticket, and adds what is lacking to the obstacles. */
void promise_examine(struct transfer *t);
/* Takes the memory that the guest's QEMU has by now off the promise, once that QEMU runs. */
void promise_follow_qemu(struct transfer *t);

#endif
