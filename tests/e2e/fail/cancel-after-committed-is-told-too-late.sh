#!/bin/bash
# After COMMITTED neither `vmferry cancel` nor a signal stops a move; both are told so.
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

guest_a
move_until local before-DST_START:stop
! vmferry cancel --no-wait "${GUEST_PID[a]}" 2>"$DIR/cancel.err" || fail "vmferry cancel says that it did"
assert_eq "$(<"$DIR/cancel.err")" "vmferry: too late: the guest is the destination's"
kill -INT "$MOVE_PID"
wait_event 'ev["event"] == "notice" and "too late to roll back" in ev["text"]' >/dev/null
fault_continue
move_wait
assert_moved
