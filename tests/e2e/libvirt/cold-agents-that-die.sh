#!/bin/bash
# Either agent dies at a step of the cold move of a libvirt guest: its guard has libvirt here define the guest again at once where it is the source's,
# and in the end one libvirt has it, as it was, with its disks; the exit code of `vmferry recover` says which.
# timeout: 300
. "$(dirname "$0")/../../lib/aftermath.sh"
. "$(dirname "$0")/../../lib/libvirt-cold.sh"

at_source() { # STATUS of recover
	recover "$1"
	assert_whole source
	assert_nothing_unfinished
}

at_destination() {
	recover 0
	assert_whole destination
	assert_nothing_unfinished
}

source_dies() { # POINT BEFORE AFTER: where libvirt has it before somebody recovers, and afterwards
	libvirt_cold_dies source "$1"
	wait_for 60 process_is_gone "$MOVE_PID" || fail "$1: the agent lives on"
	guard_ends
	assert_eq "$(where_defined)" "$2" "where libvirt has it before anybody recovers, $1"
	[[ $2$3 != nowheresource ]] || said move.log 'has died. The guest is undecided: .*libvirt does not define it here. Run: vmferry recover'
	"at_$3" 1
}

destination_dies() { # POINT WHERE STATUS
	libvirt_cold_dies destination "$1"
	libvirt_cold_wait "$3"
	assert_whole "$2"
	assert_nothing_unfinished
}

libvirt_guest_at_rest
for point in $(some_of src-definition-kept src-undefined); do
	source_dies "$point" source source
done
for point in $(some_of src-completed src-held before-SRC_COMMITTED); do
	source_dies "$point" nowhere source
done
for point in $(some_of dst-definition-kept before-DST_PREPARED after-DST_PREPARED); do
	destination_dies "$point" source 1
done
source_dies after-SRC_COMMITTED nowhere destination
libvirt_guest_again
source_dies before-SRC_RELEASED destination destination
libvirt_guest_again
for point in $(some_of before-DST_START after-DST_START dst-defined before-DST_STARTED after-DST_STARTED before-DST_DONE); do
	destination_dies "$point" destination 0
	libvirt_guest_again
done

# The destination's libvirtd is away when it is to define the guest, or to note its snapshots: that is said, and waited for.
for point in after-DST_START dst-defined; do
	to_local
	fault "$point" stop
	to_listener
	libvirt_cold_start "$DEST"
	fault_wait
	kill_now "${LIBVIRT_DAEMON[b]}"
	fault_continue
	wait_event 'ev["event"] == "notice" and "is not at the destination yet: cannot tell whether libvirt has the guest at the destination: libvirt " in ev["text"]' >/dev/null
	libvirt_start_daemon b
	libvirt_cold_wait
	assert_whole destination
	assert_nothing_unfinished
	libvirt_guest_again
done
assert_never_two_books
