/*
 * ticket.h: how many may do a thing on this host at once, and in which order, without a daemon: RUNTIME_DIR/QUEUE/ has a file a ticket, numbered in
 * the order of arrival, on which its holder keeps an flock(2). The lowest tickets that are held may work. A ticket that nobody holds is of a process that
 * has died, and whoever looks removes it.
 *
 * Nothing waits in here. Each look takes the directory's lock for a moment.
 */
#ifndef VMFERRY_TICKET_H
#define VMFERRY_TICKET_H

#include "err.h"

struct ticket;

/* The next number. Any error is one of the directory: without a ticket its holder is not counted. */
int ticket_take(struct ticket **out, const char *runtime_dir, const char *queue, struct err *e);
/* How many that are held came before; it never becomes more. -EAGAIN: another is looking; ask again. */
int ticket_ahead(const struct ticket *t, unsigned *n, struct err *e);
/* NULL is allowed. Also for processes that have inherited it. */
void ticket_return(struct ticket *t);
/* Removes those of processes that have died, and the directory if it has no others. */
void ticket_sweep(const char *runtime_dir, const char *queue);

#endif
