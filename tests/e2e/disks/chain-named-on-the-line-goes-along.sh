#!/bin/bash
# A backing file that the command line names as a node of its own, without calling it read-only, is none that QEMU has in no drive. It would be put below an
# image that is made whole: that is refused.
. "$(dirname "$0")/../../lib/aftermath.sh"

head -c 16M /dev/urandom >"$DIR/base.raw"
"$QEMU_IMG" create -q -f qcow2 -b "$DIR/base.raw" -F raw "$DIR/top.qcow2"
MEM=256 WITNESS="ram_mb=32 rate=500 disks=vda disk_mb=8 disk_rate=20" tiny_start a \
	-blockdev "driver=raw,node-name=base,file.driver=file,file.filename=$DIR/base.raw" \
	-blockdev "driver=qcow2,node-name=top,backing=base,file.driver=file,file.filename=$DIR/top.qcow2" \
	-device virtio-blk-pci,drive=top,id=vd0 $(second_monitor a)
move a local
guest_verify "$(orders a)" blocks
grep -q "file.filename=$TO/top.qcow2" "$TO/a.sh" || fail "what starts it again: $(grep blockdev "$TO/a.sh")"

# An image that was made whole must not have that base below it: the base would be read wherever the image is empty.
MEM=256 WITNESS="ram_mb=32 disks=vda disk_mb=8" tiny_start b \
	-blockdev "driver=raw,node-name=base,read-only=on,file.driver=file,file.filename=$DIR/base.raw" \
	-blockdev "driver=qcow2,node-name=top,backing=base,file.driver=file,file.filename=$DIR/top.qcow2" \
	-device virtio-blk-pci,drive=top,id=vd0 $(second_monitor b)
move_start b local --chain flatten
move_wait 3
assert_result '"names what its image is based on" in r["reason"]'
