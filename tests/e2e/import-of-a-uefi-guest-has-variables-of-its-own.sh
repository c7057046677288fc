#!/bin/bash
# A guest that boots by UEFI, as a VHDX: the firmware that the distribution describes finds what is on its disk, and writes to variables
# of the guest's own. A description of libvirt's brings such variables along.
# timeout: 300
. "$(dirname "$0")/../lib/import.sh"
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
"$QEMU_IMG" convert -f vvfat -O vhdx "fat:$DIR/files" "$DIR/uefi.vhdx"

imports "$DIR/uefi.vhdx" --name "$ID-uefi" --firmware uefi --memory 256M --cpus 1 --start -- -serial "file:$VM/$ID-uefi.serial"
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
grep -q "its variables ($DIR/none.fd) do not fit the firmware here, or cannot be read: it begins with new ones" "$DIR/import.out" || fail "$(cat "$DIR/import.out")"
imports "$DIR/d.xml"
cmp "$VM/$ID-uefi-vars.fd" "$VM/$ID-virt-vars.fd" || fail "its variables did not come along"
grep -q "its variables are those of" "$DIR/import.out" || fail "$(cat "$DIR/import.out")"

# sectors of 4096 bytes, which some buses have not
sed "s|<target|<blockio logical_block_size='4096'/>&|; s|$ID-virt|$ID-sectors|" "$DIR/d.xml" >"$DIR/sectors.xml"
refuses 3 'virt.raw has sectors of 4096 bytes, which QEMU has not on' "$DIR/sectors.xml" --bus sata
imports "$DIR/sectors.xml"

# where there is no such firmware nothing is begun
rm "$XDG_CONFIG_HOME/qemu/firmware/00-test.json"
[[ -e /usr/share/qemu/firmware ]] || refuses 3 'no UEFI firmware for pc-q35-.*apt install ovmf' "$DIR/uefi.vhdx" --name "$ID-none" --firmware uefi
