#!/bin/bash
# A guest with a device whose state QEMU cannot carry does not go to its replica as it runs: the refusal names the way on which it gets there, and none by
# vmferry migrate, which is not for that.
. "$(dirname "$0")/../../lib/replica.sh"
. "$(dirname "$0")/../../lib/tiny.sh"

head -c 16M /dev/urandom >"$DIR/$A.raw"
mkdir "$DIR/shared"
MEM=64 WITNESS="ram_mb=8 rate=100 disks=vda disk_mb=8 disk_rate=40" tiny_start "$A" $(guest_drive d0 "$DIR/$A.raw" raw) $(second_monitor "$A") \
	-device usb-ehci,id=ehci -device usb-mtp,bus=ehci.0,rootdir="$DIR/shared",readonly=on
replica_add
! replica failover "$A" --planned >"$DIR/out" 2>&1 || fail "a guest goes with what QEMU cannot carry"
says 'non-migratable device' "$DIR/out"
says 'can go there shut down, with nothing lost' "$DIR/out"
! grep 'vmferry migrate\|--how warm' "$DIR/out" || fail "it is told to go by a move"
assert_eq "$(status_of "$DIR/$A.mon")" running "state of the guest"
