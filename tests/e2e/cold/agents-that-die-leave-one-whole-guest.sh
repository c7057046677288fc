#!/bin/bash
# Either agent dies at every step of a cold move: afterwards the guest lies on exactly one side, whole, with one script that starts it; the
# exit code of `vmferry recover` says on which, and the next move of it succeeds.
# timeout: 300
# takes: 55
# tier: gate
. "$(dirname "$0")/../../lib/cold.sh"

at_source() { # STATUS of recover
	recover "$1"
	assert_untouched
}

at_destination() {
	recover 0
	assert_lies_in "$TO"
	assert_nothing_unfinished
}

# POINT WHERE: the source agent is killed there
source_dies() {
	to_listener
	fault "$1"
	cold_start "$DIR/src" "$DEST"
	fault_wait
	wait_for 60 process_is_gone "$MOVE_PID" || fail "$1: the agent lives on"
	"at_$2" 1
}

# POINT WHERE STATUS: the destination's is; the move itself goes on from its journal, by another session of the listener
destination_dies() {
	to_local
	fault "$1"
	to_listener
	cold_start "$DIR/src" "$DEST"
	fault_wait
	cold_wait "$3"
	[[ $2 == source ]] && assert_untouched && return
	assert_lies_in "$TO"
	assert_nothing_unfinished
}

again() { # a fresh one, at the source
	rm -rf "$DIR/src" "$DIR"/d[0-9]*
	guest_at_rest
}

for point in $(some_of src-set-aside src-ready src-completed src-held before-SRC_COMMITTED); do
	again
	source_dies $point source
done
for point in $(some_of after-SRC_COMMITTED before-SRC_RELEASED after-SRC_RELEASED); do
	again
	source_dies $point destination
done

for point in $(some_of dst-prepare before-DST_PREPARED after-DST_PREPARED); do
	again
	destination_dies $point source 1
done
for point in $(some_of before-DST_START after-DST_START before-DST_STARTED after-DST_STARTED before-DST_DONE); do
	again
	destination_dies $point destination 0
done
cold "$TO" local # the move goes on from there
assert_lies_in "$TO"
