#!/bin/bash
# The whole destination side dies when the guest runs there, before it has said that all is done: exit code 7; with a listener
# again, at another port, recover finishes the move when it is told where.
. "$(dirname "$0")/../../lib/aftermath.sh"

guest_a
move_until listener before-DST_DONE:stop
kill_now "$DST_PID"
kill_now "$FAULT_PID"
move_wait 7
assert_result 'r["guest"] == "destination"'

listen_dst
[[ $DST_ADDRESS != "$DEST" ]] || fail "it is the same port"
recover 0 --dest "$DST_ADDRESS"
assert_at_destination
assert_next_move_succeeds
