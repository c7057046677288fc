#!/bin/bash
# A guest of VMware's that boots by UEFI from pvscsi, for which the firmware here has no driver: it finds what is on the disk nevertheless,
# and writes to variables of the guest's own. A description of libvirt's brings such variables along. An image alone says by what is on it
# that it boots by UEFI.
# timeout: 300
. "$(dirname "$0")/../../lib/import.sh"
ovmf=$TOP/build/ovmf
[[ -e $ovmf/OVMF_CODE_4M.fd ]] || skip "no OVMF at $ovmf: run scripts/install-deps"
export XDG_CONFIG_HOME=$DIR/config
mkdir -p "$XDG_CONFIG_HOME/qemu/firmware" "$DIR/files"
cat >"$XDG_CONFIG_HOME/qemu/firmware/00-test.json" <<END
{"interface-types": ["uefi"], "features": ["acpi-s3"],
 "mapping": {"device": "flash", "executable": {"filename": "$ovmf/OVMF_CODE_4M.fd", "format": "raw"},
             "nvram-template": {"filename": "$ovmf/OVMF_VARS_4M.fd", "format": "raw"}},
 "targets": [{"architecture": "x86_64", "machines": ["pc-q35-*"]}]}
END

word=$(od -An -tx8 -N8 /dev/urandom | tr -d ' ')
printf '@echo -off\r\nfs0:\r\ntype word.txt\r\n' >"$DIR/files/startup.nsh"
echo "on the disk is $word" >"$DIR/files/word.txt"
"$QEMU_IMG" convert -f vvfat -O vmdk "fat:$DIR/files" "$DIR/uefi.vmdk"
cat >"$DIR/uefi.vmx" <<END
config.version = "8"
firmware = "efi"
memSize = "256"
scsi0.present = "TRUE"
scsi0.virtualDev = "pvscsi"
scsi0:0.present = "TRUE"
scsi0:0.fileName = "uefi.vmdk"
END

imports "$DIR/uefi.vmx" --name "$ID-uefi" --start -- -serial "file:$VM/$ID-uefi.serial"
grep -q 'note    the disk uefi.vmdk is on SATA: UEFI firmware has no driver for pvscsi' "$DIR/import.out" || fail "$(cat "$DIR/import.out")"
grep -q 'UEFI' "$DIR/import.out" || fail "$(cat "$DIR/import.out")"
wait_for 120 says "$VM/$ID-uefi.serial" "$word" || fail "UEFI does not find its disk: $(tail -c 500 "$VM/$ID-uefi.serial")"
end_process "$IMPORTED"
! cmp -s "$ovmf/OVMF_VARS_4M.fd" "$VM/$ID-uefi-vars.fd" || fail "the firmware has written no variables"

"$QEMU_IMG" create -q -f raw "$DIR/virt.raw" 8M
cat >"$DIR/d.xml" <<END
<domain type='kvm'><name>$ID-virt</name><memory unit='MiB'>128</memory>
 <os><type arch='x86_64' machine='q35'>hvm</type><loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.fd</loader>
 <nvram>$VM/$ID-uefi-vars.fd</nvram></os>
 <devices><disk type='file'><source file='$DIR/virt.raw'/><target dev='vda' bus='virtio'/></disk></devices></domain>
END
sed "s|$VM/$ID-uefi-vars.fd|$DIR/none.fd|" "$DIR/d.xml" >"$DIR/none.xml"
vmferry import "$DIR/none.xml" --disk-dir "$VM" --dry-run >"$DIR/import.out" 2>&1 || fail "$(cat "$DIR/import.out")"
grep -q "the variables of its UEFI, $DIR/none.fd, are not beside its description, and are not named: it begins with new ones" "$DIR/import.out" || fail "$(cat "$DIR/import.out")"
cp "$VM/$ID-uefi-vars.fd" "$DIR"
imports "$DIR/d.xml"
cmp "$VM/$ID-uefi-vars.fd" "$VM/$ID-virt-vars.fd" || fail "its variables did not come along"
grep -q "the variables are those of" "$DIR/import.out" || fail "$(cat "$DIR/import.out")"

# firmware as Fedora has it, and variables as libvirt has them there: in qcow2 images
"$QEMU_IMG" convert -f raw -O qcow2 "$DIR/$ID-uefi-vars.fd" "$DIR/own.qcow2"
for part in CODE VARS; do "$QEMU_IMG" convert -f raw -O qcow2 "$ovmf/OVMF_${part}_4M.fd" "$DIR/OVMF_${part}_4M.qcow2"; done
cp "$XDG_CONFIG_HOME/qemu/firmware/00-test.json" "$DIR/raw.json"
sed "s|$ovmf/\(OVMF_[A-Z]*_4M\).fd\", \"format\": \"raw\"|$DIR/\1.qcow2\", \"format\": \"qcow2\"|g" "$DIR/raw.json" >"$XDG_CONFIG_HOME/qemu/firmware/00-test.json"
for own in "$VM/$ID-uefi-vars.fd" "$DIR/own.qcow2"; do
	name=$ID-f${own##*.}
	sed "s|<nvram>[^<]*|<nvram>$own|; s|$ID-virt|$name|" "$DIR/d.xml" >"$DIR/f.xml"
	imports "$DIR/f.xml"
	cmp "$VM/$ID-uefi-vars.fd" "$VM/$name-vars.fd" || fail "its variables did not come along"
	grep -q -- "format=qcow2,readonly=on,file=$DIR/OVMF_CODE_4M.qcow2" "$VM/$name.sh" || fail "$(<"$VM/$name.sh")"
	grep -q -- "unit=1,format=raw,file=$VM/$name-vars.fd" "$VM/$name.sh" || fail "$(<"$VM/$name.sh")"
done
imports "$DIR/uefi.vmx" --name "$ID-fnew"
cmp "$ovmf/OVMF_VARS_4M.fd" "$VM/$ID-fnew-vars.fd" || fail "its variables are not those of the template"
mv "$DIR/raw.json" "$XDG_CONFIG_HOME/qemu/firmware/00-test.json"

# sectors of 4096 bytes, which some buses have not
sed "s|<target|<blockio logical_block_size='4096'/>&|; s|$ID-virt|$ID-sectors|" "$DIR/d.xml" >"$DIR/sectors.xml"
refuses 3 'virt.raw has sectors of 4096 bytes, which QEMU has not on' "$DIR/sectors.xml" --bus sata
imports "$DIR/sectors.xml"

import "$DIR/uefi.vmx" --name "$ID-wish" --bus pvscsi --dry-run || fail "$(cat "$DIR/import.err")"
grep -q -- '-device pvscsi' "$DIR/import.out" || fail "$(cat "$DIR/import.out")"

# GPT with an EFI system partition, and nothing in its boot sector
python3 -S - "$DIR/esp.raw" <<'END'
import struct, sys, uuid
sectors = 64 << 11
entry = struct.pack("<16s16sQQQ72s", uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b").bytes_le, uuid.uuid4().bytes_le, 2048, sectors - 2048, 0, b"")
with open(sys.argv[1], "wb") as f:
    f.truncate(sectors << 9)
    f.write(bytes(446) + struct.pack("<BBBBBBBBII", 0, 0, 2, 0, 0xee, 255, 255, 255, 1, sectors - 1) + bytes(48) + b"\x55\xaa")
    f.write(struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, 0, 0, 1, sectors - 1, 34, sectors - 34, uuid.uuid4().bytes_le, 2, 128, 128, 0).ljust(512, b"\0") + entry)
END
"$QEMU_IMG" convert -f raw -O qcow2 "$DIR/esp.raw" "$DIR/esp.qcow2"
for image in esp.raw esp.qcow2; do
	import "$DIR/$image" --name "$ID-esp" --dry-run || fail "$(cat "$DIR/import.err")"
	grep -q "the disk $image has an EFI system partition, .*: the firmware is UEFI" "$DIR/import.out" || fail "$(cat "$DIR/import.out")"
	grep -q 'if=pflash' "$DIR/import.out" || fail "$(cat "$DIR/import.out")"
done
import "$DIR/esp.raw" --name "$ID-esp" --firmware bios --dry-run || fail "$(cat "$DIR/import.err")"
! grep -q 'if=pflash' "$DIR/import.out" || fail "$(cat "$DIR/import.out")"

# without such firmware nothing is begun
rm "$XDG_CONFIG_HOME/qemu/firmware/00-test.json"
[[ -e /usr/share/qemu/firmware ]] || refuses 3 'no UEFI firmware for pc-q35-.*install it' "$DIR/uefi.vmx" --name "$ID-none"
