#!/bin/bash
# A move goes on where there is room for one copy of the disk only: its partial copy becomes the disk. A move that takes nothing from the
# copy is refused. How the destination is reached may have to be said anew, from wherever recover is called.
. "$(dirname "$0")/../../lib/partial.sh"

guest_of_48
mkdir "$DIR/small" "$DIR/elsewhere"
mount -t tmpfs -o size=$((DISK_MB + 8))M none "$DIR/small" || skip "no right to mount a tmpfs"
at_exit "umount -l $DIR/small" # programs that run from there end after that
to_listener
move_start a "$DEST" "${KEEPING[@]}" --bwlimit 8M --disk-dir "$DIR/small"
TO=$DIR/small
wait_for 60 has_arrived "$TO/a.raw" $((DISK_MB / 2)) || fail "nothing arrives"
kill_now "$(qemu_dst)"
move_wait 4
assert_kept

move_start a "$DEST" --disk-dir "$DIR/small" --keep-partial no
TO=$DIR/small
move_wait 3
result 'r["reason"]' | grep -q 'the disks need .* has only' || fail "$(result 'r["reason"]')"
guest_order "$(orders a)" quiesce
to_listener # at another port
mv "$VMFERRY_STATE_DIR/token" "$DIR/elsewhere/token"
cd "$DIR/elsewhere"
resume 0 --dest "$DEST" --token-file token
assert_at_destination
assert_resumed "$KEPT_BYTES"
