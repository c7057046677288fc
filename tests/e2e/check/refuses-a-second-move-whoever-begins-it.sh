#!/bin/bash
# Somebody with another runtime directory, who does not see the agent's control socket, begins a move of a guest that is being moved: the
# journal that the agent has open says whose move that is. The first move goes on.
. "$(dirname "$0")/../../lib/aftermath.sh"

guest_a
move_until local disks
vmferry set "${GUEST_PID[a]}" bwlimit=64K >/dev/null # the first move is still under way at the end, however slow this machine is
mkdir -m 700 "$DIR/elsewhere" "$DIR/second"
status=0
VMFERRY_RUNTIME_DIR=$DIR/elsewhere timeout 60 "$BIN/vmferry" migrate "${GUEST_PID[a]}" local --disk-dir "$DIR/second" </dev/null >"$DIR/second.out" 2>&1 ||
	status=$?
assert_eq "$status" 3 "exit code of the second move: $(<"$DIR/second.out")"
grep -q 'a move of this guest is under way' "$DIR/second.out" || fail "it does not say why: $(<"$DIR/second.out")"
# A second client that sees the socket is told so, and no other client is blamed for the monitor, which the first move has.
coproc BUSY { exec python3 -S "$TOP/tests/lib/occupy.py" "$DIR/a.mon"; } # occupies the last monitor
kill_at_exit "$BUSY_PID"
read -r _ <&"${BUSY[0]}"
status=0
timeout 60 "$BIN/vmferry" check "${GUEST_PID[a]}" local --disk-dir "$DIR/second" </dev/null >"$DIR/second.out" 2>&1 || status=$?
assert_eq "$status" 3 "exit code of a check: $(<"$DIR/second.out")"
grep -q 'a move of this guest is under way already' "$DIR/second.out" || fail "the check does not say why: $(<"$DIR/second.out")"
! grep -qi 'client' "$DIR/second.out" || fail "the check blames another client: $(<"$DIR/second.out")"
vmferry set "${GUEST_PID[a]}" bwlimit=0 >/dev/null
move_wait
assert_moved
