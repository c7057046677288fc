#!/bin/bash
# vmferry replica run makes a point each time that is due, none while it is paused, as often as set says, and ends when it is told to, or when the replica is
# removed. Why none can be made is said once. A guest has one such loop, also where points went on from here, and the guest has its replica from here since.
# timeout: 300
. "$(dirname "$0")/../../lib/replica.sh"

point_is_at_least() { # NUMBER
	[[ $(of_primary 'p["point"]') -ge $1 ]]
}

replica_start
replica_add --every 10s --keep 3
assert_eq "$(of_primary 'p["every_s"], p["keep"], p["paused"]')" "(10, '3', False)" "settings"
replica pause "$A"
"$BIN/vmferry" replica run "$A" </dev/null >"$DIR/run.log" 2>&1 &
running=$!
kill_at_exit $running
sync # a point that a person wants is made; another, which is due at once, is not
sync
assert_eq "$(of_primary 'p["point"], p["paused"]')" "(3, True)" "while it is paused"
! replica run "$A" 2>"$DIR/err" || fail "two loops of a guest"
says 'another vmferry replica run' "$DIR/err"
replica resume "$A"
wait_for 60 point_is_at_least 4 || fail "no point is made: $(cat "$DIR/run.log")"
wait_for 60 point_is_at_least 5 || fail "one point only is made"
replica set "$A" keep=2,hourly:1 every=1h
assert_eq "$(of_primary 'p["every_s"], p["keep"], p["paused"]')" "(3600, '2,hourly:1', False)" "settings"
! replica set "$A" every=1s 2>"$DIR/err" || fail "a second is taken"
! replica set "$A" planned 2>"$DIR/err" || fail "what is for one command alone is kept"
says 'planned is said to the command' "$DIR/err"
! replica pause "$A" --keep 1 2>"$DIR/err" || fail "what is for another command is taken, and does nothing"
says '--keep is not for this command' "$DIR/err"
! replica set "$A" how=warm 2>"$DIR/err" || fail "what is no option of a replica is taken"
assert_eq "$(of_primary 'p["every_s"]')" 3600 "settings after what was refused"
assert_eq "$(cat "$DIR/run.log")" "" "what run says of points that are made"
kill -TERM "$running"
wait_for 60 process_is_gone "$running" || fail "it does not end"
status=0
wait "$running" || status=$?
assert_eq "$status" 0 "exit code of run"
assert_points_are_of_one_moment

# it begins with settings by which points go on from here, and this host is the guest's primary by then; none can be made, and again they
# can
has_open() { # FILE
	find "/proc/$running/fd" -lname "$1" 2>/dev/null | grep -q .
}
mkdir -p "$VMFERRY_STATE_DIR/onward/replica"
replica pause "$A"
cp "$VMFERRY_STATE_DIR/replica/$A.conf" "$VMFERRY_STATE_DIR/onward/replica/"
replica resume "$A"
replica set "$A" every=10s spool="$DIR/spool"
mv "$VMFERRY_STATE_DIR/replica/$A.conf" "$DIR/primary.conf"
"$BIN/vmferry" replica run "$A" </dev/null >"$DIR/run.log" 2>&1 &
running=$!
kill_at_exit $running
wait_for 60 has_open "$VMFERRY_STATE_DIR/onward/replica/$A.run" || fail "it does not begin: $(cat "$DIR/run.log")"
mv "$DIR/primary.conf" "$VMFERRY_STATE_DIR/replica/$A.conf"
wait_for 60 has_open "$VMFERRY_STATE_DIR/replica/$A.run" || fail "it is not alone as the primary's"
! has_open "$VMFERRY_STATE_DIR/onward/replica/$A.run" || fail "it keeps others from making points go on"
has_failed_twice() {
	[[ $(of_primary 'p.get("failed_in_a_row", 0)') -ge 2 ]]
}
wait_for 90 has_failed_twice || fail "no attempt fails: $(cat "$DIR/run.log")"
mkdir "$DIR/spool"
wait_for 90 grep -q 'are made again' "$DIR/run.log" || fail "points are not made again: $(cat "$DIR/run.log")"
grep -q "can be made.*$DIR/spool" "$DIR/run.log" || fail "it says another reason: $(cat "$DIR/run.log")"
assert_eq "$(grep -c 'can be made' "$DIR/run.log")" 1 "times that the reason is said ($(cat "$DIR/run.log"))"
replica remove "$A" >"$DIR/out"
wait_for 60 process_is_gone "$running" || fail "it does not end"
status=0
wait "$running" || status=$?
assert_eq "$status" 0 "exit code of run when the replica was removed"
