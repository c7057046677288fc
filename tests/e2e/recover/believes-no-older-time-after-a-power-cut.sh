#!/bin/bash
# A power failure at the source in the moment in which the guest is handed over: the time of the disk's last write was not on disk yet, and is an older
# one now. That is nobody's write: recover goes on at the destination. A newer one is somebody's.
. "$(dirname "$0")/../../lib/aftermath.sh"

guest_a
move_until listener after-SRC_COMMITTED
wait_for 60 process_is_gone "$MOVE_PID" || fail "the agent lives on"
kill_now "${GUEST_PID[a]}"
then=$(stat -c %y "$DIR/a.raw")
touch -d "$then + 3 seconds" "$DIR/a.raw"
recover 6
said recover.log 'has been written here since'
touch -d "$then - 3 seconds" "$DIR/a.raw"
recover 0
assert_at_destination
