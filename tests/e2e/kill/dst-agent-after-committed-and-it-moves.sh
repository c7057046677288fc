#!/bin/bash
# The destination agent dies around the start of the guest: the source reaches another agent there, which finishes.
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
cut_off before-DST_START local
cut_off after-DST_START listener
cut_off before-DST_STARTED local
assert_next_move_succeeds
