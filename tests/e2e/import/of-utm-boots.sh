#!/bin/bash
# A .utm bundle of UTM's, named by its directory, boots from its disk in Data. A kernel there, and the variables of its UEFI, come along. A property list
# that is another's, or that is not XML, is no guest.
# timeout: 200
. "$(dirname "$0")/../../lib/import.sh"

bundle=$DIR/$ID-web.utm
mkdir -p "$bundle/Data"
bootable_disk "$DIR/disk.raw"
"$QEMU_IMG" convert -f raw -O qcow2 "$DIR/disk.raw" "$bundle/Data/0B1F.qcow2"
head='<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict>'
cat >"$bundle/config.plist" <<-END
	$head
	<key>Backend</key><string>QEMU</string><key>ConfigurationVersion</key><integer>4</integer><key>Display</key><array/>
	<key>Drive</key><array><dict>
	 <key>Identifier</key><string>0B1F</string><key>ImageName</key><string>0B1F.qcow2</string><key>ImageType</key><string>Disk</string>
	 <key>Interface</key><string>VirtIO</string><key>InterfaceVersion</key><integer>1</integer><key>ReadOnly</key><false/>
	</dict></array>
	<key>Information</key><dict><key>Name</key><string>$ID-web</string><key>UUID</key><string>8E2BD3C0-4A1E-4A54-9B1B-1D6D5E6A0003</string></dict>
	<key>Network</key><array/>
	<key>QEMU</key><dict><key>UEFIBoot</key><false/></dict>
	<key>System</key><dict><key>Architecture</key><string>x86_64</string><key>CPU</key><string>default</string><key>CPUCount</key><integer>1</integer>
	<key>MemorySize</key><integer>128</integer><key>Target</key><string>q35</string></dict>
	</dict></plist>
END
echo "$head<key>view</key><integer>1</integer></dict></plist>" >"$bundle/view.plist" # settings of the program that showed the guest

imports "$bundle" --start -- -serial "file:$VM/serial"
wait_for 60 says "$VM/serial" "disk $SUM" || fail "another disk: $(cat "$VM/serial" "$DIR/import.out")"
end_process "$IMPORTED"
"$QEMU_IMG" compare -q -f qcow2 -F raw "$VM/$ID-web.qcow2" "$DIR/disk.raw" || fail "another disk"

# --- its firmware's variables, and a kernel of its own ------------------------------------------
sed -i 's|<key>UEFIBoot</key><false/>|<key>UEFIBoot</key><true/>|
	s|<key>Drive</key><array>|&<dict><key>ImageName</key><string>vmlinuz</string><key>ImageType</key><string>LinuxKernel</string></dict>|' "$bundle/config.plist"
refuses 3 "the guest is started from Data/vmlinuz, which is not beside it" "$bundle"
cp "$DIR/disk.raw" "$bundle/Data/vmlinuz"
ovmf=$TOP/build/ovmf
[[ -e $ovmf/OVMF_VARS_4M.fd ]] || skip "no OVMF at $ovmf: run scripts/install-deps"
export XDG_CONFIG_HOME=$DIR/config
mkdir -p "$XDG_CONFIG_HOME/qemu/firmware"
cat >"$XDG_CONFIG_HOME/qemu/firmware/10-plain.json" <<-END
	{"description": "of a test", "interface-types": ["uefi"], "features": [],
	 "mapping": {"device": "flash", "executable": {"filename": "$ovmf/OVMF_CODE_4M.fd", "format": "raw"},
	             "nvram-template": {"filename": "$ovmf/OVMF_VARS_4M.fd", "format": "raw"}},
	 "targets": [{"architecture": "x86_64", "machines": ["pc-i440fx-*", "pc-q35-*"]}], "tags": []}
END
cp "$ovmf/OVMF_VARS_4M.fd" "$bundle/Data/efi_vars.fd"
printf 'of this guest' | dd of="$bundle/Data/efi_vars.fd" bs=1 seek=500000 conv=notrunc status=none
imports "$bundle" --name "$ID-uefi"
grep -q -e "-kernel '\?$bundle/Data/vmlinuz" "$VM/$ID-uefi.sh" || fail "it has no kernel: $(<"$VM/$ID-uefi.sh")"
cmp "$VM/$ID-uefi-vars.fd" "$bundle/Data/efi_vars.fd" || fail "its firmware has other variables: $(<"$DIR/import.out")"

# --- what is none --------------------------------------------------------------------------------
cp "$bundle/config.plist" "$bundle/other.plist"
refuses 3 'has several descriptions of guests' "$bundle"
rm "$bundle/other.plist"
refuses 3 'is a property list, but not of a guest' "$bundle/view.plist"
printf 'bplist00\320\10' >"$bundle/view.plist"
refuses 3 'is a property list that is not XML' "$bundle/view.plist"
ln -sf /etc/passwd "$bundle/Data/0B1F.qcow2"
refuses 3 "the disk 'Data/0B1F.qcow2' is not beside it" "$bundle"
sed -i 's|0B1F.qcow2|../../../disk.raw|' "$bundle/config.plist"
refuses 3 "the disk 'Data/../../../disk.raw' is not beside it" "$bundle"
