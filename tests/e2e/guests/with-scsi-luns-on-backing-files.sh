#!/bin/bash
# A virtio-scsi bus with four LUNs: two qcow2 images on one base, a raw one, and a CD of which the guest reads the same before and after.
. "$(dirname "$0")/../../lib/move.sh"

mkdir "$DIR/src"
head -c 8M /dev/urandom >"$DIR/src/base.raw"
truncate -s 32M "$DIR/src/base.raw"
for name in one two; do (cd "$DIR/src" && "$QEMU_IMG" create -q -f qcow2 -b base.raw -F raw "$name.qcow2"); done
guest_disk "$DIR/src/three.raw" raw 24M
head -c 3M /dev/urandom >"$DIR/src/cd.iso"
lun() { # NUMBER FILE FORMAT [DEVICE]
	echo "-drive file=$2,format=$3,if=none,id=l$1${5:-} -device ${4:-scsi-hd},bus=bus.0,scsi-id=0,lun=$1,drive=l$1,id=lun$1"
}
SMP=2 MEM=256 WITNESS="ram_mb=32 disks=sda,sdb,sdc disk_mb=8 disk_rate=40 still_mb=16" guest_start a -device virtio-scsi-pci,id=bus \
	$(lun 0 "$DIR/src/one.qcow2" qcow2) $(lun 1 "$DIR/src/two.qcow2" qcow2) $(lun 2 "$DIR/src/three.raw" raw) \
	$(lun 3 "$DIR/src/cd.iso" raw scsi-cd ,readonly=on)
sum=$(guest_order "$(orders a)" "sum /dev/sr0")
move a local
guest_verify "$(orders a)" blocks
assert_result 'len(r["disks"]) == 3'
assert_eq "$(guest_order "$(orders a)" "sum /dev/sr0")" "$sum" "what the guest reads of its CD"
cmp "$DIR/src/base.raw" "$TO/base.raw"
for name in one two; do
	"$QEMU_IMG" info -U "$TO/$name.qcow2" | grep -q '^backing file: base.raw' || fail "$name has lost its base"
done
first=$TO
guest_order "$(orders a)" quiesce
move a local --chain flatten --media copy
guest_verify "$(orders a)" blocks
for name in one two; do assert_same_content "$first/$name.qcow2" qcow2 "$TO/$name.qcow2" qcow2; done
assert_same_content "$first/three.raw" raw "$TO/three.raw" raw
