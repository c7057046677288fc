#!/bin/bash
# The source agent dies after COMMITTED: the source QEMU stays held, and recover has the destination start the guest.
# tier: gate
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
cut_off after-SRC_COMMITTED local
cut_off after-SRC_COMMITTED listener
assert_next_move_succeeds
