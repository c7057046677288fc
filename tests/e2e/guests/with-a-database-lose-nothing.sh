#!/bin/bash
# A database takes transactions as fast as it can, from before the move to after it; it is whole in the guest's memory and on the
# disk at the destination, and so is the file system that it lies on.
. "$(dirname "$0")/../../lib/move.sh"

guest_ext4 "$DIR/a.qcow2" qcow2 128M
guest_disk "$DIR/b.raw" raw 64M
MEM=256 WITNESS="ram_mb=32 rate=1000 disks=vdb disk_mb=16 disk_rate=50 db=vda db_rate=0" guest_start a \
	$(guest_drive d0 "$DIR/a.qcow2" qcow2) $(guest_drive d1 "$DIR/b.raw" raw)
wait_for 60 has_disk_ops a 1000 || fail "the database takes no transactions"
move a local
guest_verify "$(orders a)" blocks
guest_order "$(orders a)" "load db_rate=0 disk_rate=0 rate=500"
before=$(disk_ops a)
wait_for 60 has_disk_ops a $((before + 100)) || fail "the database takes no more transactions at the destination"

guest_order "$(orders a)" quiesce
guest_verify "$(orders a)" blocks
guest_order "$(orders a)" poweroff
wait_for 60 process_is_gone "${GUEST_PID[a]}" || fail "the guest does not power off"
assert_sound "$TO/a.qcow2"
"$QEMU_IMG" convert -O raw "$TO/a.qcow2" "$DIR/fs.raw"
PATH=$PATH:/usr/sbin:/sbin e2fsck -f -n "$DIR/fs.raw" >"$DIR/fsck" 2>&1 || fail "the file system is damaged: $(<"$DIR/fsck")"
