#!/bin/bash
# A large backing file of the same size that lies at the destination already, and differs in one place between its beginning, middle
# and end, is another file; the same one is used.
. "$(dirname "$0")/../../lib/aftermath.sh"

mkdir "$DIR/src" "$DIR/there"
truncate -s 400M "$DIR/src/base.raw" "$DIR/there/base.raw"
echo here | dd of="$DIR/src/base.raw" conv=notrunc bs=1M seek=10 status=none
(cd "$DIR/src" && "$QEMU_IMG" create -q -f qcow2 -b base.raw -F raw top.qcow2)
tiny_launch b $(second_monitor b) $(guest_drive d0 "$DIR/src/top.qcow2" qcow2)
wait_for 60 monitor_answers "$DIR/b.mon"

checked() { # STATUS
	local status=0
	vmferry check "${GUEST_PID[b]}" local --disk-dir "$DIR/there" -v >"$DIR/out" 2>&1 || status=$?
	assert_eq "$status" "$1" "exit code of check, which says: $(<"$DIR/out")"
}

checked 3
grep -q "another file than the backing file" "$DIR/out" || fail "the reason is: $(<"$DIR/out")"
echo here | dd of="$DIR/there/base.raw" conv=notrunc bs=1M seek=10 status=none
checked 0
grep -q "base.raw (backing, .*) is there already" "$DIR/out" || fail "the plan is: $(<"$DIR/out")"
