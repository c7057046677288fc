#!/bin/bash
# A standing vmferry-dst lives on while both agents of a move die, and the second time the QEMU at the destination, too. It removes by
# itself what its session has left there, before it is started again or anybody asks.
. "$(dirname "$0")/../../lib/aftermath.sh"

nothing_there() {
	[[ -z $(ls -A "$TO") && -z $(ls -A "$DIR/dst-run") && -z $(find "$DIR/dst-state" -name '*.journal') ]] && is_alone
}

cut_off() { # [and-qemu]
	local session
	move_until there disks
	session=$(agent_dst)
	kill_at_exit "$session"
	kill -STOP "$session" # the session does not notice the other's end
	kill_now "$MOVE_PID"
	[[ -z ${1:-} ]] || kill_now "$(qemu_dst)"
	kill_now "$session"
	wait_for 60 nothing_there || fail "left: $(ls -A "$TO" "$DIR/dst-run"), $(ours)"
	recover 1
}

guest_a
to_listener
cut_off
cut_off and-qemu
assert_at_source
assert_next_move_succeeds
