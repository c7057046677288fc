#!/bin/bash
# A guest that can be had back (--revert-within), and agents and QEMUs that die meanwhile: it runs once, where recover says.
# timeout: 400
. "$(dirname "$0")/../../lib/aftermath.sh"

guest_a

# The agents die as they have the guest back.
for point in before-SRC_REVERTING after-SRC_REVERTING; do
	fault $point
	moved_for_now listener
	vmferry revert --no-wait a || true
	fault_wait
	wait_for 60 process_is_gone "$MOVE_PID"
	process_is_gone "$there" && fail "the destination's QEMU has ended already"
	recover 0 --dest "$DST_ADDRESS" # the guest is no longer wanted back
	assert_at_destination
done

# The destination has given it back by then.
fault after-DST_NOVM stop
moved_for_now listener
vmferry revert --no-wait a
fault_wait
kill_now "$MOVE_PID"
fault_continue
wait_for 60 process_is_gone "$there" || fail "the destination's QEMU has not ended"
recover 1 --dest "$DST_ADDRESS"
assert_at_source
for point in before-DST_NOVM after-DST_NOVM after-DST_ABORTED; do
	fault $point
	moved_for_now listener
	vmferry revert --no-wait a
	fault_wait
	move_wait 1
	assert_at_source
done

# The destination's agent dies while the guest runs there: another one gives it back.
moved_for_now listener
kill_now "$(agent_dst)"
vmferry revert --no-wait a
move_wait 1
assert_at_source

# The source's does not answer: it is still the one that has the guest, of the two QEMUs of that name.
moved_for_now listener
kill -STOP "$MOVE_PID"
! vmferry revert --no-wait a 2>"$DIR/err" || fail "a stopped agent has heard it"
grep -q 'has not answered for' "$DIR/err" || fail "it is told: $(<"$DIR/err")"

# The source's dies: then nobody wants it back any more.
kill_now "$MOVE_PID"
recover 0 --dest "$DST_ADDRESS"
assert_at_destination

# The held QEMU here dies: then the guest stays there.
moved_for_now listener
kill_now "${GUEST_PID[a]}"
move_wait 0
assert_result '"cannot be had back any more" in " ".join(notices)'
assert_moved "$DIR/d$((MOVES - 1))/a.raw"

# The held QEMU here dies when it was asked for: the guest that runs there is the only one, and is let live.
fault after-SRC_REVERTING stop
moved_for_now listener
vmferry revert --no-wait a
fault_wait
kill_now "$(agent_dst)"
kill_now "$DST_PID"
kill_now "${GUEST_PID[a]}"
fault_continue
move_wait 6
process_is_gone "$there" && fail "the only copy was ended"
DST_PID=
listen_dst
recover 0 --dest "$DST_ADDRESS"
assert_at_destination

# No agent answers at the destination: the guest may run there.
moved_for_now listener
kill_now "$DST_PID"
end_agents_there
DST_PID=
vmferry revert --no-wait a
wait_event 'ev["event"] == "notice" and "cannot take the guest back" in ev["text"]' >/dev/null
assert_eq "$(state_of "${GUEST_PID[a]}")" T "the source's QEMU is held"
kill -INT "$MOVE_PID"
move_wait 6
assert_eq "$(state_of "${GUEST_PID[a]}")" T "the source's QEMU is held"
kill_now "$there" # the host is off
recover 4 --peer-is-fenced
assert_eq "$(status_of "$(free_monitor a)")" running "QEMU's run state"
guest_verify "$(orders a)" blocks
