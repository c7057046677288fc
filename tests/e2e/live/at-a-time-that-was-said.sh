#!/bin/bash
# --at: a guest that has converged is held, running, until then; with --how quick it is not stopped before. `vmferry switch` and cancel
# work meanwhile.
# takes: 25
# timeout: 400
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

stopped_at() { # prints when QEMU said that it stopped, as seconds since 1970
	python3 -S -c 'import json, sys; print(json.load(open(sys.argv[1]))["seconds"])' "$DIR/stopped"
}

watch_stop() { # in the background, until the guest is stopped; $WATCHER
	python3 -S - "$TOP/tests/lib" "$(free_monitor a)" >"$DIR/stopped" <<-'END' &
		import json, sys, time
		sys.path.insert(0, sys.argv[1])
		import qmp
		monitor = qmp.Monitor(sys.argv[2], time.monotonic() + 300)
		while True:
		    message = monitor.read()
		    if message.get("event") == "STOP":
		        print(json.dumps(message["timestamp"]))
		        break
	END
	WATCHER=$!
	kill_at_exit "$WATCHER"
}

is_past() { [[ $(date +%s) -ge $at ]]; }

guest_a
for wrong in 25:00 yesterday '2020-01-01 3:00' +0; do
	status=0
	vmferry migrate a local --disk-dir "$DIR" --at "$wrong" 2>"$DIR/usage" || status=$?
	assert_eq "$status" 2 "exit code with --at $wrong"
	grep -q "'$wrong' is not a time to come" "$DIR/usage" || fail "$(<"$DIR/usage")"
done
status=0
vmferry migrate a local --disk-dir "$DIR" --at +5 --hold 2>"$DIR/usage" || status=$?
assert_eq "$status" 2 "exit code with --at and --hold"

# Live: copied before, held until then; on a machine that was not ready by then, once more with more time.
is_held() { is_moving_with a 's["held"]'; }
is_held_or_past() { is_held || is_past; }
for seconds in 12 40 120; do
	at=$(($(date +%s) + seconds))
	watch_stop
	move_start a local --at "$(date -d "@$at" '+%F %T')"
	wait_for 150 is_held_or_past || fail "status: $(vmferry status --json)"
	was_held=$(is_held && echo yes || true)
	[[ $(status_of "$(free_monitor a)") == running ]] || is_past || fail "the guest stands still before its time"
	move_wait
	wait "$WATCHER"
	[[ $(stopped_at) -ge $at ]] || fail "stopped at $(stopped_at), not at $at"
	guest_verify "$(orders a)" blocks
	[[ -z $was_held ]] || break
done
[[ -n $was_held ]] || fail "it was not held"
grep -q 'ready to switch over; the guest runs on here until 2' "$DIR/move.json" || fail "it does not say until when"

# Quick: cancelled before, told to go at once, and at its time.
move_start a local --how quick --at +1h
wait_event 'ev["event"] == "notice" and "the guest is stopped at 2" in ev["text"]' >/dev/null
assert_eq "$(status_of "$(free_monitor a)")" running "QEMU's run state before its time"
vmferry cancel --no-wait "${GUEST_PID[a]}" >/dev/null
move_wait 1
[[ -z $(ls -A "$TO") ]] || fail "left: $(ls -A "$TO")"
guest_verify "$(orders a)" blocks
move_start a local --how quick --at +1h
wait_event 'ev["event"] == "notice" and "the guest is stopped at 2" in ev["text"]' >/dev/null
vmferry switch --no-wait "${GUEST_PID[a]}" >/dev/null
move_wait
guest_verify "$(orders a)" blocks
at=$(($(date +%s) + 5))
watch_stop
move_start a local --how quick --at +5
move_wait
assert_result "plan['held_until'] >= $at - 1" "the moment in the plan"
wait "$WATCHER"
[[ $(stopped_at) -ge $at ]] || fail "stopped at $(stopped_at), not at $at"
assert_result 'r["verified"] and r["how"] == "quick"'
guest_verify "$(orders a)" blocks
