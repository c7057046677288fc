#!/bin/bash
# timeout: 300
# The source agent is stopped (SIGSTOP) while the guest stands still, and nobody lets it go on: its guard kills it after ten seconds, and takes
# the guest back. One that goes on in time moves the guest, and one that is stopped while the guest runs, or when it is the destination's,
# is left alone.
. "$(dirname "$0")/../../lib/aftermath.sh"

stop_at() { # POINT [OPTION...]
	move_until local "$1:stop" "${@:2}"
	assert_eq "$FAULT_PID" "$MOVE_PID"
}

RECONNECT_S=60 # while the guest runs the guard waits for longer than that
guest_a
for point in src-acknowledge src-pre-switchover src-held; do
	stop_at "$point"
	since=$(stat -c %Y "$DIR/fault")
	wait_for 60 process_is_gone "$MOVE_PID" || fail "$point: the agent is still there"
	had=$(($(date +%s) - since))
	((had >= 9)) || fail "$point: the agent had only $had s"
	wait_for 60 runs_here || fail "$point: the guest does not run: $(status_of "$(free_monitor a)" || state_of "${GUEST_PID[a]}")"
	guest_verify "$(orders a)" blocks >/dev/null
	wait_for 60 grep -aq 'the guest goes on here' "$DIR/move.log" || fail "nobody was told: $(tail -n 3 "$DIR/move.log")"
	recover 1
	assert_at_source
done

# While the guest runs nobody is in a hurry: it is let go on after the guard would have acted.
stop_at src-migrate
stays() { # SECONDS: the agent is there all that time
	does_not_come "$1" process_is_gone "$MOVE_PID"
}
stays 13 || fail "an agent that was stopped while its guest ran was killed"
fault_continue
move_wait
assert_moved

stop_at src-pre-switchover
stays 3 || fail "the agent has had no three seconds"
fault_continue
move_wait
assert_moved "$DIR/d$((MOVES - 1))/a.raw"

# A guest that the destination may run is not the guard's to decide about.
stop_at after-SRC_COMMITTED
stays 13 || fail "an agent that has committed was killed"
fault_continue
move_wait
assert_moved "$DIR/d$((MOVES - 1))/a.raw"
assert_next_move_succeeds
