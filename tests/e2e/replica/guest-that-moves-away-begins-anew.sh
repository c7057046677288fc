#!/bin/bash
# A guest with a replica moves as any other, with what its QEMU records for that; the host that it has come to begins a new one, whose first point carries
# little of what its old disks have.
# timeout: 300
. "$(dirname "$0")/../../lib/replica.sh"

replica_start
replica_add
sync
move "$A" local
wait_for 60 pair_has_written "$TO/$A.orders" 20 || fail "it does not write there"
kill_at_exit "${GUEST_PID[$A]}"
replica remove "$A" >"$DIR/out" || fail "remove: $(cat "$DIR/out")"
THERE=$DIR/anew STORE=$DIR/anew/$A.replica
mkdir "$THERE"
replica_add --reuse "$A.c=$DIR/$A.c" --reuse "$A.a=$DIR/$A.a" --reuse "$A.b=$DIR/$A.b"
assert_eq "$(python3 -S -c 'import json, sys
print([d["bytes_kept"] > 0 for d in json.loads(open(sys.argv[1]).readlines()[-1])["disks"]])' "$DIR/sync.json")" "[True, True, True]" "disks of which little travels"
sync
assert_eq "$(of_primary 'p["point"], p["whole"]')" "(2, False)" "what the host knows that it has come to"
assert_points_are_of_one_moment
qmp "$TO/$A.mon" '{"execute": "stop"}' STOP >/dev/null
sync
newest=$(slots | tail -n 1)
disk_of "$newest" 2
assert_same_content "$TO/$A.c" raw "$DIR/point.raw" raw
