#!/bin/bash
# A disk behind virtio-scsi, and one that was given with -blockdev, its format and file as nodes of their own.
# tier: gate
. "$(dirname "$0")/../../lib/move.sh"

guest_disk "$DIR/a.raw" raw 64M
guest_disk "$DIR/b.qcow2" qcow2 64M
MEM=256 WITNESS="ram_mb=32 disks=sda,vda disk_mb=16 disk_rate=100" guest_start a \
	$(guest_drive d0 "$DIR/a.raw" raw scsi) \
	-blockdev "driver=file,filename=$DIR/b.qcow2,node-name=b-file,discard=unmap" \
	-blockdev '{"driver": "qcow2", "node-name": "b", "file": "b-file", "discard": "unmap"}' \
	-device virtio-blk-pci,drive=b,id=b-dev
for mode in pages opaque; do
	move a local --ram-mode $mode
	guest_verify "$(orders a)" blocks
done
guest_stop a
assert_sound "$TO/b.qcow2"
