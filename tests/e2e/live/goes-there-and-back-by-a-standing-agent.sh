#!/bin/bash
# The same guest is moved three times, by a vmferry-dst that listens for everyone: there, back to
# where its images were, and there again.
# covered in the gate: e2e/live/loses-nothing-of-a-busy-guest-with-two-disks, e2e/fleet/drain-leaves-what-is-to-stay
. "$(dirname "$0")/../../lib/move.sh"

guest_disk "$DIR/a.raw" raw 32M
guest_disk "$DIR/b.qcow2" qcow2 32M
MEM=256 WITNESS="ram_mb=64 rate=1000 disks=vda,vdb disk_mb=8" guest_start a \
	$(guest_drive d0 "$DIR/a.raw" raw) $(guest_drive d1 "$DIR/b.qcow2" qcow2)
listen_dst
move a "$DST_ADDRESS"
guest_verify "$(orders a)" blocks

rm "$DIR"/a.raw "$DIR"/b.qcow2
move_start a "$DST_ADDRESS" --disk-dir "$DIR"
TO=$DIR move_wait
guest_verify "$(orders a)" blocks
move a "$DST_ADDRESS"
guest_verify "$(orders a)" blocks
[[ -z $(find "$DIR/dst-state" "$VMFERRY_STATE_DIR" -name '*.journal') ]] || fail "unfinished journals: $(ls "$DIR/dst-state")"
[[ -z $(ls -A "$DIR/dst-run" "$VMFERRY_RUNTIME_DIR" | grep -v :) ]] || fail "left behind: $(ls -A "$DIR/dst-run" "$VMFERRY_RUNTIME_DIR")"
