#!/bin/bash
# A destination refuses to start guests from their command line that would differ, though all names are the same: files that were replaced
# since, a read-only image with another base, disks that QEMU has in no drive, devices and media that have changed places, memory in a file
# that another process has.
# takes: 35
# tier: gate
. "$(dirname "$0")/../../lib/changed.sh"

launch() { # QEMU OPTION...
	[[ -z ${GUEST_PID[a]:-} ]] || guest_stop a
	GUEST_AT[a]=$DIR
	MEM=128 tiny_launch a $(second_monitor a) "$@"
	wait_for 60 monitor_answers "$DIR/a.mon"
}

is_gone() { # NAME PATH: of the devices there
	[[ $(qmp "$DIR/a.mon" '{"execute": "qom-list", "arguments": {"path": "'"$2"'"}}') != *"$1"* ]]
}

has_let_go() { # True once QEMU has let go of the disks.
	[[ $(qmp "$DIR/a.mon" '{"execute": "query-block"}') != *inserted* ]]
}

for name in a b base; do head -c 1M /dev/urandom >"$DIR/$name.raw"; done
cp "$DIR/a.raw" "$DIR/one.iso"
cp "$DIR/a.raw" "$DIR/two.iso"
disk=(-drive "file=$DIR/a.raw,format=raw,if=none,id=d0" -device virtio-blk-pci,drive=d0,id=vd0)

# files
launch "${disk[@]}" -drive "file=$DIR/b.raw,format=raw,if=none,id=ro,readonly=on" -device virtio-blk-pci,drive=ro,id=rod \
	-drive "file=$DIR/one.iso,format=raw,if=none,id=cd,media=cdrom" -device ide-cd,drive=cd,id=cdd
for file in b.raw one.iso; do
	cp "$DIR/$file" "$DIR/new"
	mv "$DIR/$file" "$DIR/old"
	mv "$DIR/new" "$DIR/$file"
	refused_because "$file was replaced, or removed, since the guest started"
	mv "$DIR/$file" "$DIR/new"
	refused_because "$file was replaced, or removed, since the guest started"
	mv "$DIR/old" "$DIR/$file"
done
mv "$DIR/a.raw" "$DIR/old"
cp "$DIR/b.raw" "$DIR/a.raw"
refused_because "a.raw was replaced, or removed, since the guest started"
mv "$DIR/old" "$DIR/a.raw"
"$QEMU_IMG" create -q -f qcow2 -b "$DIR/base.raw" -F raw "$DIR/top.qcow2"
launch -drive "file=$DIR/top.qcow2,format=qcow2,if=none,id=d0" -device virtio-blk-pci,drive=d0,id=vd0
cp "$DIR/base.raw" "$DIR/new"
mv "$DIR/new" "$DIR/base.raw"
refused_because "base.raw was replaced, or removed, since the guest started"
launch "${disk[@]}" -drive "file=$DIR/top.qcow2,format=qcow2,if=none,id=ro,readonly=on" -device virtio-blk-pci,drive=ro,id=rod
refused_because "the read-only disk $DIR/top.qcow2 is an image that is based on another"
guest_stop a
status=0
TO=$DIR/there
mkdir "$TO"
"$BIN/vmferry" migrate local --how cold --disk-dir "$TO" -- "$QEMU" -name cold -nodefaults -drive "file=$DIR/b.raw,format=raw" \
	-drive "file=$DIR/top.qcow2,format=qcow2,readonly=on" </dev/null >"$DIR/cold" 2>&1 || status=$?
assert_eq "$status" 3 "exit code of the cold move ($(tail -n 1 "$DIR/cold"))"
grep -q 'which the guest only reads, is an image that needs' "$DIR/cold" || fail "$(<"$DIR/cold")"

# a name that QEMU takes for one of its own files, unless there is one where it was started
firmware=$TOP/build/qemu/usr/share/seabios/bios-256k.bin # the system's QEMU has it elsewhere
[[ -e $firmware ]] || firmware=/usr/share/seabios/bios-256k.bin
cp "$firmware" "$DIR/own.bin"
here=$PWD
cd "$DIR"
cp own.bin rom.bin
launch "${disk[@]}" -bios own.bin -device virtio-net-pci,romfile=rom.bin -option-rom rom.bin
cd "$here"
move a local
tr '\0' ' ' <"/proc/${GUEST_PID[a]}/cmdline" >"$DIR/cmdline"
for word in "-bios $DIR/own.bin " ",romfile=$DIR/rom.bin " "-option-rom $DIR/rom.bin "; do
	grep -q -- "$word" "$DIR/cmdline" || fail "its line does not have $word: $(<"$DIR/cmdline")"
done
cd "$DIR"
launch "${disk[@]}" -M q35,firmware=own.bin -global virtio-net-pci.romfile=rom.bin -device virtio-net-pci
cd "$here"
move a local
tr '\0' ' ' <"/proc/${GUEST_PID[a]}/cmdline" >"$DIR/cmdline"
grep -q -- ",firmware=$DIR/own.bin .*-global virtio-net-pci.romfile=$DIR/rom.bin " "$DIR/cmdline" || fail "its line: $(<"$DIR/cmdline")"

# firmware that QEMU has read, and has another size since: its block of memory would
launch "${disk[@]}" -bios "$DIR/own.bin"
head -c 64K /dev/zero >>"$DIR/own.bin"
refused_because "own.bin (the guest's firmware) has another size than when its QEMU read it"

# firmware in flash: the old one goes along, as QEMU has it open, and a guest that boots there boots from the new one
truncate -s 1M "$DIR/code.fd"
cp "$DIR/code.fd" "$DIR/was.fd"
launch "${disk[@]}" -drive "file=$DIR/code.fd,format=raw,if=pflash,readonly=on"
cp "$DIR/b.raw" "$DIR/new"
mv "$DIR/new" "$DIR/code.fd"
mkdir "$DIR/warm"
"$BIN/vmferry" check "${GUEST_PID[a]}" local --how warm --disk-dir "$DIR/warm" </dev/null >"$DIR/warm.out" 2>&1 || fail "$(<"$DIR/warm.out")"
grep -q "code.fd (the guest's firmware) was replaced since the guest started: it boots there from the new one" "$DIR/warm.out" || fail "$(<"$DIR/warm.out")"
move a local
grep -q "code.fd (the guest's firmware) was replaced, or removed, since the guest started: what its QEMU has open goes along" "$DIR/move.json" || fail "$(<"$DIR/move.json")"
arrived=$(tr '\0' '\n' <"/proc/${GUEST_PID[a]}/cmdline" | sed -n 's/^file=\([^,]*code.fd\),.*/\1/p')
cmp "$arrived" "$DIR/was.fd" || fail "its firmware is not what it was"

# a disk in no drive
launch "${disk[@]}" -blockdev "driver=raw,node-name=spare,file.driver=file,file.filename=$DIR/b.raw"
refused_because "the disk $DIR/b.raw (-blockdev), which its QEMU has in none of its drives"

# places
launch "${disk[@]}" -drive "file=$DIR/one.iso,format=raw,if=none,id=c0,media=cdrom" -device ide-cd,drive=c0,id=cd0 \
	-drive "file=$DIR/two.iso,format=raw,if=none,id=c1,media=cdrom" -device ide-cd,drive=c1,id=cd1,bus=ide.1
ask '{"execute": "eject", "arguments": {"id": "cd1", "force": true}}'
ask '{"execute": "blockdev-change-medium", "arguments": {"id": "cd0", "filename": "'"$DIR/two.iso"'", "format": "raw", "force": true}}'
refused_because "medium $DIR/two.iso is in another drive than its command line says (c1)"
launch "${disk[@]}" -cdrom "$DIR/one.iso" -drive "file=$DIR/two.iso,format=raw,index=3,media=cdrom" # without names of their own
ask '{"execute": "eject", "arguments": {"device": "ide3-cd0", "force": true}}'
ask '{"execute": "blockdev-change-medium", "arguments": {"device": "ide2-cd0", "filename": "'"$DIR/two.iso"'", "format": "raw", "force": true}}'
refused_because "medium $DIR/two.iso is in another drive than its command line says (ide3-cd0)"
ask '{"execute": "blockdev-change-medium", "arguments": {"device": "ide3-cd0", "filename": "'"$DIR/one.iso"'", "format": "raw", "force": true}}'
refused_because "names this disk more than once"
launch -device qemu-xhci,id=x -blockdev "driver=raw,node-name=A,file.driver=file,file.filename=$DIR/a.raw" \
	-blockdev "driver=raw,node-name=B,file.driver=file,file.filename=$DIR/b.raw" \
	-device usb-storage,id=u0,drive=A,bus=x.0,port=1 -device usb-storage,id=u1,drive=B,bus=x.0,port=2
for device in u0 u1; do
	ask '{"execute": "device_del", "arguments": {"id": "'"$device"'"}}' DEVICE_DELETED
done
wait_for 60 has_let_go
ask '{"execute": "device_add", "arguments": {"driver": "usb-storage", "id": "u0", "drive": "B", "bus": "x.0", "port": "1"}}'
ask '{"execute": "device_add", "arguments": {"driver": "usb-storage", "id": "u1", "drive": "A", "bus": "x.0", "port": "2"}}'
refused_because "from which the destination starts, and its device was plugged in anew while the guest ran"
launch -device qemu-xhci,id=x -blockdev "driver=raw,node-name=A,file.driver=file,file.filename=$DIR/a.raw" \
	-device usb-storage,id=u0,drive=A,bus=x.0,port=1,serial=ONE -netdev hubport,hubid=0,id=n0 -device usb-net,id=nic,netdev=n0,mac=52:54:00:AA-00-01
ask '{"execute": "device_del", "arguments": {"id": "u0"}}' DEVICE_DELETED
wait_for 60 has_let_go
ask '{"execute": "device_add", "arguments": {"driver": "usb-storage", "id": "u0", "drive": "A", "bus": "x.0", "port": "1", "serial": "TWO"}}'
refused_because "device u0 has serial=TWO, and its command line, from which the destination starts, says ONE"
ask '{"execute": "device_del", "arguments": {"id": "u0"}}' DEVICE_DELETED
wait_for 60 has_let_go
ask '{"execute": "device_add", "arguments": {"driver": "usb-storage", "id": "u0", "drive": "A", "bus": "x.0", "port": "1", "serial": "ONE"}}'
refused_because "usb-net"
assert_result "'has mac=' not in r['reason']" "a MAC is the same however it is written"
ask '{"execute": "device_del", "arguments": {"id": "nic"}}' DEVICE_DELETED
wait_for 60 is_gone nic /machine/peripheral
ask '{"execute": "device_add", "arguments": {"driver": "usb-net", "id": "nic", "netdev": "n0", "mac": "52:54:00:aa:00:02"}}'
refused_because "device nic has mac=52:54:00:aa:00:02"

# devices without an id
launch "${disk[@]}" -device qemu-xhci,id=x -device usb-mouse -device usb-kbd
mouse=$(qmp "$DIR/a.mon" '{"execute": "qom-list", "arguments": {"path": "/machine/peripheral-anon"}}' | grep -o '"device\[[0-9]*\]", "type": "child<usb-mouse>"' | cut -d'"' -f2)
ask '{"execute": "device_del", "arguments": {"id": "/machine/peripheral-anon/'"$mouse"'"}}'
wait_for 60 is_gone usb-mouse /machine/peripheral-anon
refused_because "a device without an id was unplugged while the guest ran"
launch "${disk[@]}" -device qemu-xhci,id=x
ask '{"execute": "device_add", "arguments": {"driver": "usb-tablet", "bus": "x.0"}}'
refused_because "a device without an id was plugged in while the guest ran"

# memory
launch "${disk[@]}" -object "memory-backend-file,id=m,size=128M,mem-path=$DIR/memory,share=on" -machine memory-backend=m
refused_because "memory is to be in the file $DIR/memory, which process ${GUEST_PID[a]} has open"
launch "${disk[@]}" -m 128M,maxmem=1G -object "memory-backend-file,id=p,size=16M,mem-path=$DIR/pmem,share=on" -device virtio-pmem-pci,memdev=p,id=p0
refused_because "virtio-pmem-pci: what it keeps is in a file that QEMU does not carry along" --how quick
