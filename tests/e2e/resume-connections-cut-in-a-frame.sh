#!/bin/bash
# A data connection cut in the middle of a frame, and the control connection: the move goes on over another one. Where that is not wanted,
# and before there is anything to go on with, it is rolled back, and nothing is left anywhere.
. "$(dirname "$0")/../lib/aftermath.sh"

goes_on() { # FAULT
	local from=${GUEST_AT[a]:-$DIR}
	to_proxy "$1"
	move a "$DEST" --plaintext
	proxy_has_done_it
	assert_result 'r["outages"]["count"] == 1 and r["verified"]'
	assert_moved "$from/a.raw"
}

rolls_back() { # FAULT [OPTION...]
	to_proxy "$1"
	move_start a "$DEST" --plaintext "${@:2}"
	move_wait 1
	proxy_has_done_it
	assert_result 'r["guest"] == "source" and "connection" in r["reason"]'
	assert_at_source
}

guest_a
rolls_back data:up:20:cut --reconnect-timeout 0
rolls_back control:down:5:cut --reconnect-timeout 0
rolls_back control:up:1:cut:0x8012
goes_on data:up:20:cut
goes_on data:down:3:cut
for frame in control:down:1:cut:0x8028 control:up:1:cut:0x803a control:down:1:cut:0x803a control:down:2:cut:0x803a; do
	goes_on $frame
done
assert_next_move_succeeds
