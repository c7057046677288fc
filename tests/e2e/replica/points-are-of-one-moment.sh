#!/bin/bash
# Points of a busy guest: each has all disks as they were at one moment, carries what was written since the one before, and no more; the newest is equal to the
# disks of a guest that stands. What is more than is to be kept goes.
# takes: 25
# tier: gate
. "$(dirname "$0")/../../lib/replica.sh"

replica_start
replica_add --keep 4
for _ in 1 2 3 4 5; do
	sync
	grep -qE "\"point\": ?[0-9]" "$DIR/sync.json" || fail "the result names no point"
done
assert_eq "$(of_primary 'p["point"], p["whole"], p["health"]')" "(6, False, 'normal')" "what the primary knows"
assert_eq "$(bitmaps | sort | uniq -c | awk '{print $1}')" 3 "bitmaps, of the newest point on each disk"
wait_for 60 eval '[[ $(slots | wc -l) -eq 4 ]]' || fail "not four points stay: $(slots)"
assert_points_are_of_one_moment
nothing_is_left
writes_on
rests "$A"
sync
assert_point_is_exact
replica remove "$A" >"$DIR/out"
assert_eq "$(bitmaps)" "" "bitmaps that are left"
[[ ! -e $STORE ]] || fail "left: $(find "$STORE")"
