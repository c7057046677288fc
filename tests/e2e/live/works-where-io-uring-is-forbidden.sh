#!/bin/bash
# Two agents move a guest without io_uring where they must: raw and qcow2 disks, both RAM modes, TLS; and the report says so. A loop of one
# agent that has it meets one that has not.
. "$(dirname "$0")/../../lib/aftermath.sh"

guest_disk "$DIR/a.raw" raw 64M
guest_disk "$DIR/b.qcow2" qcow2 64M
MEM=256 WITNESS="ram_mb=48 rate=1000 disks=vda,vdb disk_mb=8 disk_rate=50" tiny_start a \
	$(guest_drive d0 "$DIR/a.raw" raw) $(guest_drive d1 "$DIR/b.qcow2" qcow2)
(umask 077 && echo "host-a:$(od -An -tx1 -N32 /dev/urandom | tr -d ' \n')" >"$DIR/psk")

export VMFERRY_FAULT=no-io-uring:fail
move a local
assert_result 'r["io_uring"] == {"source": False, "destination": False} and any("io_uring is not allowed" in n for n in notices)'
assert_result 'all(r["cpu_s"]["destination"][stage] > 0 for stage in ("receive", "hash", "place", "disk"))'
guest_verify "$(orders a)" blocks
if [[ -z ${QUIET:-} ]]; then # QEMU 7.2 leaves out what the guest has written, and an opaque move finds nothing of that
	move a local --ram-mode opaque --multifd 0
	guest_verify "$(orders a)" blocks
fi
listen_dst --psk-file "$DIR/psk"
unset VMFERRY_FAULT
move a "$DST_ADDRESS" --psk-file "$DIR/psk" --channels 4
assert_result 'r["io_uring"] == {"source": True, "destination": False}'
guest_verify "$(orders a)" blocks
move a local
assert_result 'r["io_uring"] == {"source": True, "destination": True} and not any("io_uring" in n for n in notices)'
guest_verify "$(orders a)" blocks
guest_stop a
assert_sound "$TO/b.qcow2"
