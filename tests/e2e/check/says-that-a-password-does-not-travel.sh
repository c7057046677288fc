#!/bin/bash
# The password of a guest's display is in its QEMU alone, and has to be set again after a move: the plan says so, the short one, too.
. "$(dirname "$0")/../../lib/move.sh"
. "$TOP/tests/lib/tiny.sh"

WITNESS="ram_mb=16 rate=200" tiny_start a -vnc "unix:$DIR/a.vnc,password=on"
vmferry check "${GUEST_PID[a]}" local --disk-dir "$TO" >"$DIR/check.out" 2>&1 || fail "it cannot move: $(<"$DIR/check.out")"
assert_eq "$(grep -c set_password "$DIR/check.out")" 1 "lines that say so: $(<"$DIR/check.out")"
