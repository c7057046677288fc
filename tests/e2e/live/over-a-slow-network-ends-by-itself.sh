#!/bin/bash
# QEMU passes over memory again and again, and any guest writes a few pages all the time: over a slow network, without compression, these would
# fill whatever may be on its way, and what is on its way would never be little. It goes first, and then the guest, in time.
. "$(dirname "$0")/../../lib/move.sh"

MEM=256 WITNESS="ram_mb=32 rate=0" guest_start a
move a local --codec none --bwlimit 5M --max-downtime 300
assert_result 'not any("writes as fast as" in n for n in notices)' "the guest is not said to write too fast"
assert_result 'r["downtime_ms"]["total"] < 2000 and r["downtime_ms"]["predicted"] < 300'
guest_verify "$(orders a)"
