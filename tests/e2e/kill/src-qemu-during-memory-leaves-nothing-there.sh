#!/bin/bash
# The guest's QEMU dies while memory is copied: that is its end, said so, with nothing left at the destination; its disk
# is as it was and can be started from.
. "$(dirname "${BASH_SOURCE[0]}")/../../lib/aftermath.sh"

cut_off() {
	move_until there memory
	kill_now "${GUEST_PID[a]}"
	unset "GUEST_PID[a]"
	move_wait 8
	assert_result 'r["outcome"] == "rolled-back" and r["guest"] == "none" and r["where"] == "nowhere" and "QEMU" in r["reason"]'
	wait_for 60 nothing_runs || fail "left: $(ours)"
	[[ -z $(ls -A "$TO") ]] || fail "left at the destination: $(ls -A "$TO")"
	assert_nothing_unfinished
}

nothing_runs() {
	[[ $(ours) == "$DST_PID" ]]
}

guest_a
to_local
cut_off

guest_a
to_listener
cut_off
