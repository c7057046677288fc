#!/bin/bash
# The source QEMU ends in the moment in which the move is rolled back: the result says that the guest is gone.
. "$(dirname "$0")/../../lib/move.sh"
. "$(dirname "$0")/../../lib/tiny.sh"

MEM=256 WITNESS="ram_mb=32" tiny_start a
for_good=${GUEST_PID[a]}
move_start a local --hold
wait_for 60 is_moving_with a 's["held"]' || fail "the move is not held"
kill -STOP "$MOVE_PID" # the move learns of both at once
kill -KILL "$for_good"
kill -TERM "$MOVE_PID"
wait_for 60 process_is_gone "$for_good" || fail "QEMU does not end"
kill -CONT "$MOVE_PID"
move_wait 8
assert_result 'r["guest"] == "none" and r["where"] == "nowhere"'
assert_nothing_left
