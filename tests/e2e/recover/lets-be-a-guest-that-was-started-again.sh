#!/bin/bash
# The power fails at the source while memory is copied, and what starts guests at boot starts this one again. Nobody else may run it:
# recover removes what the move left, here and there, and leaves the guest alone.
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

guest_a
move_until listener memory
mapfile -d '' line <"/proc/${GUEST_PID[a]}/cmdline"
guards=$(pgrep -f "^vmferry --guard $DIR/")
kill -STOP "$MOVE_PID" $guards # none of them sees another's end
for pid in $guards "$MOVE_PID" "${GUEST_PID[a]}"; do kill_now "$pid"; done
rm -f "$DIR"/a.{console,orders,qmp,mon}
"${line[@]}" </dev/null >"$DIR/again.stderr" 2>&1 &
again=$!
kill_at_exit "$again"
wait_for 60 grep -qs '^witness ready' "$DIR/a.console" || fail "the guest cannot be started again: $(<"$DIR/again.stderr")"

recover 1 --dest "$DEST" # the QEMU of the move has ended, and the guest is here
guest_adopt a "$again"
assert_eq "$(status_of "$(free_monitor a)")" running "the guest that was started again"
guest_verify "$(orders a)" blocks
[[ -z $(qemu_dst) ]] || fail "the copy at the destination is still there"
assert_nothing_unfinished
