#!/bin/bash
# A person has had the copy at the destination started, whose journal there was finished with that, and is damaged later. The source asks what became of its
# guest: it does not hear that nobody knows of it, by which the guest would count as nowhere, and be started here once more.
. "$(dirname "$0")/../../lib/aftermath.sh"

guest_a
move_until listener src-ready:stop
there=$(qemu_dst)
kill_agent_here
kill_now "${GUEST_PID[a]}"
end_agents_there
kill_at_exit "$there"
VMFERRY_STATE_DIR=$DIR/dst-state VMFERRY_RUNTIME_DIR=$DIR/dst-run recover 0 --peer-is-fenced
journal=$(find "$DIR/dst-state" -name '*-dst.journal.done')
cp -p "$journal" "$DIR/saved"
printf x | dd of="$journal" bs=1 seek=40 conv=notrunc status=none
to_listener

"$BIN/vmferry" recover a -v --dest "$DEST" </dev/null >"$DIR/recover.log" 2>&1 & # recover asks for 60 s
asks=$!
kill_at_exit "$asks"
wait_for 60 grep -q "cannot tell what became of that move here, where its guest may run: journal $journal is damaged" "$DIR/dst.log" || fail "the destination has heard nothing: $(<"$DIR/recover.log")"
wait_for 60 grep -q 'trying to reach it again' "$DIR/recover.log" || fail "the source is told something: $(<"$DIR/recover.log")"
kill_now "$asks"
[[ -n $(find "$VMFERRY_STATE_DIR" -name '*-src.journal') ]] || fail "the source has finished its journal: $(<"$DIR/recover.log")"

cp -p "$DIR/saved" "$journal"
recover 0 --dest "$DEST"
guest_is_there "$there"
guest_verify "$(orders a)" blocks
assert_moved
