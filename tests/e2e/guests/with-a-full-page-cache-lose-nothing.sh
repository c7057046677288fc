#!/bin/bash
# Disk content that the guest has in its page cache is in its memory after the move, too, and is what it was.
. "$(dirname "$0")/../../lib/move.sh"

truncate -s 192M "$DIR/a.raw"
"$TOP/tests/lib/tagged.py" "$DIR/a.raw" fill
MEM=256 WITNESS="ram_mb=32 rate=1000 disks=vda disk_mb=16 disk_rate=50 cache_mb=96" guest_start a $(guest_drive d0 "$DIR/a.raw" raw)
assert_eq "$(guest_order "$(orders a)" cache)" "cache pages=24576 present=24576"
move a local
guest_verify "$(orders a)" blocks
assert_eq "$(guest_order "$(orders a)" cache)" "cache pages=24576 present=24576"
