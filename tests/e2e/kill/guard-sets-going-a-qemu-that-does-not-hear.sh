#!/bin/bash
# The guest stands still to be switched over, the destination dies, and the source's QEMU does not answer when it is told to go on: the move ends with
# exit code 5, and its guard goes on trying. As soon as that QEMU hears, the guest runs.
# timeout: 300
# takes: 58
. "$(dirname "$0")/../../lib/aftermath.sh"

qmp_shim migrate_cancel never
ON=(env "${SHIM[@]}")
guest_a
ON=()
move_until local src-pre-switchover:stop --reconnect-timeout 0
assert_eq "$(status_of "$(free_monitor a)")" finish-migrate "run state"
qmp_misanswers
kill_now "$(qemu_dst)"
kill_now "$(agent_dst "$MOVE_PID")"
fault_continue
# the guest is kept from running, as vmferry lets it go on once, until that is given up
is_given_up() {
	kill -STOP "${GUEST_PID[a]}"
	grep -q 'hand-off: REMOVE_SCAFFOLDING in SRC_ABORTED' "$DIR/move.log"
}
wait_for 120 is_given_up || fail "it is not given up"
kill -CONT "${GUEST_PID[a]}"
wait_for 120 process_is_gone "$MOVE_PID" || fail "the move does not end"
status=0
wait "$MOVE_PID" || status=$?
assert_eq "$status" 5 "exit code"
assert_result '"guard sets it going" in r["guest_text"]'
qmp_answers
guard_ends
grep -q 'guard: hand-off: RECOVER' "$DIR/move.log" || fail "the guard has done nothing"
assert_eq "$(status_of "$(free_monitor a)")" running "QEMU's run state"
guest_verify "$(orders a)" blocks
[[ -z $(unfinished_journals) ]] || recover 1
assert_nothing_unfinished
