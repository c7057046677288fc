#!/bin/bash
# The agent at the replica's host is killed as it merges the newest point into the one before: the next sync goes on with that, and its own disks, which were planned
# before, lie above what the newest is then.
# timeout: 200
# takes: 30
. "$(dirname "$0")/../../lib/replica.sh"

replica_start
replica_add --keep 1
VMFERRY_FAULT=points-committed:kill:$DIR/killed try_sync
wait_for 60 test -s "$DIR/killed" || fail "nobody has merged points: $(tail -n 5 "$DIR/sync.log")"
[[ -e $STORE/points/000002 ]] || fail "the merge was over: $(ls "$STORE/points")"
writes_on
sync
assert_eq "$(of_primary 'p["whole"]')" False "everything was compared after a merge that was cut off"
assert_points_are_of_one_moment
guest_verify "$DIR/$A.orders" blocks >/dev/null
