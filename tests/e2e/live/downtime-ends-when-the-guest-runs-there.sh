#!/bin/bash
# The downtime that is told ends when the guest runs there, and not when the source hears of it, however long its destination takes to say so; what
# both have written to their journals meanwhile is a part of it, and no more than it must be.
. "$(dirname "$0")/../../lib/aftermath.sh"

guest_disk "$DIR/a.raw" raw 32M
MEM=128 WITNESS="ram_mb=16 rate=200 disks=vda disk_mb=4 disk_rate=20" tiny_start a $(guest_drive d0 "$DIR/a.raw" raw)
fault before-DST_STARTED stop
began=$SECONDS
move_start a local
fault_wait
LATE_S=$((SECONDS - began + 2)) # longer than all until now has taken
grep -q 'dst: hand-off: CONT_OK' "$DIR/move.log" || fail "it does not run there"
written=$("$BIN/vmferry" journal "$VMFERRY_STATE_DIR"/*-dst.journal | sed -n '/^now:/q; /DST_PREPARED$/,$p' | awk '{ print $2, $3 }')
assert_eq "$written" $'state DST_PREPARED\nstate DST_START' "what it has written to its journal while the guest stood still"
sleep "$LATE_S" # the agent is silent for that time
assert_eq "$("$BIN/vmferry" journal "$VMFERRY_STATE_DIR"/*-src.journal | grep -c '"kind":"disks-written"')" 1 "notes of how the disks were left"
fault_continue
move_wait
assert_result "r['total_ms'] > $LATE_S * 1000 and 0 < r['downtime_ms']['total'] < $LATE_S * 1000"
assert_result '0 < r["downtime_ms"]["journal"] < r["downtime_ms"]["total"]'
guest_verify "$(orders a)" blocks
