#!/bin/bash
# Garbage, a torn or damaged HELLO, an absurd length, other versions and a wrong token: each answered or closed, one
# sentence each in the log; the listener serves the next.
. "$(dirname "$0")/../lib/aftermath.sh"

guest_a
to_listener
lines=$(wc -l <"$DIR/dst.log")

says() { # KIND ANSWER LOG
	local answer
	answer=$("$TOP/tests/lib/peer.py" send "$DEST" "$1" "$(<"$DIR/dst-state/token")")
	grep -qE "$2" <<<"$answer" || fail "$1 was answered: $answer"
	lines=$((lines + 1))
	wait_for 10 has_lines "$lines" || fail "$1: no line in the log"
	assert_eq "$(wc -l <"$DIR/dst.log")" "$lines" "lines in the log after $1: $(tail -n 3 "$DIR/dst.log")"
	tail -n 1 "$DIR/dst.log" | grep -qE "$3" || fail "$1: the log says: $(tail -n 1 "$DIR/dst.log")"
	[[ -z $(agent_dst) ]] || wait_for 10 no_session
}

has_lines() {
	[[ $(wc -l <"$DIR/dst.log") -ge $1 ]]
}

no_session() {
	! agent_dst
}

agent_dst() {
	pgrep -P "$DST_PID" || true
}

says garbage 'does not speak the vmferry protocol|closed' 'does not speak the vmferry protocol'
says truncated 'closed|error' 'closed the connection during the handshake'
says huge 'closed|error' 'does not speak the vmferry protocol'
says damaged 'closed|error: .*damaged' 'damaged'
says old 'error: .*version.* use the same release' 'version'
says new 'error: .*version.* use the same release' 'version'
says feature 'error: .*feature' 'feature'
says token 'error: .*token' 'token'
says nothing 'closed|error' 'closed the connection during the handshake'
move a "$DEST"
assert_moved
