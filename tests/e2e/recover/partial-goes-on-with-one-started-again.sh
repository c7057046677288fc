#!/bin/bash
# The source host loses power in the middle of a copy of which what arrives is kept, and its guest is started again: `recover --resume` goes on with
# it, though its pid, by which the move was begun, is another's by now, and though the moment for which it was meant is over. Not without a
# guest. While the destination is away nothing is begun anew, and other moves are told what is kept.
# timeout: 240
. "$(dirname "$0")/../../lib/partial.sh"

NAME=solo-$$ # by which it is found: other tests have guests called a
resume() { # STATUS
	local status=0
	timeout 90 "$BIN/vmferry" recover "$NAME" --resume --json </dev/null >"$DIR/move.json" 2>"$DIR/recover.log" || status=$?
	assert_eq "$status" "$1" "exit code of vmferry recover --resume ($(tail -n 3 "$DIR/recover.log"))"
}

guest_of_48 -name "$NAME"
to_listener
AT=$(($(date +%s) + 8))
copy_begins --at "$(date -d "@$AT" '+%F %T')"
kill_now "$MOVE_PID"
guard_ends
status=0
vmferry migrate "${GUEST_PID[a]}" "$DEST" --disk-dir "$TO" >"$DIR/refused.out" 2>&1 || status=$?
assert_eq "$status" 3 "exit code of another move"
grep -q 'recover solo-[0-9]* --resume` goes on with what has arrived' "$DIR/refused.out" || fail "what it says: $(<"$DIR/refused.out")"
agent=$DST_PID session=$(agent_dst)
for pid in "$agent" $session "$(qemu_dst)"; do kill_now "$pid"; done
resume 4
grep -q 'not begun again before the destination can be reached' "$DIR/recover.log" || fail "it begins: $(<"$DIR/recover.log")"
kill_now "${GUEST_PID[a]}"
listen_dst --listen "$DEST"
wait_for 60 eval 'ls "$TO"/*-partial >/dev/null 2>&1' || fail "nothing is kept"
assert_kept
resume 8
grep -q 'start it, then give this command again' "$DIR/recover.log" || fail "what it says: $(<"$DIR/recover.log")"

MEM=256 WITNESS="ram_mb=16 rate=200 disks=vda disk_mb=4 disk_rate=20" tiny_start a $(guest_drive d0 "$DIR/a.raw" raw) $(second_monitor a) \
	-name "$NAME"
SETTINGS=$(settings_of a)
guest_order "$(orders a)" quiesce
wait_for 60 eval '(($(date +%s) > AT))' || fail "the moment is not over"
resume 0
mv "$TO/$NAME.sh" "$TO/a.sh"
assert_at_destination
assert_resumed "$KEPT_BYTES"
