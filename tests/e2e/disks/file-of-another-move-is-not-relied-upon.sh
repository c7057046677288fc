#!/bin/bash
# A backing file that is at the destination because another move has just brought it there, and is not over: a second guest on the same base is
# refused until that is over, as it would lose the file if the first were rolled back.
. "$(dirname "$0")/../../lib/cold.sh"

guest_at_rest
mkdir "$DIR/other"
cp -a --sparse=always "$DIR/src/"{base,b}.qcow2 "$DIR/other/"
mv "$DIR/other/b.qcow2" "$DIR/other/z.qcow2"
second() { # STATUS
	local status=0
	vmferry migrate "$DEST" --how cold --disk-dir "$TO" --json -- "$QEMU" -name z -drive "file=$DIR/other/z.qcow2,format=qcow2" \
		>"$DIR/second.json" 2>/dev/null || status=$?
	assert_eq "$status" "$1" "exit code of the second ($(tail -n 1 "$DIR/second.json"))"
}

to_listener
cold_start "$DIR/src" "$DEST" --bwlimit 400K --json=fine
wait_event 'ev["event"] == "progress" and ev["stage"] in ("copy", "switchover")' >/dev/null
second 3
grep -q 'base.qcow2 at the destination was brought there by another move that is not over' "$DIR/second.json" || fail "$(tail -n 1 "$DIR/second.json")"
vmferry set a bwlimit=0 >/dev/null
cold_wait
second 0
cmp "$DIR/other/z.qcow2" "$TO/z.qcow2"
