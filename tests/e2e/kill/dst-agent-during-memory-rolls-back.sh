#!/bin/bash
# The destination agent dies while memory is copied: rolled back, and what it had created is removed by another.
# tier: gate
. "$(dirname "${BASH_SOURCE[0]}")/../../lib/aftermath.sh"

cut_off() {
	move_start a "$DEST" "${SLOW_RAM[@]}"
	while_ram
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
