#!/bin/bash
# A connection that breaks before it was ever used is made again: that of control, and those of the data channels, in the HELLO of either end. (Strangers
# can have one put out of the door of a destination.)
. "$(dirname "$0")/../../lib/aftermath.sh"

guest_a
for fault in data:up:1:cut data:down:3:cut control:up:1:cut control:down:1:cut; do
	to_proxy "$fault"
	move a "$DEST" --plaintext
	proxy_has_done_it
	assert_settled
done
