#!/bin/bash
# A guest that another process serves (vhost-user, as virtiofsd does) moves neither as it runs nor with a head start, as nothing serves it at the destination
# yet; shut down it goes, and the plan says what is to be started there before.
. "$(dirname "$0")/../../lib/move.sh"
root=$TOP/build/qemu
daemon=$root/usr/bin/qemu-storage-daemon
[[ -x $daemon ]] || skip "no qemu-storage-daemon here"
head -c 4M /dev/urandom >"$DIR/served.raw"
head -c 4M /dev/urandom >"$DIR/own.raw"
mkdir "$DIR/there"
LD_LIBRARY_PATH=$root/usr/lib/x86_64-linux-gnu:$root/lib/x86_64-linux-gnu "$daemon" --blockdev "driver=file,node-name=f,filename=$DIR/served.raw" \
	--export "type=vhost-user-blk,id=e,node-name=f,addr.type=unix,addr.path=$DIR/served.sock,writable=on" >"$DIR/daemon.out" 2>&1 &
kill_at_exit $!
wait_for 60 test -S "$DIR/served.sock" || skip "it exports nothing: $(<"$DIR/daemon.out")"
line=(-name served -machine q35 -m 64 -display none -nodefaults -object memory-backend-memfd,id=m,size=64M,share=on -machine memory-backend=m
	-chardev "socket,id=c,path=$DIR/served.sock" -device vhost-user-blk-pci,chardev=c -drive "file=$DIR/own.raw,format=raw,if=virtio"
	-qmp "unix:$DIR/served.mon,server=on,wait=off")
"$QEMU" "${line[@]}" </dev/null >"$DIR/served.out" 2>&1 &
pid=$!
kill_at_exit "$pid"
wait_for 60 monitor_answers "$DIR/served.mon" || fail "$(<"$DIR/served.out")"

refused() { # WORDS OPTION...
	vmferry check "$pid" local --disk-dir "$DIR/there" "${@:2}" >"$DIR/check" 2>&1 && fail "it is not refused: ${*:2}"
	grep -q -- "$1" "$DIR/check" || fail "${*:2}: $(<"$DIR/check")"
}

refused 'another process holds a part of its state'
refused 'must run at the destination before the guest does' --how cold
qmp "$DIR/served.mon" '{"execute": "quit"}' >/dev/null || true
wait_for 60 process_is_gone "$pid" || fail "its QEMU does not end"
vmferry check local --how cold --disk-dir "$DIR/there" -- "$QEMU" "${line[@]}" -device vfio-pci,host=ff:1f.0 >"$DIR/check" 2>&1 || fail "$(tail -n 4 "$DIR/check")"
grep -q 'vfio-pci is a device of the host: the destination must have one' "$DIR/check" || fail "$(<"$DIR/check")"
vmferry migrate local --how cold --disk-dir "$DIR/there" -- "$QEMU" "${line[@]}" >"$DIR/cold.out" 2>&1 || fail "$(tail -n 4 "$DIR/cold.out")"
grep -q 'vhost-user-blk-pci needs another process: start that at the destination' "$DIR/cold.out" || fail "$(<"$DIR/cold.out")"
cmp "$DIR/own.raw" "$DIR/there/own.raw" || fail "its disk has not arrived"
