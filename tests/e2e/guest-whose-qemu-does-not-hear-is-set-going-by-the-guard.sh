#!/bin/bash
# The guest stands still to be switched over, the destination dies, and the source's QEMU does not answer when it is told to go on: the move ends with
# exit code 5, and its guard goes on trying. As soon as that QEMU hears, the guest runs.
. "$(dirname "$0")/../lib/aftermath.sh"

qmp_shim migrate_cancel never
ON=(env "${SHIM[@]}")
guest_a
ON=()
to_local
fault src-pre-switchover stop
move_start a local --reconnect-timeout 0
fault_wait
assert_eq "$(status_of "$(free_monitor a)")" finish-migrate "run state"
qmp_misanswers
kill_now "$(qemu_dst)"
kill_now "$(agent_dst "$MOVE_PID")"
fault_continue
wait_for 100 process_is_gone "$MOVE_PID" || fail "the move does not end"
status=0
wait "$MOVE_PID" || status=$?
assert_eq "$status" 5 "exit code"
assert_result '"guard sets it going" in r["guest_text"]'
[[ $(status_of "$(free_monitor a)") != running ]] || fail "it runs: nothing was tested"
qmp_answers
guard_ends
assert_eq "$(status_of "$(free_monitor a)")" running "QEMU's run state"
guest_verify "$(orders a)" blocks
