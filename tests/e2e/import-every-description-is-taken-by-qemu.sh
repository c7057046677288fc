#!/bin/bash
# Every description of tests/data/import that is not refused becomes a command line that begins with -S and that QEMU itself takes: the
# guest is imported, with empty disks of the names that it wants, and waits there. BIOS, UEFI, and UEFI with secure boot.
# timeout: 300
. "$(dirname "$0")/../lib/import.sh"
ovmf=$TOP/build/ovmf
[[ -e $ovmf/OVMF_CODE_4M.fd ]] || skip "no OVMF at $ovmf: run scripts/install-deps"

describe_firmware() { # NAME FEATURES
	cat >"$XDG_CONFIG_HOME/qemu/firmware/$1.json" <<-END
		{"description": "of a test", "interface-types": ["uefi"], "features": [$2],
		 "mapping": {"device": "flash", "executable": {"filename": "$ovmf/OVMF_CODE_4M.fd", "format": "raw"},
		             "nvram-template": {"filename": "$ovmf/OVMF_VARS_4M.fd", "format": "raw"}},
		 "targets": [{"architecture": "x86_64", "machines": ["pc-i440fx-*", "pc-q35-*"]}], "tags": []}
	END
}

export XDG_CONFIG_HOME=$DIR/config
mkdir -p "$XDG_CONFIG_HOME/qemu/firmware"
describe_firmware 00-secure '"secure-boot", "enrolled-keys", "requires-smm", "acpi-s3"'
describe_firmware 10-plain '"acpi-s3"'

# The disks that it names, by the names that they have beside it.
provide_disks() { # EXPECT
	local file
	sed -n 's/^disk [0-9]*: \(.*\), [0-9]* bytes$/\1/p' "$1" | sed '/^a drive$/d' | sed 's/.*[\/\\]//' | while IFS= read -r file; do
		case $file in
		*.vhdx) "$QEMU_IMG" create -q -f vhdx "$DIR/given/$file" 8M ;;
		*.vmdk) "$QEMU_IMG" create -q -f vmdk "$DIR/given/$file" 8M ;;
		*.qcow2) "$QEMU_IMG" create -q -f qcow2 "$DIR/given/$file" 8M ;;
		*) "$QEMU_IMG" create -q -f raw "$DIR/given/$file" 8M ;;
		esac
	done
}

taken=0
for expect in "$TOP"/tests/data/import/*.expect; do
	! grep -q '^refused' "$expect" || continue
	description=${expect%.expect} name=$ID-$((++taken))
	rm -rf "$DIR/given"
	mkdir "$DIR/given"
	cp "$description" "$DIR/given/"
	provide_disks "$expect"
	# memory and processors of this machine are fewer
	imports "$DIR/given"/* --name "$name" --paused --memory 128M --cpus 2
	tr '\0' '\n' <"/proc/$IMPORTED/cmdline" >"$DIR/cmdline"
	grep -qx -e -S "$DIR/cmdline" || fail "$name: its QEMU has no -S"
	assert_eq "$(status_of "$VM/$name.qmp")" prelaunch "$name: state"
	grep -q "^exec " "$VM/$name.sh" || fail "$name has no script"
	# and what is said is what is noted, a line each
	while IFS= read -r note; do
		grep -qF "  note    $note" "$DIR/import.out" || [[ $note == 'this QEMU has no display'* ]] || fail "${description##*/}: '$note' is not said"
	done < <(sed -n 's/^note: //p' "$expect")
	[[ $(grep -c property=secure "$DIR/cmdline") == $(grep -c "secure boot" <<<"$(grep '^importing' "$DIR/import.out")") ]] || fail "$name: secure boot"
	end_process "$IMPORTED"
done
[[ $taken -ge 8 ]] || fail "only $taken descriptions"

# without such a firmware it is off, which is said
rm "$XDG_CONFIG_HOME/qemu/firmware/00-secure.json"
if [[ ! -e /usr/share/qemu/firmware ]]; then
	rm -rf "$DIR/given"
	mkdir "$DIR/given"
	cp "$TOP/tests/data/import/esxi.ovf" "$DIR/given/"
	provide_disks "$TOP/tests/data/import/esxi.ovf.expect"
	import "$DIR/given/esxi.ovf" --name "$ID-insecure" --dry-run || fail "$(cat "$DIR/import.err")"
	grep -q 'note    there is no firmware with secure boot' "$DIR/import.out" || fail "$(cat "$DIR/import.out")"
	! grep -q 'smm=on' "$DIR/import.out" || fail "it is a machine for secure boot nevertheless"
fi

# a copy has another identity, and the original's stays by default
cp "$TOP/tests/data/import/esxi.vmx" "$DIR/given/"
for disk in web-02.vmdk web-02_1.vmdk; do "$QEMU_IMG" create -q -f vmdk "$DIR/given/$disk" 8M; done
import "$DIR/given/esxi.vmx" --name "$ID-same" --dry-run || fail "$(cat "$DIR/import.err")"
grep -q 'uuid 421a0011-2233-4455-6677-8899aabbccdd' "$DIR/import.out" || fail "another UUID"
grep -q 'mac=00:50:56:9a:b0:01' "$DIR/import.out" || fail "another MAC address"
import "$DIR/given/esxi.vmx" --name "$ID-clone" --clone --net none --dry-run || fail "$(cat "$DIR/import.err")"
! grep -qE '421a0011-2233|00:50:56:9a:b0:01' "$DIR/import.out" || fail "--clone keeps UUID or MAC address"
grep -q 'hubport' "$DIR/import.out" || fail "--net none has a network"
[[ ! -e $VM/$ID-same.sh && ! -e $VM/$ID-clone.sh ]] || fail "--dry-run makes something"

# a terminal obeys nothing that a description says
printf 'config.version = "8"\ndisplayName = "%s|1B]0;title|07"\nmemsize = "64"\nethernet0.present = "TRUE"\nethernet0.networkName = "|C2|9B31m"\nodd.|1Bkey = "|1B[2J"\n' "$ID" >"$DIR/odd.vmx"
import "$DIR/odd.vmx" --no-disk --dry-run || fail "$(cat "$DIR/import.err")"
grep -q 'odd' "$DIR/import.out" || fail "what it does not know is not said"
! LC_ALL=C grep -qP '[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]' "$DIR/import.out" || fail "control characters: $(cat -v "$DIR/import.out")"
