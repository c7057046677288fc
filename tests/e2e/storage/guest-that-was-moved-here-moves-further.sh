#!/bin/bash
# A guest that a move has brought is given another disk: the script that the move has left starts it from that. It moves further with it while it
# runs, though its QEMU's command line has the old disk; shut down it does, and started from its script it is, too.
. "$(dirname "$0")/../../lib/aftermath.sh"

guest_a
move a local
mkdir "$DIR/new"
"$BIN/vmferry" storage "${GUEST_PID[a]}" --disk "a.raw=$DIR/new/a.qcow2" --format qcow2 >"$DIR/storage.log" 2>&1 || fail "$(<"$DIR/storage.log")"
said storage.log "$TO/a.sh starts the guest from its new images"
guest_verify "$(orders a)" blocks
move a local
assert_result "r['disks'][0]['from'] == '$DIR/new/a.qcow2' and r['disks'][0]['format'] == 'qcow2'"
grep -q '"text":"a drive that had .*/a.raw has .*/new/a.qcow2 now' "$DIR/move.json" || fail "nobody is told"
guest_verify "$(orders a)" blocks
first=$TO

guest_order "$(orders a)" quiesce >/dev/null
kill_now "${GUEST_PID[a]}"
rm "$first"/a.{qmp,mon,orders} # sockets are removed so that the guest keeps their names
TO=$DIR/d9
mkdir "$TO"
vmferry migrate "$first/a.sh" local --how cold --start --disk-dir "$TO" --json >"$DIR/move.json" 2>"$DIR/move.log" || fail "$(tail -n 3 "$DIR/move.log")"
guest_adopt a "$(result 'r["started_pid"]')"
GUEST_AT[a]=$first
wait_for 60 eval '[[ $(status_of "$first/a.qmp" 2>/dev/null) == running ]]' || fail "it does not start"
assert_eq "$(qmp "$first/a.qmp" '{"execute": "query-block"}' | grep -o "$TO/a[.a-z0-9]*" | sort -u)" "$TO/a.qcow2" "its disk"
assert_nothing_unfinished
