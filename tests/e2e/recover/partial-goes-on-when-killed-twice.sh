#!/bin/bash
# A guest with a raw and a qcow2 disk, whose move is cut off twice, the second time while it goes on from what the first had left: by the end
# of the source agent, and of all that is at the destination. Each time what had arrived is kept, once, and the next goes on with it; the
# guest has written to both disks meanwhile. Of a third, an image that its QEMU is told never to flush (cache=unsafe), nothing is kept: after a
# power failure it could be anything.
# timeout: 240
. "$(dirname "$0")/../../lib/partial.sh"

head -c 24M /dev/urandom >"$DIR/a.raw"
head -c 24M /dev/urandom >"$DIR/noise"
"$QEMU_IMG" convert -f raw -O qcow2 "$DIR/noise" "$DIR/b.qcow2"
truncate -s 4M "$DIR/noise"
"$QEMU_IMG" convert -f raw -O qcow2 "$DIR/noise" "$DIR/c.qcow2"
MEM=256 WITNESS="ram_mb=16 rate=200 disks=vda,vdb disk_mb=4 disk_rate=20" tiny_start a $(guest_drive d0 "$DIR/a.raw" raw) \
	$(guest_drive d1 "$DIR/b.qcow2" qcow2) -drive "file=$DIR/c.qcow2,format=qcow2,if=none,id=d2,cache=unsafe" \
	-device virtio-blk-pci,drive=d2,id=d2-dev $(second_monitor a)
SETTINGS=$(settings_of a)

kept() { # prints the names of what is kept
	(cd "$TO" && ls -A | sed 's/vmferry-[0-9a-f]*/ID/' | sort | xargs)
}

to_listener
move_start a "$DEST" "${KEEPING[@]}" --bwlimit 4M
wait_for 60 has_arrived "$TO/a.raw" 8 || fail "nothing arrives"
wait_for 60 has_mapped "$TO/b.qcow2" 6 || fail "nothing arrives"
kill_now "$MOVE_PID"
guard_ends

# The second time: everything there dies, and the source agent too.
timeout 90 "$BIN/vmferry" recover a --resume --json </dev/null >"$DIR/move.json" 2>"$DIR/recover.log" &
MOVE_PID=$!
kill_at_exit "$MOVE_PID"
wait_for 60 has_arrived "$TO/a.raw" 16 || fail "the move is not begun again: $(tail -n 3 "$DIR/recover.log")"
session=$(agent_dst) qemu=$(qemu_dst)
for pid in "$MOVE_PID" "$DST_PID" "$session" "$qemu"; do kill_now "$pid"; done
guard_ends
listen_dst --listen "$DEST"
assert_eq "$(kept)" "a.raw.ID-partial b.qcow2.ID-partial" "what is kept"
raw=$(written "$TO"/a.raw.*) image=$(mapped "$TO"/b.qcow2.*)
[[ $image -ge $((6 << 20)) ]] || fail "of the image only $image bytes are kept"

guest_order "$(orders a)" quiesce # later writes would travel, too
resume 0 -v
assert_result 'r["disks"][2]["bytes_kept"] == 0'
guest_is_there
guest_verify "$(orders a)" blocks
assert_result "r['disks'][0]['bytes_kept'] > $raw - (5 << 20)" "of the raw disk, of $raw bytes"
assert_result "r['disks'][1]['bytes_kept'] > $image - (5 << 20)" "of the image, of $image bytes"
assert_result "sum(d['bytes_wire'] for d in r['disks']) < (52 << 20) - $raw - $image + (10 << 20)"
assert_eq "$(kept)" "a.console a.mon a.orders a.qmp a.raw a.sh b.qcow2 c.qcow2" "files at the destination"
assert_nothing_unfinished
end_process "${GUEST_PID[a]}"
status=0
"$QEMU_IMG" check -q -f qcow2 "$TO/b.qcow2" >"$DIR/check.out" 2>&1 || status=$?
[[ $status -eq 0 || $status -eq 3 ]] || fail "more than clusters that nobody uses: $(head -n 3 "$DIR/check.out")" # the QEMU was killed
