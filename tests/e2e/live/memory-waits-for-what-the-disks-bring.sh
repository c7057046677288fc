#!/bin/bash
# Contents that a guest has in memory and on disk travel with the disks: QEMU's own pass over memory, on other channels, begins only when
# the destination says that all of that has been placed, and not when it has been sent.
. "$(dirname "$0")/../../lib/aftermath.sh"

seconds() { # progress of a second each, so far
	result 'sum(ev.get("second", False) for ev in of("progress"))'
}

guest_a

export VMFERRY_FAULT=dst-applied:stop:"$DIR/fault" VMFERRY_FAULT_BEFORE=src-migrate:stop:"$DIR/begun"
move_start a local
unset VMFERRY_FAULT_BEFORE
fault_wait
before=$(seconds)
wait_for 60 eval '[[ -e $DIR/begun ]] || (($(seconds) >= before + 2))' || fail "no progress: $(tail -n 3 "$DIR/move.log")"
[[ ! -e $DIR/begun ]] || fail "QEMU was told to send memory before the destination had said that the disks are there"

fault_continue
wait_for 60 test -s "$DIR/begun" || fail "memory does not begin"
FAULT_PID=$(<"$DIR/begun")
wait_for 60 eval '[[ $(state_of "$FAULT_PID") == T ]]' || fail "the source agent goes on"
fault_continue
move_wait
assert_result "r['ram']['seed_pages'] > 0"
guest_verify "$(orders a)" blocks
