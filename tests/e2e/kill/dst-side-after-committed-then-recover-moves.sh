#!/bin/bash
# The whole destination side dies after COMMITTED: undecided while nobody is there, the guest runs nowhere; with a
# listener again, recover finishes the move.
# covered in the gate: e2e/disks/shared-survive-what-fails, unit/test-both-conductors
. "$(dirname "$0")/../../lib/aftermath.sh"

guest_a
move_until listener before-DST_START:stop
kill_now "$DST_PID"
kill_now "$FAULT_PID"
move_wait 6
assert_result 'r["outcome"] == "undecided"'

listen_dst --listen "$DEST"
recover 0
assert_at_destination
assert_next_move_succeeds
