#!/bin/bash
# A guest that was paused when the move began does not run at the destination until someone says cont.
# covered in the gate: e2e/live/held-while-paused-waits-for-switch, e2e/live/quick-stops-the-guest-first, unit/test-both-conductors
. "$(dirname "$0")/../../lib/move.sh"
. "$(dirname "$0")/../../lib/tiny.sh"

guest_disk "$DIR/a.raw" raw 32M
MEM=256 WITNESS="ram_mb=64 disks=vda disk_mb=8" tiny_start a $(guest_drive d0 "$DIR/a.raw" raw)
for mode in pages opaque; do
	qmp "$(monitor a)" '{"execute": "stop"}'
	move a local --ram-mode $mode
	assert_eq "$(status_of "$(monitor a)")" paused "run state after the move"
	qmp "$(monitor a)" '{"execute": "cont"}'
	guest_verify "$(orders a)" blocks
done
