#!/bin/bash
# A guest whose replica is at b moves from a to c, to other names of its disks. Points are made from c from then on, and the next is a delta; a makes no more.
# timeout: 300
. "$(dirname "$0")/../../lib/replica.sh"

at_c() { # WORD...
	VMFERRY_STATE_DIR=$DIR/dst2-state VMFERRY_RUNTIME_DIR=$DIR/dst2-run "$BIN/vmferry" "$@" </dev/null >"$DIR/out" 2>"$DIR/err" ||
		fail "at c: $*: $(cat "$DIR/out" "$DIR/err")"
}

listen_dst
b=$DST_ADDRESS
DST_NUMBER=2 listen_dst
replica_start
replica add "$A" "$b" --disk-dir "$THERE" --every 1h --keep 5 >"$DIR/out" 2>&1 || fail "add: $(cat "$DIR/out")"
mkdir "$DIR/named"
move "$A" "$DST_ADDRESS" --disk "$A.a=$DIR/named/another-name.raw"
kill_at_exit "${GUEST_PID[$A]}"
assert_result 'any("points of its replica are made from the destination" in n for n in notices)'
[[ ! -e $VMFERRY_STATE_DIR/replica/$A.conf ]] || fail "points are made here, too"
at_c replica sync "$A" --json
at_c replica status "$A" --json
assert_eq "$(python3 -S -c 'import json, sys; p = json.load(open(sys.argv[1]))[0]
print(p["point"], p["whole"], p["keep"], p["every_s"])' "$DIR/out")" "2 False 5 3600" "what c knows"
assert_points_are_of_one_moment
qmp "$TO/$A.mon" '{"execute": "stop"}' STOP >/dev/null
at_c replica sync "$A" --json
newest=$(slots | tail -n 1)
disk_of "$newest" 0
assert_same_content "$DIR/named/another-name.raw" raw "$DIR/point.raw" raw
disk_of "$newest" 1
assert_same_content "$TO/$A.b" qcow2 "$DIR/point.raw" raw
disk_of "$newest" 2
assert_same_content "$TO/$A.c" raw "$DIR/point.raw" raw
