/*
 * onward.h: a replica whose points go on to a further host (an extended replica): what the store knows of that, in replica.json:
 *
 *     "onward": {"to": "root@host-c", "number": 812, "replaced": "2026-11-29 14:05:10", "term": 1}
 *
 * number: the newest point that is known to be there, which stays here for as long as it is that, as the next one that goes is told by what was written since.
 * replaced: since when it is known that the guest was taken over there, and the store's term before that, as it is higher since.
 */
#ifndef VMFERRY_ONWARD_H
#define VMFERRY_ONWARD_H

#include "points.h"

/* The host that the points go on to, as it was named; NULL: they go nowhere. */
const char *onward_to(const struct points *p);
/* The newest point that is known to be there; 0: none. */
uint64_t onward_number(const struct points *p);
/* Since when it is known that the guest was taken over there, in words; NULL: that is not known. */
const char *onward_replaced(const struct points *p);
/* The store's term, but for what that takeover, or a run of here, has raised it by: points that went on have no higher one. */
json_int_t onward_own_term(const struct points *p);

/* 0: its points may go on; -ESTALE: they are of another pair (NULL: of any), or the guest was taken over here. */
int onward_check(const struct points *p, const char *pair, struct err *e);

/* Notes that the points go on to that host, which has point number (0: none that is known). Takes the lock of the store in dir, as the others that have a dir do. */
int onward_begin(const char *dir, const char *to, uint64_t number, struct err *e);
/* The guest was taken over there, or (false) it was not, after all; that stays known as long as a run from here is not thrown away. */
int onward_set_replaced(const char *dir, bool replaced, struct err *e);
/* Points of its pair come in a higher term: the guest was taken over there, and has its replica here now. Nothing goes on from here any more; for whoever writes p->replica then. */
void onward_is_over(const char *state_dir, const char *guest, struct points *p);
/* Points do not go on any more. That the guest was taken over there stays known. */
int onward_end(const char *dir, struct err *e);

/* Has the vmferry of this host ask the further one (vmferry replica ask): {"taken", "settled"}, or {"unknown": why}; a new reference. Blocks, a minute at most. */
json_t *onward_ask(const char *state_dir, const char *guest);

#endif
