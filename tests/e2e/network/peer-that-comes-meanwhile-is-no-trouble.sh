#!/bin/bash
# While one guest is moved, other clients of the listener come, stay and go; neither they nor strangers at its data port
# are in its way, and the move verifies.
. "$(dirname "$0")/../../lib/aftermath.sh"

guest_a
to_listener
move_start a "$DEST" "${SLOW_RAM[@]}" --hold
while_disks_or_ram() {
	wait_event 'ev["event"] == "progress"' >/dev/null
}
while_disks_or_ram
mkfifo "$DIR/hold"
"$TOP/tests/lib/peer.py" send "$DEST" good "$(<"$DIR/dst-state/token")" <"$DIR/hold" >"$DIR/good" &
kill_at_exit $!
exec 7>"$DIR/hold"
wait_for 60 grep -q 'it has proved' "$DIR/good" || fail "the second client is not served"
for kind in garbage new token nothing; do
	"$TOP/tests/lib/peer.py" send "$DEST" "$kind" >/dev/null
done
status=0
vmferry migrate "${GUEST_PID[a]}" "$DEST" --disk-dir "$TO" >"$DIR/second" 2>&1 || status=$?
assert_eq "$status" 3 "exit code of a second move of the same guest"
grep -q 'under way already' "$DIR/second" || fail "$(<"$DIR/second")"
vmferry set "${GUEST_PID[a]}" bwlimit=0 >/dev/null
vmferry switch --no-wait "${GUEST_PID[a]}" >/dev/null
exec 7>&-
move_wait
assert_moved
