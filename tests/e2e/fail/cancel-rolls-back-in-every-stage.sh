#!/bin/bash
# `vmferry cancel` rolls a move back while it prepares, copies disks, copies memory, and is held.
# tier: gate
. "$(dirname "${BASH_SOURCE[0]}")/../../lib/aftermath.sh"

cancel() {
	vmferry cancel "${GUEST_PID[a]}" >"$DIR/cancel.out"
	assert_eq "$(<"$DIR/cancel.out")" "rolling back"
	[[ $# -eq 0 ]] || "$@"
	move_wait 1
	assert_result 'r["outcome"] == "rolled-back" and r["guest"] == "source" and r["reason"] == "cancelled by the user"'
	assert_at_source
}

guest_a
to_local
fault dst-prepare stop
move_start a local
fault_wait
cancel fault_continue

move_start a local "${SLOW_DISKS[@]}"
while_disks
cancel

move_start a local "${SLOW_RAM[@]}"
while_ram
cancel

move_start a local --hold
wait_event '"held" in ev.get("text", "")' >/dev/null
cancel
assert_next_move_succeeds
