#!/bin/bash
# A guest of QEMU 11.1 whose QMP monitor another client has is moved by its human monitor, which makes vmferry a QMP monitor. `check` does the same, and leaves
# nothing of it in QEMU. A human monitor that somebody is connected to is not taken: the guest is refused then.
# takes: 15
# tier: gate
QEMU=11.1 QEMU_THERE=
. "$(dirname "$0")/../../lib/move.sh"
. "$(dirname "$0")/../../lib/tiny.sh"
. "$(dirname "$0")/../../lib/hmp.sh"

guest_disk "$DIR/a.raw" raw 64M
tiny_start a $(guest_drive d0 "$DIR/a.raw" raw) -monitor "unix:$DIR/a.hmp,server=on,wait=off"
occupy "$(monitor a)"
mkdir "$DIR/d"
before=$(hmp_says "$DIR/a.hmp" "info chardev")
vmferry check "${GUEST_PID[a]}" local --disk-dir "$DIR/d" >"$DIR/check" 2>&1 || fail "it cannot be moved: $(cat "$DIR/check")"
grep -q "by its monitor $DIR/a.hmp" "$DIR/check" || fail "check does not say by which monitor: $(cat "$DIR/check")"
assert_nothing_lent a
[[ $(hmp_says "$DIR/a.hmp" "info chardev") == "$before" ]] || fail "QEMU has other character devices than before"

occupy "$DIR/a.hmp"
vmferry check "${GUEST_PID[a]}" local --disk-dir "$DIR/d" >"$DIR/check" 2>&1 && fail "a monitor was taken from somebody"
grep -q "another client is connected to the monitor $DIR/a.hmp" "$DIR/check" || fail "check says: $(cat "$DIR/check")"
leave "$DIR/a.hmp"

move a local
guest_verify "$(orders a)"
assert_nothing_lent a
