#!/bin/bash
# timeout: 300
# Wherever the source agent dies before COMMITTED, the guest runs again within seconds, and nobody had to do anything: in
# pre-switchover and while it is held, QEMU would wait for ever. recover then removes what is left at the destination.
# takes: 20
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

cut_off() { # POINT
	move_until local "$1"
	assert_eq "$FAULT_PID" "$MOVE_PID"
	wait_for 60 runs_here || fail "$1: the guest does not run: $(status_of "$(free_monitor a)" || state_of "${GUEST_PID[a]}")"
	guest_verify "$(orders a)" blocks >/dev/null
	recover 1
	assert_at_source
}

guest_a
for point in $(some_of src-migrate src-pre-switchover src-ready src-completed src-held before-SRC_COMMITTED); do
	cut_off "$point"
done

# A guest that was paused before stays paused.
qmp "$(free_monitor a)" '{"execute": "stop"}' >/dev/null
move_until local before-SRC_COMMITTED
wait_for 60 eval '! guard_pid >/dev/null' || fail "the guard does not end"
assert_eq "$(status_of "$(free_monitor a)")" postmigrate "a guest that was paused"
qmp "$(free_monitor a)" '{"execute": "cont"}' >/dev/null
recover 1
assert_at_source

# After an orderly end there is none.
move a local
[[ -z $(guard_pid) ]] || fail "a guard is left: $(guard_pid)"
assert_moved
