/*
 * ticket.h: limits how many processes work on this host at once, and orders them, without a daemon: RUNTIME_DIR/QUEUE/ has a file per
 * ticket, numbered in the order of arrival, on which its holder keeps an flock(2). The lowest tickets that are held may work. A ticket that
 * nobody holds belongs to a process that has died, and the next look removes it.
 *
 * Each look takes the directory's lock for a moment.
 */
#ifndef VMFERRY_TICKET_H
#define VMFERRY_TICKET_H

#include "err.h"

#include <jansson.h>

struct ticket;

/* Takes the next number. All errors are errors of the directory; without a ticket the caller is not counted. */
int ticket_take(struct ticket **out, const char *runtime_dir, const char *queue, struct err *e);
/* The number of held tickets before this one; it never grows. -EAGAIN: another process is looking; ask again. */
int ticket_ahead(const struct ticket *t, unsigned *n, struct err *e);
/*
 * Writes a note (borrowed) of the resources that its holder is about to take onto a ticket (NULL: none), and returns the notes on all other
 * held tickets: a new array. Looks take turns, so of two processes that come at once one sees the other's note. Waits for two seconds at
 * most.
 */
int ticket_note(const struct ticket *t, const char *runtime_dir, const char *queue, const json_t *note, json_t **others, struct err *e);
/* NULL is allowed. Also for processes that have inherited it. */
void ticket_return(struct ticket *t);
/* Removes those of processes that have died, and the directory if it has no others. */
void ticket_sweep(const char *runtime_dir, const char *queue);

#endif
