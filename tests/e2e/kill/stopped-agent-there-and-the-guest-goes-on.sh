#!/bin/bash
# The destination's agent is stopped (SIGSTOP) when the guest is its, or about to be, and nobody lets it go on: the source asks again, and the agent
# that is asked then ends the one that stands in its way; the move ends well. One that goes on in time ends it by itself.
# takes: 90
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

stop_there() { # POINT: the agent there is stopped for ever
	move_until listener "$1:stop"
	if [[ $FAULT_PID == "$MOVE_PID" ]]; then
		STOPPED=$(agent_dst)
		kill_at_exit "$STOPPED"
		kill -STOP "$STOPPED"
		fault_continue
	else
		STOPPED=$FAULT_PID
		kill_at_exit "$STOPPED"
	fi
	move_wait
	assert_moved
}

fault_agent_is_gone() {
	[[ -z $(state_of "$FAULT_PID") ]]
}

guest_a
for point in src-held before-DST_STARTED; do
	stop_there $point
	process_is_gone "$STOPPED" || fail "the agent that was stopped is still there ($point)"
	grep -q 'was stopped (SIGSTOP) for 10 s, and is ended' "$DIR/dst.log" || fail "the log does not say so ($point)"
done

move_until listener after-DST_START:stop
wait_for 60 grep -q 'trying to reach it again' "$DIR/move.json" || fail "the source does not ask again"
does_not_come 5 fault_agent_is_gone || fail "an agent that was stopped for a moment was ended" # the agent has been looked at by then
fault_continue
move_wait
assert_moved
! grep -q 'was stopped' "$DIR/dst.log" || fail "an agent that went on was ended"
assert_next_move_succeeds
