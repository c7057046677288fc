#!/bin/bash
# A guest that was paused when the move began does not run when the move is rolled back, and the result says how it is.
. "$(dirname "$0")/../../lib/aftermath.sh"

guest_a
qmp "$(free_monitor a)" '{"execute": "stop"}' >/dev/null
move_until local memory
vmferry cancel --no-wait "${GUEST_PID[a]}" >/dev/null
move_wait 1
assert_result 'r["guest"] == "source" and r["guest_text"] == "on the source, paused as it was"'
assert_eq "$(status_of "$(free_monitor a)")" paused "run state after the move"
qmp "$(free_monitor a)" '{"execute": "cont"}' >/dev/null
assert_at_source
assert_next_move_succeeds
