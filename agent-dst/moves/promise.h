/*
 * promise.h: memory and room of this host that guests on their way here will take, and have not taken yet. What the kernel calls free is free for all of
 * them, so each says on its ticket (ticket.h) what it needs, and who comes later is refused what those before it were promised. Private to this folder.
 */
#ifndef VMFERRY_DST_PROMISE_H
#define VMFERRY_DST_PROMISE_H

struct transfer;

/* Once the plan is made: notes what this guest needs, if its move has a ticket, and adds what is lacking to the obstacles. */
void promise_examine(struct transfer *t);
/* Its QEMU is there: what that has taken is no promise any more. */
void promise_follow_qemu(struct transfer *t);

#endif
