#!/bin/bash
# A move with --in-place refuses what two QEMUs of one host cannot have at once, before anything is touched, and says what to do; and
# refuses options that have no meaning where everything keeps its place.
# tier: gate
. "$(dirname "$0")/../../lib/move.sh"
. "$(dirname "$0")/../../lib/tiny.sh"

refused() { # STATUS WORDS OPTION...
	local status=0
	vmferry check "${GUEST_PID[a]}" "${@:3}" >"$DIR/out" 2>&1 || status=$?
	assert_eq "$status" "$1" "exit code of check ${*:3} ($(<"$DIR/out"))"
	grep -q "$2" "$DIR/out" || fail "not '$2': $(<"$DIR/out")"
}

guest() { # QEMU OPTION...
	[[ -z ${GUEST_PID[a]:-} ]] || guest_stop a
	WITNESS='ram_mb=4' tiny_start a "$@"
}

port=$(python3 -S -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
guest -vnc 127.0.0.1:0,to=99
refused 3 'only one process can listen on a port (a unix socket can be had' local --in-place
guest -netdev "user,id=n0,hostfwd=tcp:127.0.0.1:$port-:22" -device virtio-net-pci,netdev=n0
refused 3 'a port that is forwarded (--map-net n0=user goes without)' local --in-place
refused 0 'nothing stands in the way' local --in-place --map-net n0=user
guest -serial "tcp:127.0.0.1:$port,server=on,wait=off"
refused 3 'only one process can listen on a port, and with --in-place' local --in-place
refused 2 'is for another QEMU of this machine' 127.0.0.1:7788 --in-place
refused 2 'a guest that runs, and runs on with its memory' local --in-place --how warm
refused 2 'have no place there' local --in-place --disk-dir "$DIR"
refused 2 'or --in-place' local
refused 2 "is not an absolute path" local --in-place --qemu qemu-system-x86_64
refused 3 "no QEMU .*at the destination.*/no/such/qemu-that-nobody-has" local --in-place --qemu /no/such/qemu-that-nobody-has

# a file that the guest only reads is not copied
truncate -s 1M "$DIR/base.raw"
"$QEMU_IMG" create -q -f qcow2 -b "$DIR/base.raw" -F raw "$DIR/top.qcow2"
guest -drive "file=$DIR/top.qcow2,format=qcow2,if=virtio,readonly=on"
refused 0 'nothing stands in the way' local --in-place

# files and sockets that would be taken away from others
guest -pidfile "$DIR/a.pid" -chardev "socket,id=s,path=$DIR/s,server=on,wait=off"
echo 1 >"$DIR/a.pid"
refused 3 "a.pid (-pidfile) does not belong to the guest's QEMU (process ${GUEST_PID[a]})" local --in-place
echo "${GUEST_PID[a]}" >"$DIR/a.pid"
rm "$DIR/s"
python3 -S -c 'import socket, sys, time; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); print("listening", flush=True); time.sleep(1000)' \
	"$DIR/s" >"$DIR/other" &
kill_at_exit $!
wait_for 60 grep -qs listening "$DIR/other" || fail "nobody listens"
refused 3 "$DIR/s (-chardev) does not belong to the guest's QEMU" local --in-place

# another medium than the guest has
head -c 1M /dev/urandom >"$DIR/cd.iso"
guest -drive "file=$DIR/cd.iso,format=raw,if=ide,media=cdrom"
cp "$DIR/cd.iso" "$DIR/new.iso"
mv "$DIR/new.iso" "$DIR/cd.iso"
refused 3 "$DIR/cd.iso" local --in-place
