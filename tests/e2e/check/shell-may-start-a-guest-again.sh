#!/bin/bash
# A guest that a shell started moves, though it has no disk that could get another name here, if its command was typed into that shell at a
# terminal: it starts nothing again by itself. A loop does, though its shell has no script on its command line: it reads one, or has forked
# for the background.
# takes: 10
. "$(dirname "$0")/../../lib/move.sh"

cat >"$DIR/typed.sh" <<-END
	exec $QEMU -name typed -accel tcg -m 64 -display none -nodefaults -no-user-config -qmp unix:$DIR/typed.qmp,server=on,wait=off
END
LOOP="while [ -e '$DIR/again' ]; do sh '$DIR/typed.sh' </dev/null; done"
mkfifo "$DIR/keys"
exec {KEYS}<>"$DIR/keys"

is_up() {
	wait_for 60 eval '[[ $(status_of "$DIR/typed.qmp" 2>/dev/null) == running ]]' || fail "the guest does not start: $(<"$DIR/said")"
	PID=$(pgrep -f "^[^ ]*qemu-system-x86_64 .*-name typed .*$DIR/typed.qmp")
	kill_at_exit "$PID"
	rm -f "$DIR/again"
}

may_come_again() { # WHAT
	! vmferry check "$PID" local --disk-dir "$DIR/there" >"$DIR/check" 2>&1 ||
		fail "check takes a guest that $1 starts again: $(<"$DIR/check")"
	grep -q "may start it again when it has gone" "$DIR/check" || fail "check says: $(<"$DIR/check")"
	end_process "$PID"
	rm -f "$DIR/typed.qmp"
}

: >"$DIR/again"
sh <<<"trap : TERM; $LOOP" >"$DIR/said" 2>&1 &
kill_at_exit $!
is_up
may_come_again "a loop that a shell reads"

script -qfc "bash --norc -i" /dev/null <"$DIR/keys" >"$DIR/said" 2>&1 &
kill_at_exit $!
: >"$DIR/again"
echo "$LOOP &" >&"$KEYS"
is_up
may_come_again "a loop in the background of a terminal"

echo "sh '$DIR/typed.sh'" >&"$KEYS"
is_up
vmferry check "$PID" local --disk-dir "$DIR/there" >"$DIR/check" 2>&1 || fail "check says: $(<"$DIR/check")"
