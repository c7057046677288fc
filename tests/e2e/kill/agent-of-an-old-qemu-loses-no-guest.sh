#!/bin/bash
# An agent dies while a guest of QEMU 7.2 stands still that was stopped before: that QEMU calls it "postmigrate" though its migration was cancelled. It goes
# on here if the move had stopped it, and stays paused if a person had; then what refuses the next move says how it can be moved.
. "$(dirname "$0")/../../lib/aftermath.sh"
QEMU=$(qemu_called 7.2) QEMU_THERE=

dies_in_the_blackout() { # [OPTION...]
	move_until local src-pre-switchover "$@"
	guard_ends
	wait_for 60 process_is_gone "$MOVE_PID"
}

guest_a
dies_in_the_blackout --how quick
runs_here || fail "the guest stands still: $(tail -n 2 "$DIR/move.log")"
recover 1
assert_at_source

qmp "$(free_monitor a)" '{"execute": "stop"}' >/dev/null
dies_in_the_blackout
recover 1
assert_eq "$(status_of "$(free_monitor a)")" postmigrate "QEMU's run state"
! grep "another client migrated" "$DIR/move.log" "$DIR/recover.log" || fail "that nobody did"
move_start a local
move_wait 3
assert_result '"a migration that came to nothing has left it so: let it run" in r["reason"]'
qmp "$(free_monitor a)" '{"execute": "cont"}' >/dev/null
move a local
assert_moved
