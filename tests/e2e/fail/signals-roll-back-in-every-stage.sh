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
fault dst-prepare stop
to_listener
move_start a "$DEST"
fault_wait
interrupt INT fault_continue

move_start a "$DEST" "${SLOW_DISKS[@]}"
while_disks
interrupt TERM true

move_start a "$DEST" "${SLOW_RAM[@]}"
while_ram
interrupt INT true

move_start a "$DEST" --hold
wait_event '"held" in ev.get("text", "")' >/dev/null
interrupt TERM true
assert_next_move_succeeds
