#!/bin/bash
# The ROM of a network card has another size at the destination, as another distribution's has: QEMU would not load the guest, so `check` says it, and
# nothing is copied. A guest that boots there can go, and so can one that brings its ROM.
# takes: 8
. "$(dirname "$0")/../../lib/aftermath.sh"
root=$TOP/build/qemu QEMU=$(qemu_called 10.0)
rom=$root/usr/lib/ipxe/qemu/efi-virtio.rom
[[ -e $rom && $QEMU == "$root"/* ]] || skip "QEMU 10 is the system's here"
mkdir "$DIR/roms" "$DIR/there"
{
	cat "$rom"
	head -c 600K /dev/zero
} >"$DIR/roms/efi-virtio.rom"
sed "s|^root=.*|root=$root|; s|exec \"[^\"]*\"|& -L $DIR/roms|" "$QEMU" >"$DIR/other"
chmod +x "$DIR/other"
checked() { # STATUS OPTION...
	local status=0
	vmferry check "${GUEST_PID[a]}" local --disk-dir "$DIR/there" --qemu "$DIR/other" "${@:2}" >"$DIR/log" 2>&1 </dev/null || status=$?
	assert_eq "$status" "$1" "exit code of check ($(<"$DIR/log"))"
}

to_local
guest_a -netdev user,id=n0 -device virtio-net-pci,netdev=n0
checked 3
grep -q "cannot load this guest: the guest has a ROM of 262144 bytes (0000:.*/virtio-net-pci.rom), and that QEMU's is of 1048576 bytes" "$DIR/log" ||
	fail "check says: $(<"$DIR/log")"
checked 0 --how warm
guest_stop a

guest_a -global "virtio-net-pci.romfile=$rom" -netdev user,id=n0 -device virtio-net-pci,netdev=n0
checked 0
move a local --qemu "$DIR/other"
guest_verify "$(orders a)"
