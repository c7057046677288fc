#!/bin/bash
# Others wait at the guest's monitors and have them when the source agent dies while the guest stands still: the guard takes another
# one; if there is none it tries until there is. recover takes any, too.
. "$(dirname "$0")/../../lib/aftermath.sh"

occupy() { # SOCKET: a client that connects now, and keeps the monitor once it is its turn; sets CLIENT
	rm -f "$DIR/client" # an earlier one's word is not this one's
	"$TOP/tests/lib/occupy.py" "$1" >"$DIR/client" &
	CLIENT=$!
	kill_at_exit "$CLIENT"
	wait_for 60 grep -qs connected "$DIR/client" || fail "nobody can connect to $1"
}

guard() {
	pgrep -f "^vmferry --guard $DIR/" >/dev/null
}

stands() { # with the agent dead, and so many of its monitors taken
	move_until local src-pre-switchover:stop
	occupy "$DIR/a.qmp"
	first=$CLIENT
}

guest_a
stands
kill_now "$MOVE_PID"
wait_for 60 runs_here || fail "the guard does not try the other monitor: $(<"$DIR/move.log")"
end_process "$first"
recover 1
assert_at_source

stands
occupy "$DIR/a.mon"
kill_now "$MOVE_PID"
wait_for 60 grep -q "cannot be told to go on\|has died: " "$DIR/move.log" || fail "the guard says nothing"
guard || fail "the guard has given up"
end_process "$CLIENT"
wait_for 60 runs_here || fail "the guard does not find the monitor that became free"
end_process "$first"
recover 1
assert_at_source
assert_next_move_succeeds
