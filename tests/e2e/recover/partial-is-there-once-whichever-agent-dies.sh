#!/bin/bash
# The destination agent dies between giving what has arrived its other name and noting that, or taking it from the journal that has it: the
# next agent has it once, under one name, in one journal.
# timeout: 240
. "$(dirname "$0")/../../lib/partial.sh"

is_hit() {
	[[ -s $DIR/fault ]] || fail "the fault point $VMFERRY_FAULT was not reached"
	unset VMFERRY_FAULT
}

guest_of_48
guest_order "$(orders a)" quiesce

fault dst-partial-kept
to_listener
copy_begins
kill_now "$MOVE_PID"
resume 0
is_hit
assert_at_destination
kept=$(kept_mib)
[[ ${kept%.*} -ge 12 ]] || fail "of a third of the disk $kept MiB were kept"
assert_resumed $((${kept%.*} << 20))

fault dst-partial-taken
to_listener
copy_begins
kill_now "$MOVE_PID"
resume 4
is_hit
assert_kept
assert_eq "$(unfinished_journals | wc -l)" 1 "journals that have it"
resume 0
assert_at_destination
assert_resumed "$KEPT_BYTES"
