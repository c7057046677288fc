#!/bin/bash
# Someone's QMP stop in the middle of the copy: QEMU then switches over by itself; the guest arrives, paused.
# tier: gate
. "$(dirname "$0")/../../lib/move.sh"
. "$TOP/tests/lib/tiny.sh"

guest_disk "$DIR/a.raw" raw 32M
MEM=256 WITNESS="ram_mb=64 disks=vda disk_mb=8" tiny_start a $(guest_drive d0 "$DIR/a.raw" raw) $(second_monitor a)
move_start a local --bwlimit 8M --codec none
wait_for 60 is_moving_with a 's["ram_round"] >= 1' || fail "RAM is not copied"
qmp "$DIR/a.mon" '{"execute": "stop"}'
vmferry set "${GUEST_PID[a]}" bwlimit=0 >/dev/null
move_wait
assert_eq "$(status_of "$(monitor a)")" paused "run state after the move"
qmp "$(monitor a)" '{"execute": "cont"}'
guest_verify "$(orders a)" blocks
