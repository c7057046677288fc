#!/bin/bash
# The source QEMU dies between READY and COMMITTED: nobody else can run the guest any more, so the destination does.
# tier: gate
. "$(dirname "${BASH_SOURCE[0]}")/../../lib/aftermath.sh"

cut_off() {
	fault src-ready stop
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
