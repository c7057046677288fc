#!/bin/bash
# After COMMITTED both the source agent and its QEMU are gone, as after a reboot, and somebody has started the guest from its disk here and
# shut it down again: recover sees that the disk was written, and decides nothing. With the disk moved away it is the destination's.
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

guest_a
move_until listener before-DST_START:stop
wait_for 60 eval 'grep -q disks-written "$VMFERRY_STATE_DIR"/*-src.journal' || fail "the source does not note how its disks are"
kill_now "$MOVE_PID"
kill_now "${GUEST_PID[a]}"
fault_continue

cp -a "$DIR/a.raw" "$DIR/kept.raw"
printf x | dd of="$DIR/a.raw" bs=1 seek=100 conv=notrunc status=none
recover 6
grep -q 'has been written here since the guest was handed over' "$DIR/recover.log" || fail "it does not say why: $(cat "$DIR/recover.log")"

mv "$DIR/a.raw" "$DIR/aside"
recover 0
process_born "${GUEST_PID[a]}"
assert_eq "${BORN:-gone}" gone "the source's QEMU"
mv "$DIR/kept.raw" "$DIR/a.raw"
assert_at_destination
