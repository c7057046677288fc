#!/bin/bash
# A guest whose only monitor has a client, one that does not exist, and a name that two have: refused in words.
. "$(dirname "$0")/../../lib/aftermath.sh"

hold_monitor() { # SOCKET
	python3 -S -c 'import socket, sys, time
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.recv(100); print("held", flush=True); time.sleep(100)' "$1" >"$DIR/holder" &
	kill_at_exit $!
	wait_for 60 grep -q held "$DIR/holder"
}

refused() { # WORDS VM
	local status=0
	vmferry migrate "$2" local --disk-dir "$DIR" >"$DIR/out" 2>&1 || status=$?
	assert_eq "$status" 3 "exit code ($(<"$DIR/out"))"
	grep -q "$1" "$DIR/out" || fail "not '$1': $(<"$DIR/out")"
}

name=twin-$$
guest_launch one -S -name "$name"
guest_launch two -S -name "$name"
wait_for 60 monitor_answers "$DIR/one.qmp" && wait_for 60 monitor_answers "$DIR/two.qmp" || fail "they do not start"
hold_monitor "$DIR/one.qmp"
refused 'another client occupies the QMP monitor .*one.qmp' "${GUEST_PID[one]}"
refused "no-such-guest-$$" "no-such-guest-$$"
refused "$name" "$name"
refused "${GUEST_PID[one]}.*${GUEST_PID[two]}\|${GUEST_PID[two]}.*${GUEST_PID[one]}" "$name"
