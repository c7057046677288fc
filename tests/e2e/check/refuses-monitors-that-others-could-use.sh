#!/bin/bash
# A monitor that can neither be hidden nor occupied at the destination is one by which somebody could start the guest there too early:
# such a guest is refused before anything is touched, with the monitor, why, and what to do. So says `list`.
. "$(dirname "$0")/../../lib/move.sh"

refused() { # WHY QEMU OPTION...
	local status=0 said
	"$QEMU" -accel tcg -machine q35 -m 64 -display none -nodefaults -name a -qmp "unix:$DIR/a.qmp,server=on,wait=off" "${@:2}" \
		</dev/null >"$DIR/a.stderr" 2>&1 &
	guest_adopt a $!
	wait_for 60 eval 'qmp "$DIR/a.qmp" "{\"execute\": \"query-status\"}" >/dev/null 2>&1' || fail "QEMU does not answer: $(<"$DIR/a.stderr")"
	vmferry check "${GUEST_PID[a]}" local --disk-dir "$TO" </dev/null >"$DIR/check.out" 2>"$DIR/check.err" || status=$?
	assert_eq "$status" 3 "exit code of vmferry check with ${*:2}"
	said=$(<"$DIR/check.err")
	[[ $said == *"through ${*: -2:1} ${*: -1} others could"*"as $1"*"on a unix socket"* ]] || fail "check with ${*:2} says: $said"
	[[ $(vmferry list "${GUEST_PID[a]}") == *"others could start the guest at the destination"* ]] || fail "list says nothing of ${*:2}"
	assert_nothing_left
	guest_stop a
}

TO=$DIR/to
mkdir "$TO"
mkfifo "$DIR/fifo.in" "$DIR/fifo.out"
echo "cont" >"$DIR/input"
echo "somebody:00112233" >"$DIR/keys.psk"
again=reconnect-ms=60000 # QEMU calls the option so since 9.2
! old_qemu || again=reconnect=60
refused "QEMU itself connects to another program" -qmp "unix:$DIR/manager,$again"
refused "QEMU itself connects to another program" -monitor "tcp:127.0.0.1:1,$again"
refused "an abstract socket" -qmp "unix:$DIR/abstract,abstract=on,server=on,wait=off"
refused "a socket with TLS" -object "tls-creds-psk,id=t,dir=$DIR,endpoint=server" \
	-mon chardev=m -chardev "socket,id=m,host=127.0.0.1,port=0,server=on,wait=off,tls-creds=t"
# somebody hears it: QEMU 11.1 hangs where nobody does
python3 -S -c 'import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
time.sleep(600)' >"$DIR/udp.port" &
kill_at_exit $!
wait_for 60 test -s "$DIR/udp.port" || fail "no UDP port"
refused "this kind" -monitor "udp:127.0.0.1:$(<"$DIR/udp.port")"
refused "this kind" -serial "mon:udp:127.0.0.1:$(<"$DIR/udp.port")"
refused "this kind" -monitor "pipe:$DIR/fifo"
old_qemu || refused "it reads from a file" -mon m -chardev "file,id=m,path=$DIR/log,input-path=$DIR/input"
refused "it is in the VNC display" -vnc "unix:$DIR/vnc" -monitor vc
