#!/bin/bash
# timeout: 300
# Monitors on TCP ports take one client at a time. At the destination that is vmferry until the guest is handed over: somebody else's
# `cont` does nothing before, and somebody who was there first ends the move. After it they are there for people.
. "$(dirname "$0")/../../lib/aftermath.sh"

# For each monitor two ports: QEMU takes the first one that is free, and so the second QEMU on this host takes the second.
free_ports() { # COUNT: prints the first of so many in a row
	python3 -S - "$1" <<-'END'
		import random, socket, sys
		while True:
		    first = random.randrange(20000, 30000)
		    try:
		        for port in range(first, first + int(sys.argv[1])):
		            with socket.socket() as s:
		                s.bind(("127.0.0.1", port))
		    except OSError:
		        continue
		    print(first)
		    break
	END
}

KINDS=(hmp hmp qmp websocket mux hmp gdb)

at() { # INDEX: as QEMU wants it
	echo "127.0.0.1:$((FIRST + 2 * $1)),to=$((FIRST + 2 * $1 + 1)),server=on,wait=off"
}

there() { # prints KIND:PORT of each at the destination
	local i
	for i in "${!KINDS[@]}"; do echo "${KINDS[i]}:$((FIRST + 2 * i + 1))"; done
}

# If somebody else has had one of them for a moment, the guest's own has the other, and whoever sits there sits at the source.
has_the_first() {
	local i said
	said=$(qmp "$(free_monitor a)" '{"execute": "query-chardev"}')
	for i in "${!KINDS[@]}"; do [[ $said == *"127.0.0.1:$((FIRST + 2 * i)),server"* ]] || return 1; done
}

for left in 2 1 0; do
	FIRST=$(free_ports $((2 * ${#KINDS[@]})))
	guest_a -monitor "tcp:$(at 0)" -monitor "telnet:$(at 1)" -qmp "tcp:$(at 2)" -monitor "websocket:$(at 3)" -serial "mon:tcp:$(at 4)" \
		-chardev "socket,id=c5,host=127.0.0.1,port=$((FIRST + 10)),to=$((FIRST + 11)),server=on,wait=off" -monitor chardev:c5 -gdb "tcp:$(at 6)"
	! has_the_first || break
	((left)) || fail "its monitors are at other ports: $(qmp "$(free_monitor a)" '{"execute": "query-chardev"}')"
	guest_stop a
done

to_local

# Already there when QEMU starts: one whom it serves, one whose handshake it waits for; and one who has a socket in another place.
sit_at() { # PORT
	python3 -S -c 'import signal, socket, sys
conn = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
open(sys.argv[2], "w").close()
signal.pause()' "$1" "$DIR/sitting" &
	SITTING=$!
	kill_at_exit "$SITTING"
	wait_for 60 test -e "$DIR/sitting" || fail "nobody sits at port $1"
	rm "$DIR/sitting"
}

refused_for() { # REASON COMMAND...
	move_until local dst-qemu-launched:stop
	wait_for 60 test -S "$TO/a.mon" || fail "QEMU at the destination has no monitor"
	"${@:2}"
	fault_continue
	move_wait 1
	assert_result "'$1' in r['reason']"
}

for i in 0 3; do
	refused_for "another client is connected to the monitor 127.0.0.1:$((FIRST + 2 * i + 1))" sit_at $((FIRST + 2 * i + 1))
	end_process "$SITTING"
	assert_at_source
done
refused_for "others can reach the monitor" eval 'mv "$TO/a.mon" "$DIR/mon"'
rm "$DIR/mon"
assert_at_source

# Loaded and promised.
move_until local src-ready:stop
"$TOP/tests/lib/monitors.py" cont $(there)
assert_eq "$(status_of "$(echo "$TO"/.vmferry-*/a.mon)")" paused "the guest at the destination"
assert_eq "$(status_of "$(free_monitor a)")" finish-migrate "the source's guest"
fault_continue
move_wait
"$TOP/tests/lib/monitors.py" ask $(there)
assert_moved
