#!/bin/bash
# A point compares everything with the disks there when nothing has recorded the guest's writes since the last one, because its QEMU has
# ended or a bitmap was removed; and the next point carries only new writes. So does verify, whatever the bitmaps say. A disk that goes
# elsewhere takes its record along.
# timeout: 300
. "$(dirname "$0")/../../lib/replica.sh"

is_point() { # NUMBER WHOLE
	assert_eq "$(of_primary 'p["point"], p["whole"]')" "($1, $2)" "what the primary knows"
}

replica_start
replica_add
sync
rests "$A"
sync
sync verify
is_point 4 True
assert_eq "$(python3 -S -c 'import json, sys
print(sum(d["bytes_wire"] for d in json.loads(open(sys.argv[1]).readlines()[-1])["disks"]) < 200000)' "$DIR/sync.json")" True "only hashes travel"
assert_point_is_exact
goes_on "$A"
sync
is_point 5 False

# the guest does not run, which is reported with the consequences; its disks as they were left are in a point once its QEMU stands there
mapfile -d '' -t line <"/proc/${GUEST_PID[$A]}/cmdline"
guest_stop "$A"
try_sync
assert_eq "$SYNCED" 3 "exit code while it does not run"
replica list >"$DIR/out"
says 'the last attempt failed: no guest .* runs on this host.*is in no point, until one is made once its QEMU runs again' "$DIR/out"
"${line[@]}" -S </dev/null >"$DIR/stands.log" 2>&1 &
stands=$!
kill_at_exit $stands
wait_for 60 eval '[[ $(status_of "$DIR/$A.mon" 2>/dev/null) == paused || $(status_of "$DIR/$A.mon" 2>/dev/null) == prelaunch ]]'
sync
is_point 6 True
qmp "$DIR/$A.mon" '{"execute": "quit"}' >/dev/null
wait_for 60 process_is_gone $stands
assert_point_is_exact

replica_start
sync
is_point 7 True
sync
is_point 8 False

# the bitmap of one disk is gone
name=$(bitmaps | head -n 1 | tr -d '"')
node=$(qmp "$DIR/$A.mon" '{"execute": "query-named-block-nodes", "arguments": {"flat": true}}' | python3 -S -c 'import json, sys
print([n["node-name"] for n in json.load(sys.stdin) if any(b["name"] == sys.argv[1] for b in n.get("dirty-bitmaps", []))][0])' "$name")
qmp "$DIR/$A.mon" "{\"execute\": \"block-dirty-bitmap-remove\", \"arguments\": {\"node\": \"$node\", \"name\": \"$name\"}}" >/dev/null
sync
is_point 9 True
assert_points_are_of_one_moment
rests "$A"
sync
is_point 10 False
assert_point_is_exact
nothing_is_left

# a disk has grown: no bitmap tells of that part
node=$(qmp "$DIR/$A.mon" '{"execute": "query-named-block-nodes", "arguments": {"flat": true}}' | python3 -S -c 'import json, sys
print([n["node-name"] for n in json.load(sys.stdin) if n["drv"] == "raw" and n["file"] == sys.argv[1]][0])' "$DIR/$A.c")
qmp "$DIR/$A.mon" "{\"execute\": \"block_resize\", \"arguments\": {\"node-name\": \"$node\", \"size\": 20971520}}" >/dev/null
sync
is_point 11 True
assert_point_is_exact
replica verify "$A" >"$DIR/out" 2>&1 || fail "verify: $(cat "$DIR/out")"
says 'all of it is compared with what the newest point there has' "$DIR/out"

# a disk goes elsewhere while the guest runs
goes_on "$A"
"$BIN/vmferry" storage "$A" --disk "d2=$DIR/elsewhere" </dev/null >"$DIR/out" 2>&1 || fail "storage: $(cat "$DIR/out")"
ln -s "$DIR/elsewhere" "$DIR/$A.c" # for whoever looks at its contents
rests "$A"
sync
is_point 13 False
assert_point_is_exact
