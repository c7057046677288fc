#!/bin/bash
# The destination agent dies while a disk is copied: rolled back, and what it had created is removed by another.
. "$(dirname "$0")/../../lib/aftermath.sh"

cut_off() {
	move_start a "$DEST" "${SLOW_DISKS[@]}"
	while_disks
	kill_now "$(agent_dst)"
	move_wait 1
	assert_result 'r["outcome"] == "rolled-back" and r["guest"] == "source" and "destination" in r["reason"]'
	assert_at_source
}

guest_a
to_local
cut_off
to_listener
cut_off
assert_next_move_succeeds
