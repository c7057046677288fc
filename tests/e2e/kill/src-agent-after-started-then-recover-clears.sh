#!/bin/bash
# The source agent dies when the destination runs the guest already: recover only cleans up.
. "$(dirname "${BASH_SOURCE[0]}")/../../lib/aftermath.sh"

cut_off() { # POINT
	fault "$1"
	"to_$2"
	move_start a "$DEST"
	fault_wait
	recover 0
	assert_at_destination
}

guest_a
cut_off before-SRC_RELEASED local
cut_off after-SRC_RELEASED listener
assert_next_move_succeeds
