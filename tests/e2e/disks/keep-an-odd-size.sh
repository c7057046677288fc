#!/bin/bash
# A raw disk whose size is no multiple of 64 KiB, nor of 4 KiB, arrives whole and with its size; one whose file ends within a sector, with the size that its
# guest sees, and an empty one empty.
. "$(dirname "$0")/../../lib/move.sh"
. "$TOP/tests/lib/tiny.sh"

truncate -s $((100 * 1024 * 1024 + 512)) "$DIR/a.raw"
printf 'the last sector' | dd of="$DIR/a.raw" bs=512 seek=$((100 * 2048)) conv=notrunc status=none
truncate -s $((20 * 1024 * 1024 + 612)) "$DIR/b.raw"
printf 'the last bytes' | dd of="$DIR/b.raw" bs=1 seek=$((20 * 1024 * 1024 + 598)) conv=notrunc status=none
: >"$DIR/c.raw"
MEM=256 WITNESS="ram_mb=32 disks=vda disk_mb=16 disk_rate=200" tiny_start a $(guest_drive d0 "$DIR/a.raw" raw) $(guest_drive d1 "$DIR/b.raw" raw) $(guest_drive d2 "$DIR/c.raw" raw)
move_start a local --hold
wait_for 60 is_moving_with a 's["held"]' || fail "the move is not held"
guest_order "$(orders a)" quiesce
vmferry switch --no-wait "${GUEST_PID[a]}"
move_wait
guest_verify "$(orders a)" blocks
assert_eq "$(stat -c %s "$TO/a.raw")" $((100 * 1024 * 1024 + 512)) "size of the image"
cmp "$DIR/a.raw" "$TO/a.raw"
assert_eq "$(stat -c %s "$TO/b.raw")" $((20 * 1024 * 1024 + 1024)) "size of the image whose file ended within a sector"
cmp -n $((20 * 1024 * 1024 + 612)) "$DIR/b.raw" "$TO/b.raw"
assert_eq "$(stat -c %s "$TO/c.raw")" 0 "size of the empty image"
