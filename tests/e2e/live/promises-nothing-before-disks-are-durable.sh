#!/bin/bash
# The destination has everything, and its QEMU has loaded the guest's state, but nothing tells it that what it wrote to the disk is on
# stable storage: it does not promise to have the guest, and the move can still be cancelled.
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

guest_a
export VMFERRY_FAULT=dst-not-durable:fail
to_listener
unset VMFERRY_FAULT
move_start a "$DEST"
wait_for 60 grep -q 'incoming migration socket: ' "$DIR/dst.log" || fail "QEMU does not load: $(tail -n 3 "$DIR/dst.log")"
kill -TERM "$MOVE_PID"
move_wait 1
grep -q PREPARED "$DIR/dst.log" && fail "it was promised"
assert_at_source
to_listener
assert_next_move_succeeds
