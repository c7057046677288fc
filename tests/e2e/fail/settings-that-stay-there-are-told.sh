#!/bin/bash
# The guest's QEMU does not answer when it has arrived: the settings of its migration stay as they were for the move, and the result says so.
. "$(dirname "$0")/../../lib/aftermath.sh"

guest_a
move_until listener after-DST_STARTED:stop
pid=$(qemu_dst)
kill_at_exit "$pid"
kill -STOP "$pid"
fault_continue
wait_for 60 process_is_gone "$MOVE_PID" || fail "the move does not end"
kill -CONT "$pid"
move_wait
assert_result '"settings of migration in the guest" in r["leftovers"][0]'
guest_verify "$(orders a)" blocks
