#!/bin/bash
# Holes of a raw disk stay holes, and what the guest discards during the move arrives as holes.
. "$(dirname "$0")/../../lib/move.sh"

guest_disk "$DIR/a.raw" raw 256M
MEM=256 WITNESS="ram_mb=32 disks=vda disk_mb=32 disk_rate=400" guest_start a $(guest_drive d0 "$DIR/a.raw" raw)
wait_for 60 has_disk_ops a 300 || fail "the guest writes nothing"
guest_order "$(orders a)" quiesce
move_start a local --hold
wait_for 60 is_moving_with a 's["held"]' || fail "the move is not held"
guest_order "$(orders a)" start
wait_for 60 has_disk_ops a 600 || fail "the guest writes nothing during the move"
guest_order "$(orders a)" quiesce
vmferry switch --no-wait "${GUEST_PID[a]}"
move_wait
guest_verify "$(orders a)" blocks

cmp "$DIR/a.raw" "$TO/a.raw"
sync "$DIR/a.raw" "$TO/a.raw"
here=$(allocated "$DIR/a.raw") there=$(allocated "$TO/a.raw")
echo "allocated: $here at the source, $there at the destination"
[[ $there -le $((here + 1024 * 1024)) ]] || fail "allocated: $here at the source, $there at the destination"
