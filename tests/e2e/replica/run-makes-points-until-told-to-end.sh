#!/bin/bash
# vmferry replica run makes a point each time that is due, none while it is paused, as often as set says, goes on when one fails, and ends when it is told to.
# timeout: 300
. "$(dirname "$0")/../../lib/replica.sh"

point_is_at_least() { # NUMBER
	[[ $(of_primary 'p["point"]') -ge $1 ]]
}

replica_start
replica_add --every 10s --keep 3
assert_eq "$(of_primary 'p["every_s"], p["keep"], p["paused"]')" "(10, '3', False)" "settings"
"$BIN/vmferry" replica run "$A" </dev/null >"$DIR/run.log" 2>&1 &
running=$!
kill_at_exit $running
wait_for 60 point_is_at_least 2 || fail "no point is made: $(cat "$DIR/run.log")"
wait_for 60 point_is_at_least 3 || fail "one point only is made"
replica pause "$A"
assert_eq "$(of_primary 'p["paused"]')" True "paused"
replica set "$A" keep=2,hourly:1 every=1h
assert_eq "$(of_primary 'p["every_s"], p["keep"], p["paused"]')" "(3600, '2,hourly:1', True)" "settings"
! replica set "$A" every=1s 2>"$DIR/err" || fail "a second is taken"
! replica set "$A" how=warm 2>"$DIR/err" || fail "what is no option of a replica is taken"
assert_eq "$(of_primary 'p["every_s"]')" 3600 "settings after what was refused"
sync # one that a person wants is made
replica resume "$A"
kill -TERM "$running"
wait_for 30 process_is_gone "$running" || fail "it does not end"
status=0
wait "$running" || status=$?
assert_eq "$status" 0 "exit code of run"
assert_points_are_of_one_moment
assert_eq "$(bitmaps | sort -u | wc -l)" 1 "bitmaps"
