#!/bin/bash
# The destination's file system fills up during the copy: rolled back, saying what is full.
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

guest_a
mkdir "$DIR/small"
mount -t tmpfs -o size=24M none "$DIR/small" || skip "no right to mount a tmpfs"
at_exit "umount $DIR/small"
for DEST in listener local; do
	[[ $DEST == listener ]] || beyond_gate unit/test-both-conductors || continue
	"to_$DEST"
	move_start a "$DEST" --disk-dir "$DIR/small" "${SLOW_DISKS[@]}"
	while_disks
	! head -c 24M /dev/zero 2>/dev/null >"$DIR/small/filler" || fail "the tmpfs is not full"
	move_wait 1
	assert_result '"No space left" in r["reason"] and "a.raw" in r["reason"] and r["guest"] == "source"'
	rm "$DIR/small/filler"
	[[ -z $(ls -A "$DIR/small") ]] || fail "left there: $(ls -A "$DIR/small")"
	assert_at_source
done
assert_next_move_succeeds
