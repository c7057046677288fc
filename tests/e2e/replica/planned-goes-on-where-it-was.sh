#!/bin/bash
# A guest goes, as it runs, to where its replica is: what travels is what it has written since the last point, and it is as it was, memory and disks. The term is
# raised; its points go when it gets disks of its own. A move that fails leaves it at its primary, and the next point is a delta.
# timeout: 300
. "$(dirname "$0")/../../lib/replica.sh"

of_store() { # EXPRESSION over r, replica.json
	python3 -S -c 'import json, sys; r = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$STORE/replica.json" "$1"
}

planned() { # [OPTION...]: its exit code is PLANNED
	PLANNED=0
	replica failover "$A" --planned -v "$@" >"$DIR/planned.out" 2>"$DIR/planned.err" || PLANNED=$?
}

replica_start
replica_add

# the failover fails at the last moment: the guest runs on, its primary is unchanged
VMFERRY_FAULT=dst-taken-over:fail planned
assert_eq "$PLANNED" 1 "exit code ($(tail -n 5 "$DIR/planned.err" "$DIR/planned.out"))"
writes_on
assert_eq "$(of_store "(r['term'], 'run' in r)")" "(1, False)" "term and run of the store"
[[ ! -e $STORE/run ]] || fail "left: $(ls "$STORE/run")"
sync
assert_eq "$(of_primary "p['whole']")" False "the next point was everything"
nothing_is_left

# the destination's agent is killed when the term is raised, and the guest does not run yet: it does, once
VMFERRY_FAULT=dst-taken-over:kill:$DIR/killed planned --json
assert_eq "$PLANNED" 0 "exit code ($(tail -n 5 "$DIR/planned.err" "$DIR/planned.out"))"
[[ -s $DIR/killed ]] || fail "nobody has come to dst-taken-over"
pid=$(of_store "r['run']['pid']")
kill_at_exit "$pid"
in_result() { # EXPRESSION over r, the result
	tail -n 1 "$DIR/planned.out" | python3 -S -c 'import json, sys; r = json.load(sys.stdin); print(eval(sys.argv[1]))' "$1"
}
assert_eq "$(in_result "r['disks'][0]['bytes_read'] < 2 << 20")" True "of a disk with 4 MiB that are not written to little is read"
wait_for 60 process_is_gone "${GUEST_PID[$A]}" || fail "it runs here, too"
assert_eq "$(of_store "(r['term'], r['run']['number'])")" "(2, 4)" "term, and the point that it runs above"
at=$(pair_written "$THERE/$A.orders")
wait_for 60 pair_has_written "$THERE/$A.orders" $((at + 20)) || fail "it does not write any more"
guest_verify "$THERE/$A.orders" >/dev/null
! replica failover "$A" --cancel 2>"$DIR/err" || fail "what it has written could be thrown away"
says 'came here by a planned failover' "$DIR/err"
assert_eq "$(replica list | grep -c "$A.*primary" || true)" 0 "primaries"

# disks of its own, while it runs
replica failover "$A" --complete >"$DIR/out" 2>"$DIR/err" || fail "complete: $(cat "$DIR/out" "$DIR/err")"
assert_eq "$(find "$STORE" -type f -printf '%f ' | tr ' ' '\n' | sort | xargs)" "lock replica.json" "what is left"
guest_verify "$THERE/$A.orders" >/dev/null
