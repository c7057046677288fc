#!/bin/bash
# The guest has begun to run at the destination, and its QEMU there ends before the move does: the source's is not needed any more, and that there is
# none any more is said.
. "$(dirname "$0")/../../lib/aftermath.sh"

guest_a
move_until listener after-DST_STARTED:stop
kill_now "$(qemu_dst)"
fault_continue
move_wait
grep -q 'began to run at the destination, and its QEMU there has ended since' "$DIR/move.log" || grep -q 'has ended since' "$DIR/move.json" ||
	fail "it is not said: $(tail -n 3 "$DIR/move.log")"
process_is_gone "${GUEST_PID[a]}" || fail "the source QEMU is still there"
assert_nothing_unfinished
