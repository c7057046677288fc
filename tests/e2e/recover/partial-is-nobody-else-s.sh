#!/bin/bash
# A partial copy of a disk is taken by no other move: not by a guest of another name that goes to the same place, nor by one of the same
# name with another disk, nor as an old copy, nor while another agent has it in hand, or a process has it open; nor is an image taken that
# was written to since. All of these guests are moved right, or told why not, and the copy stays as it was.
# timeout: 240
# takes: 30
# tier: gate
. "$(dirname "$0")/../../lib/partial.sh"

other() { # NAME [QEMU OPTION...]: a guest whose disk has the name of a's
	mkdir -p "$DIR/of-$1"
	head -c 24M /dev/urandom >"$DIR/of-$1/b.qcow2.raw"
	"$QEMU_IMG" convert -f raw -O qcow2 "$DIR/of-$1/b.qcow2.raw" "$DIR/of-$1/b.qcow2"
	MEM=128 WITNESS="ram_mb=4 rate=100 disks=vda disk_mb=2 disk_rate=20" tiny_start "$1" $(guest_drive d0 "$DIR/of-$1/b.qcow2" qcow2) "${@:2}"
}

begun() { # NAME: would its move to the place begin with what is there? prints its plan's word
	"$BIN/vmferry" migrate "${GUEST_PID[$1]}" "$DEST" --dry-run --disk-dir "$DIR/d1" --keep-partial 1h --json </dev/null 2>"$DIR/check.log" |
		python3 -S -c 'import json, sys; print(next(ev for ev in map(json.loads, sys.stdin) if ev["event"] == "plan")["disks"][0]["begun"])'
}

other a $(second_monitor a)
other b
other twin -name a
to_listener
move_start a "$DEST" "${KEEPING[@]}" --bwlimit 2M
wait_for 60 has_mapped "$TO/b.qcow2" 6 || fail "nothing arrives"
kill_now "$MOVE_PID"
guard_ends
session=$(agent_dst)
for pid in "$DST_PID" "$session" "$(qemu_dst)"; do kill_now "$pid"; done
listen_dst --listen "$DEST"
KEPT=$(ls "$TO"/*-partial)
[[ $(mapped "$KEPT") -lt $((20 << 20)) ]] || fail "what is there was only synced when all of it was"
before=$(sha256sum <"$KEPT")
journal=$(ls "$DIR"/dst-state/*-dst.journal)

assert_eq "$(begun b)" False "a guest of another name"
assert_eq "$(begun twin)" False "another guest of the same name"
status=0
vmferry migrate "${GUEST_PID[b]}" "$DEST" --disk-dir "$DIR/d1" --reuse "$KEPT" </dev/null >"$DIR/b.out" 2>&1 || status=$?
assert_eq "$status" 3 "exit code of a move that would take from it"
said b.out 'is kept for the move that it is of'
move_start b "$DEST" --disk-dir "$DIR/d1" --reuse auto "${KEEPING[@]}"
TO=$DIR/d1
move_wait
guest_verify "$(orders b)" blocks
assert_result 'r["disks"][0]["bytes_kept"] == 0'
end_process "${GUEST_PID[b]}"
rm "$DIR/d1/b.qcow2" "$DIR/d1/b.sh"
assert_eq "$(sha256sum <"$KEPT")" "$before" "what is kept, after another guest's move"

echo "somebody's" >"$DIR/d1/b.qcow2" # in the way
TO=$DIR/d1
resume 3
rm "$DIR/d1/b.qcow2"
assert_eq "$(begun a)" True "its own guest, settled"

flock "$journal" sleep infinity &
holder=$!
kill_at_exit "$holder"
wait_for 60 eval '! flock -n "$journal" true' || fail "it is not locked"
assert_eq "$(begun a)" False "while another agent has it"
kill_now "$(pgrep -P "$holder")"
hold_open "$KEPT"
assert_eq "$(begun a)" False "while a process has it open"
end_process "$HOLDER"
touch -r "$KEPT" "$DIR/then"
touch "$KEPT"
assert_eq "$(begun a)" False "an image that was written to"
touch -r "$DIR/then" "$KEPT"
assert_eq "$(sha256sum <"$KEPT")" "$before" "what is kept, after all that"

guest_order "$(orders a)" quiesce
resume 0
guest_is_there
guest_verify "$(orders a)" blocks
assert_result 'r["disks"][0]["bytes_kept"] > 3 << 20'
assert_eq "$(ls "$TO"/*vmferry* 2>/dev/null || true)" "" "what is left"
