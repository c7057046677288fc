#!/bin/bash
# The source agent dies while a disk is copied: the guest runs on; a new move says what to do first; recover removes
# everything of the old one.
. "$(dirname "$0")/../../lib/aftermath.sh"

cut_off() {
	move_start a "$DEST" "${SLOW_DISKS[@]}"
	while_disks
	kill_now "$MOVE_PID"
	assert_eq "$(status_of "$(free_monitor a)")" running "the guest without its agent"
}

guest_a
to_local
cut_off
recover 1
assert_at_source

to_listener
cut_off
guard_ends
move_start a local
move_wait 3
assert_result '"vmferry recover a" in r["reason"]'
recover 1
assert_at_source
assert_next_move_succeeds
