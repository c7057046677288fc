#!/bin/bash
# Every description of tests/data/import that is not refused becomes a command line that begins with -S and that QEMU itself takes: the
# guest is imported, with empty disks of the names that it wants, and waits there. BIOS, UEFI, and UEFI with secure boot.
# timeout: 300
. "$(dirname "$0")/../../lib/import.sh"
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

truncate -s 8M "$DIR/empty.raw"
taken=0
for expect in "$TOP"/tests/data/import/*.expect; do
	! grep -qE '^refused|^disk [0-9]+: (a difference|the medium|a disk of the host)' "$expect" || continue # a file that is to be named
	[[ $expect != *.ova.xml.expect && $expect != *.box.json.expect ]] || continue # a part of an archive
	description=${expect%.expect} name=$ID-$((++taken))
	give "$expect" "$DIR/empty.raw"
	# memory and processors of this machine are fewer
	imports "$DIR/given"/* --name "$name" --paused --memory 128M --cpus 2 --no-disk # some descriptions have none of these
	tr '\0' '\n' <"/proc/$IMPORTED/cmdline" >"$DIR/cmdline"
	grep -qx -e -S "$DIR/cmdline" || fail "$name: its QEMU has no -S"
	assert_eq "$(status_of "$VM/$name.qmp")" prelaunch "$name: state"
	grep -q "^exec " "$VM/$name.sh" || fail "$name has no script"
	# each note is printed on a line of its own
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
	provide_disks "$TOP/tests/data/import/esxi.ovf.expect" "$DIR/empty.raw"
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

# each network card goes to a network of its own
cp "$TOP/tests/data/import/three-networks.ovf" "$DIR/given/"
"$QEMU_IMG" create -q -f vmdk "$DIR/given/disk.vmdk" 8M
import "$DIR/given/three-networks.ovf" --name "$ID-nets" --net Outside=bridge=br0 --net '#2=bridge=br1' --dry-run || fail "$(cat "$DIR/import.err")"
for line in "nic     #1 vmxnet3, .*, there on 'Outside' -> bridge=br0" "nic     #2 vmxnet3, .*, there on 'Inside' -> bridge=br1" \
	"note    --net does not say where network card #3, there on 'DMZ' goes: it is on user" "bridge,id=net0,br=br0" "bridge,id=net1,br=br1"; do
	grep -q -- "$line" "$DIR/import.out" || fail "'$line' is not said: $(cat "$DIR/import.out")"
done
refuses 3 "--net WAN: the guest has no such network card or network; it has #1 on 'Outside', #2 on 'Inside', #3 on 'DMZ'" "$DIR/given/three-networks.ovf" --net WAN=none
refuses 2 "'Outside=br0' is not user, bridge=BRIDGE or none, or one of these behind CARD=" "$DIR/given/three-networks.ovf" --net Outside=br0

# a bridge of libvirt's that is here, too, is offered
if unshare --net --mount true 2>/dev/null; then
	sed "s|/vm/disk.raw|$DIR/given/disk.raw|" "$TOP/tests/data/import/two-bridges.libvirt.xml" >"$DIR/given/two-bridges.xml"
	"$QEMU_IMG" create -q -f raw "$DIR/given/disk.raw" 8M
	unshare --net --mount sh -c 'mount -t sysfs none /sys && ip link add br-lan type bridge && exec "$@"' - \
		"$BIN/vmferry" import "$DIR/given/two-bridges.xml" --name "$ID-bridges" --disk-dir "$VM" --dry-run >"$DIR/import.out" 2>&1 || fail "$(cat "$DIR/import.out")"
	grep -q 'network card #2 was on the bridge br-lan, and one of that name is here: --net br-lan=bridge=br-lan' "$DIR/import.out" || fail "$(cat "$DIR/import.out")"
	! grep -q 'bridge br-wan, and' "$DIR/import.out" || fail "a bridge is offered that is not here"
	! grep -q 'br=br-lan' "$DIR/import.out" || fail "a bridge is taken that was not asked for"
fi

# a terminal obeys nothing that a description says
printf 'config.version = "8"\ndisplayName = "%s|1B]0;title|07"\nmemsize = "64"\nethernet0.present = "TRUE"\nethernet0.networkName = "|C2|9B31m"\nodd.|1Bkey = "|1B[2J"\n' "$ID" >"$DIR/odd.vmx"
import "$DIR/odd.vmx" --no-disk --dry-run -v || fail "$(cat "$DIR/import.err")"
grep -q 'odd' "$DIR/import.out" || fail "what it does not know is not said"
! LC_ALL=C grep -qP '[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]' "$DIR/import.out" || fail "control characters: $(cat -v "$DIR/import.out")"
