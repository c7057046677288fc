#!/bin/bash
# The destination's agent is stopped (SIGSTOP) before it has said what it would do. Its connection stays, and so does its silence: the move is refused.
# timeout: 240
. "$(dirname "$0")/../../lib/aftermath.sh"

guest_a
fault dst-described stop
to_listener
VMFERRY_FAULT=src-plan-is-due:fail move_start a "$DEST"
fault_wait
kill_at_exit "$FAULT_PID"
move_wait 3
assert_result "r['reason'] == 'the destination does not answer'"
fault_continue
wait_for 60 process_is_gone "$FAULT_PID" || fail "the agent that was stopped does not end"
assert_at_source

# The agent has sent its plan, and is stopped before it is ready: that is reported, and waited for until the user cancels.
move_until listener dst-prepare:stop
kill_at_exit "$FAULT_PID"
wait_event 'ev["event"] == "notice" and "has not been ready for 15 s" in ev["text"]' >/dev/null
vmferry cancel --no-wait "${GUEST_PID[a]}" >/dev/null
move_wait 1
fault_continue
wait_for 60 process_is_gone "$FAULT_PID" || fail "the agent that was stopped does not end"
assert_at_source

to_listener
move a "$DEST"
assert_moved
