#!/bin/bash
# Either agent is killed at each step of a point: the points that were there are what they were, the next sync is a delta, which has all that was written, and
# nothing is left in QEMU, here or there.
# timeout: 600
# takes: 120
. "$(dirname "$0")/../../lib/replica.sh"

comes_again() { # the agents that were killed may still be followed by their guard
	try_sync
	[[ $SYNCED -eq 0 ]]
}

replica_start
replica_add --reconnect-timeout 2
for step in src-moment src-moment-begun src-moment-copied src-point src-point-durable \
	dst-prepare dst-helper-noted dst-point dst-point-made before-DST_ABORTED before-SRC_ABORTED; do
	before=$(of_primary 'p["point"]')
	VMFERRY_FAULT=$step:kill:$DIR/killed-$step try_sync
	[[ -s $DIR/killed-$step ]] || fail "nobody has come to $step"
	assert_points_are_of_one_moment
	wait_for 120 comes_again || fail "after $step no point is made: $(tail -n 5 "$DIR/sync.log")"
	assert_eq "$(of_primary 'p["whole"]')" False "everything was compared after $step"
	[[ $(of_primary 'p["point"]') -gt $before ]] || fail "after $step there are no more points than before"
	assert_points_are_of_one_moment
	nothing_is_left
	writes_on
done
rests "$A"
sync
assert_point_is_exact
goes_on "$A"
guest_verify "$DIR/$A.orders" blocks >/dev/null
