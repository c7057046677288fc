#!/bin/bash
# The source agent is stopped (SIGSTOP) while QEMU is about to answer what it asked for of a disk, and nobody lets it go on: somebody's `stop`
# then waits in QEMU, and the guest with it, for a reader of these answers. The guard ends the agent as soon as nobody would have waited
# longer for its network, and all goes on.
. "$(dirname "$0")/../../lib/aftermath.sh"

guest_a
move_until local disks
begin=$SECONDS
kill -STOP "$MOVE_PID"
timeout 60 "$ASK" qmp "$(free_monitor a)" '{"execute": "stop"}' >"$DIR/stop" 2>&1 || fail "QEMU does not answer: $(<"$DIR/stop")"
wait_for 60 process_is_gone "$MOVE_PID" || fail "the agent is still there"
((SECONDS - begin >= 14)) || fail "the agent had only $((SECONDS - begin)) s"
grep -aq 'was stopped (SIGSTOP) for 16 s while the guest runs' "$DIR/move.log" || fail "nobody was told: $(tail -n 3 "$DIR/move.log")"
assert_eq "$(status_of "$(free_monitor a)")" paused "run state after somebody's stop"
qmp "$(free_monitor a)" '{"execute": "cont"}' >/dev/null
guest_verify "$(orders a)" blocks >/dev/null
recover 1
assert_at_source
assert_next_move_succeeds
