#!/bin/bash
# Somebody stops the guest during the move, and the source is gone for good when the destination has promised: the last copy is recovered
# as it was, paused.
. "$(dirname "$0")/../../lib/aftermath.sh"

guest_a
to_listener
fault src-ready stop
move_start a "$DEST" --hold
wait_event 'ev["event"] == "notice" and "vmferry switch" in ev["text"]' >/dev/null
qmp "$(free_monitor a)" '{"execute": "stop"}' STOP >/dev/null
"$BIN/vmferry" switch --no-wait "${GUEST_PID[a]}" & # the agent may be stopped before it answers
kill_at_exit $!
fault_wait
there=$(qemu_dst)
kill_agent_here
kill_now "${GUEST_PID[a]}"
end_agents_there
kill_at_exit "$there"
VMFERRY_STATE_DIR=$DIR/dst-state VMFERRY_RUNTIME_DIR=$DIR/dst-run recover 0 --peer-is-fenced
guest_is_there "$there"
assert_eq "$(status_of "$(free_monitor a)")" paused "the guest"
qmp "$(free_monitor a)" '{"execute": "cont"}' >/dev/null
guest_verify "$(orders a)" blocks
