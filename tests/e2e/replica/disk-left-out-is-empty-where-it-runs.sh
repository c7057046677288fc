#!/bin/bash
# A disk of scratch is left out of a replica: nothing of it travels, no point waits for it, and a trial and a failover have an empty one of its name and size, also where older
# points had something of it. All of it is compared when it is taken in again. Settings, status and words of a run say so.
# timeout: 400
. "$(dirname "$0")/../../lib/replica.sh"

is_exact() { # DISK...: of the newest point, by the order of the guest's disks
	local newest i
	local -a disk=("$DIR/$A.a raw" "$DIR/$A.b qcow2" "$DIR/$A.c raw")
	newest=$(slots | tail -n 1)
	for i; do
		disk_of "$newest" "$i"
		assert_same_content ${disk[i]} "$DIR/point.raw" raw
	done
}

left_out() { # ROLE: prints the names at this host in that role
	replica status "$A" --json | python3 -S -c 'import json, sys
r = [x for x in json.load(sys.stdin) if x["role"] == sys.argv[1]][0]
print(*(r["left_out"] if "to" in r else r["points"][-1]["left_out"]))' "$1"
}

is_alone() { # IMAGE: it is based on none, and has the disk's size
	local info
	info=$("$QEMU_IMG" info -U --output json "$1")
	[[ $info != *'"backing-filename"'* ]] || fail "$1 has something below it"
	grep -q "\"virtual-size\": $(stat -c %s "$DIR/$A.c")" <<<"$info" || fail "$1 has another size: $info"
}

replica_start
! replica add "$A" local --disk-dir "$THERE" --disk nowhere=empty --json >"$DIR/sync.json" 2>&1 || fail "a disk that is not there is left out"
grep -q 'no disk of this guest is called nowhere' "$DIR/sync.json" || fail "it says something else: $(cat "$DIR/sync.json")"
! replica add "$A" local --disk-dir "$THERE" --disk d2=/somewhere 2>"$DIR/err" || fail "a disk of a replica goes to a place of its own"
says 'DISK=empty' "$DIR/err"
! replica add "$A" local --disk-dir "$THERE" --disk d0=empty --disk d1=empty --disk d2=empty --json >"$DIR/sync.json" 2>&1 || fail "all disks are left out"
grep -q 'all disks of the guest would be left behind' "$DIR/sync.json" || fail "it says something else: $(cat "$DIR/sync.json")"

replica_add --disk d2=empty
sent=$(tail -n 1 "$DIR/sync.json" | python3 -S -c 'import json, sys; print(json.load(sys.stdin)["bytes_wire"])')
[[ $sent -lt $((12 << 20)) ]] || fail "$sent bytes were sent, and vdc has 16 MiB of noise"
assert_eq "$(left_out primary) $(left_out replica)" "d2 $DIR/$A.c" "what is left out"
replica list >"$DIR/out"
says 'left out, and empty where it runs from a point: d2' "$DIR/out"
rests "$A"
sync
assert_eq "$(of_primary 'p["whole"]')" False "everything was compared"
is_exact 0 1
disk_of "$(slots | tail -n 1)" 2
cmp -n "$(stat -c %s "$DIR/$A.c")" "$DIR/point.raw" /dev/zero || fail "the point has something of vdc"

# taken in again: all of it is compared; left out again: what is there stays, and serves no run
! replica set "$A" "disk=$DIR/$A.c=copy" 2>"$DIR/err" || fail "another name of the disk took something back"
says 'by which the disk was left out' "$DIR/err"
replica set "$A" disk=d2=copy
sync
assert_eq "$(of_primary 'p["whole"]') $(left_out primary)" "True " "compared as a whole, and what is left out"
is_exact 0 1 2
replica set "$A" disk=d2=empty
sync
assert_eq "$(of_primary 'p["whole"]')" False "everything was compared"
sync
is_exact 0 1
goes_on "$A"

# a trial
replica test "$A" >"$DIR/out" || fail "test: $(cat "$DIR/out")"
says "disk $DIR/$A.c is left out of the replica: here it is empty" "$DIR/out"
kill_at_exit "$(python3 -S -c 'import json, sys; print(json.load(open(sys.argv[1]))["test"]["pid"])' "$STORE/replica.json")"
wait_for 120 grep -aq 'witness ready' "$STORE/test/$A.console" || fail "the trial does not come up"
is_alone "$STORE/test/disk2.qcow2"
writes_on
replica test "$A" --end >"$DIR/out"

# in its place
kill -KILL "${GUEST_PID[$A]}"
wait_for 60 process_is_gone "${GUEST_PID[$A]}"
replica failover "$A" --peer-is-fenced >"$DIR/out" 2>"$DIR/err" || fail "failover: $(cat "$DIR/err")"
says "disk $DIR/$A.c is left out of the replica: here it is empty" "$DIR/out"
kill_at_exit "$(python3 -S -c 'import json, sys; print(json.load(open(sys.argv[1]))["run"]["pid"])' "$STORE/replica.json")"
wait_for 120 grep -aq 'witness ready' "$THERE/$A.console" || fail "it does not come up"
is_alone "$STORE/run/disk2.qcow2"
replica failover "$A" --complete >"$DIR/out" 2>"$DIR/err" || fail "complete: $(cat "$DIR/out" "$DIR/err")"
assert_eq "$(stat -c %s "$THERE/$A-disk2.raw")" "$(stat -c %s "$DIR/$A.c")" "size of vdc there"
at=$(pair_written "$THERE/$A.orders")
wait_for 60 pair_has_written "$THERE/$A.orders" $((at + 20)) || fail "it does not write"
guest_verify "$THERE/$A.orders" blocks >/dev/null
