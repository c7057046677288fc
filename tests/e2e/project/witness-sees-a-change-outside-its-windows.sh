#!/bin/bash
# The witness verifies areas of each disk that no load writes; a block there that changes on the second disk's image is seen, and is counted
# once.
. "$(dirname "$0")/../../lib/guest.sh"

verdict() {
	guest_order "$DIR/a.orders" verify | tee /dev/stderr | grep -o 'blocks_.*'
}

for disk in a b; do
	truncate -s 32M "$DIR/$disk.raw"
	"$TOP/tests/lib/tagged.py" "$DIR/$disk.raw" fill
done
# 8 MiB of windows, of the rest (24 MiB) the first 16, on each
MEM=256 WITNESS="ram_mb=8 disks=vda,vdb disk_mb=8 disk_rate=20 still_mb=16" guest_start a \
	$(guest_drive d0 "$DIR/a.raw" raw) $(guest_drive d1 "$DIR/b.raw" raw)
assert_eq "$(verdict)" "blocks_checked=12288 blocks_wrong=0"
# the first window has 2 MiB: this is right behind it
printf 'something else' | dd of="$DIR/b.raw" bs=4096 seek=512 conv=notrunc status=none
assert_eq "$(verdict)" "blocks_checked=12288 blocks_wrong=1"
assert_eq "$(verdict)" "blocks_checked=12288 blocks_wrong=1"
