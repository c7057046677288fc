/*
 * qemu-runstate.h: pure: did the guest run when QEMU stopped it for its switchover? No I/O.
 *
 * Somebody's `stop` right before QEMU's own looks the same over QMP: one STOP event, `pre-switchover` about 1 ms later, and
 * query-status says "finish-migrate". But QEMU notes the state that it found, and sends it as the last of its device state, in the
 * section "globalstate" (QEMU migration/global_state.c; the same in 7.2 and 10.0):
 *
 *   u8 0x04, be32 id, u8 11, "globalstate", be32 0, be32 1, be32 length of the name and its NUL, 100 bytes that begin with the name,
 *   u8 0x7e, be32 id; then the end of the stream: u8 0x00, u8 0x06, be32 n, n bytes of VMDESC
 *
 * A section does not say how long it is, so this one is looked for in all that passes. Guest memory may hold the like: what counts is
 * the one with exactly the end of the stream behind it.
 */
#ifndef VMFERRY_QEMU_RUNSTATE_H
#define VMFERRY_QEMU_RUNSTATE_H

#include <stddef.h>
#include <stdint.h>

#define RUNSTATE_BYTES 140 /* size of the section, and of the stream's end up to VMDESC's text */

enum qemu_runstate {
	RUNSTATE_UNKNOWN, /* QEMU did not send it (-global migration.store-global-state=off), or not so */
	RUNSTATE_LIVE,	  /* the guest ran, or slept (suspended) */
	RUNSTATE_STOPPED, /* the guest was paused */
	RUNSTATE_STOPPED_BY_ERROR,
};

/* The state of a scan, all zero at first. */
struct runstate_scan {
	enum qemu_runstate state;
	uint64_t passed, end;		  /* bytes so far; where the stream must end for state to count */
	uint8_t held[2 * RUNSTATE_BYTES]; /* the last n that have passed: it may have begun in them */
	size_t n;
};

/* Takes the next bytes of the main channel, or of its thin stream, cut anywhere. */
void runstate_scan(struct runstate_scan *s, const uint8_t *p, size_t n);
/* The run state that was found once all bytes have passed; before that RUNSTATE_UNKNOWN. */
enum qemu_runstate runstate_found(const struct runstate_scan *s);

#endif
