#!/bin/bash
# A disk that only its QEMU sees, in a mount namespace of its own (a unit with PrivateTmp=, unshare -m), is refused with that reason, and the way that it names works.
# takes: 5
. "$(dirname "$0")/../../lib/move.sh"
[[ $EUID -eq 0 ]] || skip "only root may make mounts"

mkdir "$DIR/private"
cat >"$DIR/start.sh" <<-END
	mount -t tmpfs private "$DIR/private" && truncate -s 16M "$DIR/private/d.raw" || exit
	exec "$QEMU" -name hidden -accel tcg -m 64 -display none -nodefaults -no-user-config -drive "file=$DIR/private/d.raw,format=raw,if=virtio" \
		-qmp "unix:$DIR/hidden.qmp,server=on,wait=off"
END
unshare -m sh "$DIR/start.sh" </dev/null >"$DIR/qemu.out" 2>&1 &
PID=$!
kill_at_exit "$PID"
wait_for 60 eval '[[ $(status_of "$DIR/hidden.qmp" 2>/dev/null) == running ]]' || fail "the guest does not start: $(<"$DIR/qemu.out")"

! vmferry check "$PID" local --disk-dir "$DIR/there" >"$DIR/check" 2>&1 || fail "check takes it: $(<"$DIR/check")"
grep -q "disk $DIR/private/d.raw is a file that only its QEMU sees, in a mount namespace of its own .*(nsenter -t $PID -m vmferry" "$DIR/check" || fail "check says: $(<"$DIR/check")"
nsenter -t "$PID" -m "$BIN/vmferry" check "$PID" local --disk-dir "$DIR/there" >"$DIR/check" 2>&1 || fail "check in that namespace says: $(<"$DIR/check")"
