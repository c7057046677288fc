#!/bin/bash
# Disks that a guest sees through a filter which limits its I/O move live, and have the filter there: what it writes through it meanwhile is heard of below
# it. Filters of filters, and images that the filter's own option describes, too. One that may go elsewhere is refused as that.
# takes: 12
. "$(dirname "$0")/../../lib/move.sh"
. "$TOP/tests/lib/tiny.sh"

"$QEMU_IMG" create -q -f qcow2 "$DIR/a.qcow2" 64M
truncate -s 16M "$DIR/b.raw"
WITNESS="ram_mb=16 rate=200 disks=vda,vdb disk_mb=12 disk_rate=40" tiny_start a $(second_monitor a) \
	-object throttle-group,id=g0,x-iops-total=3000 -object throttle-group,id=g1,x-bps-total=100000000 \
	-blockdev "driver=qcow2,node-name=q0,file.driver=file,file.filename=$DIR/a.qcow2" -blockdev driver=throttle,node-name=t0,throttle-group=g0,file=q0 \
	-blockdev driver=throttle,node-name=t1,throttle-group=g1,file=t0 -device virtio-blk-pci,drive=t1,id=d0 \
	-blockdev "driver=throttle,node-name=t2,throttle-group=g1,file.driver=raw,file.file.driver=file,file.file.filename=$DIR/b.raw" \
	-device virtio-blk-pci,drive=t2,id=d1
mkdir "$DIR/else"
vmferry storage "$(monitor a)" --disk "a.qcow2=$DIR/else/a.qcow2" >"$DIR/said" 2>&1 && fail "storage leaves the filter with the old image"
grep -q "is seen through a filter ('t1')" "$DIR/said" || fail "storage does not say why: $(<"$DIR/said")"

move a local
guest_verify "$(orders a)" blocks
"$ASK" qmp "$(monitor a)" '{"execute": "query-block"}' >"$DIR/blocks"
assert_eq "$(grep -o '"drv": *"throttle"' "$DIR/blocks" | wc -l)" 2 "disks with a filter at the destination"
move a local --how quick
guest_verify "$(orders a)" blocks
