/*
 * ticket.h: how many may do a thing on this host at once, and in which order, without a daemon: RUNTIME_DIR/QUEUE/ has a file a ticket, numbered in
 * the order of arrival, on which its holder keeps an flock(2). The lowest tickets that are held may work. A ticket that nobody holds is of a process that
 * has died, and whoever looks removes it.
 *
 * Each look takes the directory's lock for a moment.
 */
#ifndef VMFERRY_TICKET_H
#define VMFERRY_TICKET_H

#include "err.h"

#include <jansson.h>

struct ticket;

/* The next number. Any error is one of the directory: without a ticket its holder is not counted. */
int ticket_take(struct ticket **out, const char *runtime_dir, const char *queue, struct err *e);
/* How many that are held came before; it never becomes more. -EAGAIN: another is looking; ask again. */
int ticket_ahead(const struct ticket *t, unsigned *n, struct err *e);
/*
 * Writes a note (borrowed) of what its holder is about to take of this host onto a ticket (NULL: onto none), and gives those on all others that are held: a new
 * array. Looks take turns, so of two that come at once one sees the other's. Waits for two seconds at most.
 */
int ticket_note(const struct ticket *t, const char *runtime_dir, const char *queue, const json_t *note, json_t **others, struct err *e);
/* NULL is allowed. Also for processes that have inherited it. */
void ticket_return(struct ticket *t);
/* Removes those of processes that have died, and the directory if it has no others. */
void ticket_sweep(const char *runtime_dir, const char *queue);

#endif
