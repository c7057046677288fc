#!/bin/bash
# A Vagrant box boots from its disk: one of libvirt's, of VirtualBox's, and of VMware's with a disk of several files; compressed, and not. What was
# unpacked is gone afterwards.
# timeout: 300
. "$(dirname "$0")/../../lib/import.sh"

boots() { # NAME FILE...
	local name=$1
	shift
	imports --name "$name" --start "$@" -- -serial "file:$VM/$name.serial"
	wait_for 60 says "$VM/$name.serial" "disk $SUM" || fail "$name has another disk: $(cat "$VM/$name.serial" "$DIR/import.out")"
	end_process "$IMPORTED"
	assert_eq "$(find "$VM" -name '.*vmferry*')" "" "what is left of hidden names"
}

bootable_disk "$DIR/disk.raw"

mkdir "$DIR/libvirt"
"$QEMU_IMG" convert -f raw -O qcow2 "$DIR/disk.raw" "$DIR/libvirt/box.img"
echo '{"provider": "libvirt", "format": "qcow2", "virtual_size": 1}' >"$DIR/libvirt/metadata.json"
echo '{"a": "text"}' >"$DIR/libvirt/info.json"
tar -C "$DIR/libvirt" -czf "$DIR/libvirt.box" .
echo more >>"$DIR/libvirt/box.img" # a file of any length is padded in an archive, and QEMU reads whole sectors there
tar -C "$DIR/libvirt" -cf "$DIR/plain.box" metadata.json box.img
zstd -q "$DIR/plain.box" -o "$DIR/zstd.box"
boots "$ID-libvirt" "$DIR/libvirt.box" --memory 128M
boots "$ID-plain" "$DIR/plain.box" --memory 128M
boots "$ID-zstd" "$DIR/zstd.box" --memory 128M

to_ova "$ID-ovf" "$DIR/disk.raw"
rm "$DIR/$ID-ovf.d"/*.mf
echo '{"provider": "virtualbox"}' >"$DIR/$ID-ovf.d/metadata.json"
tar -C "$DIR/$ID-ovf.d" -czf "$DIR/virtualbox.box" .
boots "$ID-virtualbox" "$DIR/virtualbox.box"

mkdir "$DIR/vmware"
"$QEMU_IMG" convert -f raw -O vmdk -o subformat=twoGbMaxExtentSparse "$DIR/disk.raw" "$DIR/vmware/disk.vmdk"
echo '{"provider": "vmware_desktop"}' >"$DIR/vmware/metadata.json"
printf '%s = "%s"\n' config.version 8 virtualHW.version 19 memsize 128 displayName box scsi0.present TRUE scsi0.virtualDev lsilogic \
	scsi0:0.present TRUE scsi0:0.fileName disk.vmdk >"$DIR/vmware/box.vmx"
tar -C "$DIR/vmware" -czf "$DIR/vmware.box" .
boots "$ID-vmware" "$DIR/vmware.box"

# archives that are damaged or cut off, or that name missing files
size=$(stat -c %s "$DIR/libvirt.box")
head -c $((size - 100)) "$DIR/libvirt.box" >"$DIR/cut.box"
refuses 3 'cut off' "$DIR/cut.box"
echo '{"provider": "libvirt", "disks": [{"path": "../../disk.raw"}]}' >"$DIR/libvirt/metadata.json"
tar -C "$DIR/libvirt" -czf "$DIR/elsewhere.box" metadata.json box.img
refuses 3 "the disk '../../disk.raw' is not in it" "$DIR/elsewhere.box"
rm "$DIR/vmware/box.vmx"
tar -C "$DIR/vmware" -czf "$DIR/nothing.box" .
refuses 3 "a box of the provider 'vmware_desktop', with neither an OVF nor a VMX" "$DIR/nothing.box"
