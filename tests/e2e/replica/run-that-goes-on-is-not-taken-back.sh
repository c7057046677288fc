#!/bin/bash
# A guest that was taken over at the host of its replica moves on from there: that run cannot be cancelled any more, as its primary would run a second one, nor while
# the move is under way. What is left of it here is removed with the points, and who was its primary stays refused.
# timeout: 300
. "$(dirname "$0")/../../lib/replica.sh"

C=$DIR/c
mkdir -p "$C"
runs() {
	python3 -S -c 'import json, sys; print(json.load(open(sys.argv[1]))["run"]["pid"])' "$STORE/replica.json"
}

cancel_is_refused() { # WORDS
	! replica failover "$A" --cancel >"$DIR/out" 2>"$DIR/err" || fail "cancelled: $(cat "$DIR/out")"
	says "$1" "$DIR/err"
}

replica_start
replica_add
kill -KILL "${GUEST_PID[$A]}"
wait_for 60 process_is_gone "${GUEST_PID[$A]}"
replica failover "$A" --peer-is-fenced >"$DIR/out" 2>"$DIR/err" || fail "failover: $(cat "$DIR/err")"
pid=$(runs)
kill_at_exit "$pid"
wait_for 120 grep -aq 'witness ready' "$THERE/$A.console" || fail "it does not come up"

# on its way
vmferry migrate "$pid" local --disk-dir "$C" --chain flatten --hold --json -v </dev/null >"$DIR/move.json" 2>"$DIR/move.log" &
mover=$!
kill_at_exit "$mover"
wait_for 60 grep -q 'ready to switch over' "$DIR/move.json" || fail "it is not held: $(tail -n 3 "$DIR/move.log")"
cancel_is_refused 'takes guest .* from here.* is not over'
vmferry switch "$A" >"$DIR/out" 2>&1 || fail "switch: $(cat "$DIR/out")"
wait "$mover" || fail "the move: $(tail -n 3 "$DIR/move.log")"
wait_for 60 process_is_gone "$pid"
kill_at_exit "$(python3 -S -c 'import json, sys; print([json.loads(l) for l in open(sys.argv[1])][-1]["destination_pid"])' "$DIR/move.json")"

# gone
cancel_is_refused 'went on from here to local.*vmferry replica remove'
! replica failover "$A" --cancel --runs-at-primary 2>"$DIR/err" || fail "cancelled by a word"
says 'went on from here' "$DIR/err"
replica remove "$A" >"$DIR/out" 2>"$DIR/err" || fail "remove: $(cat "$DIR/out" "$DIR/err")"
assert_eq "$(find "$STORE" -type f -printf '%f ' | tr ' ' '\n' | sort | xargs)" "lock replica.json" "what is left"
at=$(pair_written "$C/$A.orders")
wait_for 60 pair_has_written "$C/$A.orders" $((at + 20)) || fail "it does not write where it has gone"
guest_verify "$C/$A.orders" blocks >/dev/null

# the earlier primary is refused for good
known() {
	python3 -S -c 'import json, sys; r = json.load(open(sys.argv[1])); print(r["term"], r["over"], "run" in r)' "$STORE/replica.json"
}
assert_eq "$(known)" "2 True False" "what is known of the pair"
