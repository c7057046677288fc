/*
 * control.h: the socket by which `vmferry status`, `switch`, `set` and `cancel` reach a move under way.
 *
 * RUNTIME_DIR/move-PID.sock (pid of the source QEMU), one JSON object a line each way:
 *   {"command": "status", "follow": true}  {"command": "switch"}  {"command": "cancel"}  {"command": "set", "bwlimit": N}
 * The answer is one object; a follower then gets every event of the move, as report.h has them.
 */
#ifndef VMFERRY_CONTROL_H
#define VMFERRY_CONTROL_H

#include "err.h"
#include "loop.h"

#include <jansson.h>
#include <sys/types.h>

struct control;

/* -EBUSY: a move of this guest is under way. Of several agents that begin at once one gets the place; runtime_dir is locked
 * (flock) for as long as that takes. request: gives the answer (a new reference); called in the loop's thread. */
int control_open(struct control **out, struct loop *l, const char *runtime_dir, pid_t guest,
		 json_t *(*request)(void *ctx, const char *command, const json_t *args), void *ctx, struct err *e);
void control_publish(struct control *c, const char *line);
/* Closes all clients (each has got what was published) and removes the socket. NULL ok. */
void control_close(struct control *c);

/* ---- client side, blocking ---- */

/* Sends a request. *answer: a new reference; NULL on error. */
int control_ask(const char *runtime_dir, pid_t guest, const json_t *request, json_t **answer, struct err *e);
/* The status of the guest's move, a new reference. NULL: no agent has answered within that time: one that is stopped is not waited for, as its guard would
 * end it meanwhile. */
#define CONTROL_SOON_S	1
#define CONTROL_AMONG_S 5 /* time for an answer when several are asked in turn, and a busy one must not be missed */
json_t *control_status_within(const char *runtime_dir, pid_t guest, int seconds);
/* Sends a request with "follow": calls each() for the answer, and then for every event, until the end or until it returns false. 0:
 * there was an answer. */
int control_follow(const char *runtime_dir, pid_t guest, const json_t *request, bool (*each)(void *ctx, const json_t *line), void *ctx,
		   struct err *e);
/* Pids of guests with a move under way here; malloc'ed. */
size_t control_list(const char *runtime_dir, pid_t **pids);
/* False: nobody listens there; an agent that was killed leaves its socket. */
bool control_is_served(const char *runtime_dir, pid_t guest);
/* Removes sockets of dead agents, at which no one listens. */
void control_sweep(const char *runtime_dir);

#endif
