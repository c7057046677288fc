#!/bin/bash
# Others in the middle of the live move of a libvirt guest: virsh at either end, and libvirt's daemons that end. At no moment two of it run, it is not lost, and
# what a person wants of it counts.
# timeout: 400
# takes: 60
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"
. "$(dirname "$0")/../../lib/libvirt-live.sh"

stopped_at() { # POINT [OPTION...]: an agent is
	to_local
	fault "$1" stop
	to_listener
	libvirt_live_start "$DEST" "${@:2}"
	fault_wait
}

moved() { # WHERE STATUS
	libvirt_cold_wait "$2"
	assert_runs_at "$1"
	assert_nothing_unfinished
}

daemon_killed() { # HOST
	kill -KILL "${LIBVIRT_DAEMON[$1]}"
	wait "${LIBVIRT_DAEMON[$1]}" 2>/dev/null || true
}

libvirt_guest_runs

# libvirt there ends when it has started what is to wait: that ends, too, though libvirt cannot be asked which it is.
stopped_at dst-libvirt-prepared
daemon_killed b
fault_continue
libvirt_cold_wait 1
libvirt_start_daemon b
assert_runs_at source
assert_nothing_unfinished

# The guest is resumed there as soon as libvirt has taken it over, before anything is promised: that copy ends, and the guest runs on here.
stopped_at dst-libvirt-finished
libvirt_in b virsh -q resume "$NAME" >/dev/null
fault_continue
moved source 1

# The guest is resumed there, and here, while both are held: both wait, and it runs there once it may.
stopped_at after-SRC_COMMITTED
libvirt_in b timeout 20 virsh -q resume "$NAME" >/dev/null 2>&1 &
there=$!
libvirt_in a timeout 20 virsh -q resume "$NAME" >/dev/null 2>&1 &
here=$!
assert_eq "$(libvirt_in a virsh -q domstate "$NAME")/$(libvirt_in b virsh -q domstate "$NAME")" paused/paused "both while they are held"
fault_continue
moved destination 0
wait "$there" "$here" || true
libvirt_guest_again

beyond_gate e2e/libvirt/live-goes-there-and-back e2e/libvirt/job-ends-with-its-connection e2e/libvirt/cold-virsh-in-the-middle \
	e2e/others/stop-the-guest-and-it-arrives-paused unit/test-definition-live || exit 0

# A client that would change the guest here while it is moved waits for libvirt's job, or is refused.
stopped_at src-migrate
! libvirt_in a timeout 3 virsh -q setmem "$NAME" 32M --live >/dev/null 2>&1 || fail "its memory is changed while it is moved"
! libvirt_in a timeout 3 virsh -q undefine "$NAME" >/dev/null 2>&1 || fail "it is undefined while it is moved"
# A paused guest arrives paused.
libvirt_in a virsh -q suspend "$NAME"
fault_continue
libvirt_cold_wait 0
assert_eq "$(libvirt_in b virsh -q domstate "$NAME")" paused "the guest that was paused meanwhile"
assert_eq "$(where_defined)" destination "where libvirt has it"
libvirt_in b virsh -q resume "$NAME" >/dev/null
assert_runs_at destination
assert_nothing_unfinished
libvirt_guest_again

# The QEMU that waits there is ended by another client: the guest runs on here.
stopped_at dst-qemu-noted
libvirt_in b virsh -q destroy "$NAME" >/dev/null
fault_continue
moved source 1

# libvirt here ends while it is copied: it runs on here, and libvirt has it again as it was.
stopped_at src-pre-switchover
daemon_killed a
fault_continue
libvirt_cold_wait 5
libvirt_start_daemon a
guard_ends # the guard lets the guest go on as soon as libvirt answers
recover 1
assert_runs_at source
assert_nothing_unfinished

# libvirt there ends while it is copied: likewise.
stopped_at src-pre-switchover
daemon_killed b
libvirt_start_daemon b
fault_continue
moved source 1

# libvirt there ends when it is to let the guest run: it is waited for.
stopped_at after-DST_START
daemon_killed b
fault_continue
wait_event '"is not at the destination yet" in ev.get("text", "")' >/dev/null
libvirt_start_daemon b
moved destination 0
libvirt_guest_again

# libvirt here ends when the guest has gone: what is left of it here is held until libvirt has forgotten it.
stopped_at after-SRC_COMMITTED
daemon_killed a
fault_continue
libvirt_cold_wait 6
libvirt_start_daemon a
recover 0
assert_runs_at destination
assert_nothing_unfinished
