#!/bin/bash
# The source QEMU dies when the guest is the destination's: it was to end anyway.
. "$(dirname "$0")/../../lib/aftermath.sh"

cut_off() {
	fault after-SRC_COMMITTED stop
	"to_$1"
	move_start a "$DEST"
	fault_wait
	kill_now "${GUEST_PID[a]}"
	fault_continue
	move_wait
	assert_moved
}

guest_a
cut_off local
cut_off listener
assert_next_move_succeeds
