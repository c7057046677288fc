#!/bin/bash
# A guest goes, as it runs, to where its replica is, and that leaves out one of its disks: all of that disk travels with it, as the guest goes on using it. A move that fails leaves
# the guest at its primary, and the next point is a delta. Reversed, the replica leaves it out still.
# timeout: 400
. "$(dirname "$0")/../../lib/replica.sh"

at_b() { # SUBCOMMAND [WORD...]
	VMFERRY_STATE_DIR=$DIR/dst-state VMFERRY_RUNTIME_DIR=$DIR/dst-run "$BIN/vmferry" "$@" </dev/null >"$DIR/out" 2>"$DIR/err" ||
		fail "at b: $*: $(cat "$DIR/out" "$DIR/err")"
}

planned() { # Expects the exit code PLANNED.
	PLANNED=0
	replica failover "$A" --planned --json -v >"$DIR/planned.out" 2>"$DIR/planned.err" || PLANNED=$?
}

read_of() { # INDEX: bytes that the move has read of that disk
	tail -n 1 "$DIR/planned.out" | python3 -S -c 'import json, sys; print(json.load(sys.stdin)["disks"][int(sys.argv[1])]["bytes_read"])' "$1"
}

listen_dst
b=$DST_ADDRESS
DST_NUMBER=2 listen_dst --state-dir "$VMFERRY_STATE_DIR"
a=$DST_ADDRESS
mkdir "$DIR/back"

replica_start
replica add "$A" "$b" --disk-dir "$THERE" >"$DIR/out" 2>&1 || fail "add: $(cat "$DIR/out")"
replica set "$A" disk=d2=empty # the first point has contents of the disk
sync
VMFERRY_FAULT=before-SRC_COMMITTED:kill planned
[[ $PLANNED -ne 0 ]] || fail "nobody has come to before-SRC_COMMITTED"
sync
writes_on
assert_eq "$(of_primary "p['whole']")" False "the next point was everything"
nothing_is_left

planned
assert_eq "$PLANNED" 0 "exit code ($(tail -n 5 "$DIR/planned.err" "$DIR/planned.out"))"
kill_at_exit "$(python3 -S -c 'import json, sys; print(json.load(open(sys.argv[1]))["run"]["pid"])' "$STORE/replica.json")"
[[ $(read_of 0) -lt $((2 << 20)) ]] || fail "of vda $(read_of 0) bytes were read"
[[ $(read_of 2) -ge $((16 << 20)) ]] || fail "of vdc, which is in no point, $(read_of 2) bytes were read"
[[ -e $STORE/run/disk2.qcow2 ]] || fail "its disks: $(ls "$STORE/run")"
! "$QEMU_IMG" info -U "$STORE/run/disk2.qcow2" | grep 'backing file' || fail "where vdc has zeros it would have what it had in the first point"
at=$(pair_written "$THERE/$A.orders")
wait_for 60 pair_has_written "$THERE/$A.orders" $((at + 20)) || fail "it does not write any more"
guest_verify "$THERE/$A.orders" >/dev/null

at_b replica reverse "$A" "$a" --disk-dir "$DIR/back"
at_b replica status "$A" --json
python3 -S -c 'import json, sys
p = [x for x in json.load(sys.stdin) if x["role"] == "primary"][0]
assert p["left_out"] == [sys.argv[1]], p["left_out"]' "$THERE/$A-disk2.raw" <"$DIR/out"
guest_verify "$THERE/$A.orders" >/dev/null
