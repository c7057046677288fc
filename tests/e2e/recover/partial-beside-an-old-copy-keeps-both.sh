#!/bin/bash
# A disk replaces an old copy at its place, and its move is cut off: the old copy has its place again, beside what is kept. The same again goes on
# with that, moves the old copy out of its way once more, and removes it in the end.
. "$(dirname "$0")/../../lib/partial.sh"

guest_of_48
mkdir "$DIR/d1"
head -c 8M "$DIR/a.raw" >"$DIR/d1/a.raw"
old=$(sha256sum <"$DIR/d1/a.raw")
to_listener
move_start a "$DEST" "${KEEPING[@]}" --bwlimit 8M --reuse "$DIR/d1/a.raw"
is_replaced() { # an old copy that a test has open is in use, and replaced by nothing
	[[ $(stat -c %s "$TO/a.raw" 2>/dev/null) == $((DISK_MB << 20)) ]]
}
wait_for 60 eval 'is_replaced && has_arrived "$TO/a.raw" 20' || fail "nothing arrives"
kill_now "$(qemu_dst)"
move_wait 4
assert_eq "$(sha256sum <"$DIR/d1/a.raw")" "$old" "the old copy"
KEPT=$(ls "$DIR"/d1/*-partial)
KEPT_BYTES=$(written "$KEPT")

guest_order "$(orders a)" quiesce
resume 0
assert_result 'any(ev["disks"][0]["begun"] and ev["disks"][0]["replaces"] for ev in of("plan"))'
assert_at_destination
assert_resumed "$KEPT_BYTES"
