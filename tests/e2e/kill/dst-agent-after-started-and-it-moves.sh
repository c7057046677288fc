#!/bin/bash
# The destination agent dies when the guest runs there: another one says so to the source, and removes what is left.
. "$(dirname "$0")/../../lib/aftermath.sh"

cut_off() { # POINT
	fault "$1"
	"to_$2"
	move_start a "$DEST"
	fault_wait
	move_wait
	assert_moved
}

guest_a
cut_off after-DST_STARTED local
cut_off before-DST_DONE listener
cut_off after-DST_DONE local
assert_next_move_succeeds
