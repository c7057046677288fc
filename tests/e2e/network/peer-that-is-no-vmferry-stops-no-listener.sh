#!/bin/bash
# Garbage, a torn or damaged HELLO, an absurd length, other versions and a wrong token: each answered or closed, one
# sentence each in the log; the listener serves the next.
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

guest_a
to_listener
lines=$(wc -l <"$DIR/dst.log")

says() { # KIND ANSWER LOG
	local answer
	answer=$("$TOP/tests/lib/peer.py" send "$DEST" "$1" "$(<"$DIR/dst-state/token")")
	grep -qE "$2" <<<"$answer" || fail "$1 was answered: $answer"
	lines=$((lines + 1))
	wait_for 60 has_lines "$lines" || fail "$1: no line in the log"
	assert_eq "$(wc -l <"$DIR/dst.log")" "$lines" "lines in the log after $1: $(tail -n 3 "$DIR/dst.log")"
	tail -n 1 "$DIR/dst.log" | grep -qE "$3" || fail "$1: the log says: $(tail -n 1 "$DIR/dst.log")"
}

# Strangers have proved nothing, so there is no process for any.
no_session() {
	! pgrep -P "$DST_PID" -x vmferry-dst
}

has_lines() {
	[[ $(wc -l <"$DIR/dst.log") -ge $1 ]]
}

says garbage 'error: .*does not speak the vmferry protocol' 'does not speak the vmferry protocol'
says truncated 'error: .*closed the connection during the handshake' 'closed the connection during the handshake'
says huge 'error: .*does not speak the vmferry protocol' 'does not speak the vmferry protocol'
says damaged 'error: .*HELLO arrived damaged' 'damaged'
says old 'error: .*speaks protocol versions 0 to 0, .* use the same release' 'version'
says new 'error: .*speaks protocol versions 8 to 9, .* use the same release' 'version'
says feature 'error: .*requires features .0x10000000000.' 'feature'
says token 'error: .*does not know this agent.s token' 'token'
says elsewhere 'error: .*stands between' 'stands between'
says nothing 'error: .*closed the connection during the handshake' 'closed the connection during the handshake'
no_session || fail "a stranger was given a process"
move a "$DEST"
assert_moved
