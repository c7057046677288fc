#!/bin/bash
# `vmferry cancel` rolls a move back while it prepares, copies disks, copies memory, and is held.
# tier: gate
. "$(dirname "${BASH_SOURCE[0]}")/../../lib/aftermath.sh"

cancel() {
	vmferry cancel --no-wait "${GUEST_PID[a]}" >"$DIR/cancel.out"
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
wait_event '"ready to switch over" in ev.get("text", "")' >/dev/null
status=0
vmferry cancel a >"$DIR/cancel.out" || status=$?
assert_eq "$status" 0 "exit code of a cancel that waits for its end"
process_is_gone "$MOVE_PID" || wait_for 60 process_is_gone "$MOVE_PID" || fail "cancel returns before the move has ended"
said cancel.out '^rolled-back: cancelled by the user' '^the guest is now: running on the source'
move_wait 1
assert_at_source
assert_next_move_succeeds
