#!/bin/bash
# Others change a libvirt guest that is moved as it runs: one that is held, and that somebody ends and starts here, does not start, as its disks are locked.
# timeout: 300
# takes: 30
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"
. "$(dirname "$0")/../../lib/libvirt-live.sh"

stopped_at() { # POINT
	to_local
	fault "$1" stop
	to_listener
	libvirt_live_start "$DEST"
	fault_wait
}

libvirt_guest_runs

# It is ended, and to be started, here, when it has been given up.
stopped_at after-SRC_COMMITTED
libvirt_in a virsh -q destroy "$NAME"
! libvirt_in a timeout 40 virsh -q start "$NAME" >"$DIR/start" 2>&1 || fail "it starts here while the destination has it"
grep -q 'Failed to get "write" lock' "$DIR/start" || fail "it does not start as: $(<"$DIR/start")"
fault_continue
libvirt_cold_wait 0
assert_runs_at destination
assert_nothing_unfinished
