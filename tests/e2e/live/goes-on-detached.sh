#!/bin/bash
# --detach returns once nothing stands in the way, and holds nobody's standard error; the move goes on, and status --follow sees its end.
# tier: gate
. "$(dirname "$0")/../../lib/move.sh"
. "$(dirname "$0")/../../lib/tiny.sh"

guest_disk "$DIR/a.raw" raw 32M
MEM=256 WITNESS="ram_mb=64 rate=1000 disks=vda disk_mb=8" tiny_start a $(guest_drive d0 "$DIR/a.raw" raw)
mkdir "$DIR/there"
said=$(vmferry migrate "${GUEST_PID[a]}" local --disk-dir "$DIR/there" --detach --hold 2>&1) # read to its end
[[ $said == *"goes on in the background"* ]] || fail "it said: $said"
vmferry status "${GUEST_PID[a]}" --follow >"$DIR/move.json" &
MOVE_PID=$!
wait_for 60 is_moving_with a 's["held"]' || fail "the move is not held"
vmferry switch --no-wait "${GUEST_PID[a]}"
wait "$MOVE_PID" || fail "status --follow: exit code $?"
assert_result 'r["outcome"] == "migrated" and r["exit_code"] == 0'
guest_adopt a "$(result 'r["destination_pid"]')"
GUEST_AT[a]=$DIR/there
guest_verify "$(orders a)" blocks
