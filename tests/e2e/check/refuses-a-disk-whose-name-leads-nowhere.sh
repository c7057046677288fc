#!/bin/bash
# QEMU opens its disks by name once more when it hands them over. A guest that has put itself into the background with a disk of a relative name
# could not be moved live, and that is said before anything is copied, with a way out that works: another place for the disk, by its whole name.
# And of a guest that only misses something else the reason is the right one.
. "$(dirname "$0")/../../lib/move.sh"

start() { # NAME [OPTION...]: a QEMU that puts itself into the background, in its own directory; sets PID
	(cd "$DIR/$1" && "$QEMU" -name "$1" -accel tcg -m 64 -display none -nic none -pidfile "$DIR/$1/pid" -daemonize \
		-qmp "unix:$DIR/$1/q,server=on,wait=off" "${@:2}") || fail "QEMU does not start"
	PID=$(<"$DIR/$1/pid")
	kill_at_exit "$PID"
}

refused() { # PATTERN COMMAND...
	local status=0
	vmferry "${@:2}" >"$DIR/said" 2>&1 </dev/null || status=$?
	assert_eq "$status" 3 "exit code of vmferry ${*:2} ($(tail -n 3 "$DIR/said"))"
	grep -q -- "$1" "$DIR/said" || fail "'$1' is not said: $(<"$DIR/said")"
}

mkdir "$DIR/a" "$DIR/new" "$DIR/there"
"$QEMU_IMG" create -q -f qcow2 "$DIR/a/d.qcow2" 16M
start a -drive file=d.qcow2,if=virtio,format=qcow2
for how in live quick; do
	refused "cannot hand over disk $DIR/a/d.qcow2: it was given the name d.qcow2, which leads nowhere" check "$DIR/a/q" local --disk-dir "$DIR/there" --how $how
	refused "cannot hand over disk" migrate "$DIR/a/q" local --disk-dir "$DIR/there" --how $how
done
assert_eq "$(ls -A "$DIR/there")" "" "files at the destination"
assert_eq "$(status_of "$DIR/a/q")" running "QEMU's run state"
vmferry storage "$DIR/a/q" --disk "$DIR/a/d.qcow2=$DIR/new/d.qcow2" >"$DIR/said" 2>&1 </dev/null || fail "storage: $(<"$DIR/said")"
vmferry migrate "$DIR/a/q" local --disk-dir "$DIR/there" >"$DIR/said" 2>&1 </dev/null || fail "migrate: $(<"$DIR/said")"
kill_at_exit "$(<"$DIR/there/pid")"
assert_eq "$(status_of "$DIR/there/q")" running "QEMU's run state there"

# a medium whose file is gone is one of the line's still; a filter is called by its name
mkdir "$DIR/b"
head -c 1M /dev/urandom >"$DIR/b/x.iso"
"$QEMU_IMG" create -q -f qcow2 "$DIR/b/d.qcow2" 16M
(cd "$DIR/b" && exec "$QEMU" -name b -accel tcg -m 64 -display none -nic none -qmp unix:q,server=on,wait=off -cdrom x.iso \
	-blockdev driver=qcow2,node-name=q0,file.driver=file,file.filename=d.qcow2 \
	-blockdev driver=compress,node-name=t0,file=q0 -device virtio-blk-pci,drive=t0 </dev/null >/dev/null 2>&1) &
kill_at_exit $!
wait_for 60 monitor_answers "$DIR/b/q" || fail "QEMU does not answer"
rm "$DIR/b/x.iso"
refused "is seen through the filter 'compress'" check "$DIR/b/q" local --disk-dir "$DIR/there"
! grep -q "was inserted while the guest ran" "$DIR/said" || fail "a medium of the line is said to be inserted: $(<"$DIR/said")"

# the line proposed for a guest without QMP can be pasted, and keeps its console
"$QEMU" -name "Snow Leopard" -accel tcg -m 64 -nic none -nographic </dev/null >/dev/null 2>&1 &
kill_at_exit $!
PID=$!
listed() { vmferry list "$PID" >"$DIR/said" 2>/dev/null && grep -q 'Snow Leopard' "$DIR/said"; }
wait_for 60 listed || fail "it is not listed"
grep -qF "restart it, with: -qmp 'unix:/run/Snow Leopard.qmp,server=on,wait=off' -serial mon:stdio" "$DIR/said" || fail "$(<"$DIR/said")"
