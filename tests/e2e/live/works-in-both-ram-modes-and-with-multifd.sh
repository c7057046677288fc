#!/bin/bash
# Pages placed by vmferry or QEMU's stream carried as it is, from QEMU's single stream or from its
# multifd channels: four moves of one busy guest.
# takes: 15
# tier: gate
. "$(dirname "$0")/../../lib/move.sh"
. "$TOP/tests/lib/tiny.sh"

guest_disk "$DIR/a.raw" raw 32M
MEM=256 WITNESS="ram_mb=64 rate=2000 disks=vda disk_mb=8" tiny_start a $(guest_drive d0 "$DIR/a.raw" raw)
for mode in pages opaque; do
	for multifd in 0 2; do
		move a local --ram-mode $mode --multifd $multifd
		echo "$mode, multifd $multifd: $(result 'r["downtime_ms"]')"
		assert_result "r['ram']['mode'] == '$mode'"
		guest_verify "$(orders a)" blocks
	done
done
