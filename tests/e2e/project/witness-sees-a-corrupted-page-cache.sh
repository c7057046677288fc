#!/bin/bash
# Disk content that the guest has in its page cache verifies, and is in its memory; a page of it that is spoilt there, from
# outside, is seen, and is counted once.
. "$(dirname "$0")/../../lib/guest.sh"

blocks_wrong() {
	guest_order "$DIR/a.orders" verify | tee /dev/stderr | sed -n 's/.* blocks_wrong=\([0-9]*\)$/\1/p'
}

truncate -s 64M "$DIR/a.raw"
"$TOP/tests/lib/tagged.py" "$DIR/a.raw" fill
# Pages in memory that look like ours are then from the disk: the witness's own pages are noise.
MEM=256 MACHINE=q35,memory-backend=ram WITNESS="ram_mb=8 content=incompressible disks=vda disk_mb=8 cache_mb=32" guest_start a \
	-object memory-backend-file,id=ram,size=256M,mem-path="$DIR/ram",share=on $(guest_drive d0 "$DIR/a.raw" raw)
guest_verify "$DIR/a.orders" blocks
assert_eq "$(guest_order "$DIR/a.orders" cache)" "cache pages=8192 present=8192"

qmp "$DIR/a.qmp" '{"execute": "stop"}'
"$TOP/tests/lib/tagged.py" "$DIR/ram" corrupt-index 3000
qmp "$DIR/a.qmp" '{"execute": "cont"}'
assert_eq "$(blocks_wrong)" 1 "wrong blocks after a page in the cache was corrupted"
assert_eq "$(blocks_wrong)" 1 "wrong blocks, asked again"
