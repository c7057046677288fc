#!/bin/bash
# Others change a libvirt guest that is moved as it runs: one that is held, and that somebody ends and starts here, does not start, as its disks are locked; who
# defines it otherwise, at either host, has it defined so.
# timeout: 400
# takes: 100
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

does_not_start_here() { # though it is ended
	libvirt_in a virsh -q destroy "$NAME"
	! libvirt_in a timeout 40 virsh -q start "$NAME" >"$DIR/start" 2>&1 || fail "it starts here while the destination has it"
	grep -q 'Failed to get "write" lock' "$DIR/start" || fail "it does not start as: $(<"$DIR/start")"
}

no_guard() {
	wait_for 60 eval '! guard_pid >/dev/null' || fail "who holds the locks does not end: $(guard_pid)"
}

# The guest is ended here, and is to be started, when it has been given up.
stopped_at after-SRC_COMMITTED
does_not_start_here
fault_continue
libvirt_cold_wait 0
assert_runs_at destination
assert_nothing_unfinished
libvirt_guest_again

# Likewise when the agent has died, until the move is settled.
to_listener
fault after-SRC_COMMITTED
libvirt_live_start "$DEST"
fault_wait
guard_ends
does_not_start_here
recover 0
assert_runs_at destination
assert_nothing_unfinished
no_guard
libvirt_guest_again

# The guest has ended without an answer from the destination; when the destination is known to have nothing of it, the guest starts here.
stopped_at after-SRC_COMMITTED
end_agents_there
DST_PID=
fault_continue
libvirt_cold_wait 6
guard_ends
does_not_start_here
recover 8 --peer-is-fenced
no_guard
libvirt_run a "$NAME"
rm -rf "$DIR/dst-state" "$DIR/dst-run" "$(libvirt_at b /run/libvirt)"/vmferry-*
libvirt_guest_again

edited() { # HOST: somebody defines it otherwise
	sed 's#</name>#</name><description>edited</description>#' "$DIR/definition" >"$DIR/edited.xml"
	libvirt_in "$1" virsh -q define "$DIR/edited.xml" >/dev/null
	libvirt_in "$1" virsh dumpxml --security-info --inactive "$NAME" >"$DIR/definition"
	grep -q '<description>edited' "$DIR/definition" || fail "it cannot be defined at $1"
}

stays_as_edited_at() { # POINT
	stopped_at "$1"
	edited a
	fault_continue
	libvirt_cold_wait 1
	result 'r["reason"]' | says 'the definition of guest .* was changed (virsh edit)' || fail "the reason is: $(result 'r["reason"]')"
	assert_runs_at source
	assert_nothing_unfinished
}

# A definition that is changed here while the guest is copied, or when it has another name, keeps the guest here, defined as changed.
stays_as_edited_at src-libvirt-begun
stays_as_edited_at src-definition-aside

# A definition that is changed there as soon as the guest runs there stays as it is, which is reported.
stopped_at dst-libvirt-resumed
edited b
libvirt_in b virsh -q autostart "$NAME" >/dev/null
fault_continue
libvirt_cold_wait 0
assert_result '"another client defined it in libvirt there" in r["after_error"]'
assert_runs_at destination
assert_nothing_unfinished
