#!/bin/bash
# The guest dirties RAM faster than it can be copied, --on-stall=cancel: the move is rolled back.
# takes: 25
# tier: gate
. "$(dirname "$0")/../../lib/move.sh"
. "$TOP/tests/lib/tiny.sh"
QUIET= # it must write, also with QEMU 7.2: what that leaves out is found once the guest is stopped

guest_disk "$DIR/a.raw" raw 32M
MEM=256 WITNESS="ram_mb=16 rate=50000 disks=vda disk_mb=8" tiny_start a $(guest_drive d0 "$DIR/a.raw" raw)
move_start a local --bwlimit 4M --codec none --max-downtime 1 --on-stall cancel
move_wait 1
assert_result 'any("writes as fast as it can be copied" in text and "giving up" in text for text in notices)'
assert_result 'r["outcome"] == "rolled-back" and r["guest"] == "source" and "faster" in r["reason"]'
assert_eq "$(status_of "$(monitor a)")" running "run state at the source"
assert_nothing_left
guest_verify "$(orders a)" blocks
