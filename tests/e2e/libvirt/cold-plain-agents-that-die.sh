#!/bin/bash
# Either agent dies at a step of the cold move of a libvirt guest that is to be a plain one (--as plain): in the end it is the source's, where libvirt defines
# it as it was, and nothing at the destination starts it; or the destination's, where one script starts it, and no libvirt defines it.
# timeout: 300
. "$(dirname "$0")/../../lib/aftermath.sh"
. "$(dirname "$0")/../../lib/libvirt-cold.sh"

at_source() { # STATUS of recover
	recover "$1"
	assert_whole source
	assert_nothing_unfinished
}

assert_plain() {
	assert_eq "$(where_defined)" nowhere "where libvirt has the guest"
	[[ -x $TO/$NAME.sh ]] || fail "nothing starts it there: $(ls "$TO")"
	(cd "$TO" && md5sum a.qcow2 b.qcow2) | diff <(disks_of_whole) - || fail "its disks are not there as they were"
	assert_nothing_unfinished
}

at_destination() {
	recover 0
	assert_plain
}

source_dies() { # POINT BEFORE AFTER: where libvirt has it before somebody recovers, and whose it is afterwards
	libvirt_cold_dies source "$1" --as plain
	wait_for 60 process_is_gone "$MOVE_PID" || fail "$1: the agent lives on"
	guard_ends
	assert_eq "$(where_defined)" "$2" "where libvirt has it before anybody recovers, $1"
	"at_$3" 1
}

destination_dies() { # POINT WHERE STATUS
	libvirt_cold_dies destination "$1" --as plain
	libvirt_cold_wait "$3"
	if [[ $2 == destination ]]; then
		assert_plain
	else
		assert_whole source
		assert_nothing_unfinished
	fi
}

libvirt_guest_at_rest
for point in $(some_of src-definition-kept src-undefined); do
	source_dies "$point" source source
done
for point in $(some_of src-completed src-held before-SRC_COMMITTED); do
	source_dies "$point" nowhere source
done
for point in $(some_of before-DST_PREPARED after-DST_PREPARED); do
	destination_dies "$point" source 1
done
for point in $(some_of after-SRC_COMMITTED before-SRC_RELEASED); do
	source_dies "$point" nowhere destination
	libvirt_guest_again
done
for point in $(some_of before-DST_START after-DST_START before-DST_STARTED after-DST_STARTED before-DST_DONE); do
	destination_dies "$point" destination 0
	libvirt_guest_again
done
