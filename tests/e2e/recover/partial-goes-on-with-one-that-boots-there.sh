#!/bin/bash
# The source agent dies while the disks of a guest are copied that is to boot at the destination: `recover --resume` goes on with what has
# arrived, of raw disks and of images.
. "$(dirname "$0")/../../lib/warm.sh"

warm_guest
to_listener
warm --keep-partial 1h --bwlimit 2M
wait_for 60 eval '[[ -e $TO/a.raw && $(written "$TO/a.raw") -ge $((6 << 20)) ]]' || fail "nothing arrives"
kill_now "$MOVE_PID"
guest_order "$(orders a)" quiesce >/dev/null # writes meanwhile would travel
guard_ends
status=0
timeout 90 "$BIN/vmferry" recover a --resume --json </dev/null >"$DIR/move.json" 2>"$DIR/recover.log" || status=$?
assert_eq "$status" 0 "exit code of recover --resume: $(tail -n 2 "$DIR/recover.log")"
guest_is_there
assert_arrived
assert_result 'r["disks"][0]["bytes_kept"] > 3 << 20 and any(d["bytes_kept"] for d in r["disks"] if d["format"] == "qcow2")'
