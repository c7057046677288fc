#!/bin/bash
# `check` reports that a guest differs from its command line: a device of an unknown kind plugged in, one plugged out, a medium in a drive
# that had none. A medium that replaced another one goes along, and a medium that was taken out is no obstacle: the drive is empty at the
# destination, too, and the file is no longer needed.
. "$(dirname "$0")/../../lib/changed.sh"

guest_disk "$DIR/a.raw" raw 16M
truncate -s 1M "$DIR/first.iso" "$DIR/second.iso"
MEM=256 WITNESS="ram_mb=16" tiny_start a $(second_monitor a) $(guest_drive d0 "$DIR/a.raw" raw) \
	-device virtio-scsi-pci,id=bus -drive "file=$DIR/first.iso,format=raw,if=none,id=cd0,media=cdrom" -device scsi-cd,drive=cd0,id=cd \
	-device scsi-cd,id=spare,scsi-id=5,lun=0 -device virtio-serial-pci,id=ser

ask '{"execute": "device_add", "arguments": {"driver": "virtserialport", "id": "late", "bus": "ser.0", "name": "late"}}'
refused_because 'device late (virtserialport) was plugged in while the guest ran'
ask '{"execute": "device_del", "arguments": {"id": "late"}}' DEVICE_DELETED

ask '{"execute": "device_del", "arguments": {"id": "spare"}}' DEVICE_DELETED
refused_because 'device spare was unplugged while the guest ran'
ask '{"execute": "device_add", "arguments": {"driver": "scsi-cd", "id": "spare", "bus": "bus.0", "scsi-id": 5, "lun": 0}}'

ask '{"execute": "blockdev-change-medium", "arguments": {"id": "cd", "filename": "'"$DIR/second.iso"'", "format": "raw", "force": true}}'
move a local --media copy
grep -q "\"text\":\"a drive that had $DIR/first.iso has $DIR/second.iso now" "$DIR/move.json" || fail "nobody is told of another medium"
assert_eq "$(qmp "$TO/a.mon" '{"execute": "query-block"}' | grep -o "[^/\"]*\.iso" | sort -u)" second.iso "the medium at the destination"

take_out() { # DEVICE
	ask '{"execute": "blockdev-open-tray", "arguments": {"id": "'"$1"'", "force": true}}'
	ask '{"execute": "blockdev-remove-medium", "arguments": {"id": "'"$1"'"}}'
}

ask '{"execute": "blockdev-change-medium", "arguments": {"id": "spare", "filename": "'"$DIR/first.iso"'", "format": "raw", "force": true}}'
refused_because "medium $DIR/first.iso was inserted while the guest ran"
take_out spare
take_out cd
rm "$DIR/first.iso" "$DIR/second.iso"
move a local
assert_result 'any("second.iso is not taken along: its drive is empty" in n for n in plan["notes"])'
guest_verify "$(orders a)"
