#!/bin/bash
# A guest that dirties its RAM and writes two disks, raw and qcow2, from before the move to after it.
# tier: gate
. "$(dirname "$0")/../../lib/move.sh"

guest_disk "$DIR/a.raw" raw 96M
guest_disk "$DIR/b.qcow2" qcow2 96M
MEM=256 WITNESS="ram_mb=64 rate=2000 disks=vda,vdb disk_mb=32 disk_rate=100" guest_start a \
	$(guest_drive d0 "$DIR/a.raw" raw) $(guest_drive d1 "$DIR/b.qcow2" qcow2)
move a local
assert_result 'len(r["disks"]) == 2 and all(d["rounds"] >= 2 for d in r["disks"])' "both disks were copied in rounds"
ahead=$(sed '/stage copy -> switchover/,$d' "$DIR/move.log" | grep -c 'is on stable storage here$')
[[ $ahead -ge 2 ]] || fail "only $ahead disks were brought to stable storage before the guest was stopped"
guest_verify "$(orders a)" blocks
written=$(disk_ops a)
wait_for 60 has_disk_ops a $((written + 20)) || fail "the guest writes no more at the destination"

guest_order "$(orders a)" quiesce
guest_verify "$(orders a)" blocks
guest_stop a
assert_sound "$DIR/b.qcow2"
assert_sound "$TO/b.qcow2"
