#!/bin/bash
# timeout: 400
# The destination's QEMU dies during a move: it failed, as the guest goes on where it was. The source's dies, or the guest starts anew
# during a move: it is damaged, whatever QEMU says. And the next move has a guest again.
. "$(dirname "$0")/../lib/bench.sh"

qemu_of() { # source|target: the pid, when both are there and memory is under way
	local pid target='' source=''
	for pid in $(bench_processes); do
		case $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null) in
		*qemu-system*-incoming*) target=$pid ;;
		*qemu-system*) source=$pid ;;
		esac
	done
	[[ -n $source && -n $target ]] && moving "$source" && if [[ $1 == source ]]; then echo "$source"; else echo "$target"; fi
}

folder_of() { # PID
	tr '\0' '\n' <"/proc/$1/cmdline" | sed -n 's|^unix:\(.*\)/bench.qmp,.*|\1|p'
}

moving() { # PID
	qmp "$(folder_of "$1")/bench.qmp" '{"execute": "query-migrate"}' 2>/dev/null | grep -q '"status": *"active"'
}

# Slows a move, so that there is time. The next command is about a guest in the midst of a move, each time.
during_a_move() { # source|target
	wait_for 120 qemu_of "$1" >/dev/null || fail "no move of memory: $(<"$DIR/out")"
	pid=$(qemu_of "$1") || fail "it was over too soon: $(<"$DIR/out")"
}

over() { # MOVES
	[[ $(python3 -c 'import json, sys; print(len(json.load(open(sys.argv[1]))["moves"]))' "$RUN" 2>/dev/null) -ge $1 ]]
}

small_bench "${SMALL[@]}" --links 100mbit --disks 0 --workloads idle --repeat 3 --tools multifd -o "$RUN" >"$DIR/table" 2>"$DIR/out" &
BENCH=$!
kill_at_exit "$BENCH"
during_a_move target
kill -KILL "$pid"
wait_for 60 over 1 || fail "move 1 does not end: $(<"$DIR/out")"
during_a_move source
kill -KILL "$pid"
wait_for 60 over 2 || fail "move 2 does not end: $(<"$DIR/out")"
during_a_move source
qmp "$(folder_of "$pid")/bench.qmp" '{"execute": "system_reset"}'
wait_for 120 over 3 || fail "move 3 does not end: $(<"$DIR/out")"
wait "$BENCH" || fail "it does not end well: $(<"$DIR/out")"
cat "$DIR/out" "$DIR/table"
assert_run '[m["outcome"] for m in moves] == ["failed", "damaged", "damaged", "ok"]'
assert_run '"its QEMU ended" in moves[1]["error"] and "does not go on" in moves[2]["error"]'
