#!/bin/bash
# A guest with a raw and a qcow2 disk moves away and back: what its disks left behind still have does not travel again, and they
# are replaced; but have their places back when the move is rolled back. Without --reuse they are in the way. A backup somewhere else is
# taken from, too, and is left alone; so is one that has nothing in common with the disk, or is shorter.
. "$(dirname "$0")/../../lib/move.sh"

mkdir "$DIR/src" "$DIR/backup"
find /usr/lib /usr/bin -xdev -type f -size +8k -size -2M -print0 | sort -z >"$DIR/files"
(set +o pipefail; xargs -0 cat <"$DIR/files" 2>/dev/null | head -c 48M >"$DIR/contents")
cp "$DIR/contents" "$DIR/src/one.raw"
truncate -s 96M "$DIR/src/one.raw"
"$QEMU_IMG" convert -f raw -O qcow2 "$DIR/src/one.raw" "$DIR/src/two.qcow2"
cp "$DIR/src/one.raw" "$DIR/backup/one"
head -c 20000000 "$DIR/contents" >"$DIR/backup/short"

MEM=256 WITNESS="ram_mb=32 rate=300 disks=vda,vdb disk_mb=8 disk_rate=20 cache_mb=40 still_mb=16 content=living" \
	guest_start a $(guest_drive d0 "$DIR/src/one.raw" raw) $(guest_drive d1 "$DIR/src/two.qcow2" qcow2)

left_places() { # prints what is where the disks were
	stat -c '%i %n' "$DIR/src/one.raw" "$DIR/src/two.qcow2"
}
there() { # the disks go back to where they were
	move_start a local --disk-dir "$DIR/src" "$@"
	TO=$DIR/src
}

move a local
assert_result 'all(d["bytes_kept"] == 0 for d in r["disks"])'
left=$(left_places)

there
move_wait 3
grep -q 'what an earlier move left there: --reuse auto' "$DIR/move.json" || fail "nobody was told of --reuse"

there --reuse auto --bwlimit 2M
wait_event 'ev["event"] == "progress" and ev["stage"] == "copy"'
kill -TERM "$MOVE_PID"
move_wait 1
assert_eq "$(left_places)" "$left" "after a rollback each has its own place"
assert_eq "$(ls "$DIR/src")" $'one.raw\ntwo.qcow2' "nothing else is there"

touch -r "$DIR/src/one.raw" "$DIR/then" # somebody has written to it
touch "$DIR/src/one.raw"
there --reuse auto
move_wait 3
grep -q 'one.raw exists already' "$DIR/move.json" || fail "what is no move's was taken for one's"
touch -r "$DIR/then" "$DIR/src/one.raw"

hold_open "$DIR/src/one.raw" # somebody uses it
there --reuse auto
move_wait 3
grep -q "one.raw is open in process $HOLDER" "$DIR/move.json" || fail "nobody was told who uses it"
end_process "$HOLDER"

guest_order "$(orders a)" quiesce # without this, the more a busy machine takes the more differs
there --reuse auto
move_wait
guest_verify "$(orders a)" blocks
assert_result 'all(d["bytes_kept"] > 40 << 20 for d in r["disks"])'
differs=$(result 'sum(d["bytes_read"] - d["bytes_kept"] for d in r["disks"])') # the longer that took, the more the guest has written
((differs < 24 << 20)) || fail "$differs bytes differ; the guest writes to 8 MiB of each disk"
assert_result "sum(d['bytes_wire'] for d in r['disks']) < $differs + (1 << 20)" "a return move"
assert_result "r['ram']['seed_pages'] > 40 * 256 * 0.9"
[[ $(left_places) != "$left" ]] || fail "the old copies are still there"
assert_eq "$(ls "$DIR/src" | grep -F .vmferry- || true)" "" "what is left"

sum=$(sha256sum "$DIR/backup/one")
move a local --reuse d0="$DIR/backup/one" --reuse d1="$DIR/d1/two.qcow2" --codec none --channels 3
guest_verify "$(orders a)" blocks
assert_result 'all(d["bytes_kept"] > 30 << 20 for d in r["disks"])'
assert_eq "$(sha256sum "$DIR/backup/one")" "$sum" "the backup is left alone"

unset VMFERRY_FAULT_BEFORE # some may be sent uncompared
move a local --reuse d0="$DIR/backup/one" --codec none
guest_verify "$(orders a)" blocks
export VMFERRY_FAULT_BEFORE=src-compares-all:fail

move a local --reuse d0="$DIR/backup/short" --reuse d1="$DIR/backup/one"
guest_verify "$(orders a)" blocks
assert_result "r['disks'][0]['bytes_kept'] > 15 << 20 and r['disks'][1]['bytes_kept'] > 30 << 20"

move_start a local --reuse "$DIR/backup/one"
move_wait 3
grep -q 'this guest has 2 disks' "$DIR/move.json" || fail "it was not said that the disk must be named"
move_start a local --reuse d0="$DIR/backup/none"
move_wait 3
grep -q "the old copy $DIR/backup/none" "$DIR/move.json" || fail "it was not said which"
