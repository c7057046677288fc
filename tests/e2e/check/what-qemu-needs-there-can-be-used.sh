#!/bin/bash
# What the guest's QEMU needs at the destination is not only to be there: a process must listen on a socket or a port to which it connects, a network
# script must be one that may be run, and a tap's name must be that of a tap. `check` and a move before anything is touched say so.
# takes: 4
. "$(dirname "$0")/../../lib/move.sh"
. "$TOP/tests/lib/tiny.sh"
[[ -w /dev/net/tun ]] || skip "no /dev/net/tun"

listen() { # on $DIR/console.sock and a port, which is in $PORT: each client of theirs is kept until the process ends
	python3 -S - "$DIR/console.sock" >"$DIR/port" <<-'END' &
		import os, socket, sys
		named, port = socket.socket(socket.AF_UNIX), socket.socket()
		named.bind(sys.argv[1])
		port.bind(("127.0.0.1", 0))
		named.listen()
		port.listen()
		print(port.getsockname()[1], flush=True)
		clients = [named.accept(), port.accept()]
		named.accept()
	END
	LISTENER=$!
	kill_at_exit "$LISTENER"
	wait_for 60 test -s "$DIR/port" || fail "nobody listens"
	PORT=$(<"$DIR/port")
}

refused() { # COMMAND: what it says is in said
	local status=0
	vmferry "$1" "${GUEST_PID[a]}" local --disk-dir "$DIR/there" --map-net "n0=tap:lo,script=$DIR/up" >"$DIR/said" 2>&1 </dev/null || status=$?
	assert_eq "$status" 3 "exit code of $* ($(tail -n 5 "$DIR/said"))"
}

says() { # PATTERN
	grep -qE "$1" "$DIR/said" || fail "'$1' is not said: $(<"$DIR/said")"
}

mkdir "$DIR/there"
printf '#!/bin/sh\n' >"$DIR/up"
listen
tiny_start a -netdev user,id=n0 -device e1000,netdev=n0 -chardev "socket,id=c0,path=$DIR/console.sock" -device isa-serial,chardev=c0 \
	-serial "tcp:127.0.0.1:$PORT"
end_process "$LISTENER" # its socket stays
for command in check migrate; do
	refused $command
	says '^refused: 4 things stand in the way$'
	says "^  [1-4]  -chardev connects to $DIR/console.sock, where no process listens at the destination: start what is to listen there first"
	says "^  [1-4]  -serial connects to port $PORT of its host, where no process listens at the destination: start what is to listen there first"
	says "^  [1-4]  -netdev needs program $DIR/up, which QEMU may not run at the destination: chmod \+x $DIR/up there"
	says '^  [1-4]  lo is a network interface at the destination, and no tap: '
	[[ -z $(ls -A "$DIR/there") && -z $(ls -A "$VMFERRY_RUNTIME_DIR") ]] || fail "something was made"
done
guest_verify "$(orders a)"
