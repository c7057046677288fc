#!/bin/bash
# Devices that were plugged in while the guest ran are on its command line at the destination, as if it had been started with them: disks,
# as blockdev-add and drive_add make them, at controllers that were plugged in as well, a network card, memory and a processor; each is
# where it was, and the guest moves on from there. Devices of which QEMU does not tell enough are refused, and so are devices that were
# plugged out.
# takes: 20
# tier: gate
. "$(dirname "$0")/../../lib/changed.sh"
! old_qemu || skip "QEMU 7.2 does not migrate several blocks of memory without KVM, and is refused"

plug() { # JSON MEMBERS
	ask '{"execute": "device_add", "arguments": {'"$1"'}}'
}

# The place and the kind of each device as the guest sees it.
sees() { # DEVICE...
	local device
	for device in "$@"; do
		qmp "${GUEST_AT[a]:-$DIR}/a.mon" '{"execute": "qom-list", "arguments": {"path": "/machine/peripheral/'$device'"}}' >/dev/null || fail "there is no $device"
	done
	human 'info usb'
	human 'info pci' | tr -d '\r' | sed 's/\\r\\n/\n/g' | grep -vE 'BAR|IRQ|range'
	qmp "${GUEST_AT[a]:-$DIR}/a.mon" '{"execute": "query-memory-devices"}' | sed 's/"hotplugged": *[a-z]*//'
	qmp "${GUEST_AT[a]:-$DIR}/a.mon" '{"execute": "query-memory-size-summary"}'
	qmp "${GUEST_AT[a]:-$DIR}/a.mon" '{"execute": "query-cpus-fast"}' | grep -o '"props": *{[^}]*}' | sort
}

guest_disk "$DIR/a.raw" raw 16M
guest_disk "$DIR/more, with a comma.raw" raw 8M
guest_disk "$DIR/scsi.qcow2" qcow2 8M
guest_disk "$DIR/stick.raw" raw 4M
MEM=256,slots=2,maxmem=1G SMP=1,maxcpus=2 WITNESS="ram_mb=16 disks=vda disk_mb=8" tiny_start a $(second_monitor a) \
	$(guest_drive d0 "$DIR/a.raw" raw) -device pcie-root-port,id=rp0,chassis=1 -device pcie-root-port,id=rp1,chassis=2 -device pcie-root-port,id=rp2,chassis=3 \
	-device virtio-serial-pci,id=ser -device virtio-scsi-pci,id=ctl0 -device qemu-xhci,id=xhci

ask '{"execute": "blockdev-add", "arguments": {"driver": "raw", "node-name": "n2", "cache": {"direct": true}, "file": {"driver": "file", "filename": "'"$DIR/more, with a comma.raw"'"}}}'
ask '{"execute": "object-add", "arguments": {"qom-type": "iothread", "id": "io2"}}'
plug '"driver": "virtio-blk-pci", "id": "vd2", "drive": "n2", "bus": "rp0", "serial": "A1,B2", "iothread": "io2", "num-queues": 2'
plug '"driver": "virtio-scsi-pci", "id": "ctl2", "bus": "rp1"'
human "drive_add 0 file=$DIR/scsi.qcow2,format=qcow2,if=none,id=dr3" | grep -q OK || fail "drive_add"
plug '"driver": "scsi-hd", "id": "sd3", "drive": "dr3", "bus": "ctl2.0", "scsi-id": 5, "lun": 1'
ask '{"execute": "netdev_add", "arguments": {"type": "user", "id": "u2", "restrict": true}}'
plug '"driver": "virtio-net-pci", "id": "nic2", "netdev": "u2", "bus": "rp2", "mac": "52:54:00:aa:00:02"'
ask '{"execute": "object-add", "arguments": {"qom-type": "memory-backend-ram", "id": "m2", "size": 268435456}}'
plug '"driver": "pc-dimm", "id": "dimm2", "memdev": "m2"'
plug '"driver": "scsi-cd", "id": "cd0", "bus": "ctl0.0", "bootindex": 7'
plug '"driver": "usb-tablet", "id": "tablet2", "bus": "xhci.0", "port": "3"'
ask '{"execute": "blockdev-add", "arguments": {"driver": "raw", "node-name": "n5", "file": {"driver": "file", "filename": "'"$DIR/stick.raw"'"}}}'
plug '"driver": "usb-storage", "id": "stick2", "bus": "xhci.0", "port": "4", "drive": "n5", "removable": true'
plug '"driver": "qemu64-x86_64-cpu", "id": "cpu2", "socket-id": 0, "core-id": 1, "thread-id": 0'
devices=(vd2 ctl2 sd3 nic2 dimm2 cpu2 cd0 tablet2 stick2)
before=$(sees "${devices[@]}")
[[ $before == *'"id": "dimm2"'* && $(grep -c core-id <<<"$before") == 2 ]] || fail "what it sees: $before"

vmferry export "${GUEST_PID[a]}" "$DIR/bundle" >"$DIR/export.out" 2>&1 || fail "export: $(<"$DIR/export.out")"
grep -q 'virtio-blk-pci.*serial=A1,,B2' "$DIR/bundle/vmferry-bundle.json" || fail "a bundle has no disk that was plugged in"

move a local
assert_eq "$(grep -c '"it was plugged in while the guest ran, and is on its command line at the destination: -device ' "$DIR/move.json")" 9 "notices"
guest_verify "$(orders a)"
assert_eq "$(sees "${devices[@]}")" "$before" "what the guest sees of what was plugged in"
assert_eq "$(qmp "${GUEST_AT[a]:-$DIR}/a.mon" '{"execute": "qom-get", "arguments": {"path": "/machine/peripheral/cd0", "property": "bootindex"}}')" 7 "its place among what it boots from"
cmp "$DIR/more, with a comma.raw" "$TO/more, with a comma.raw" || fail "the disk that was plugged in differs"
grep -q 'virtio-blk-pci.*serial=A1,,B2' "$TO/a.sh" || fail "what starts it again has no disk that was plugged in"
move a local
guest_verify "$(orders a)"
assert_eq "$(sees "${devices[@]}")" "$before" "what the guest sees of it at the third place"

# a node whose options QEMU does not tell
ask '{"execute": "blockdev-add", "arguments": {"driver": "null-co", "node-name": "n9", "size": 1048576}}'
plug '"driver": "scsi-hd", "id": "late", "drive": "n9", "bus": "ctl0.0"'
refused_because 'device late (scsi-hd) was plugged in while the guest ran, and its disk is no raw or qcow2 image'
ask '{"execute": "device_del", "arguments": {"id": "late"}}' DEVICE_DELETED
plug '"driver": "virtserialport", "id": "late", "bus": "ser.0", "name": "late"'
refused_because 'device late (virtserialport) was plugged in while the guest ran, and what it has of this host is not known'
ask '{"execute": "device_del", "arguments": {"id": "late"}}' DEVICE_DELETED
ask '{"execute": "device_del", "arguments": {"id": "cd0"}}' DEVICE_DELETED
refused_because 'device cd0 was unplugged while the guest ran'
guest_stop a

# on a bus of the machine's own, at a place of its own, with what was there from the beginning; networks that cannot be told
GUEST_AT[a]=$DIR
MACHINE=pc WITNESS="ram_mb=16" tiny_start a $(second_monitor a) $(guest_drive d0 "$DIR/a.raw" raw) -object iothread,id=io1
ask '{"execute": "blockdev-add", "arguments": {"driver": "raw", "node-name": "n2", "file": {"driver": "file", "filename": "'"$DIR/more, with a comma.raw"'"}}}'
plug '"driver": "virtio-blk-pci", "id": "vd2", "drive": "n2", "addr": "1d.1", "iothread": "io1"'
plug '"driver": "virtio-scsi-pci", "id": "ctl2", "addr": "1d.0", "multifunction": true'
before=$(sees vd2 ctl2)
[[ $before == *'device  29, function 1'* ]] || fail "where it is: $before"
move a local
guest_verify "$(orders a)"
assert_eq "$(sees vd2 ctl2)" "$before" "what the guest sees of it on another machine"
ask '{"execute": "netdev_add", "arguments": {"type": "hubport", "id": "u3", "hubid": 7}}'
plug '"driver": "virtio-net-pci", "id": "nic3", "netdev": "u3"'
refused_because 'QEMU does not tell enough of the network that it is attached to'
