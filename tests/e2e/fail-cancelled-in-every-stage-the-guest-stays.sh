#!/bin/bash
# timeout: 240
# `vmferry cancel`, Ctrl-C and SIGTERM, while disks are copied, while memory is, and while the move is held.
. "$(dirname "$0")/../lib/aftermath.sh"

cancelled() {
	move_wait 1
	assert_result 'r["outcome"] == "rolled-back" and r["guest"] == "source" and "cancelled by the user" in r["reason"]'
	assert_at_source
}

guest_a
to_local
move_start a local "${SLOW_DISKS[@]}"
while_disks
vmferry cancel "${GUEST_PID[a]}" >"$DIR/cancel.out"
cancelled
move_start a local "${SLOW_RAM[@]}"
while_ram
kill -TERM "$MOVE_PID"
cancelled
move_start a local "${SLOW_RAM[@]}"
while_ram
kill -INT "$MOVE_PID"
cancelled
move_start a local --hold --max-downtime 1000
wait_event 'ev["event"] == "notice" and "held" in ev["text"]' >/dev/null
vmferry cancel "${GUEST_PID[a]}" >"$DIR/cancel.out"
cancelled
assert_next_move_succeeds
