#!/bin/bash
# The agent of a guest that was given up dies: until its move is settled nobody starts the guest here from its old disks, also once the QEMU that is held was
# ended. The guard has them locked; if that has died, too, recover that cannot settle the move has another one do so.
# timeout: 200
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

does_not_start_here() { # by its old command line
	process_is_gone "${GUEST_PID[a]}" || kill_now "${GUEST_PID[a]}"
	rm -f "$DIR"/a.{console,orders,qmp,mon}
	! timeout 20 "${line[@]}" </dev/null >"$DIR/again.stderr" 2>&1 || fail "it starts here while the destination has it"
	grep -q 'Failed to get "write" lock' "$DIR/again.stderr" || fail "it does not start as: $(<"$DIR/again.stderr")"
}

given_up() { # HOW [OPTION...]: and its agent is dead
	guest_a
	mapfile -d '' line <"/proc/${GUEST_PID[a]}/cmdline"
	move_until listener after-SRC_COMMITTED --how "$@"
}

is_there() {
	recover 0
	guest_is_there
	guest_verify "$(orders a)" blocks
	assert_nothing_unfinished
	wait_for 60 eval '! guard_pid >/dev/null' || fail "who holds the locks does not end: $(guard_pid)"
	"$QEMU_IMG" bench -q -w -c 1 -f raw "$DIR/a.raw" >/dev/null || fail "its old disk is still locked"
	kill_now "${GUEST_PID[a]}"
	unset 'GUEST_AT[a]'
	rm -f "$DIR"/a.*
}

for how in live quick "warm --force --shutdown-timeout 1"; do
	given_up $how
	guard_ends
	does_not_start_here
	is_there
done

# The guard dies, too, as with its host, and the destination is away.
given_up live
guard_ends
kill_agent_here
kill_now "${GUEST_PID[a]}"
recover 6 --dest 127.0.0.1:1
guard_ends
does_not_start_here
recover 6 --dest 127.0.0.1:1
assert_eq "$(guard_pid | wc -l)" 1 "guards that hold its locks"
is_there
