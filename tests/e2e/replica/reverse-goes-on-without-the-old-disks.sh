#!/bin/bash
# A guest was taken over, and its replica is to be at its old primary, which was installed anew: of its old disks one is there still, and what that has does not travel; all of the others
# does, and the plan says so. A disk that the user names is to be there.
# timeout: 400
. "$(dirname "$0")/../../lib/replica.sh"

at_b() { # SUBCOMMAND [WORD...]: its exit code is CODE
	CODE=0
	VMFERRY_STATE_DIR=$DIR/dst-state VMFERRY_RUNTIME_DIR=$DIR/dst-run "$BIN/vmferry" "$@" </dev/null >"$DIR/out" 2>"$DIR/err" || CODE=$?
}

b_does() { # SUBCOMMAND [WORD...]
	at_b "$@"
	assert_eq "$CODE" 0 "exit code of $* at b: $(cat "$DIR/out" "$DIR/err")"
}

kept() { # a word a disk: whether some of it did not travel
	tail -n 1 "$DIR/out" | python3 -S -c 'import json, sys; print(*[d["bytes_kept"] >= 1 << 20 for d in json.load(sys.stdin)["disks"]])'
}

gone() { # prints the paths of which the plan says that they are gone
	python3 -S -c 'import json, sys
for line in open(sys.argv[1]):
    o = json.loads(line)
    if o.get("event") == "plan": print(*[d.get("reuse_gone", "-").split("/")[-1] for d in o["disks"]])' "$DIR/out"
}

listen_dst
b=$DST_ADDRESS
replica_start
replica add "$A" "$b" --disk-dir "$THERE" >"$DIR/out" 2>&1 || fail "add: $(cat "$DIR/out")"
kill -KILL "${GUEST_PID[$A]}"
wait_for 60 process_is_gone "${GUEST_PID[$A]}"
b_does replica failover "$A" --peer-is-fenced
kill_at_exit "$(python3 -S -c 'import json, sys; print(json.load(open(sys.argv[1]))["run"]["pid"])' "$STORE/replica.json")"
wait_for 120 grep -aq 'witness ready' "$THERE/$A.console" || fail "it does not come up"
b_does replica failover "$A" --complete

# the host of before, without anything that it knew
new_host() { # NUMBER
	mkdir "$DIR/state-$1"
	cp -p "$DIR/dst-state/token" "$DIR/state-$1"
	DST_NUMBER=$1 listen_dst --state-dir "$DIR/state-$1"
}

new_host 2
a=$DST_ADDRESS
BACK=$DIR/back
mkdir "$BACK"
mv "$DIR/$A.b" "$DIR/kept.b"
rm "$DIR/$A.c"
at_b replica reverse "$A" "$a" --disk-dir "$BACK" --reuse "$THERE/$A-disk1.qcow2=$DIR/$A.b"
assert_eq "$CODE" 3 "exit code where a disk is missing that the user names"
says "the old copy $DIR/$A.b at the destination" "$DIR/err"
b_does replica reverse "$A" "$a" --disk-dir "$BACK" --json
assert_eq "$(gone)" "- $A.b $A.c" "what the plan says is gone"
assert_eq "$(kept)" "True False False" "whether what is the same did not travel"

# the store is empty, without any point
b_does replica remove "$A" --peer-is-fenced
rm -r "$BACK" "$DIR/$A.a"
mkdir "$BACK"
new_host 3
b_does replica reverse "$A" "$DST_ADDRESS" --disk-dir "$BACK"
assert_eq "$(grep -c "all of it travels: what it had there before, $DIR/$A.[abc], is gone" "$DIR/out")" 3 "disks of which the plan says that they are gone"
mv "$DIR/kept.b" "$DIR/$A.b"
STORE=$BACK/$A.replica assert_points_are_of_one_moment
