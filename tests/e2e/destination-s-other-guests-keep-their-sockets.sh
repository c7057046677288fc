#!/bin/bash
# At the destination sockets and logs lie beside each other, and another guest there has one of the same name: a guest that would take it away is
# refused, and `check` says so before. What nobody uses any more is in nobody's way.
. "$(dirname "$0")/../lib/aftermath.sh"

guest_a -serial "file:$DIR/console.log"
to_listener
THERE=$DIR/there
mkdir "$THERE"
SETTINGS=$(settings_of a)
python3 -S -c 'import socket, sys, time
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); open(sys.argv[1] + ".up", "w"); time.sleep(600)' "$THERE/a.mon" &
other=$!
kill_at_exit "$other"
wait_for 20 test -e "$THERE/a.mon.up"
rm "$THERE/a.mon.up"
before=$(stat -c %i "$THERE/a.mon")

refused() { # FILE
	move_start a "$DEST" --disk-dir "$THERE"
	move_wait 3
	assert_result "'$1' in r['reason'] and 'is in use there' in r['reason']"
	status=0
	vmferry check "${GUEST_PID[a]}" "$DEST" --disk-dir "$THERE" >"$DIR/check.out" 2>&1 || status=$?
	[[ $status -ne 0 ]] || fail "check: $(<"$DIR/check.out")"
	grep -q "is in use there" "$DIR/check.out" || fail "check: $(<"$DIR/check.out")"
}

refused "$THERE/a.mon"
assert_eq "$(stat -c %i "$THERE/a.mon")" "$before" "the other guest's socket"
end_process "$other"
echo "what the other guest says" >"$THERE/console.log"
exec {log}>>"$THERE/console.log"
refused "$THERE/console.log"
assert_eq "$(<"$THERE/console.log")" "what the other guest says" "the other guest's log"
exec {log}>&-
move_start a "$DEST" --disk-dir "$THERE"
move_wait
GUEST_AT[a]=$THERE
guest_verify "$(orders a)" blocks
