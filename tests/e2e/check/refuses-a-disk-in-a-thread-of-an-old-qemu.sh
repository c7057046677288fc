#!/bin/bash
# QEMU before 9.0 aborts once an NBD client has read a disk that has an iothread: a guest with such a disk is refused by every kind of
# transfer that would read it so, and goes in those that do not. Without the refusal its QEMU ends.
# tier: gate
# takes: 10
export QEMU=7.2 QEMU_THERE=
. "$(dirname "$0")/../../lib/aftermath.sh"

refused() { # OPTION...
	local status=0
	vmferry migrate "${GUEST_PID[a]}" local --disk-dir "$DIR/there" "$@" >"$DIR/log" 2>&1 </dev/null || status=$?
	assert_eq "$status" 3 "exit code ($(<"$DIR/log"))"
	grep -q "disk .*$disk.* has a thread of its own.*QEMU 7.2.*--how cold" "$DIR/log" || fail "$* says: $(<"$DIR/log")"
	assert_at_source
}

to_local
mkdir "$DIR/there"
for disk in one.raw two.raw; do truncate -s 8M "$DIR/$disk"; done

disk=one.raw
guest_a -object iothread,id=io0 -drive "file=$DIR/one.raw,if=none,id=o,format=raw" -device virtio-blk-pci,drive=o,iothread=io0
refused
refused --how warm
refused --how quick
refused --only-disks
vmferry check "${GUEST_PID[a]}" local --disk-dir "$DIR/there" --how cold >"$DIR/log" 2>&1 </dev/null || fail "cold: $(<"$DIR/log")"
vmferry check "${GUEST_PID[a]}" local --in-place >"$DIR/log" 2>&1 </dev/null || fail "in place: $(<"$DIR/log")"
guest_stop a

disk=two.raw
guest_a -object iothread,id=io0 -device virtio-scsi-pci,id=bus,iothread=io0 -drive "file=$DIR/two.raw,if=none,id=t,format=raw" \
	-device scsi-hd,bus=bus.0,drive=t
refused
guest_stop a

guest_a -object iothread,id=io0 -device virtio-scsi-pci,id=bus -drive "file=$DIR/two.raw,if=none,id=t,format=raw" -device scsi-hd,bus=bus.0,drive=t
vmferry check "${GUEST_PID[a]}" local --disk-dir "$DIR/there" >"$DIR/log" 2>&1 </dev/null || fail "a thread that no disk has: $(<"$DIR/log")"
