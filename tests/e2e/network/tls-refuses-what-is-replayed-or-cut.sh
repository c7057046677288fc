#!/bin/bash
# Messages of a source to a standing agent that somebody else repeats, whole or cut off anywhere, get nowhere: a move under way goes on, and
# so does the agent. The port of that move stays open for connections that break, and no longer; where none is to be made again no port is
# open for more once its data channels are there.
. "$(dirname "$0")/../../lib/aftermath.sh"
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
if [[ $EUID -ne 0 ]]; then
	echo "skipped: only root can look at whose a port is"
	exit 0
fi

ports() { # Ports of the agent that has this move.
	ss -Hlntp | grep "pid=$(agent_dst)," | awk '{ print $4 }' | sed 's/.*://'
}

held() { # OPTION...
	move_start a "$DST_ADDRESS" --psk-file "$DIR/psk" --hold "$@"
	wait_for 60 is_moving_with a 's["held"]' || fail "the move is not held"
}

goes_on() { # OLD DISK
	vmferry switch --no-wait "${GUEST_PID[a]}"
	move_wait
	assert_moved "$1"
}

held
replay_all "$DST_ADDRESS"
port=$(ports)
[[ $port =~ ^[0-9]+$ ]] || fail "ports of the move: $port"
replay_all "127.0.0.1:$port"
goes_on "$DIR/d1/a.raw"
! ss -Hlnt "sport = :$port" | grep -q . || fail "port $port stays open"
held --reconnect-timeout 0
assert_eq "$(ports)" "" "ports that are open for data once all channels are there"
goes_on "$DIR/d2/a.raw"
