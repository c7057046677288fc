#!/bin/bash
# A guest that make started moves, though it has no disk that could get another name here: make starts nothing again. A loop that runs make does.
# takes: 5
. "$(dirname "$0")/../../lib/move.sh"

printf 'run:\n\t%s -name made -accel tcg -m 64 -display none -nodefaults -no-user-config -qmp unix:%s/made.qmp,server=on,wait=off\n' \
	"$QEMU" "$DIR" >"$DIR/Makefile"
starts() { # COMMAND...
	"$@" </dev/null >"$DIR/make.out" 2>&1 &
	kill_at_exit $!
	wait_for 60 eval '[[ $(status_of "$DIR/made.qmp" 2>/dev/null) == running ]]' || fail "the guest does not start: $(<"$DIR/make.out")"
	PID=$(pgrep -f "^[^ ]*qemu-system-x86_64 .*-name made .*$DIR/made.qmp")
	kill_at_exit "$PID"
}

starts make -f "$DIR/Makefile" run
vmferry check "$PID" local --disk-dir "$DIR/there" >"$DIR/check" 2>&1 || fail "check says: $(<"$DIR/check")"
end_process "$PID"
rm -f "$DIR/made.qmp"
: >"$DIR/again"
starts sh -c "while [ -e '$DIR/again' ]; do make -f '$DIR/Makefile' run; done"
rm "$DIR/again"
! vmferry check "$PID" local --disk-dir "$DIR/there" >"$DIR/check" 2>&1 || fail "check takes a guest that a loop starts again"
grep -q "may start it again when it has gone" "$DIR/check" || fail "check says: $(<"$DIR/check")"
