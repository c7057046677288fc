#!/bin/bash
# A destination that asks for a file of the guest that is not for copying, a key, does not get it; its plan, printed as text, does not
# drive the terminal.
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

echo -n secret >"$DIR/key"
tiny_start a -object secret,id=s0,file="$DIR/key" $(second_monitor a)
SETTINGS=$(settings_of a)
(umask 077 && od -An -tx1 -N32 /dev/urandom | tr -d ' \n' >"$VMFERRY_STATE_DIR/token")
listener greedy.py secret "$(<"$VMFERRY_STATE_DIR/token")"
mkdir "$DIR/d1"
status=0
vmferry migrate "${GUEST_PID[a]}" "$LISTENER_ADDRESS" --disk-dir "$DIR/d1" -v >"$DIR/text" 2>&1 || status=$?
assert_eq "$status" 3 "exit code"
grep -q "wants file [0-9]*, which it was not offered" "$DIR/text" || fail "it says: $(cat -v "$DIR/text")"
grep -q '  change   ?\[2J$' "$DIR/text" || fail "the plan is: $(cat -v "$DIR/text")"
! grep -q $'\033' "$DIR/text" || fail "a control character was printed"
wait_for 60 process_is_gone "$LISTENER" || fail "the connection does not end"
! grep -q 'frame 0x80' "$DIR/listener.out" || fail "the source went on: $(<"$DIR/listener.out")"
assert_eq "$(settings_of a)" "$SETTINGS" "settings of QEMU"
