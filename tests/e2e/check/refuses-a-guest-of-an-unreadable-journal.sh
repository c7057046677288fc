#!/bin/bash
# A journal at the source that is damaged may be of any guest whose move was cut off: no move begins until a person has looked at it. One that
# begins with the name of another guest's QEMU is told, and in nobody's way.
# takes: 30
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

refused() { # PATTERN
	move_start a local
	move_wait 3
	result 'r["reason"]' | grep -qE -- "$1" || fail "the reason is not like '$1': $(result 'r["reason"]')"
	assert_eq "$(settings_of a)" "$SETTINGS_NOW" "settings of QEMU"
}

guest_a
SETTINGS_NOW=$SETTINGS

# a journal whose very beginning cannot be read
garbage=$VMFERRY_STATE_DIR/00112233445566778899aabbccddeeff-src.journal
head -c 65536 /dev/urandom >"$garbage"
refused "$garbage is not a journal.*another is not begun"
rm "$garbage"
: >"$garbage"
refused "$garbage is not a journal.*another is not begun"
rm "$garbage"

# the journal of a move of this guest, damaged in the middle
move_until local disks
kill_now "$MOVE_PID"
wait_for 60 is_alone
guard_ends # the guard puts the settings back
SETTINGS_NOW=$(settings_of a)
journal=$(find "$VMFERRY_STATE_DIR" -name '*-src.journal')
cp -p "$journal" "$DIR/sound"
printf 'xxxxxxxx' | dd of="$journal" bs=1 seek=1800 conv=notrunc status=none
refused "$journal is damaged.*another is not begun"

# ... which is none of another guest's business
MEM=128 WITNESS="ram_mb=8 rate=10" tiny_start b
mkdir "$DIR/b"
vmferry check "${GUEST_PID[b]}" local --disk-dir "$DIR/b" >"$DIR/check.out" 2>&1 || fail "check of another guest: $(<"$DIR/check.out")"
grep -q "$journal is damaged.*of another guest's move" "$DIR/check.out" || fail "check says nothing of the journal: $(<"$DIR/check.out")"

cp -p "$DIR/sound" "$journal"
guest_stop b
recover 1
assert_at_source
assert_next_move_succeeds
