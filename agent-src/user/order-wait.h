/* order-wait.h: gives an order to a move under way (`vmferry cancel`, `switch`, `revert`, `keep`) and waits for its result. For the
 * commands only: writes to standard output and standard error, and blocks. */
#ifndef VMFERRY_ORDER_WAIT_H
#define VMFERRY_ORDER_WAIT_H

#include "err.h"

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

/* Gives the order and prints the agent's answer. waits: then prints what becomes of the move until it has ended, or until an event says that the
 * wait is over (its "wait_ends", an exit code). Progress is shown of a wait that lasts; SIGINT ends the wait, the process with it, and not the move.
 * The exit code as of the move that was waited for, but 0 for a cancel or revert after which the guest is here and nothing is left; EXIT_SOURCE: the order came too late, was refused, or nobody was there (stderr says so); EXIT_UNDECIDED: the
 * agent is gone and has not said how it ended. */
int order_give(const char *runtime_dir, pid_t guest, json_t *request, bool waits);

#endif
