#!/bin/bash
# A guest of Proxmox VE's boots from its disk: by its configuration with the image beside it, and out of an archive of vzdump's, as it is
# and compressed. An archive that is damaged or cut off leaves nothing.
# timeout: 300
. "$(dirname "$0")/../../lib/import.sh"

boots() { # NAME FILE...
	local name=$1
	shift
	imports --name "$name" --start "$@" -- -serial "file:$VM/$name.serial"
	wait_for 60 says "$VM/$name.serial" "disk $SUM" || fail "$name has another disk: $(cat "$VM/$name.serial" "$DIR/import.out")"
	end_process "$IMPORTED"
}

refused() { # PATTERN ARGUMENT...
	refuses 3 "$@"
	says "$DIR/import.err" 'nothing was touched' || fail "$(cat "$DIR/import.err")"
}

bootable_disk "$DIR/vm-100-disk-0.raw"
guest_disk "$DIR/vm-100-disk-1.raw" raw 4M
cat >"$DIR/100.conf" <<-END
	boot: order=scsi0;net0
	cores: 1
	memory: 128
	name: web
	net0: virtio=BC:24:11:00:00:01,bridge=vmbr0
	ostype: l26
	scsi0: local:100/vm-100-disk-0.raw,iothread=1,size=16M
	scsi1: local:100/vm-100-disk-1.raw,size=4M
	scsihw: virtio-scsi-single

	[before-upgrade]
	cores: 1000
END
boots "$ID-conf" "$DIR/100.conf"

# a q35 guest's first card is on bus 6 in slot 18, where its firmware finds it behind Proxmox VE's bridges: Linux calls it enp6s18
sed '0,/^cores/s//machine: q35\n&/' "$DIR/100.conf" >"$DIR/101.conf"
imports --name "$ID-q35" --start "$DIR/101.conf" -- -serial "file:$VM/$ID-q35.serial"
wait_for 60 says "$VM/$ID-q35.serial" "disk $SUM" || fail "it has another disk: $(cat "$VM/$ID-q35.serial" "$DIR/import.out")"
qmp "$VM/$ID-q35.qmp" '{"execute": "query-pci"}' | python3 -S -c '
import json, sys
def devices(buses):
    for bus in buses:
        for device in bus["devices"]:
            yield device
            yield from devices([device["pci_bridge"]] if "devices" in device.get("pci_bridge", {}) else [])
cards = [(d["bus"], d["slot"]) for d in devices(json.load(sys.stdin)) if d["qdev_id"] == "nic0"]
sys.exit(cards != [(6, 18)] and f"the card is at {cards}")' || fail "its card is elsewhere"
end_process "$IMPORTED"

# a volume that is a block device
if [[ $EUID -eq 0 ]] && loop=$(losetup -r -f --show "$DIR/vm-100-disk-0.raw" 2>/dev/null); then
	at_exit "losetup -d $loop"
	boots "$ID-block" "$DIR/100.conf" --disk "scsi0=$loop"
	boots "$ID-alone" "$loop" --memory 128M --cpus 1
else
	echo "skipped: a block device, as there is no loop device here"
fi

archive() { # OUT
	python3 -S "$TOP/tests/lib/vma.py" "$1" "$DIR/100.conf" drive-scsi0="$DIR/vm-100-disk-0.raw" drive-scsi1="$DIR/vm-100-disk-1.raw"
}
archive "$DIR/a.vma"
zstd -qk "$DIR/a.vma"
gzip -k "$DIR/a.vma"
boots "$ID-vma" "$DIR/a.vma"
boots "$ID-zst" "$DIR/a.vma.zst" --format raw
assert_same_content "$DIR/vm-100-disk-0.raw" raw "$VM/$ID-zst-1.raw" raw
assert_same_content "$DIR/vm-100-disk-1.raw" raw "$VM/$ID-zst-2.raw" raw
[[ $(allocated "$VM/$ID-zst-1.raw") -lt $((4 << 20)) ]] || fail "the holes of a disk are gone: $(allocated "$VM/$ID-zst-1.raw")"
# a sanitizer's file of suppressions is hidden, too
TSAN_OPTIONS='' VMFERRY_FAULT=no-landlock:fail boots "$ID-gz" "$DIR/a.vma.gz"
assert_eq "$(find "$VM" -name '.*vmferry*')" "" "what is left of hidden names"

# one disk is given, and another is left out
python3 -S "$TOP/tests/lib/vma.py" "$DIR/one.vma" "$DIR/100.conf" drive-scsi0="$DIR/vm-100-disk-0.raw"
imports --name "$ID-one" --dry-run "$DIR/one.vma"
says "$DIR/import.out" 'the disk scsi1 is not in the archive, and is left out' || fail "$(cat "$DIR/import.out")"
boots "$ID-given" "$DIR/one.vma" --disk "scsi1=$DIR/vm-100-disk-1.raw"

for size in 5000 20000 $(($(stat -c %s "$DIR/a.vma") - 512)); do
	head -c "$size" "$DIR/a.vma" >"$DIR/cut.vma"
	refused 'cut off' "$DIR/cut.vma"
done
head -c 100000 "$DIR/a.vma.zst" >"$DIR/cut.vma.zst"
refused 'cut off' "$DIR/cut.vma.zst"
python3 -S - "$DIR/a.vma" <<'END'
import sys
with open(sys.argv[1], "r+b") as f: # the cluster numbers of an extent
    at = f.read().index(b"VMAE") + 47
    f.seek(at); byte = f.read(1); f.seek(at); f.write(bytes([byte[0] ^ 1]))
END
refused 'damaged' "$DIR/a.vma"
