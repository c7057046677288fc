#!/bin/bash
# An intact disk verifies; a block spoilt on it, by the guest or in the image, is seen,
# and is counted once.
. "$(dirname "$0")/../../lib/guest.sh"

blocks_wrong() {
	guest_order "$DIR/a.orders" verify | tee /dev/stderr | sed -n 's/.* blocks_wrong=\([0-9]*\)$/\1/p'
}

spoil_image() { # HOW
	guest_order "$DIR/a.orders" quiesce
	qmp "$DIR/a.qmp" '{"execute": "stop"}'
	"$TOP/tests/lib/tagged.py" "$DIR/a.raw" "$1"
	qmp "$DIR/a.qmp" '{"execute": "cont"}'
}

guest_disk "$DIR/a.raw" raw 128M
MEM=256 WITNESS="ram_mb=8 disks=vda disk_mb=16 disk_rate=200" guest_start a $(guest_drive d0 "$DIR/a.raw" raw)
wait_for 60 has_disk_ops a 200 || fail "the witness does not write"
guest_verify "$DIR/a.orders" blocks

guest_order "$DIR/a.orders" "corrupt block"
assert_eq "$(blocks_wrong)" 1 "wrong blocks after the guest corrupted one"
assert_eq "$(blocks_wrong)" 1 "wrong blocks, asked again"

spoil_image corrupt
assert_eq "$(blocks_wrong)" 2 "wrong blocks after one was corrupted in the image"
spoil_image misplace
assert_eq "$(blocks_wrong)" 3 "wrong blocks after one was replaced by another"
