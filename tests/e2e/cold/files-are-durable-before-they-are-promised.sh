#!/bin/bash
# A destination whose files do not come to stable storage promises nothing: the guest stays here, and can be had back.
. "$(dirname "$0")/../../lib/cold.sh"

guest_at_rest
fault dst-not-durable fail
to_listener
cold_start "$DIR/src" "$DEST"
wait_event 'ev["event"] == "progress" and ev["stage"] == "switchover"' >/dev/null
wait_for 60 grep -q 'stage copy -> switchover' "$DIR/dst.log" || fail "not all has arrived"
wait_event 'ev["event"] == "progress" and ev["stage"] == "switchover" and ev["t_ms"] > 3000' >/dev/null # no further bytes arrive
! grep -q PREPARED "$DIR/dst.log" || fail "it is promised"
kill -TERM "$MOVE_PID"
cold_wait 1
assert_untouched
