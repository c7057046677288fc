#!/bin/bash
# Either agent is killed at each step of a move to the replica. Once that is settled the guest runs at one place, with all that it had; where that is its primary, it is
# that as before: the term is what it was, nothing is left at the replica, and the next point is a delta.
# timeout: 900
# takes: 200
. "$(dirname "$0")/../../lib/replica.sh"

of_store() { # EXPRESSION over r, replica.json
	python3 -S -c 'import json, sys; r = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$STORE/replica.json" "$1"
}

is_settled() {
	vmferry recover </dev/null >"$DIR/recover.out" 2>&1 || true
	! compgen -G "$VMFERRY_STATE_DIR/*.journal" >/dev/null
}

runs_at() { # DIRECTORY
	[[ $(status_of "$1/$A.mon" 2>/dev/null || true) == running ]]
}

runs_once() {
	if runs_at "$DIR"; then ! runs_at "$THERE"; else runs_at "$THERE"; fi
}

is_primary_as_before() {
	assert_eq "$(of_store "(r['term'], 'run' in r)")" "(1, False)" "$1: term and run of the store"
	[[ ! -e $STORE/run ]] || fail "$1: left: $(ls "$STORE/run")"
	writes_on
	sync
	assert_eq "$(of_primary "p['whole']")" False "$1: the next point was everything"
	nothing_is_left
}

has_gone() { # STEP
	local at
	assert_eq "$(of_store "(r['term'], r['run']['came'])")" "(2, True)" "$1: term and run of the store"
	[[ ! -e $VMFERRY_STATE_DIR/replica/$A.conf ]] || fail "$1: points would be made from where it is no more"
	at=$(pair_written "$THERE/$A.orders")
	wait_for 60 pair_has_written "$THERE/$A.orders" $((at + 20)) || fail "$1: it does not write any more"
	guest_verify "$THERE/$A.orders" >/dev/null
}

number=0
for step in dst-prepare before-DST_PREPARED after-DST_PREPARED before-SRC_COMMITTED after-SRC_COMMITTED before-DST_START after-DST_START \
	dst-taken-over before-DST_STARTED after-DST_STARTED before-SRC_RELEASED after-SRC_RELEASED; do
	number=$((number + 1))
	A=$ID-$number STORE=$THERE/$A.replica
	replica_start
	replica_add --reconnect-timeout 2
	sync
	VMFERRY_FAULT=$step:kill:$DIR/killed-$step replica failover "$A" --planned -v >"$DIR/planned.out" 2>"$DIR/planned.err" || true
	[[ -s $DIR/killed-$step ]] || fail "nobody has come to $step: $(tail -n 5 "$DIR/planned.err" "$DIR/planned.out")"
	wait_for 120 is_settled || fail "$step is not settled: $(tail -n 5 "$DIR/recover.out"; ls "$VMFERRY_STATE_DIR")"
	pid=$(of_store "r.get('run', {}).get('pid', '')")
	[[ -z $pid ]] || kill_at_exit "$pid"
	wait_for 60 runs_once || fail "$step: at its primary it is $(status_of "$DIR/$A.mon"), at its replica $(status_of "$THERE/$A.mon")"
	if runs_at "$DIR"; then is_primary_as_before "$step"; else has_gone "$step"; fi
	kill -KILL "${GUEST_PID[$A]}" ${pid:+"$pid"} 2>/dev/null || true
done
