#!/bin/bash
# tests/faults/replica.sh WHEN WHO WHAT: at that moment WHO is killed, stopped for five seconds, or stopped for ever (until somebody kills it).
# HOW: a point is made (sync), the guest goes to its replica as it runs (planned), it is taken over there (takeover), or it has gone there, and its replica is to be at its old
# primary (reverse). Points that were there are what they were, the guest runs at one place, and the next point is made.
. "$(dirname "$0")/cell.sh"
. "$(dirname "$0")/../lib/replica.sh"
WHEN=$1 WHO=$2 WHAT=$3 HOW=${HOW:-sync}
HERE=(env) # the host at which vmferry replica is called

of_store() { # STORE EXPRESSION over r, replica.json
	python3 -S -c 'import json, sys; r = json.load(open(sys.argv[1] + "/replica.json")); print(eval(sys.argv[2]))' "$1" "$2"
}

run_is_ours() { # STORE: what runs from it ends with this cell
	local pid
	pid=$(of_store "$1" "r.get('run', {}).get('pid', '')" 2>/dev/null) || true
	[[ -z $pid ]] || kill_at_exit "$pid"
}

writes_at() { # DIRECTORY: the guest does, and what it has is right
	local at
	at=$(pair_written "$1/$A.orders")
	wait_for 60 pair_has_written "$1/$A.orders" $((at + 20)) || fail "the guest does not write in $1"
	guest_verify "$1/$A.orders" >/dev/null
}

comes_again() { # the agents that were killed may still be followed by their guard
	try_sync
	[[ $SYNCED -eq 0 ]]
}

is_settled() {
	"$BIN/vmferry" recover </dev/null >"$DIR/recover.out" 2>&1 || true
	[[ -z $(unfinished_journals) ]]
}

begins() { # SUBCOMMAND [WORD...]: of vmferry replica; it comes to the moment, and that happens
	fault "$WHEN" stop
	"${HERE[@]}" "$BIN/vmferry" replica "$@" </dev/null >"$DIR/move.json" 2>"$DIR/move.log" &
	MOVE_PID=$!
	kill_at_exit "$MOVE_PID"
	wait_at_fault "$WHEN"
	hit "$WHO" "$WHAT"
	go_on
}

# Sets CODE, of a command that ends once whatever was stopped is seen to.
ends() {
	if ! wait_for 60 move_is_over; then
		note "it waits"
		release_stopped
		wait_for 100 move_is_over || fail "vmferry replica does not end: $(tail -n 2 "$DIR/move.log")"
	fi
	CODE=0 SAID_BY=$HOW
	wait "$MOVE_PID" || CODE=$?
}

# Nothing happens to the guest meanwhile.
point_is_made() {
	local before
	before=$(of_primary 'p["point"]')
	begins sync "$A" -v
	[[ $WHO == src-qemu ]] || writes_at "$DIR"
	ends
	release_stopped
	[[ $CODE != 0 ]] || [[ $(of_primary 'p["point"]') -gt $before ]] || fail "it says 0, and there is no point more"
	assert_points_are_of_one_moment
}

next_is_made() { # in the place of the one that may have failed
	wait_for 120 comes_again || fail "no point is made: $(tail -n 3 "$DIR/sync.log")"
	assert_points_are_of_one_moment
	wait_for 60 is_settled || fail "not settled: $(tail -n 2 "$DIR/recover.out"; unfinished_journals)"
}

# The guest has come as it ran to host b, whose directories are dst-state and dst-run; host a, where it was, listens.
reverse_begins() {
	local b
	listen_dst
	b=$DST_ADDRESS
	replica add "$A" "$b" --disk-dir "$THERE" >"$DIR/out" 2>&1 || fail "add: $(<"$DIR/out")"
	replica failover "$A" --planned >"$DIR/out" 2>&1 || fail "it does not go to its replica: $(<"$DIR/out")"
	run_is_ours "$STORE"
	HERE=(env "VMFERRY_STATE_DIR=$DIR/dst-state" "VMFERRY_RUNTIME_DIR=$DIR/dst-run")
	fault "$WHEN" stop
	DST_NUMBER=2 listen_dst --state-dir "$VMFERRY_STATE_DIR"
	STORE=$DIR/back/$A.replica
	mkdir "$DIR/back"
	REVERSED=("$A" "$DST_ADDRESS" --disk-dir "$DIR/back" --reconnect-timeout 2)
	begins reverse "${REVERSED[@]}" -v
}

at_b() { # [WORD...]
	"${HERE[@]}" "$BIN/vmferry" "$@" </dev/null >"$DIR/out" 2>&1
}

is_reversed() { # by whoever gives the command again; a pair that was begun has its first point by sync
	at_b recover || true
	if [[ -e $DIR/dst-state/replica/$A.conf ]]; then at_b replica sync "$A"; else at_b replica reverse "${REVERSED[@]}"; fi
}

# A program that reverse has called may have come to the moment.
[[ $HOW != reverse ]] || pid_of() { # WHO
	local at
	at=$(cat "/proc/${AT_FAULT:-0}/comm" 2>/dev/null) || true
	case $1-$at in
	dst-agent-vmferry-dst | src-agent-vmferry) echo "$AT_FAULT" ;;
	dst-agent-*) agent_dst | head -n 1 ;;
	src-agent-*) echo "$MOVE_PID" ;;
	esac || true
}

replica_start
[[ $HOW == reverse ]] || replica_add --reconnect-timeout 2
GUEST_PID[a]=${GUEST_PID[$A]} # by which pid_of knows it
case $HOW in
sync)
	point_is_made
	if [[ $WHO-$WHAT == src-qemu-kill ]]; then
		wait_for 60 is_settled || fail "not settled: $(unfinished_journals)"
		replica failover "$A" --peer-is-fenced >"$DIR/out" 2>&1 || fail "it does not run from its points: $(<"$DIR/out")"
		run_is_ours "$STORE"
		wait_for 120 grep -aq 'witness ready' "$THERE/$A.console" || fail "it does not come up"
		writes_at "$THERE"
		evidence "at its replica"
		exit
	fi
	next_is_made
	assert_eq "$(of_primary 'p["whole"]')" False "everything was compared"
	nothing_is_left
	rests "$A"
	sync
	assert_point_is_exact
	goes_on "$A"
	writes_at "$DIR"
	evidence "at its primary, with its points"
	;;
planned)
	sync
	begins failover "$A" --planned -v
	ends
	release_stopped
	wait_for 120 is_settled || fail "not settled: $(tail -n 3 "$DIR/recover.out"; unfinished_journals)"
	run_is_ours "$STORE"
	runs_in() { # DIRECTORY
		[[ $(timeout 5 "$ASK" state "$1/$A.mon" 2>/dev/null || true) == running ]]
	}
	runs_once() {
		if runs_in "$DIR"; then ! runs_in "$THERE"; else runs_in "$THERE"; fi
	}
	wait_for 60 runs_once || fail "it runs at neither, or at both"
	if runs_in "$DIR"; then
		next_is_made
		assert_eq "$(of_primary 'p["whole"]')" False "everything was compared"
		assert_eq "$(of_store "$STORE" "(r['term'], 'run' in r)")" "(1, False)" "term and run of the store"
		nothing_is_left
		writes_at "$DIR"
		evidence "at its primary"
	else
		assert_eq "$(of_store "$STORE" "(r['term'], r['run']['came'])")" "(2, True)" "term and run of the store"
		[[ ! -e $VMFERRY_STATE_DIR/replica/$A.conf ]] || fail "points would be made from where it is no more"
		writes_at "$THERE"
		evidence "at its replica"
	fi
	;;
takeover)
	kill_now "${GUEST_PID[$A]}"
	begins failover "$A" --peer-is-fenced
	ends
	release_stopped
	run_is_ours "$STORE"
	if [[ $CODE != 0 ]]; then
		! vmferry may-start "$A" >"$DIR/out" 2>&1 || [[ $(of_store "$STORE" "r['term']") -eq 1 ]] || fail "its primary may go on, in the term of before"
		replica failover "$A" --cancel >"$DIR/out" 2>&1 || note "cancel: $(tail -n 1 "$DIR/out")"
		[[ ! -e $STORE/run ]] || fail "left: $(ls "$STORE/run")"
		replica failover "$A" --peer-is-fenced >"$DIR/out" 2>&1 || fail "not once more: $(<"$DIR/out")"
		run_is_ours "$STORE"
	fi
	wait_for 120 grep -aq 'witness ready' "$THERE/$A.console" || fail "it does not come up"
	assert_eq "$(of_store "$STORE" "(r['term'], 'run' in r)")" "(2, True)" "term and run of the store"
	writes_at "$THERE"
	evidence "at its replica"
	;;
reverse)
	reverse_begins
	[[ $WHO != dst-agent ]] || writes_at "$THERE"
	ends
	release_stopped
	guard_ends
	wait_for 120 is_reversed || fail "its replica is not at its old primary: $(tail -n 3 "$DIR/out")"
	wait_for 60 is_settled || fail "not settled: $(tail -n 2 "$DIR/recover.out"; unfinished_journals)"
	writes_at "$THERE"
	[[ -z $(timeout 5 "$ASK" state "$DIR/$A.mon" 2>/dev/null) ]] || fail "it runs at its old primary, too"
	assert_eq "$(of_store "$STORE" "(r['term'], 'run' in r)")" "(2, False)" "term and run of the store"
	! vmferry may-start "$A" >"$DIR/out" 2>&1 || fail "the old copy may be started"
	at_b replica sync "$A" || fail "no point is made: $(tail -n 3 "$DIR/out")"
	assert_points_are_of_one_moment
	[[ -z $(find "$THERE/$A.replica" -name '*.qcow2' -o -name '*.raw') ]] || fail "the points of before: $(find "$THERE/$A.replica")"
	left=$(find "$STORE/points" -name '*.tmp'; find "$THERE" -name '.vmferry-*'
		qmp "$THERE/$A.mon" '{"execute": "query-named-block-nodes", "arguments": {"flat": true}}' | grep -o '"vmferry-[^"]*"' | grep -vE -- '-[df][0-9]+"' || true) # nodes of its disks
	[[ -z $left ]] || fail "left: $left"
	evidence "at its replica, which is at its old primary now"
	;;
esac
