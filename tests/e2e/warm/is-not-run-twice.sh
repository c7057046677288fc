#!/bin/bash
# Others have monitors, and QEMUs end: between its shutdown here and its boot there the guest runs nowhere but where the exit code says.
# timeout: 300
# takes: 20
# tier: gate
. "$(dirname "$0")/../../lib/warm.sh"

again() { # True once the guest has booted again.
	runs_at_source $((++boots))
}

warm_guest
boots=1
to_local

# Somebody starts it again here while the rest goes over: that counts.
move_until there src-pre-switchover:stop --how warm
somebody_starts_it_again
fault_continue
move_wait 1
assert_result '"resumed at the source by another client" in r["reason"]'
again

if beyond_gate unit/test-both-conductors; then
	# When all is promised, right before the guest is held.
	move_until local src-completed:stop --how warm
	somebody_starts_it_again
	fault_continue
	move_wait 1
	again

	# The QEMU that is to boot it dies: it boots here again.
	move_until listener after-DST_PREPARED:stop --how warm
	kill_now "$(qemu_dst)"
	fault_continue
	move_wait 1
	again
fi

# The one here dies when it has shut down, before and after the destination has promised.
move_until local src-pre-switchover:stop --how warm
kill_now "${GUEST_PID[a]}"
fault_continue
move_wait 8
assert_result '"its disks are whole at the source" in r["guest_text"]'
assert_eq "$(ls -A "$TO")" "" "files at the destination"
assert_nothing_unfinished
warm_guest
move_until local src-completed:stop --how warm
kill_now "${GUEST_PID[a]}"
fault_continue
move_wait
assert_arrived

committed_and_let_go_on() {
	SETTINGS=$(settings_of a)
	move_until listener after-SRC_COMMITTED --how warm
	kill -CONT "${GUEST_PID[a]}"
}

# COMMITTED, its agent dies, and the source QEMU is let go on: it has not run the guest, and is held again; if it has, a person is to say.
committed_and_let_go_on
recover 0
process_is_gone "${GUEST_PID[a]}" || fail "the source QEMU is still there"
guest_is_there
assert_arrived
committed_and_let_go_on
somebody_starts_it_again
recover 6
kill_now "${GUEST_PID[a]}"
