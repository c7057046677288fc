#!/bin/bash
# A switchover that takes longer than --max-downtime allows, whatever is left: with --on-stall=cancel the move gives up, and says what would take
# so long; else it says so before the guest stops, and afterwards what did. Of a guest that is stopped first all that it stood still is predicted.
. "$(dirname "$0")/../../lib/move.sh"
. "$TOP/tests/lib/tiny.sh"

MEM=256 tiny_start a
move_start a local --max-downtime 1 --on-stall cancel
move_wait 1
assert_result 'r["outcome"] == "rolled-back" and "more than the 1 allowed: --recheck off, or a larger --max-downtime" in r["reason"]'
assert_result '"of them a check of memory that only TCG needs" in r["reason"]'
assert_eq "$(status_of "$(monitor a)")" running "run state at the source"
assert_nothing_left

move a local --how quick
passed=$(sed -n 's/.*expected to stand still for [0-9]* ms: \([0-9]*\) of them have passed.*/\1/p' "$DIR/move.log")
assert_result "r['downtime_ms']['predicted'] >= ${passed:-0} > 0" "what was predicted of one that is stopped first"
assert_result '"allowed" not in r["downtime_ms"]'

mkdir "$DIR/there"
vmferry migrate "${GUEST_PID[a]}" local --disk-dir "$DIR/there" --max-downtime 1 </dev/null >"$DIR/said" 2>&1 || fail "the move fails: $(<"$DIR/said")"
grep -q 'will stand still for about .*, more than the 1 allowed: ' "$DIR/said" || fail "the move does not say that it takes longer: $(<"$DIR/said")"
grep -q 'longer than the 1 ms allowed: [a-z ]* [0-9]*, [a-z ]* [0-9]*$' "$DIR/said" || fail "the result does not say what took so long: $(<"$DIR/said")"
guest_adopt a "$(sed -n 's/^migrated: .*(pid \([0-9]*\))$/\1/p' "$DIR/said")"
GUEST_AT[a]=$DIR/there
guest_verify "$(orders a)"
