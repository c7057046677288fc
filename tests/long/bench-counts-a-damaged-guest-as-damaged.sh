#!/bin/bash
# Something goes wrong in the guest's memory while a bench runs: the move after which it is found counts as damaged, not in any
# median; the next one has a new guest.
. "$(dirname "$0")/../lib/bench.sh"

orders_of_the_guest() { # the newest folder that has such a socket
	find "$BENCH_DIR" -name bench.orders -printf '%T@ %p\n' 2>/dev/null | sort -n | tail -n 1 | cut -d' ' -f2
}

corrupted() { # an order whose answer is late is given twice
	local socket
	socket=$(orders_of_the_guest)
	[[ -n $socket ]] && guest_order "$socket" "corrupt page" 2 >/dev/null 2>&1
}

small_bench "${SMALL[@]}" --workloads idle --repeat 3 --tools vmferry -o "$RUN" >"$DIR/table" 2>"$DIR/out" &
BENCH=$!
kill_at_exit "$BENCH"
wait_for 120 corrupted || fail "the guest could not be reached: $(<"$DIR/out")"
wait "$BENCH" || fail "it does not end well: $(<"$DIR/out")"
cat "$DIR/table"
assert_run '[m["outcome"] for m in moves].count("damaged") == 1 and [m["outcome"] for m in moves].count("ok") == 3'
assert_run 'all("pages_wrong=" in m["error"] and m["verified"]["pages_wrong"] in (1, 2) for m in moves if m["outcome"] == "damaged")'
assert_run 'all(m["verified"]["pages_wrong"] == 0 for m in moves if m["outcome"] == "ok")'
grep -qE '^  vmferry +[23] +1 ' "$DIR/table" || fail "the table does not tell it"
