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
move_until local dst-prepare:stop
cancel fault_continue

move_until local disks
cancel

move_until local memory
cancel

move_start a local --hold
wait_event '"held" in ev.get("text", "")' >/dev/null
cancel
assert_next_move_succeeds
