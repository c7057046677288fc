#!/bin/bash
# The source agent dies while a disk is copied: `recover --resume` settles the move as recover does, and begins it again, with the
# options that it had; what had arrived of the disk does not travel again. What the guest wrote meanwhile does. A guest that turns out to be the
# destination's is left there.
# takes: 15
# tier: gate
. "$(dirname "$0")/../../lib/partial.sh"

guest_of_48
to_listener
copy_begins
kill_now "$MOVE_PID"
assert_eq "$(status_of "$(free_monitor a)")" running "the guest without its agent"
guest_order "$(orders a)" quiesce
resume 0
assert_at_destination
kept=$(kept_mib)
[[ ${kept%.*} -ge 12 ]] || fail "of a third of the disk $kept MiB were kept"
assert_resumed $((${kept%.*} << 20))

move_until listener after-SRC_COMMITTED "${KEEPING[@]}"
resume 0
assert_at_destination
! grep -q 'beginning the move' "$DIR/recover.log" || fail "it is moved again"
