#!/bin/bash
# The destination QEMU dies after READY, before and after COMMITTED: it has not started the guest and says so for good,
# so that the source takes the guest back.
. "$(dirname "${BASH_SOURCE[0]}")/../../lib/aftermath.sh"

cut_off() { # POINT
	fault "$1" stop
	"to_$2"
	move_start a "$DEST"
	fault_wait
	kill_now "$(qemu_dst)"
	fault_continue
	move_wait 1
	assert_result 'r["guest"] == "source" and "destination" in r["reason"]'
	assert_at_source
}

guest_a
cut_off src-ready local
cut_off after-SRC_COMMITTED local
cut_off before-SRC_COMMITTED listener
assert_next_move_succeeds
