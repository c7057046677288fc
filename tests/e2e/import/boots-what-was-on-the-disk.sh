#!/bin/bash
# Guests out of an OVA, with every disk controller that it may name, and out of disk images of every format: the BIOS starts each from
# its disk, and it finds there what was on it. Their scripts start them again. What they were made from is as it was.
# timeout: 300
# takes: 15
# tier: gate
. "$(dirname "$0")/../../lib/import.sh"

boots() { # NAME: what runs says what is on its disk
	wait_for 60 says "$VM/$1.serial" "disk " || fail "$1 does not boot: $(cat "$VM/$1.serial" "$DIR/import.out")"
	wait_for 60 says "$VM/$1.serial" "disk $SUM" || fail "$1 has another disk: $(cat "$VM/$1.serial"), not $SUM"
}

boot_once() { # NAME FILE...
	local name=$1
	shift
	imports --name "$name" --start "$@" -- -serial "file:$VM/$name.serial"
	boots "$name"
	end_process "$IMPORTED"
}

bootable_disk "$DIR/disk.raw"
before=$(sha256sum "$DIR/disk.raw")

for controller in $(some_of lsilogic lsilogicsas VirtualSCSI VirtioSCSI AHCI:20 PIIX4:5); do # unit/test-import has each one's line
	[[ $controller == *:* ]] && type=${controller#*:} || type=6
	to_ova "$ID-${controller%:*}" "$DIR/disk.raw" "${controller%:*}" "$type"
	boot_once "$ID-${controller%:*}" "$DIR/$ID-${controller%:*}.ova"
	says "$DIR/import.out" 'digests all as' || fail "the digests were not compared"
done

for format in $(some_of vhdx vdi vpc vmdk qcow2); do
	"$QEMU_IMG" convert -f raw -O "$format" $([[ $format != vpc ]] || echo -o force_size=on) "$DIR/disk.raw" "$DIR/$ID-$format.$format"
	boot_once "$ID-$format" "$DIR/$ID-$format.$format" --memory 128M --cpus 1
done
VMFERRY_FAULT=no-landlock:fail boot_once "$ID-mounts" "$DIR/$ID-vmdk.vmdk" --memory 128M --cpus 1 # root has mounts for it
"$QEMU_IMG" convert -f raw -O vmdk -o subformat=twoGbMaxExtentFlat "$DIR/disk.raw" "$DIR/$ID-flat.vmdk"
boot_once "$ID-flat" "$DIR/$ID-flat.vmdk" --bus virtio --format raw
assert_same_content "$DIR/disk.raw" raw "$VM/$ID-flat.raw" raw
[[ $(allocated "$VM/$ID-flat.raw") -lt $((4 << 20)) ]] || fail "the holes of a raw disk are gone: $(allocated "$VM/$ID-flat.raw")"

# the script, as after a move
rm "$VM/$ID-vhdx.serial"
"$VM/$ID-vhdx.sh" </dev/null >"$DIR/again.log" 2>&1 &
guest_adopt again $!
boots "$ID-vhdx"
assert_eq "$(sha256sum "$DIR/disk.raw")" "$before" "what it was made from"
assert_eq "$(find "$VM" -name '.*.vmferry-*')" "" "what is left of hidden names"
