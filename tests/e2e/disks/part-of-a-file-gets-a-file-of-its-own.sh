#!/bin/bash
# A raw disk that begins in the middle of its file, and ends before that does (offset= and size= of QEMU's raw driver), is copied as its guest sees it: into a
# file that is the disk, and a line that says nothing of a part.
# takes: 8
. "$(dirname "$0")/../../lib/aftermath.sh"
head -c 20M /dev/urandom >"$DIR/part.raw"
cp "$DIR/part.raw" "$DIR/before"
MEM=64 WITNESS="ram_mb=4 rate=0 disks=vda disk_mb=4 disk_rate=20" tiny_start a \
	-blockdev "driver=file,filename=$DIR/part.raw,node-name=f0" -blockdev "driver=raw,node-name=d0,file=f0,offset=1048576,size=16777216" \
	-device virtio-blk-pci,drive=d0,id=d0-dev
move a local
guest_verify "$(orders a)" blocks
assert_result 'r["deletable"] == []' "what may be deleted, as the file has more than the disk"
assert_eq "$(stat -c %s "$TO/part.raw")" 16777216 "the file's size"
! grep -Eq 'offset=|size=' "$TO/a.sh" || fail "the script shows a part: $(<"$TO/a.sh")"
cmp -n 1048576 "$DIR/before" "$DIR/part.raw" && cmp -i 17825792 "$DIR/before" "$DIR/part.raw" || fail "what is around the disk has changed"
