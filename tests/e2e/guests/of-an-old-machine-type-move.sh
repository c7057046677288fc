#!/bin/bash
# Machine types up to 8.0 make QEMU lay out its multifd stream in the old way.
. "$(dirname "$0")/../../lib/move.sh"
. "$TOP/tests/lib/tiny.sh"

guest_disk "$DIR/a.raw" raw 32M
MEM=256 MACHINE=pc-q35-7.2 WITNESS="ram_mb=64 rate=2000 disks=vda disk_mb=8" tiny_start a \
	$(guest_drive d0 "$DIR/a.raw" raw)
for how in "pages 3" "opaque 2"; do
	read -r mode multifd <<<"$how"
	move a local --ram-mode "$mode" --multifd "$multifd"
	assert_result 'plan["machine"] == "pc-q35-7.2"'
	[[ $mode == opaque && -n ${QUIET:-} ]] || guest_verify "$(orders a)" blocks # QEMU 7.2 leaves out what the guest has written
done
