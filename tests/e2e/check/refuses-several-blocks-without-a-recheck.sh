#!/bin/bash
# Without KVM QEMU loses what a guest writes to any block of its memory but the first. Where the memory cannot be compared once more (opaque mode, whether
# asked for or for want of another), such a guest is not moved while it runs, unless its user says so; then, as with a guest of one block, the
# result does not call it verified. One with virtio-mem, whose state comes before its memory, is refused by the check in pages mode.
. "$(dirname "$0")/../../lib/aftermath.sh"
! old_qemu || skip "QEMU 7.2 does not migrate several blocks of memory without loss: such a guest is refused in any mode"

BLOCKS="-object memory-backend-ram,id=m0,size=64M -object memory-backend-ram,id=m1,size=64M -numa node,memdev=m0 -numa node,memdev=m1"

refused() { # STATUS PATTERN [OPTION...]
	move_start a local "${@:3}"
	move_wait "$1"
	result 'r["reason"]' | grep -q -- "$2" || fail "not '$2': $(result 'r["reason"]')"
	assert_eq "$(status_of "$DIR/a.mon")" running "run state"
}

# shellcheck disable=SC2086
MEM=128 WITNESS="ram_mb=16 rate=200" tiny_start a $BLOCKS $(second_monitor a)
refused 3 '--how quick stops the guest first' --ram-mode opaque
VMFERRY_FAULT=dst-no-process-vm:fail refused 1 '.'
move a local --ram-mode opaque --how quick
assert_result 'r["verified"] and r["ram"]["mode"] == "opaque"' "verified: it stood"
move a local
assert_result 'r["verified"]' "verified: it was compared"
move a local --ram-mode opaque --recheck off
assert_result 'not r["verified"] and "QEMU" in r["unverified"]' "not verified"
guest_stop a

WITNESS="ram_mb=16 rate=200" tiny_start a $(second_monitor a)
move a local --ram-mode opaque
assert_result 'not r["verified"] and "QEMU" in r["unverified"]' "not verified"
guest_stop a

MEM=128M,slots=2,maxmem=1G WITNESS="ram_mb=16" tiny_start a $(second_monitor a) -object memory-backend-ram,id=vm0,size=128M \
	-device virtio-mem-pci,id=v0,memdev=vm0,requested-size=64M
refused 3 'virtio-mem.*--ram-mode opaque' --ram-mode pages
refused 3 '--how quick stops the guest first'
move a local --how quick
assert_result 'r["verified"] and r["ram"]["mode"] == "opaque" and "virtio-mem" in r["opaque_because"]' "virtio-mem travels in QEMU's own stream"
guest_verify "$(orders a)"
