#!/bin/bash
# Either agent dies at a step of the live move of a transient libvirt guest: it runs once, transient, and whoever recovers the move defines it nowhere.
# timeout: 400
. "$(dirname "$0")/../../lib/aftermath.sh"
. "$(dirname "$0")/../../lib/libvirt-live.sh"

TRANSIENT=yes

source_dies() { # POINT WHERE STATUS: of recover
	to_listener
	fault "$1"
	libvirt_live_start "$DEST"
	fault_wait
	wait_for 10 process_is_gone "$MOVE_PID" || fail "$1: the agent lives on"
	guard_ends
	[[ $2 == destination ]] || wait_for 20 runs_at a || fail "$1: nobody takes it back: $(libvirt_in a virsh domstate "$NAME" --reason)"
	recover "$3"
	assert_runs_at "$2"
	assert_nothing_unfinished
}

destination_dies() { # POINT WHERE STATUS: of the move
	to_local
	fault "$1"
	to_listener
	libvirt_live_start "$DEST"
	fault_wait
	libvirt_cold_wait "$3"
	assert_runs_at "$2"
	assert_nothing_unfinished
}

libvirt_guest_runs
for point in $(some_of src-libvirt-begun src-pre-switchover src-held); do source_dies "$point" source 1; done
for point in $(some_of dst-qemu-noted dst-libvirt-held after-DST_PREPARED); do destination_dies "$point" source 1; done
for point in $(some_of after-SRC_COMMITTED before-SRC_RELEASED src-confirmed); do
	source_dies "$point" destination 0
	libvirt_guest_again
done
for point in $(some_of after-DST_START before-DST_STARTED after-DST_STARTED before-DST_DONE); do
	destination_dies "$point" destination 0
	libvirt_guest_again
done
