#!/bin/bash
# The guest dirties RAM faster than it can be copied, --on-stall=throttle: it is slowed down until the
# move fits the allowed downtime; at the destination it runs at full speed.
. "$(dirname "$0")/../lib/move.sh"

MEM=256 WITNESS="ram_mb=64 rate=50000" guest_start a
move_start a local --bwlimit 50M --codec none --max-downtime 700 --on-stall throttle
wait_event 'ev["event"] == "notice" and "slowing the guest down" in ev["text"]'
move_wait
assert_result 'r["downtime_ms"]["predicted"] <= 700'
guest_verify "$(orders a)"
