#!/bin/bash
# A source asks about a move whose journal is there and cannot be opened: the destination does not say that it has forgotten it, and the source
# does not take the destination for clean.
. "$(dirname "$0")/../../lib/aftermath.sh"

guest_a
move_until listener disks
session=$(agent_dst)
kill_now "$DST_PID"
kill_now "$session"
move_wait 4
journal=$(find "$DIR/dst-state" -name '*-dst.journal')
mv "$journal" "$DIR/aside"
ln -s "$journal" "$journal" # one of the errors that opening a journal may have
listen_dst --listen "$DEST"
grep -q "cannot open journal $journal" "$DIR/dst.log" || fail "it says nothing: $(<"$DIR/dst.log")"
status=0
timeout -s KILL 5 "$BIN/vmferry" recover a -v >"$DIR/recover.out" 2>"$DIR/recover.log" </dev/null || status=$? # recover asks for 60 s
assert_eq "$status" 137 "exit code of vmferry recover ($(tail -n 2 "$DIR/recover.log"))"
[[ -n $(find "$VMFERRY_STATE_DIR" -name '*-src.journal') ]] || fail "the source has finished its journal: $(<"$DIR/recover.log")"
qemu_dst >/dev/null || fail "the QEMU there has gone all the same"

rm "$journal"
mv "$DIR/aside" "$journal"
recover 1
wait_for 60 is_alone || fail "left: $(ours)"
assert_at_source
