#!/bin/bash
# A guest of QEMU 11.1 without QMP is asked by its human monitor, wherever that is: a unix socket, TCP, telnet, a pseudo-terminal, or shared with the guest's
# console, which then has the keyboard again. Nothing is typed where it could be the console's, and nobody's session is taken. QEMU 10.0 says that it cannot.
# timeout: 400
QEMU=11.1 QEMU_THERE=
. "$(dirname "$0")/../../lib/move.sh"
. "$(dirname "$0")/../../lib/tiny.sh"
. "$(dirname "$0")/../../lib/hmp.sh"
NO_QMP=yes

guest_disk "$DIR/a.raw" raw 64M
mkdir "$DIR/d"

begin() { # QEMU OPTION...
	tiny_start a $(guest_drive d0 "$DIR/a.raw" raw) "$@"
}

asks() { # WORDS that say by which monitor
	vmferry check "${GUEST_PID[a]}" local --disk-dir "$DIR/d" >"$DIR/check" 2>&1 || grep -q 'another process has that port at the destination' "$DIR/check" ||
		fail "it cannot be moved: $(cat "$DIR/check")"
	grep -q "by its monitor $1" "$DIR/check" || fail "check does not say '$1': $(cat "$DIR/check")"
	assert_nothing_lent a
}

is_refused() { # WORDS
	vmferry check "${GUEST_PID[a]}" local --disk-dir "$DIR/d" >"$DIR/check" 2>&1 && fail "it was asked: $(cat "$DIR/check")"
	grep -q -- "$1" "$DIR/check" || fail "check does not say '$1': $(cat "$DIR/check")"
	assert_nothing_lent a
}

end() {
	guest_stop a
}

terminal_of() { # the pseudo-terminal that QEMU says it has made
	grep -o '/dev/pts/[0-9]*' "$DIR/a.stderr" | head -n 1
}

echo "--- TCP and telnet"
PORT=$(free_port)
begin -monitor "tcp:127.0.0.1:$PORT,server=on,wait=off"
asks "TCP port $PORT"
end
PORT=$(free_port)
begin -monitor "telnet:127.0.0.1:$PORT,server=on,wait=off"
asks "telnet port $PORT"
end

echo "--- a pseudo-terminal"
begin -monitor pty
asks "/dev/pts/"
TERMINAL=$(grep -o '/dev/pts/[0-9]*' "$DIR/check" | head -n 1)
sleep 1000 <>"$TERMINAL" &
kill_at_exit $!
is_refused "process $! has the monitor $TERMINAL open"
end_process $!
move a local
guest_verify "$(orders a)"
end
begin -monitor pty -serial pty
is_refused "cannot tell which of QEMU's pseudo-terminals"
end

echo "--- shared with the console"
begin -serial "mon:unix:$DIR/a.mux,server=on,wait=off"
asks "$DIR/a.mux (which the guest's console shares)"
asks "$DIR/a.mux (which the guest's console shares)"
[[ $(keyboard_is_at "$DIR/a.mux") == console ]] || fail "the console has not got the keyboard back"
end
begin -chardev "socket,id=m,path=$DIR/a.mux,server=on,wait=off,mux=on" -serial chardev:m -mon chardev=m
hmp_takes_keyboard "$DIR/a.mux"
asks "$DIR/a.mux (which the guest's console shares)"
[[ $(keyboard_is_at "$DIR/a.mux") == monitor ]] || fail "the monitor has lost the keyboard"
end
begin -chardev "socket,id=m,path=$DIR/a.mux,server=on,wait=off,mux=on" -serial chardev:m -serial chardev:m -mon chardev=m
is_refused "more than the guest's console share"
end

echo "--- out of reach, or unable"
begin -monitor stdio
is_refused "-monitor stdio: no client can connect to it"
end
QEMU=$(qemu_called 10.0)
begin -monitor "unix:$DIR/a.hmp,server=on,wait=off"
is_refused "knows no monitor-qmp"
end
