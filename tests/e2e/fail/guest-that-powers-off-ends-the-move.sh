#!/bin/bash
# The guest powers off in the middle of the copy: the move says so and leaves nothing at the destination.
. "$(dirname "$0")/../../lib/move.sh"
. "$TOP/tests/lib/tiny.sh"

guest_disk "$DIR/a.raw" raw 32M
MEM=256 WITNESS="ram_mb=64 disks=vda disk_mb=8" tiny_start a $(guest_drive d0 "$DIR/a.raw" raw)
move_start a local --bwlimit 5M --codec none
wait_for 60 is_moving_with a 's["ram_round"] >= 1' || fail "RAM is not copied"
guest_order "$(orders a)" poweroff
move_wait 8
assert_result 'r["outcome"] == "rolled-back" and r["guest"] == "shut-down" and r["where"] == "nowhere"'
assert_result '"shut down" in r["reason"]' "the reason is given in clear words"
process_is_gone "${GUEST_PID[a]}" || fail "the guest that shut down is still there"
assert_nothing_left
