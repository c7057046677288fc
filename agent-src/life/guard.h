/*
 * guard.h: a small process that outlives the source agent, and takes the guest back if that dies before it was handed over.
 *
 * QEMU goes on by itself when its migration breaks, but not in pre-switchover, nor while it is held by SIGSTOP: there it
 * would wait for ever for an agent that is no more. The guard is this program again (`vmferry --guard`), so that it shares
 * nothing with an agent that may be out of memory or half dead; it sleeps on a socket that ends with the agent. What it then
 * does is what `vmferry recover` would do first, without the destination: that is left to a person. Until QEMU's migration is over it keeps
 * that one's connections open (keep.h).
 *
 * An agent that is stopped (SIGSTOP) while the guest stands still by its doing is as good as dead to the guest: after GUARD_STOPPED_S of
 * that its guard kills it (watched-agent.h), which it may at any instruction. Not one that has COMMITTED, as then the guest is the destination's. While the
 * guest runs such an agent is killed after patience_s: QEMU hangs, and the guest with it, as soon as somebody's `stop` or snapshot makes it drain
 * its disks, for want of a reader of the blocks that the agent has asked for.
 */
#ifndef VMFERRY_GUARD_H
#define VMFERRY_GUARD_H

#include "life.h"

#include <stdbool.h>
#include <sys/types.h>

#define GUARD_WORD "--guard"

struct guard {
	pid_t pid; /* 0: none */
	int fd;	   /* as keep_tell() has it */
};

/*
 * Before anything is changed that only an agent can undo. Paths: the attempt's journal, and the directory of sockets. quiet: it does not
 * hold on to our standard error. patience_s: for so long an agent may be stopped while the guest runs; 0: for ever.
 */
int guard_start(struct guard *g, const char *journal, const char *runtime_dir, unsigned patience_s, bool quiet, struct err *e);
/* It is there, to follow us. */
bool guard_is_alive(const struct guard *g);
/* The guest is about to stand still by our doing; or runs again. */
void guard_tell(const struct guard *g, bool stands);
/* An orderly end: it has nothing to do. Not called, or called with a guard that was not started: nothing happens. */
void guard_dismiss(struct guard *g);

/*
 * What the guard itself begins with: waits for the agent's end on standard input. NULL: an orderly one; otherwise what it has of it.
 * journal: says whether the guest may be the destination's.
 */
struct keep *guard_wait(const char *journal, unsigned patience_s);
/* Takes up what the dead agent was at, by its journal, which is stolen. True: nothing more is to be tried. words: for people, if
 * there are any; code 0: they are not of an error. */
typedef bool guard_take_up(const struct life_options *o, struct journal *j, struct keep *kept, struct err *words);
/* Calls take_up until nothing more is to be tried, and says its words on standard error once. kept: stolen. Returns what the guard
 * exits with: 1 if the last words were of an error. */
int guard_settle(const char *journal, struct keep *kept, guard_take_up *take_up, const struct life_options *o);

#endif
