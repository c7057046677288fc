#!/bin/bash
# A kept copy is gone on with by another kind of destination than the first (recover --resume --dest): the options of the earlier way are
# not given again, those of the move are.
. "$(dirname "$0")/../../lib/partial.sh"

guest_of_48
to_listener --state-dir "$VMFERRY_STATE_DIR" # a state directory of this host, as `local` has it
cp "$VMFERRY_STATE_DIR/token" "$DIR/token"
copy_begins --token-file "$DIR/token"
kill_now "$(qemu_dst)"
move_wait 4
assert_kept
guest_order "$(orders a)" quiesce
rm "$DIR/token"
resume 0 --dest local
assert_at_destination
assert_resumed "$KEPT_BYTES"
