#!/bin/bash
# The destination QEMU dies while memory is copied: rolled back, with that reason.
. "$(dirname "${BASH_SOURCE[0]}")/../../lib/aftermath.sh"

cut_off() {
	move_start a "$DEST" "${SLOW_RAM[@]}"
	while_ram
	kill_now "$(qemu_dst)"
	move_wait 1
	assert_result 'r["guest"] == "source" and "destination QEMU ended" in r["reason"]'
	assert_at_source
}

guest_a
to_local
cut_off
to_listener
cut_off
assert_next_move_succeeds
