#!/bin/bash
# The destination agent dies when it has promised: the source commits, reaches another agent there, and that one starts
# the guest from the dead one's journal.
# tier: gate
. "$(dirname "${BASH_SOURCE[0]}")/../../lib/aftermath.sh"

cut_off() {
	fault before-SRC_COMMITTED stop
	"to_$1"
	move_start a "$DEST"
	fault_wait
	kill_now "$(agent_dst)"
	fault_continue
	move_wait
	assert_moved
}

guest_a
cut_off local
cut_off listener
assert_next_move_succeeds
