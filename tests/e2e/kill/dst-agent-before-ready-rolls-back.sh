#!/bin/bash
# The destination agent dies when it has journaled its promise but not told anyone: rolled back; another agent of the
# destination removes what the dead one had made.
. "$(dirname "${BASH_SOURCE[0]}")/../../lib/aftermath.sh"

cut_off() {
	fault after-DST_PREPARED
	"to_$1"
	move_start a "$DEST"
	fault_wait
	move_wait 1
	assert_result 'r["guest"] == "source" and "lost the destination" in r["reason"]'
	assert_at_source
}

guest_a
cut_off local
cut_off listener
assert_next_move_succeeds
