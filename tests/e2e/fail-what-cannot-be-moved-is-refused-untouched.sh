#!/bin/bash
# timeout: 240
# Everything that is refused is refused before anything is touched, with exit code 3 and a reason; wrong usage with 2.
. "$(dirname "$0")/../lib/aftermath.sh"

refused() { # PATTERN MOVE-ARGUMENTS...
	local pattern=$1
	shift
	move_start "$@"
	move_wait 3
	assert_result 'r["outcome"] == "refused" and r["guest"] == "source"'
	result 'r["reason"]' | grep -qE "$pattern" || fail "the reason is: $(result 'r["reason"]')"
	assert_nothing_left $DST_PID
	assert_settled
}

usage() { # PATTERN ARGUMENTS...
	local status=0 pattern=$1
	shift
	"$BIN/vmferry" "$@" >"$DIR/usage.out" 2>&1 || status=$?
	assert_eq "$status" 2 "exit code of vmferry $*"
	grep -qE "$pattern" "$DIR/usage.out" || fail "it says: $(<"$DIR/usage.out")"
}

guest_a
refused 'cannot connect.*Connection refused' a 127.0.0.1:1
python3 -c 'import socket
s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1], flush=True)
while True: c, _ = s.accept(); c.sendall(b"SSH-2.0-OpenSSH_9.2\r\n" * 20)' >"$DIR/port" &
kill_at_exit $!
wait_for 10 test -s "$DIR/port"
refused 'does not speak the vmferry protocol' a "127.0.0.1:$(<"$DIR/port")"
refused 'not a loopback address' a 192.0.2.1:7788
refused 'does not exist at the destination' a local --disk-dir "$DIR/nowhere"

mkdir "$DIR/taken"
echo mine >"$DIR/taken/a.raw"
refused 'exists already at the destination' a local --disk-dir "$DIR/taken"
assert_eq "$(<"$DIR/taken/a.raw")" mine "the file that was there"

if mkdir "$DIR/small" && mount -t tmpfs -o size=4M tmpfs "$DIR/small" 2>/dev/null; then
	at_exit "umount $DIR/small"
	refused 'the disks need .* has only .* free' a local --disk-dir "$DIR/small"
fi

python3 -c 'import socket, sys, time
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); print("in", flush=True); time.sleep(600)' "$(monitor a)" >"$DIR/busy" &
busy=$!
kill_at_exit "$busy"
python3 -c 'import socket, sys, time
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); print("in", flush=True); time.sleep(600)' "$(free_monitor a)" >"$DIR/busy2" &
busy2=$!
kill_at_exit "$busy2"
wait_for 10 test -s "$DIR/busy" -a -s "$DIR/busy2"
move_start a local
move_wait 3
result 'r["reason"]' | grep -q 'occup' || fail "the reason is: $(result 'r["reason"]')"
end_process "$busy"
end_process "$busy2"
assert_settled

usage 'say which guest and where to' migrate
usage 'cannot move onto its own disks' migrate "${GUEST_PID[a]}" local
usage 'is not a number of milliseconds' migrate a local --disk-dir / --max-downtime soon
usage "there is no command 'teleport'" teleport
status=0
"$BIN/vmferry" migrate no-such-guest local --disk-dir "$DIR" >"$DIR/usage.out" 2>&1 || status=$?
assert_eq "$status" 3 "exit code for an unknown guest"
assert_next_move_succeeds
