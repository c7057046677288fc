#!/bin/bash
# The source agent dies when the destination has promised and nothing is committed, QEMU's migration completed or not:
# recover takes the guest back. The destination does not start it, however long that takes.
# tier: gate
. "$(dirname "${BASH_SOURCE[0]}")/../../lib/aftermath.sh"

cut_off() { # POINT
	fault "$1"
	"to_$2"
	move_start a "$DEST"
	fault_wait
	assert_eq "$FAULT_PID" "$MOVE_PID"
	recover 1
	said recover.log 'the guest is now: running on the source'
	assert_at_source
}

guest_a
cut_off src-ready local
cut_off before-SRC_COMMITTED local
cut_off before-SRC_COMMITTED listener
assert_next_move_succeeds
