#!/bin/bash
# timeout: 400
# `vmferry bench root@host-b`: that host has QEMU and sshd, and nothing of ours. QEMU's own migration and vmferry move a guest there,
# each time it is verified there, and nothing is left on either host; also not at the other one when the bench is killed with -9.
. "$(dirname "$0")/../lib/bench.sh"
. "$(dirname "$0")/../lib/over-ssh.sh"

hosts_start
on_b env TOP="$TOP" DIR="$DIR" bash -ec "$(declare -f hide); hide /var/tmp 1777"
# The bench has finished moves of guests of its own, as many as it keeps.
on_b bash -c 'mkdir -p -m 700 /var/lib/vmferry; for i in {10..29}; do
	: >/var/lib/vmferry/000000000000000000000000000000$i-dst.journal.done; done'
"$QEMU" -netdev help | grep -qx user || skip "this QEMU has no user network"
LOCAL=$BENCH_DIR

# In the background its pid is vmferry's own.
host_bench() { # [OPTION...]
	[[ $BASHPID != "$$" ]] || { (host_bench "$@"); return; }
	vmferry_on_a bench root@host-b --dir "$LOCAL" --qemu "$QEMU" --accel tcg "$@"
}

left_there() {
	on_b_runs
	on_b bash -c 'find /var/tmp/vmferry-bench.* /var/lib/vmferry/* /run/vmferry/* "$HOME"/.cache/vmferry/* \
		! -name "0000*-dst.journal.done" 2>/dev/null; true'
}

left_here() {
	bench_processes
	ls -A "$LOCAL"
}

nothing_left_there() {
	[[ -z $(left_there) ]]
}

nothing_left_here() {
	[[ -z $(left_here) ]]
}

assert_nothing_left() {
	wait_for 60 nothing_left_there || fail "left on host-b: $(left_there)"
	wait_for 60 nothing_left_here || fail "left on host-a: $(left_here)"
}

has_moves() { # COUNT
	python3 -c 'import json, sys; sys.exit(len(json.load(open(sys.argv[1]))["moves"]) < int(sys.argv[2]))' "$RUN" "$1" 2>/dev/null
}

bench_pid() { # the bench itself, not the process that waits to remove its directory
	pgrep -o -f "^$BIN/vmferry-bench bench root@host-b"
}

leaves_units_alone() { # the move under way
	[[ -n $(pgrep -f "^$BIN/vmferry migrate .*--unit keep") ]]
}

guest_on_b_runs() {
	[[ -n $(find_on_b 'qemu-system-.*/var/tmp/vmferry-bench\.') ]]
}

HOST_SMALL=(--mem 256M --disk 64M --disk-data 8M --repeat 1 --workloads idle)
host_bench "${HOST_SMALL[@]}" --tools multifd,multifd+zstd+tls,vmferry+codec=none+tls -o "$RUN" >"$DIR/table" 2>"$DIR/out" ||
	fail "it does not end well: $(<"$DIR/out")"
cat "$DIR/out" "$DIR/table"
nothing_left_there || fail "left on host-b: $(left_there)"
assert_nothing_left

assert_run 'r["environment"]["where"] == "root@host-b" and r["plan"]["links"] == ["network"]'
assert_run 'r["environment"]["qemu_there"] == r["environment"]["qemu"]'
assert_run 'len(moves) == 6 and all(m["outcome"] == "ok" and m["link"] == "network" for m in moves)'
assert_run 'all(m["verified"]["pages_checked"] > 10000 and m["verified"]["blocks_checked"] > 1000 for m in moves)'
assert_run 'all(m["verified"]["pages_wrong"] == m["verified"]["blocks_wrong"] == 0 for m in moves)'
assert_run 'all(1 < m["downtime_ms"]["guest"] < 5000 and "events" not in m["downtime_ms"] for m in moves)'
assert_run 'all("tcp" not in m and m["cpu_s"].keys() <= {"source QEMU", "vmferry"} for m in moves)'
assert_run 'all(m["cpu_s"]["source QEMU"] > 0 and m["bytes_wire"] > (10e6 if "zstd" in m["tool"] else 30e6) and m["copy_ms"] <= m["total_ms"] for m in moves)'
assert_run 'all(m["downtime_ms"]["own"] > 0 and m["breakdown_ms"] for m in moves if m["tool"].startswith("vmferry"))'
assert_run 'all(sum(m["series"]["beats"]) > 100 and {"migrate", "stop", "resume", "done"} <= {e["what"] for e in m["events"]} for m in moves if m["tool"] == "multifd")'
on_a "$BIN/vmferry" report "$RUN" -o "$DIR/page.html" || fail "there is no page of it"

# A bench is not made with other links, nor gone on with elsewhere.
status=0
host_bench --links 1gbit >"$DIR/out" 2>&1 || status=$?
assert_eq "$status" 2 "exit status with --links"
! vmferry_on_a bench root@elsewhere --resume "$RUN" >"$DIR/out" 2>&1 || fail "it goes on elsewhere"
grep -q root@host-b "$DIR/out" || fail "it does not say where: $(<"$DIR/out")"
for address in 203.0.113.1 10.231.0.77; do # no way to that one; nobody there
	! host_bench --collector "$address" "${HOST_SMALL[@]}" -o "$RUN.2" >"$DIR/out" 2>&1 || fail "the collector is not missed"
	grep -q -- --collector "$DIR/out" || fail "it does not say what to do: $(<"$DIR/out")"
done
assert_nothing_left

# Killed while a guest is at host-b, brought there by the one tool and by the other.
for tool in vmferry multifd; do
	rm -f "$RUN"
	host_bench "${HOST_SMALL[@]}" --tools "$tool" -o "$RUN" >"$DIR/out" 2>&1 &
	BENCH=$!
	kill_at_exit "$BENCH"
	[[ $tool != vmferry ]] || wait_for 120 leaves_units_alone || fail "it may disable a unit: $(pgrep -af "^$BIN/vmferry migrate")"
	wait_for 120 guest_on_b_runs || fail "no guest comes to host-b: $(<"$DIR/out")"
	kill -KILL "$(bench_pid)"
	assert_nothing_left
done

# The connection breaks: the bench says so and ends, and all goes there.
rm -f "$RUN"
host_bench "${HOST_SMALL[@]}" --tools multifd -o "$RUN" >"$DIR/out" 2>&1 &
BENCH=$!
kill_at_exit "$BENCH"
wait_for 120 guest_on_b_runs || fail "no guest comes to host-b: $(<"$DIR/out")"
sshd_stop
status=0
wait "$BENCH" || status=$?
assert_eq "$status" 1 "exit status when the connection breaks"
grep -q "connection with root@host-b was lost" "$DIR/out" || fail "it does not say what happened: $(<"$DIR/out")"
sshd_start
assert_nothing_left

# Interrupted by hand it waits until nothing is left there.
host_bench "${HOST_SMALL[@]}" --tools vmferry -o "$RUN" >"$DIR/out" 2>&1 &
BENCH=$!
kill_at_exit "$BENCH"
wait_for 120 has_moves 1 || fail "no move: $(<"$DIR/out")"
kill -INT "$(bench_pid)"
status=0
wait "$BENCH" || status=$?
assert_eq "$status" 1 "exit status of an interrupted run"
grep -q -- "bench root@host-b --resume $RUN" "$DIR/out" || fail "it does not say how to go on: $(<"$DIR/out")"
nothing_left_there || fail "left on host-b: $(left_there)"
assert_nothing_left
host_bench --resume "$RUN" >"$DIR/out" 2>&1 || fail "it does not go on: $(<"$DIR/out")"
assert_run 'len(moves) == 2 and all(m["outcome"] == "ok" for m in moves)'
assert_nothing_left

assert_eq "$(on_b bash -c 'ls /var/lib/vmferry/0000*-dst.journal.done | wc -l')" 20 "finished journals of host-b's own guests"
