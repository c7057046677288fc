#!/bin/bash
# A guest that was told to be quiet is moved: both images are the same at both ends, bit for
# bit, and those left at the source are sound.
# covered in the gate: e2e/live/loses-nothing-of-a-busy-guest-with-two-disks, unit/test-data-path
. "$(dirname "$0")/../../lib/move.sh"
. "$TOP/tests/lib/tiny.sh"

guest_disk "$DIR/a.raw" raw 64M
guest_disk "$DIR/b.qcow2" qcow2 64M
MEM=256 WITNESS="ram_mb=64 disks=vda,vdb disk_mb=16 disk_rate=200" tiny_start a \
	$(guest_drive d0 "$DIR/a.raw" raw) $(guest_drive d1 "$DIR/b.qcow2" qcow2)
wait_for 60 has_disk_ops a 100 || fail "the guest writes nothing"
guest_order "$(orders a)" quiesce
move a local
guest_verify "$(orders a)" blocks

guest_stop a
cmp "$DIR/a.raw" "$TO/a.raw"
assert_same_content "$DIR/b.qcow2" qcow2 "$TO/b.qcow2" qcow2
assert_sound "$DIR/b.qcow2"
assert_sound "$TO/b.qcow2"
