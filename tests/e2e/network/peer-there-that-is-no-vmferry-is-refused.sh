#!/bin/bash
# vmferry against something that is no vmferry-dst, or another version of it: exit code 3, one clear sentence.
. "$(dirname "$0")/../../lib/aftermath.sh"

refused() { # KIND REASON
	listener peer.py serve "$1"
	move_start a "$LISTENER_ADDRESS"
	move_wait 3
	result 'r["reason"]' >"$DIR/reason"
	grep -qE "$2" "$DIR/reason" || fail "$1: the reason is: $(<"$DIR/reason")"
	end_process "$LISTENER"
	assert_nothing_left
	assert_nothing_unfinished
}

guest_a
refused garbage 'does not speak the vmferry protocol'
refused truncated 'closed the connection during the handshake'
refused huge 'does not speak the vmferry protocol'
refused damaged 'damaged'
refused old 'speaks protocol versions 0 to 0.*use the same release'
refused new 'speaks protocol versions 8 to 9.*use the same release'
refused nothing 'closed the connection during the handshake'
assert_eq "$(settings_of a)" "$SETTINGS" "settings of QEMU"
assert_next_move_succeeds
