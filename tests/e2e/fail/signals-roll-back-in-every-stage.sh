#!/bin/bash
# SIGINT and SIGTERM roll a move back, too.
. "$(dirname "$0")/../../lib/aftermath.sh"

interrupt() { # SIGNAL [COMMAND]
	kill "-$1" "$MOVE_PID"
	"${@:2}"
	move_wait 1
	assert_result 'r["guest"] == "source" and r["reason"] == "cancelled by the user"'
	assert_at_source
}

guest_a
move_until listener dst-prepare:stop
interrupt INT fault_continue

move_until there disks
interrupt TERM true

move_until there memory
interrupt INT true

move_start a "$DEST" --hold
wait_event '"ready to switch over" in ev.get("text", "")' >/dev/null
interrupt TERM true
assert_next_move_succeeds
