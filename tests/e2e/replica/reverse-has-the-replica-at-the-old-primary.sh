#!/bin/bash
# A guest was taken over at its replica's host. By one command its replica is at its old primary, which learns that it was replaced; what that has of the disks does not travel.
# The guest goes back as it runs, and its replica is reversed again. Two hosts, each with a directory of its own for what it knows.
# timeout: 400
. "$(dirname "$0")/../../lib/replica.sh"

at_b() { # SUBCOMMAND [WORD...]
	VMFERRY_STATE_DIR=$DIR/dst-state VMFERRY_RUNTIME_DIR=$DIR/dst-run "$BIN/vmferry" "$@" </dev/null >"$DIR/out" 2>"$DIR/err" ||
		fail "at b: $*: $(cat "$DIR/out" "$DIR/err")"
}

of_store() { # STORE EXPRESSION over r, replica.json
	python3 -S -c 'import json, sys; r = json.load(open(sys.argv[1] + "/replica.json")); print(eval(sys.argv[2]))' "$1" "$2"
}

lives() { # ORDERS: the guest whose socket that is writes, and what it has is right
	local at
	at=$(pair_written "$1")
	wait_for 60 pair_has_written "$1" $((at + 20)) || fail "the guest does not write"
	guest_verify "$1" blocks >/dev/null
}

listen_dst
b=$DST_ADDRESS
DST_NUMBER=2 listen_dst --state-dir "$VMFERRY_STATE_DIR"
a=$DST_ADDRESS
BACK=$DIR/back
mkdir "$BACK"

replica_start
replica add "$A" "$b" --disk-dir "$THERE" >"$DIR/out" 2>&1 || fail "add: $(cat "$DIR/out")"
says "one every 300 s, by vmferry replica run $A, or as a service: .* vmferry-replica@$A" "$DIR/out"
{ # the earlier script stays there
	echo '#!/bin/sh'
	tr '\0' '\n' <"/proc/${GUEST_PID[$A]}/cmdline" | sed "s/'/'\\\\''/g; s/.*/'&'/" | xargs -d '\n' printf '%s '
} >"$DIR/before.sh"
chmod 755 "$DIR/before.sh"
kill -KILL "${GUEST_PID[$A]}"
wait_for 60 process_is_gone "${GUEST_PID[$A]}"
at_b replica failover "$A" --peer-is-fenced
kill_at_exit "$(of_store "$STORE" "r['run']['pid']")"
wait_for 120 grep -aq 'witness ready' "$THERE/$A.console" || fail "it does not come up"

# the second disk gets another place, the third another format, and their old images stay there
at_b replica history "$A"
says 'at its primary' "$DIR/err"
at_b replica failover "$A" --complete
at_b jobs --metrics
! grep 'vmferry_replica_health{' "$DIR/out" || fail "a replica that is over is judged"
at_b storage "$A" --disk "$THERE/$A-disk1.qcow2=$DIR/second.qcow2" --old keep
at_b storage "$A" --disk "$THERE/$A-disk2.raw=$DIR/third.qcow2" --format qcow2 --old keep
[[ -e $THERE/$A-disk1.qcow2 && -e $THERE/$A-disk2.raw ]] || fail "the old image is gone, so this test shows nothing"

# the replica goes to the old primary
at_b replica reverse "$A" "$a" --disk-dir "$BACK" --json -v
says "$A-disk0.raw need not travel" "$DIR/err"
says "what $DIR/$A.b there.* has of disk $DIR/second.qcow2 need not travel" "$DIR/err"
says "no process has .*$A-disk2.raw open" "$DIR/err"
kept=$(tail -n 1 "$DIR/out" | python3 -S -c 'import json, sys; print(*[d["bytes_kept"] >= (4, 4, 0)[i] << 20 for i, d in enumerate(json.load(sys.stdin)["disks"])])')
assert_eq "$kept" "True True True" "whether what is the same did not travel"
[[ ! -e $VMFERRY_STATE_DIR/replica/$A.conf ]] || fail "the old primary would make points"
! vmferry may-start "$A" 2>"$DIR/err" || fail "the old copy may be started"
says 'taken over at the host of its replica' "$DIR/err"
assert_eq "$(of_store "$BACK/$A.replica" "(r['term'], r['pair'] == '$(of_store "$STORE" "r['pair']")')")" "(2, True)" "term and pair"
lives "$THERE/$A.orders"

# the guest goes back as it runs
at_b replica failover "$A" --planned
kill_at_exit "$(of_store "$BACK/$A.replica" "r['run']['pid']")"
lives "$BACK/$A.orders"
assert_eq "$(of_store "$BACK/$A.replica" "r['term']")" 3 "term"
[[ ! -e $VMFERRY_STATE_DIR/replica/$A.json ]] || fail "the guest is here again, and called replaced"
! vmferry may-start "$DIR/before.sh" >"$DIR/out" 2>"$DIR/err" || fail "the old copy may be started beside the guest: $(cat "$DIR/out")"
says 'what lies here is the old copy' "$DIR/err"
! vmferry may-start "$A" >"$DIR/out" 2>"$DIR/err" || fail "the guest runs, and may be started"
says 'it may run already' "$DIR/err"

# the replica comes back, too
replica reverse "$A" "$b" --disk-dir "$THERE" >"$DIR/out" 2>"$DIR/err" || fail "reverse: $(cat "$DIR/out" "$DIR/err")"
says "has its own disks here" "$DIR/out"
says "one every 300 s, by vmferry replica run $A" "$DIR/out"
assert_eq "$(of_store "$STORE" "(r['term'], 'over' in r)")" "(3, False)" "what b has"
sync
lives "$BACK/$A.orders"
