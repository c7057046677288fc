#!/bin/bash
# The time that the journals of both hosts need for their writes while the guest stands still is measured before, and counts in the
# predicted downtime.
. "$(dirname "$0")/../../lib/aftermath.sh"

guest_a
: >"$DIR/errors-on"
DST_ON=(env LD_PRELOAD="$BIN/shared/error.so" ERRORS="slow 1 300 /dst-state/" ERRORS_SEEN="$DIR/errors-seen" ERRORS_WHILE="$DIR/errors-on")
BIN=$BIN/shared listen_dst
move a "$DST_ADDRESS" --max-downtime 2000
grep -q '^slow .*/dst-state/.*journal' "$DIR/errors-seen" || fail "no record of the journal was slow: $(<"$DIR/errors-seen")"
# PREPARED and START there, 300 ms each
assert_result '600 <= r["downtime_ms"]["predicted"] < 900 and r["downtime_ms"]["journal"] >= 600 and r["downtime_ms"]["total"] >= 600'
