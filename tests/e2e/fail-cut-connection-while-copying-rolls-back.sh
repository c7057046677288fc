#!/bin/bash
# A data connection cut in the middle of a frame, and the control connection: rolled back, nothing left anywhere.
. "$(dirname "$0")/../lib/aftermath.sh"

cut() { # FAULT
	to_proxy "$1"
	move_start a "$DEST" --plaintext
	move_wait 1
	proxy_has_done_it
	assert_result 'r["guest"] == "source" and "connection" in r["reason"]'
	assert_at_source
}

guest_a
cut data:up:20:cut
cut data:down:3:cut
cut control:down:5:cut
assert_next_move_succeeds
