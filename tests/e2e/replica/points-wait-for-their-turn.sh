#!/bin/bash
# A point that a person wants while another is being made begins when that is over: it is no failure. If the replica was removed meanwhile none is made.
. "$(dirname "$0")/../../lib/replica.sh"

turn() { # takes it, as a point that is being made does, until HOLDER is ended
	python3 -S - "$VMFERRY_STATE_DIR/replica/$A.turn" "$DIR/held" <<-'END' &
		import fcntl, os, signal, sys
		f = open(sys.argv[1], "r+")
		fcntl.lockf(f, fcntl.LOCK_EX)
		open(sys.argv[2], "w")
		signal.pause()
	END
	HOLDER=$!
	kill_at_exit $HOLDER
	wait_for 60 test -e "$DIR/held"
	rm "$DIR/held"
}

waits() { # [SUBCOMMAND...]: its pid is WAITING
	"$BIN/vmferry" replica "$@" </dev/null >"$DIR/out" 2>"$DIR/err" &
	WAITING=$!
	kill_at_exit $WAITING
	wait_for 60 grep -q 'begins when that is over' "$DIR/err" || fail "$*: $(cat "$DIR/out" "$DIR/err")"
}

ends() { # EXIT-CODE, once it has its turn
	local status=0
	end_process $HOLDER
	wait $WAITING || status=$?
	assert_eq "$status" "$1" "exit code ($(cat "$DIR/out" "$DIR/err"))"
}

replica_start
replica_add
for subcommand in sync verify; do
	turn
	waits $subcommand "$A"
	ends 0
done
turn
waits failover "$A" --planned # its last point
kill $WAITING
wait $WAITING || true
end_process $HOLDER
assert_eq "$(of_primary 'p["point"], p.get("failed", 0), p["health"]')" "(3, 0, 'normal')" "what came of the points"

turn
waits sync "$A"
replica remove "$A" >"$DIR/removed" 2>&1 || fail "remove: $(cat "$DIR/removed")"
ends 3
says "guest $A has no replica any more that is made from here" "$DIR/err"
