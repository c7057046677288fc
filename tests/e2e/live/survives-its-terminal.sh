#!/bin/bash
# SIGHUP, as a terminal that is closed sends it, does not end a move, and neither does an output that nobody reads.
. "$(dirname "$0")/../../lib/move.sh"
. "$TOP/tests/lib/tiny.sh"

guest_disk "$DIR/a.raw" raw 32M
MEM=256 WITNESS="ram_mb=64 disks=vda disk_mb=8" tiny_start a $(guest_drive d0 "$DIR/a.raw" raw)
move_start a local --bwlimit 8M --codec none --dedup off
wait_for 60 is_moving_with a 's["ram_round"] >= 1' || fail "RAM is not copied"
kill -HUP "$MOVE_PID"
vmferry set "${GUEST_PID[a]}" bwlimit=0 >/dev/null
move_wait
guest_verify "$(orders a)" blocks

# The reader of its output goes away after the first event.
mkdir "$DIR/there"
"$BIN/vmferry" migrate "${GUEST_PID[a]}" local --disk-dir "$DIR/there" --json --hold > >(head -n 1 >"$DIR/first") 2>&1 &
MOVE_PID=$!
kill_at_exit "$MOVE_PID"
wait_for 60 is_moving_with a 's["held"]' || fail "the move is not held"
vmferry status "${GUEST_PID[a]}" --follow --json >"$DIR/move.json" &
follower=$!
wait_for 60 test -s "$DIR/move.json" || fail "nothing to follow"
kill -HUP "$MOVE_PID"
vmferry switch --no-wait "${GUEST_PID[a]}"
wait "$MOVE_PID" || fail "exit code $? of a move whose output nobody reads"
wait "$follower"
guest_adopt a "$(result 'r["destination_pid"]')"
GUEST_AT[a]=$DIR/there
guest_verify "$(orders a)" blocks
