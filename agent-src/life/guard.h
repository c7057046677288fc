/*
 * guard.h: a small process that outlives the source agent, and takes the guest back if the agent dies before the hand-over.
 *
 * QEMU goes on by itself when its migration breaks, but not in pre-switchover, nor while it is held by SIGSTOP: there it would wait for
 * ever for an agent that is gone. The guard is this program again (`vmferry --guard`), so that it shares nothing with an agent that may be
 * out of memory or half dead; it sleeps on a socket that ends with the agent. Then it does what `vmferry recover` would do first, without
 * the destination: that is left to a person. Until QEMU's migration is over it keeps QEMU's connections open (keep.h).
 *
 * After COMMITTED the guard has nothing to take back. It holds the locks of the disks that the guest has left here, which the agent has lent it, until the
 * move is settled, so that no one starts the guest from them. A recover that cannot settle a move whose guard has died starts another, for that alone.
 *
 * An agent that is stopped (SIGSTOP) after it has stopped the guest is as good as dead to the guest: after GUARD_STOPPED_S the guard kills
 * it (watched-agent.h), which may happen at any instruction. An agent that has COMMITTED is left alone, as the guest is the destination's.
 * While the guest runs, a stopped agent is killed after patience_s: as soon as another client's `stop` or snapshot makes QEMU drain its
 * disks, QEMU and the guest would hang, because no one reads the blocks that the agent has asked for.
 */
#ifndef VMFERRY_GUARD_H
#define VMFERRY_GUARD_H

#include "life.h"

#include <stdbool.h>
#include <sys/types.h>

#define GUARD_WORD "--guard"

struct guard {
	pid_t pid; /* 0: none */
	int fd;	   /* socket for keep_tell() */
};

/*
 * Starts the guard; call before any change that only an agent can undo. Paths: the attempt's journal, and the directory of sockets. quiet:
 * the guard does not keep our stderr. patience_s: time for which an agent may be stopped while the guest runs; 0: for ever.
 */
int guard_start(struct guard *g, const char *journal, const char *runtime_dir, unsigned patience_s, bool quiet, struct err *e);
/* True if the guard exists and follows us. */
bool guard_is_alive(const struct guard *g);
/* Tells the guard that we are about to stop the guest, or that it runs again. */
void guard_tell(const struct guard *g, bool stands);
/* Lends the guard the descriptor of a locked disk of a guest that is stopped: the disk stays locked until the guest runs again. */
void guard_lend(const struct guard *g, int fd);
/* Ends the guard of an agent that has died, and the locks with it: a later life takes the guest back. pid, start_time: of that guard. */
void guard_relieve(pid_t pid, uint64_t start_time);
/* Ends the guard in order. Does nothing for a guard that was not started. */
void guard_dismiss(struct guard *g);

/*
 * The guard's first step: waits on standard input for the agent's end. NULL: an orderly end; otherwise the agent's connections. journal:
 * tells whether the guest may be the destination's.
 */
struct keep *guard_wait(const char *journal, unsigned patience_s);
/* Takes up the dead agent's work by its journal, which is stolen. True: done, do not call again. words: for the user, if any; code 0:
 * not an error. */
typedef bool guard_take_up(const struct life_options *o, struct journal *j, struct keep *kept, struct err *words);
/* Calls take_up until it is done, and prints its words to stderr once; then holds the locks of a guest that was given up until that is settled. kept: stolen.
 * Returns the guard's exit code: 1 if the last words were an error. */
int guard_settle(const char *journal, struct keep *kept, guard_take_up *take_up, const struct life_options *o);

#endif
