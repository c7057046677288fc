#!/bin/bash
# A data connection cut in the middle of a frame, and the control connection: the move goes on over another one. Where that is not wanted,
# and before there is anything to go on with, it is rolled back, and nothing is left anywhere.
. "$(dirname "$0")/../../lib/aftermath.sh"

arrives() { # FAULT [OPTION...]
	to_proxy "$1"
	move a "$DEST" --plaintext "${@:2}"
	proxy_has_done_it
	assert_result 'r["outages"]["count"] == 1 and r["verified"]'
}

goes_on() { # FAULT
	local from=${GUEST_AT[a]:-$DIR}
	arrives "$1"
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

head -c 2M /dev/urandom >"$DIR/a.iso"
guest_a -drive "file=$DIR/a.iso,format=raw,media=cdrom,if=none,id=cd,readonly=on" -device ide-cd,drive=cd
rolls_back data:up:20:cut --reconnect-timeout 0
rolls_back control:down:1:cut:0x8028 --reconnect-timeout 0
rolls_back control:up:1:cut:0x8012 --reconnect-timeout 1
goes_on data:up:20:cut
goes_on data:down:3:cut
for frame in control:down:1:cut:0x8028 control:up:1:cut:0x803a control:down:1:cut:0x803a control:down:2:cut:0x803a; do
	goes_on $frame
done
assert_next_move_succeeds
arrives control:up:3:cut:0x8014 --media copy # a piece of the medium
cmp "$DIR/a.iso" "$TO/a.iso" || fail "the medium did not arrive as it was"
guest_verify "$(orders a)" blocks
