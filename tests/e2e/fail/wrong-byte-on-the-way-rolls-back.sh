#!/bin/bash
# A bit that flips on the way, in disk contents, in memory contents or in a message either way, rolls the move back: the guest never runs
# from it.
# takes: 20
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

spoilt() { # FAULT REASON [OPTION...]
	to_proxy "$1"
	move_start a "$DEST" --plaintext "${@:3}"
	move_wait 1
	proxy_has_done_it
	assert_result 'r["guest"] == "source"'
	result 'r["reason"]' | grep -q "$2" || fail "the reason is not '$2': $(result 'r["reason"]')"
	assert_at_source
}

CONTENTS='damaged\|checksum\|the digest of .* does not match\|bytes of codec' # unpacked to something else, or not at all
guest_a
spoilt data:up:250:flip "$CONTENTS"
spoilt control:down:5:flip 'damaged\|checksum'
if beyond_gate unit/test-data-path unit/test-channel; then
	spoilt data:up:20:flip "$CONTENTS"
	spoilt control:up:5:flip 'damaged\|checksum'
fi
assert_next_move_succeeds
