#!/bin/bash
# timeout: 300
# The source agent dies while memory is copied: the connections of QEMU's migration, which closed at that moment might leave it waiting
# for ever, stay open, as the guard has them, until the guard has cancelled it, or `recover` has. The guest can be moved again.
# takes: 25
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

[[ $EUID -eq 0 ]] || skip "only root can look at what the guard has open"

connections() { # prints how many of QEMU's to its agent are open there, whoever has them (proc_net(5): unix)
	awk -v at="$DIR/run/" '$6 == "03" && index($8, at) == 1 && $8 ~ /\.migrate$/' /proc/net/unix | wc -l
}

migration() { # prints its status
	qmp "$(free_monitor a)" '{"execute": "query-migrate"}' | python3 -S -c 'import json, sys; print(json.load(sys.stdin)["status"])'
}

is_over() { # cancelled, which QEMU may call failed, and cleaned up behind
	[[ $(migration) =~ ^(cancelled|failed)$ && $(qmp "$(free_monitor a)" '{"execute": "query-yank"}') != *migration* ]]
}

kept() { # COUNT: the guard has as many sockets, the listening one, and the one to the agent
	[[ $(find "/proc/$GUARD/fd" -lname 'socket:*' | wc -l) -eq $(($1 + 2)) ]]
}

cut_off() { # CONNECTIONS OPTION...: sets GUARD, which stands still
	move_until local memory --hold "${@:2}"
	GUARD=$(guard_pid)
	wait_for 60 kept "$1" || fail "the guard has $(ls -l "/proc/$GUARD/fd")"
	assert_eq "$(connections)" "$1" "QEMU's connections"
	kill -STOP "$GUARD"
	kill_now "$MOVE_PID"
	assert_eq "$(connections)" "$1" "QEMU's connections without the agent"
	assert_eq "$(migration) $(status_of "$(free_monitor a)")" "active running" "the migration without the agent"
}

assert_let_go() {
	wait_for 60 eval '! guard_pid >/dev/null' || fail "the guard does not end"
	is_over || fail "the migration is $(migration), or not cleaned up"
	assert_eq "$(connections)" 0 "QEMU's connections in the end"
}

guest_a
while read -r way; do
	cut_off $way
	kill -CONT "$GUARD"
	assert_let_go
	recover 1
	assert_at_source
done < <(some_of "3 --multifd 2 --ram-mode opaque" "5 --multifd 4 --channels 4" "1 --multifd 0" "1 --multifd 0 --ram-mode opaque")

# recover was quicker
cut_off 5 --multifd 4 --channels 4
timeout 60 "$BIN/vmferry" recover a -v </dev/null >"$DIR/recover.out" 2>"$DIR/recover.log" &
RECOVER=$!
kill_at_exit "$RECOVER"
wait_for 60 eval '[[ $(migration) != active ]]' || fail "recover does not cancel: $(<"$DIR/recover.log")"
kill -CONT "$GUARD"
wait_for 60 is_over || fail "the migration is $(migration)"
status=0
wait "$RECOVER" || status=$?
assert_eq "$status" 1 "exit code of vmferry recover ($(tail -n 2 "$DIR/recover.log"))"
assert_let_go
assert_at_source
assert_next_move_succeeds
