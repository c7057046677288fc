#!/bin/bash
# `check` guesses nothing where a guest's devices, or their places, are unclear: disks that have taken each other's names, devices that have
# changed places, an overlay whose line says that it has no base, a USB stick at an unknown port, a device without an id in a bundle.
# takes: 20
# tier: gate
. "$(dirname "$0")/../../lib/changed.sh"

launch() { # QEMU OPTION...
	[[ -z ${GUEST_PID[a]:-} ]] || guest_stop a
	for name in a b; do guest_disk "$DIR/$name.raw" raw 1M; done
	rm -f "$DIR"/{c.raw,top.qcow2}
	GUEST_AT[a]=$DIR
	MEM=128 WITNESS="ram_mb=8" tiny_start a $(second_monitor a) "$@"
}

mirror() { # DRIVE TARGET
	rm -f "$2"
	ask '{"execute": "drive-mirror", "arguments": {"device": "'"$1"'", "job-id": "m", "target": "'"$2"'", "format": "raw", "sync": "full"}}' BLOCK_JOB_READY
	ask '{"execute": "block-job-complete", "arguments": {"device": "m"}}' BLOCK_JOB_COMPLETED
}

# two disks without ids: one has the other's name now, which is clear where their places are; each has the other's
launch -drive "file=$DIR/a.raw,format=raw,if=ide,bus=0,unit=0" -drive "file=$DIR/b.raw,format=raw,if=ide,bus=1,unit=0"
mirror ide0-hd0 "$DIR/c.raw"
mirror ide1-hd0 "$DIR/a.raw"
refused_because 'in a way that can be rewritten'
launch -drive "file=$DIR/a.raw,format=raw,if=ide,index=0" -drive "file=$DIR/b.raw,format=raw,if=ide,index=1"
mirror ide0-hd0 "$DIR/c.raw"
mirror ide1-hd0 "$DIR/a.raw"
move a local
assert_eq "$(qmp "$TO/a.mon" '{"execute": "query-block"}' | python3 -S -c '
import json, sys
print(*[b["device"] + ":" + b["inserted"]["file"] for b in json.load(sys.stdin) if "inserted" in b])')" "ide0-hd0:$TO/c.raw ide1-hd0:$TO/a.raw" "the drives there"
GUEST_AT[a]=$TO
launch -drive "file=$DIR/a.raw,format=raw,if=ide" -drive "file=$DIR/b.raw,format=raw,if=ide"
mirror ide0-hd0 "$DIR/c.raw"
mirror ide1-hd0 "$DIR/a.raw"
mirror ide0-hd0 "$DIR/b.raw"
refused_because 'names this disk more than once'
launch -drive "file=$DIR/a.raw,format=raw,if=virtio" -drive "file=$DIR/b.raw,format=raw,if=virtio"
mirror virtio0 "$DIR/c.raw"
mirror virtio1 "$DIR/a.raw"
mirror virtio0 "$DIR/b.raw"
refused_because 'names this disk more than once'

# places
scsi=(-device virtio-scsi-pci,id=s -blockdev "driver=raw,node-name=A,file.driver=file,file.filename=$DIR/a.raw"
	-blockdev "driver=raw,node-name=B,file.driver=file,file.filename=$DIR/b.raw")
launch "${scsi[@]}" -device scsi-hd,id=u0,drive=A,bus=s.0,scsi-id=0,lun=0 -device scsi-hd,id=u1,drive=B,bus=s.0,scsi-id=1,lun=0
for id in u0 u1; do ask '{"execute": "device_del", "arguments": {"id": "'"$id"'"}}' DEVICE_DELETED; done
ask '{"execute": "device_add", "arguments": {"driver": "scsi-hd", "id": "u0", "drive": "A", "bus": "s.0", "scsi-id": 1, "lun": 0}}'
ask '{"execute": "device_add", "arguments": {"driver": "scsi-hd", "id": "u1", "drive": "B", "bus": "s.0", "scsi-id": 0, "lun": 0}}'
refused_because 'cannot tell whether scsi-id is as its command line says'

# other images by the same names
launch "${scsi[@]}" -device scsi-hd,id=u0,drive=A,bus=s.0,scsi-id=0,lun=0
ask '{"execute": "device_del", "arguments": {"id": "u0"}}' DEVICE_DELETED
for node in A B; do ask '{"execute": "blockdev-del", "arguments": {"node-name": "'"$node"'"}}'; done
ask '{"execute": "blockdev-add", "arguments": {"driver": "raw", "node-name": "A", "file": {"driver": "file", "filename": "'"$DIR/b.raw"'"}}}'
ask '{"execute": "device_add", "arguments": {"driver": "scsi-hd", "id": "u0", "drive": "A", "bus": "s.0", "scsi-id": 0, "lun": 0}}'
refused_because 'its device was plugged in anew while the guest ran'
assert_result 'len(r["obstacles"]) == 1' 'the destination finds no more of it, with a line that has another disk'

# another drive, of another name
launch -device virtio-scsi-pci,id=s -drive "file=$DIR/a.raw,format=raw,if=none,id=d0" -device scsi-hd,id=u0,drive=d0,bus=s.0,scsi-id=0,lun=0
ask '{"execute": "device_del", "arguments": {"id": "u0"}}' DEVICE_DELETED
human "drive_add 0 file=$DIR/b.raw,format=raw,if=none,id=d1" >/dev/null
ask '{"execute": "device_add", "arguments": {"driver": "scsi-hd", "id": "u0", "drive": "d1", "bus": "s.0", "scsi-id": 0, "lun": 0}}'
refused_because 'device u0 has another disk (d1) than its command line says (d0)'

# a base that the line takes away
"$QEMU_IMG" create -q -f qcow2 "$DIR/base.qcow2" 1M
launch -device virtio-scsi-pci,id=s \
	-blockdev '{"driver": "qcow2", "node-name": "n0", "backing": null, "file": {"driver": "file", "filename": "'"$DIR/base.qcow2"'"}}' \
	-device scsi-hd,id=u0,drive=n0,bus=s.0,scsi-id=0,lun=0
ask '{"execute": "blockdev-snapshot-sync", "arguments": {"node-name": "n0", "snapshot-file": "'"$DIR/top.qcow2"'", "snapshot-node-name": "top", "format": "qcow2"}}'
refused_because 'by -blockdev, backing'

# a port that nobody says; a drive that is limited; a device without an id
launch -drive "file=$DIR/a.raw,format=raw,if=ide" -device qemu-xhci,id=x -device virtio-scsi-pci,id=s
ask '{"execute": "device_add", "arguments": {"driver": "usb-tablet", "id": "t", "bus": "x.0"}}'
refused_because 'QEMU does not tell at which port it is'
ask '{"execute": "device_del", "arguments": {"id": "t"}}' DEVICE_DELETED
human "drive_add 0 file=$DIR/b.raw,format=raw,if=none,id=dr,iops=100" >/dev/null
ask '{"execute": "device_add", "arguments": {"driver": "scsi-hd", "id": "u0", "drive": "dr", "bus": "s.0"}}'
refused_because 'its drive is limited'
ask '{"execute": "device_del", "arguments": {"id": "u0"}}' DEVICE_DELETED
human "drive_add 0 file=$DIR/b.raw,format=raw,if=none,id=dw,cache=writethrough" >/dev/null
ask '{"execute": "device_add", "arguments": {"driver": "scsi-hd", "id": "u0", "drive": "dw", "bus": "s.0"}}'
move a local
grep -q "id=dw,cache.writeback=off" "$TO/a.sh" || fail "a disk whose writes are on stable storage when they are done has others there: $(<"$TO/a.sh")"

launch -drive "file=$DIR/a.raw,format=raw,if=ide" -device virtio-scsi-pci,id=s
ask '{"execute": "blockdev-add", "arguments": {"driver": "raw", "node-name": "n9", "file": {"driver": "file", "filename": "'"$DIR/b.raw"'"}}}'
ask '{"execute": "device_add", "arguments": {"driver": "scsi-hd", "drive": "n9", "bus": "s.0"}}'
refused_because 'a device without an id was plugged in'
status=0
vmferry export "${GUEST_PID[a]}" "$DIR/bundle" >"$DIR/export.out" 2>&1 || status=$?
[[ $status == 3 ]] || fail "export says $status: $(<"$DIR/export.out")"
