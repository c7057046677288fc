#!/bin/bash
# Blocks of a disk that another image at the destination has, wherever in it, do not travel (--alike); the image is not touched. An older
# destination is not asked, and if either end is killed meanwhile nothing is left there, and the next move succeeds.
# takes: 25
# tier: gate
. "$(dirname "$0")/../../lib/cold.sh"

MIX='
import os, sys
d = sys.argv[1]
old = os.urandom(8 << 20)
block = lambda i: old[i % 2048 * 4096:][:4096]
half = b"".join(block(5 * i + 3) if i % 4 < 2 else os.urandom(4096) for i in range(2048))
open(d + "/other.raw", "wb").write(old)
open(d + "/src/a.raw", "wb").write(half + bytes(1 << 20) + block(7) + b"end")
'
mkdir "$DIR/src"
python3 -S -c "$MIX" "$DIR"
cat >"$DIR/src/a.sh" <<-END
	#!/bin/sh
	exec $QEMU -accel tcg -machine q35 -m 64 -name a -display none -nodefaults -no-user-config -drive file=$DIR/src/a.raw,format=raw,if=virtio
END
chmod 700 "$DIR/src/a.sh"
sum=$(md5sum <"$DIR/src/a.raw")

begin() { # [OPTION...]: the other image is there
	mkdir -p "$DIR/d$((MOVES + 1))"
	cp "$DIR/other.raw" "$DIR/d$((MOVES + 1))/"
	cold_start "$DIR/src" "$DEST" --codec none "$@"
}
nothing_there() {
	assert_eq "$(ls -A "$TO")" other.raw "files at the destination"
	assert_eq "$(md5sum <"$DIR/src/a.raw")" "$sum" "the disk here"
	assert_nothing_unfinished
}

to_listener
vmferry check "$DIR/src/a.sh" "$DEST" --how cold --disk-dir "$DIR" --alike on >"$DIR/check.out" 2>&1 || fail "check: $(<"$DIR/check.out")"
grep -q 'what is the same in 1 image there does not travel' "$DIR/check.out" || fail "the plan does not say so: $(<"$DIR/check.out")"

fault src-want-window # an agent dies
begin --alike on
fault_wait
wait_for 60 process_is_gone "$MOVE_PID" || fail "the agent lives on"
recover 1
nothing_there

fault dst-alike-window
to_listener
begin --alike on
fault_wait
cold_wait 1
nothing_there

export VMFERRY_FAULT=dst-knows-no-alike:fail # an older one
to_listener
unset VMFERRY_FAULT
begin --alike on --dry-run
cold_wait
assert_result '"alike" not in plan'

to_listener
begin --dry-run # at a network of which nothing is known, on this very host
cold_wait
assert_result '"alike" not in plan'
begin --dry-run --alike off --bwlimit 10M
cold_wait
assert_result '"alike" not in plan'

begin --alike on
cold_wait
assert_result 'plan["alike"]["images"] == 1'
assert_result 'r["disks"][0]["alike"] and r["disks"][0]["bytes_kept"] == (4 << 20) + 4096'
assert_result 'r["disks"][0]["bytes_wire"] < (4 << 20) + (1 << 18)'
assert_eq "$(md5sum <"$TO/a.raw")" "$sum" "the disk there"
cmp "$DIR/other.raw" "$TO/other.raw"
