#!/bin/bash
# What a source has said to a standing agent, said again by somebody else, whole or cut off anywhere: it gets
# nowhere, a move under way goes on, and so does the agent. Once that move's data channels are there no port is open for more.
. "$(dirname "$0")/../lib/aftermath.sh"
guest_a
(umask 077 && echo "host-a:$(od -An -tx1 -N32 /dev/urandom | tr -d ' \n')" >"$DIR/psk")
to_listener --psk-file "$DIR/psk"
mkdir "$DIR/said"
listener record.py "$DST_ADDRESS" "$DIR/said"
move a "$LISTENER_ADDRESS" --psk-file "$DIR/psk"
assert_moved
said=$DIR/said/0
length=$(stat -c %s "$said")
[[ $length -gt 4000 ]] || fail "only $length bytes were said"

replay_all() { # ADDRESS
	local count answer
	for count in "$length" 0 1 5 6 100 300 600 1000 "$((length - 1))"; do
		answer=$(python3 -S "$TOP/tests/lib/record.py" "$1" replay "$said" "$count")
		# a server's hello, which with a newer OpenSSL's key share is longer than 1 KiB, but no ACCEPT
		[[ $answer =~ ^ended\ [0-9]+$ && ${answer#* } -lt 3000 ]] || fail "$count bytes said to $1: $answer"
	done
}

replay_all "$DST_ADDRESS"
move_start a "$DST_ADDRESS" --psk-file "$DIR/psk" --hold
wait_for 30 is_moving_with a 's["held"]' || fail "the move is not held"
replay_all "$DST_ADDRESS"
assert_eq "$(ss -Hlntp | grep -c "pid=$(agent_dst),")" 0 "ports that are open for data once all channels are there"
vmferry switch "${GUEST_PID[a]}"
move_wait
assert_moved "$DIR/d1/a.raw"
move a "$DST_ADDRESS" --psk-file "$DIR/psk"
assert_moved "$DIR/d2/a.raw"
