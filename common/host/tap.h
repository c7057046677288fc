/*
 * tap.h: a tap device goes from one QEMU to another that runs already (tun(4); kernel: drivers/net/tun.c).
 *
 * Theory of operation. One process can have a tap open, and QEMU opens it when it starts. So a QEMU that is to have the tap of one that
 * still runs starts with a tap of its own, its *stand-in*, which leads nowhere. When the other QEMU has let go the stand-in is removed; the
 * new QEMU's descriptor then has no device, and is given the real one: TUNSETIFF on the same open file, borrowed from it by pidfd_getfd(2).
 * The tap itself never goes away meanwhile (TUNSETPERSIST), so that its bridge, addresses and rules stay.
 *
 * The command line of such a QEMU names its stand-in for ever. That has the index of the real tap in its name, which so can be told from it
 * (tap-name.h).
 */
#ifndef VMFERRY_TAP_H
#define VMFERRY_TAP_H

#include "err.h"
#include "tap-name.h"

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The process has that tap open: that of our network namespace, in which it must be, too. */
bool tap_is_of(pid_t pid, const char *name);
/* 0, -ENODEV: there is no tap of that name. *persists: it stays when nobody has it open. */
int tap_examine(const char *name, bool *persists, struct err *e);

/* True if this host has a bridge of that name. */
bool bridge_is_here(const char *name);
/* Several processes may have it open, a queue each. */
bool tap_has_queues(const char *name);
/* The process that has the tap open; 0: none that we can see. */
pid_t tap_owner(const char *name);

/*
 * The functions below need root, and pidfd_getfd(2), which a confined agent does not have: vmferry-dst runs itself for them (cmd-tap.h).
 */
/* Sets whether the tap persists without a process. Opens it for that if no process has it open. */
int tap_persist(const char *name, bool on, struct err *e);
/* 0: we may call tap_take() on a process that has that tap. Changes nothing. */
int tap_try(const char *name, pid_t pid, struct err *e);
/*
 * Gives the tap to the process that has the stand-in, once (before, start_time) has let go of it. Does nothing if it has the tap already.
 * Blocks at most timeout_ms. -ETIMEDOUT: the other process keeps it; -EBUSY: a third one has it; the stand-in is as before then.
 */
int tap_take(const char *name, const char *stand_in, pid_t pid, pid_t before, uint64_t start_time, unsigned timeout_ms, struct err *e);

#endif
