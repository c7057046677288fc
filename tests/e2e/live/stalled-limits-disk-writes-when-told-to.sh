#!/bin/bash
# The guest writes its disk so that the move never fits the allowed downtime, --on-stall=throttle: QEMU limits its
# writes. The limit is gone after a rollback.
. "$(dirname "$0")/../../lib/move.sh"
. "$TOP/tests/lib/tiny.sh"

write_limit() { # SOCKET: bytes per second
	qmp "$1" '{"execute": "query-block"}' | python3 -S -c 'import json, sys; print(json.load(sys.stdin)[0]["inserted"]["bps_wr"])'
}

is_limited() {
	[[ $(write_limit "$DIR/a.mon") -gt 0 ]]
}

guest_disk "$DIR/a.raw" raw 40M
MEM=256 WITNESS="ram_mb=16 rate=0 disks=vda disk_mb=8 disk_rate=6000" tiny_start a \
	$(guest_drive d0 "$DIR/a.raw" raw) $(second_monitor a)
move_start a local --bwlimit 2M --codec none --max-downtime 10 --on-stall throttle
wait_event 'ev["event"] == "notice" and "slowing the guest down" in ev["text"]'
wait_for 60 is_limited || fail "the guest's writes are not limited"
vmferry cancel --no-wait "${GUEST_PID[a]}"
move_wait 1
assert_eq "$(write_limit "$(monitor a)")" 0 "limit after the rollback"
assert_nothing_left
guest_verify "$(orders a)" blocks
