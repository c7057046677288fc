#!/bin/bash
# A bundle's guest whose machine type this QEMU does not have gets the nearest that it has, and a note; one that goes on with its memory is refused.
# Of a description of libvirt's it is the same, and a machine that is there is kept.
# takes: 5
. "$(dirname "$0")/../../lib/export.sh"
. "$(dirname "$0")/../../lib/tiny.sh"
exports_memory
other=$TOP/build/qemu72/bin/qemu-system-x86_64
[[ -x $other ]] || skip "no QEMU 7.2 at build/qemu72: run scripts/install-deps --cross"

guest_disk "$DIR/a.qcow2" qcow2 8M
MACHINE=pc-q35-10.0 WITNESS="ram_mb=8" tiny_start "$A" $(guest_drive d0 "$DIR/a.qcow2" qcow2) $(second_monitor "$A")
export_guest "$A" "$DIR/bundle" --with-memory
guest_stop "$A"
refuses 3 "machine is pc-q35-10.0, which .* does not have.*--no-memory, and it boots with pc-q35-7.2" "$DIR/bundle" --name "$ID-b" --qemu "$other" --start
imports "$DIR/bundle" --name "$ID-b" --qemu "$other" --no-memory --start
grep -q 'the machine was pc-q35-10.0: here it is pc-q35-7.2, the nearest' "$DIR"/import.* || fail "no note: $(cat "$DIR"/import.*)"
grep -q -- '-machine pc-q35-7.2' "$VMS/$ID-b.sh" || fail "it has another machine: $(<"$VMS/$ID-b.sh")"
end_process "$IMPORTED"

cat >"$DIR/c.xml" <<END
<domain type='kvm'><name>$ID-c</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='pc-q35-noble'>hvm</type></os>
<devices><disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='$DIR/a.qcow2'/><target dev='vda' bus='virtio'/></disk></devices></domain>
END
imports "$DIR/c.xml"
grep -q 'the machine was pc-q35-noble: here it is pc-q35-8.2, the nearest' "$DIR"/import.* || fail "no note: $(cat "$DIR"/import.*)"
grep -q -- '-machine pc-q35-8.2' "$VMS/$ID-c.sh" || fail "it has another machine: $(<"$VMS/$ID-c.sh")"
