#!/bin/bash
# A power failure at the source once the guest was handed over: the time of the disk's last write was not on disk yet, and is an older
# one now. That is nobody's write: recover goes on at the destination. A newer one is somebody's.
. "$(dirname "$0")/../lib/aftermath.sh"

guest_a
fault before-DST_START stop
to_listener
move_start a "$DEST"
fault_wait
wait_for 10 eval 'grep -q disks-written "$VMFERRY_STATE_DIR"/*-src.journal' || fail "the disks are not noted"
kill_now "$MOVE_PID"
kill_now "${GUEST_PID[a]}"
fault_continue
then=$(stat -c %y "$DIR/a.raw")
touch -d "$then + 3 seconds" "$DIR/a.raw"
recover 6
said recover.log 'has been written here since'
touch -d "$then - 3 seconds" "$DIR/a.raw"
recover 0
assert_at_destination
