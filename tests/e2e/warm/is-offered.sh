#!/bin/bash
# For a guest that cannot move live `vmferry list` and `vmferry check` name --how warm; and check says what that costs, its script what would be done.
. "$(dirname "$0")/../../lib/warm.sh"

warm_guest
mkdir "$DIR/there"
vmferry list "${GUEST_PID[a]}" >"$DIR/list.out"
grep -q 'QEMU cannot migrate the guest: non-migratable device' "$DIR/list.out" && grep -q -- '--how warm' "$DIR/list.out" || fail "$(<"$DIR/list.out")"

check() { # STATUS OPTION...
	local status=0
	vmferry check "${GUEST_PID[a]}" local --disk-dir "$DIR/there" "${@:2}" >"$DIR/check.out" 2>"$DIR/check.err" || status=$?
	assert_eq "$status" "$1" "exit code of vmferry check ($(tail -n 2 "$DIR/check.err"))"
}

check 3
grep -q 'may be moved warm.*vmferry check [0-9]* local --how warm' "$DIR/check.err" || fail "$(<"$DIR/check.err")"
check 0 --how warm -v
grep -q '^  about .* of downtime beside its shutdown and boot' "$DIR/check.out" || fail "$(<"$DIR/check.out")"
! grep -q 'memory  *$' "$DIR/check.out" || fail "$(<"$DIR/check.out")"
check 0 --how warm --json
python3 - "$DIR/check.out" <<-'END'
	import json, sys
	events = {ev["event"]: ev for ev in map(json.loads, open(sys.argv[1]))}
	plan, estimate = events["plan"], events["estimate"]
	assert plan["how"] == estimate["how"] == "warm" and "-incoming" not in plan["command_line"] and "-S" in plan["command_line"]
	assert estimate["ram_bytes"] == 0 and estimate["converges"] and estimate["disk_bytes"] > 16 << 20, estimate
	assert 0 < estimate["bytes_wire"] <= estimate["bytes"] == estimate["disk_bytes"] and 0 < estimate["downtime_ms"] < 10000, estimate
END
check 0 --how warm --force --script
grep -q -- '--how warm .*--shutdown-timeout 60 .*--force ' <(tr -d '\\\n' <"$DIR/check.out") || fail "$(<"$DIR/check.out")"
assert_eq "$(ls -A "$DIR/there")" "" "files at the destination"

vmferry migrate "${GUEST_PID[a]}" local --disk-dir "$DIR/there" --shutdown-timeout 5 2>"$DIR/usage" && fail "it was taken"
grep -q -- '--shutdown-timeout is for a guest that is shut down for its move (--how warm, --how cold)' "$DIR/usage" || fail "$(<"$DIR/usage")"
