#!/bin/bash
# kill -9 in the midst of a move: no process, no namespace, no file is left. --resume makes the moves that are missing, and only these.
. "$(dirname "$0")/../lib/bench.sh"

moves_of() {
	python3 -c 'import json, sys; print(len(json.load(open(sys.argv[1]))["moves"]))' "$RUN" 2>/dev/null || echo 0
}

has_moves() { # COUNT
	[[ $(moves_of) -ge $1 ]]
}

# The first process inside the namespaces of the bench that runs.
namespaces() {
	pgrep -P "$BENCH" || true
}

small_bench "${SMALL[@]}" --workloads idle --tools multifd,vmferry -o "$RUN" >"$DIR/out" 2>&1 &
BENCH=$!
kill_at_exit "$BENCH"
wait_for 120 has_moves 1 || fail "no move: $(<"$DIR/out")"
inside=$(namespaces)
[[ -n $inside && -n $(bench_processes) ]] || fail "there is nothing to be killed"
kill -KILL "$BENCH"
wait_for 60 nothing_left || fail "left: $(bench_processes; ls -A "$BENCH_DIR")"
[[ ! -e /proc/$inside ]] || fail "the lab is still there"
done_before=$(moves_of)
[[ $done_before -lt 4 ]] || fail "it was too late to interrupt it"

small_bench --resume "$RUN" >"$DIR/out" 2>&1 || fail "it does not go on: $(<"$DIR/out")"
wait_for 60 nothing_left || fail "left: $(bench_processes; ls -A "$BENCH_DIR")"
assert_run 'len(moves) == 4 and [m["number"] for m in moves] == [1, 2, 3, 4] and all(m["outcome"] == "ok" for m in moves)'
assert_run 'len({(m["tool"], m["round"]) for m in moves}) == 4 and r["ended_at"] > r["began_at"]'
grep -q "$((4 - done_before)) moves" "$DIR/out" || fail "it made others again: $(<"$DIR/out")"

# Interrupted by hand it says how to go on; what is there already is kept.
rm "$RUN"
small_bench "${SMALL[@]}" --workloads idle --tools vmferry -o "$RUN" >"$DIR/out" 2>&1 &
BENCH=$!
kill_at_exit "$BENCH"
wait_for 120 has_moves 1 || fail "no move: $(<"$DIR/out")"
kill -INT "$BENCH"
status=0
wait "$BENCH" || status=$?
assert_eq "$status" 1 "exit status of an interrupted run"
grep -q -- "--resume $RUN" "$DIR/out" || fail "it does not say how to go on: $(<"$DIR/out")"
wait_for 60 nothing_left || fail "left: $(bench_processes; ls -A "$BENCH_DIR")"

# Results are not overwritten, nor mixed with those of another machine or program.
before=$(<"$RUN")
refused() { # WORDS OPTION...
	! small_bench "${@:2}" >"$DIR/out" 2>&1 || fail "it was accepted: ${*:2}"
	grep -q "$1" "$DIR/out" || fail "it says: $(<"$DIR/out")"
	[[ $(<"$RUN") == "$before" ]] || fail "the results are not as they were"
}
refused "would be overwritten" "${SMALL[@]}" --workloads idle --tools vmferry -o "$RUN"
refused "no other output" --resume "$RUN" -o "$DIR/other.json"
for change in '["environment"]["kernel"] = "6.0"' '["environment"]["qemu"] = "9.0"' '["software"] = "0.0"'; do
	python3 - "$RUN" "$change" <<-'END'
		import json, sys
		run = json.load(open(sys.argv[1]))
		exec("run" + sys.argv[2])
		json.dump(run, open(sys.argv[1], "w"))
	END
	before=$(<"$RUN")
	refused "was begun " --resume "$RUN"
done

# A file that is none.
for text in '{' '{}' '[1]' '{"schema":1,"moves":[],"plan":{"links":["1gbit"]}}' '{"schema":1,"moves":[],"plan":{"links":[[]]}}'; do
	echo "$text" >"$RUN"
	! small_bench --resume "$RUN" >"$DIR/out" 2>&1 || fail "it goes on with $text"
	grep -q "$RUN" "$DIR/out" || fail "of $text it says: $(<"$DIR/out")"
done
