#!/bin/bash
# The guest dirties RAM faster than it can be copied, --on-stall=stop: it is stopped for the rest.
. "$(dirname "$0")/../lib/move.sh"

MEM=256 WITNESS="ram_mb=64 rate=50000" guest_start a
move a local --bwlimit 50M --codec none --max-downtime 10 --on-stall stop
assert_result 'any("writes as fast as it can be copied" in text and "stopping it" in text for text in notices)'
guest_verify "$(orders a)"
